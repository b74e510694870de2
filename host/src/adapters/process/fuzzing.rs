//! What an adapter's process sends, for the fuzzer: a library that somebody else wrote decides about every byte of it.

use super::{
    batch::Decoded,
    receiver,
    wire::{FromChild, to_line},
};
use crate::adapters::AdapterEvents;

/// Takes the frames of a connection that has shown its token, as the host does, and gives the bytes that were taken. None
/// when the host would end the connection.
pub fn ticks(bytes: &[u8], events: &dyn AdapterEvents) -> Option<usize> {
    receiver::take(bytes, &mut Decoded::default(), events, |_| {}).ok()
}

/// Reads a line, and says it again. None when the host would end the process for it.
pub fn line(text: &str) -> Option<String> {
    let message: FromChild = serde_json::from_str(text).ok()?;
    String::from_utf8(to_line(&message).to_vec()).ok()
}
