//! Random and damaged packets: nothing panics, nothing is invented, nothing is allocated.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "tests fail by panicking, and tell what they compared"
)]

mod invariants;

use std::sync::LazyLock;

use adapter_angel::{control, decode, wire::Packet};
use adapter_sdk::serde_json::{self, Value};
use proptest::prelude::*;

use self::invariants::{check, length};

static VECTORS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let lines = include_str!("../testdata/angel.jsonl").lines();
    lines
        .map(|line| {
            let line: Value = serde_json::from_str(line).unwrap();
            hex::decode(line["frame_hex"].as_str().unwrap()).unwrap()
        })
        .collect()
});

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn random_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        check(&bytes);
    }

    #[test]
    fn random_bytes_with_a_real_head_are_survived(
        mode in 0_u8..6,
        segment in 0_u8..15,
        bytes in proptest::collection::vec(any::<u8>(), 0..600),
    ) {
        let mut message = vec![mode, segment, b'7', 0];
        message.extend_from_slice(&bytes);
        check(&message);
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
        check(&bytes);
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
            if let Ok(packet) = Packet::parse(bytes) {
                _ = std::hint::black_box(decode::tick(&packet, 1, false));
                decoded += 1;
            }
        }
    });
    println!("{decoded} packets, {} allocations", counts.count_total);
    assert_eq!((decoded, counts.count_total), (200, 0));
}
