//! What must hold of any message, whoever made it up: the property tests and the fuzzer ask the same.

use adapter_zerodha::decode::{DecodeError, LEVELS, Packets};

/// Reads everything that a message gives, and checks what must hold of any.
pub(crate) fn read(message: &[u8]) -> Vec<Result<Vec<u8>, DecodeError>> {
    let mut found = Vec::new();
    let mut bytes = 2;
    for packet in Packets::new(message) {
        found.push(packet.map(|packet| {
            // A tick is of an instrument that the message names.
            assert!(message.windows(4).any(|bytes| bytes == packet.token().to_be_bytes()));
            if let Some(book) = packet.book() {
                for side in [book.buy(), book.sell()] {
                    assert!(side.len() <= LEVELS && side.iter().all(|level| level.quantity >= 0));
                    assert!(side.iter().all(|level| level.price.as_nanos() != 0));
                }
            }
            format!("{packet:?}{:?}{:?}", packet.tick(1), packet.book()).into_bytes()
        }));
        bytes += 2;
    }
    // Each packet has its length at least, and only the last can be cut off.
    assert!(bytes <= message.len() + 4, "{} packets in {} bytes", found.len(), message.len());
    let cut = found.iter().position(|packet| *packet == Err(DecodeError::Truncated));
    assert!(cut.is_none_or(|cut| cut + 1 == found.len()));
    found
}
