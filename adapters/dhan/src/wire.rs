//! The broker's binary messages, field by field, with the broker's numbers. Little-endian. Pure, and no input
//! makes it panic.
//!
//! Layouts are those of the broker's v2 documents ("Live Market Feed", "Full Market Depth") and of its Python
//! package (`dhanhq` 2.3.0); where the two differ, the field says which one is right. Quantities are called
//! signed in the documents; the package reads them as unsigned, which is right.

pub mod depth;
pub mod live;

/// Why a part of a message is no packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// The message ends within a packet; or the packet's length is shorter than its head, so that nobody can
    /// say where the next one begins.
    #[error("the message is cut off")]
    Truncated,
    /// A packet that is too short for its kind. What follows it is fine.
    #[error("a packet of kind {code} with {bytes} bytes, which is too short")]
    TooShort {
        /// The broker's number of the kind.
        code: u8,
        /// Its length.
        bytes: usize,
    },
    /// The broker has no such segment. What follows it is fine.
    #[error("a packet of segment {0}, which does not exist")]
    UnknownSegment(u8),
}

/// Takes the next packet off a message: its length stands at a place of its head, which is so long. A message
/// that is cut off gives what was whole, one error, and then ends.
#[inline]
fn next<'a>(message: &mut &'a [u8], length_at: usize, head: usize) -> Option<Result<&'a [u8], WireError>> {
    if message.is_empty() {
        return None;
    }
    let length = message.get(length_at..).and_then(|bytes| bytes.first_chunk());
    let length = length.map(|bytes| usize::from(u16::from_le_bytes(*bytes))).filter(|length| *length >= head);
    let Some((packet, rest)) = length.and_then(|length| message.split_at_checked(length)) else {
        *message = &[];
        return Some(Err(WireError::Truncated));
    };
    *message = rest;
    Some(Ok(packet))
}
