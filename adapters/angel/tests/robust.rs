//! Random and damaged packets: nothing panics, nothing is invented, nothing is allocated.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "tests fail by panicking, and tell what they compared"
)]

use std::sync::LazyLock;

use adapter_angel::{
    control,
    decode::{self, Decoded},
    segment::Segment,
    wire::{DEPTH_BYTES, LTP_BYTES, Packet, QUOTE_BYTES, SNAP_BYTES},
};
use adapter_sdk::serde_json::{self, Value};
use proptest::prelude::*;

static VECTORS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let lines = include_str!("../testdata/angel.jsonl").lines();
    lines
        .map(|line| {
            let line: Value = serde_json::from_str(line).unwrap();
            hex::decode(line["frame_hex"].as_str().unwrap()).unwrap()
        })
        .collect()
});

const fn length(mode: u8) -> Option<usize> {
    match mode {
        1 => Some(LTP_BYTES),
        2 => Some(QUOTE_BYTES),
        3 => Some(SNAP_BYTES),
        4 => Some(DEPTH_BYTES),
        _ => None,
    }
}

/// What must hold of any message.
fn check(bytes: &[u8]) -> Result<(), TestCaseError> {
    let Ok(packet) = Packet::parse(bytes) else { return Ok(()) };
    // A packet is whole, of a mode and an exchange type that exist, with the token that stands there.
    prop_assert!(length(bytes[0]).is_some_and(|length| bytes.len() >= length));
    prop_assert_eq!(Segment::from_code(bytes[1]), Some(packet.key.segment));
    let token = packet.key.token.as_str().as_bytes();
    prop_assert!((1..=25).contains(&token.len()));
    prop_assert_eq!(&bytes[2..2 + token.len()], token);
    for is_index in [false, true] {
        let Ok(Decoded::Book(_, book)) = decode::tick(&packet, 1, is_index) else { continue };
        let most = if bytes[0] == 4 { 20 } else { 10 };
        for side in [&book.buy, &book.sell] {
            prop_assert!(side.levels().len() <= most);
            prop_assert!(side.levels().iter().all(|level| level.quantity >= 0));
            let is_empty = |level: &adapter_sdk::Level| level.quantity == 0 && level.price.as_nanos() == 0;
            prop_assert!(!side.levels().iter().any(is_empty));
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn random_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        check(&bytes)?;
    }

    #[test]
    fn random_bytes_with_a_real_head_are_survived(
        mode in 0_u8..6,
        segment in 0_u8..15,
        bytes in proptest::collection::vec(any::<u8>(), 0..600),
    ) {
        let mut message = vec![mode, segment, b'7', 0];
        message.extend_from_slice(&bytes);
        check(&message)?;
    }

    #[test]
    fn changed_packets_are_survived(
        place in 0_usize..200,
        changes in proptest::collection::vec((0_usize..443, any::<u8>()), 1..8),
        cut in 0_usize..450,
    ) {
        let mut bytes = VECTORS[place].clone();
        for (at, byte) in changes {
            let at = at % bytes.len();
            bytes[at] = byte;
        }
        bytes.truncate(cut);
        check(&bytes)?;
    }

    /// A packet that is cut off anywhere is no tick at all.
    #[test]
    fn cut_packets_are_refused(place in 0_usize..200, cut in 0_usize..443) {
        let bytes = VECTORS[place].clone();
        let whole = length(bytes[0]).unwrap();
        prop_assert!(Packet::parse(&bytes[..cut.min(whole - 1)]).is_err());
    }

    #[test]
    fn random_texts_are_survived(text in ".{0,200}") {
        let _any = control::read(&text);
    }
}

#[test]
fn decoding_allocates_nothing() {
    let packets = &*VECTORS;
    let mut decoded = 0;
    let counts = allocation_counter::measure(|| {
        for bytes in packets {
            if let Ok(packet) = Packet::parse(bytes)
                && decode::tick(&packet, 1, false).is_ok()
            {
                decoded += 1;
            }
        }
    });
    println!("{decoded} packets, {} allocations", counts.count_total);
    assert_eq!((decoded, counts.count_total), (200, 0));
}
