//! What a publisher sends, for the fuzzer, before anything else has seen it.

use super::zmtp::{Inspected, Inspector};

/// What the guard passes on, and what it answers, of bytes that come in pieces; none when it ends the
/// connection.
pub fn inspect<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Option<(Vec<u8>, Vec<u8>)> {
    let (mut inspector, mut out, mut waiting) = (Inspector::new(None), Inspected::default(), Vec::new());
    for piece in pieces {
        waiting.extend_from_slice(piece);
        let taken = inspector.inspect(&waiting, &mut out).ok()?;
        waiting.drain(..taken);
    }
    Some((out.forward, out.answer))
}
