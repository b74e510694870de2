//! What must hold of any message, whoever made it up: the property tests and the fuzzer ask the same.

use adapter_angel::{
    decode::{self, Decoded},
    segment::Segment,
    wire::{DEPTH_BYTES, LTP_BYTES, Packet, QUOTE_BYTES, SNAP_BYTES},
};

/// Bytes of a packet of a mode.
pub(crate) const fn length(mode: u8) -> Option<usize> {
    match mode {
        1 => Some(LTP_BYTES),
        2 => Some(QUOTE_BYTES),
        3 => Some(SNAP_BYTES),
        4 => Some(DEPTH_BYTES),
        _ => None,
    }
}

/// What must hold of any message.
pub(crate) fn check(bytes: &[u8]) {
    let Ok(packet) = Packet::parse(bytes) else { return };
    // A packet is whole, of a mode and an exchange type that exist, with the token that stands there.
    assert!(length(bytes[0]).is_some_and(|length| bytes.len() >= length));
    assert_eq!(Segment::from_code(bytes[1]), Some(packet.key.segment));
    let token = packet.key.token.as_str().as_bytes();
    assert!((1..=25).contains(&token.len()));
    assert_eq!(&bytes[2..2 + token.len()], token);
    for is_index in [false, true] {
        let (Decoded::Book(_, book) | Decoded::Deep(_, book)) = decode::tick(&packet, 1, is_index) else {
            continue;
        };
        let most = if bytes[0] == 4 { 20 } else { 10 };
        for side in [book.buy(), book.sell()] {
            assert!(side.len() <= most);
            assert!(side.iter().all(|level| level.quantity >= 0));
            assert!(side.iter().all(|level| level.price.as_nanos() != 0));
        }
    }
}
