//! Random and damaged messages: no panic, nothing out of bounds, no tick for what is damaged, no allocation.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests fail by panicking")]

mod invariants;

use std::{fs, path::Path, sync::LazyLock};

use adapter_zerodha::decode::{DecodeError, Packets};
use proptest::prelude::*;
use serde_json::Value;

use self::invariants::read;

static FRAMES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/zerodha.jsonl");
    let text = fs::read_to_string(file).unwrap();
    let frames = text.lines().map(|line| {
        let line: Value = serde_json::from_str(line).unwrap();
        hex::decode(line["frame_hex"].as_str().unwrap()).unwrap()
    });
    frames.collect()
});

#[test]
fn a_message_that_is_cut_anywhere_gives_the_packets_before_the_cut_and_one_error() {
    let frames = &*FRAMES;
    let mut cuts = 0;
    for frame in frames.iter().filter(|frame| frame.len() > 4).take(25) {
        let whole = read(frame);
        for end in 2..frame.len() {
            let cut = read(&frame[..end]);
            let (last, before) = cut.split_last().unwrap();
            // Bytes after the last packet may go without harm.
            if cut.len() < whole.len() || *last == Err(DecodeError::Truncated) {
                assert_eq!(*last, Err(DecodeError::Truncated));
                assert_eq!(before, &whole[..before.len()]);
            } else {
                assert_eq!(cut, whole);
            }
            cuts += 1;
        }
    }
    assert!(cuts > 1_000);
}

#[test]
fn decoding_does_not_allocate() {
    let frames = &*FRAMES;
    let mut packets = 0;
    let measured = allocation_counter::measure(|| {
        for frame in frames {
            for packet in Packets::new(frame).flatten() {
                std::hint::black_box((packet.tick(7), packet.book()));
                packets += 1;
            }
        }
    });
    assert_eq!(measured.count_total, 0, "in {packets} packets");
    assert!(packets > 500);
}

proptest! {
    #[test]
    fn random_bytes_do_no_harm(message in proptest::collection::vec(any::<u8>(), 0..600)) {
        read(&message);
    }

    #[test]
    fn changed_messages_do_no_harm(
        place in 0_usize..200,
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let frames = &*FRAMES;
        let mut message = frames[place % frames.len()].clone();
        for (at, value) in changes {
            let at = at.index(message.len());
            message[at] = value;
        }
        read(&message);
    }
}
