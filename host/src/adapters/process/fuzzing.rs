//! What an adapter's process sends, for the fuzzer: a library that somebody else wrote decides about every
//! byte of it.

use bytes::BytesMut;

use super::{
    receiver::Ticks,
    wire::{FromChild, to_line},
};
use crate::adapters::AdapterEvents;

/// Takes the frames of a connection that has shown its token, as the host does, and gives the bytes of those
/// that were taken. They come in two pieces, of which the first has so many bytes. None when the host would
/// end the connection.
pub fn ticks(bytes: &[u8], first: usize, events: &dyn AdapterEvents) -> Option<usize> {
    let (first, second) = bytes.split_at(first.min(bytes.len()));
    let (mut ticks, mut waiting, mut taken) = (Ticks::default(), BytesMut::new(), 0);
    for piece in [first, second] {
        waiting.extend_from_slice(piece);
        taken += ticks.take(&mut waiting, events).ok()?;
    }
    Some(taken)
}

/// Reads a line, and says it again. None when the host would end the process for it.
pub fn line(text: &str) -> Option<String> {
    let message: FromChild = serde_json::from_str(text).ok()?;
    String::from_utf8(to_line(&message).to_vec()).ok()
}
