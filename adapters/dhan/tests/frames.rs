//! Random and damaged messages: no panic, nothing out of bounds, no tick for what is damaged, no allocation.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "tests fail by panicking, and tell what they counted"
)]

mod invariants;

use std::sync::LazyLock;

use adapter_dhan::{
    clock::Clock,
    decode,
    wire::{
        WireError,
        depth::{self, Tier},
        live,
    },
};
use proptest::prelude::*;
use serde_json::Value;

use self::invariants::read;

static FRAMES: LazyLock<Vec<(Option<Tier>, Vec<u8>)>> = LazyLock::new(|| {
    let lines = include_str!("../testdata/dhan.jsonl").lines();
    lines
        .map(|line| {
            let line: Value = serde_json::from_str(line).unwrap();
            let tier = match line["feed"].as_str().unwrap() {
                "depth20" => Some(Tier::Twenty),
                "depth200" => Some(Tier::TwoHundred),
                _ => None,
            };
            (tier, hex::decode(line["frame_hex"].as_str().unwrap()).unwrap())
        })
        .collect()
});

#[test]
fn a_message_that_is_cut_anywhere_gives_the_packets_before_the_cut_and_one_error() {
    let mut cuts = 0;
    for (tier, frame) in FRAMES.iter() {
        let whole = read(*tier, frame);
        for end in 1..frame.len() {
            let cut = read(*tier, &frame[..end]);
            let (last, before) = cut.split_last().unwrap();
            if *last == Err(WireError::Truncated) {
                assert_eq!(before, &whole[..before.len()]);
            } else {
                // Between two packets.
                assert_eq!(cut, whole[..cut.len()]);
            }
            cuts += 1;
        }
    }
    println!("{cuts} cuts");
    assert!(cuts > 10_000);
}

#[test]
fn decoding_allocates_nothing() {
    let frames = &*FRAMES;
    let mut levels = Vec::with_capacity(200);
    let (mut packets, mut clock) = (0, Clock::new());
    let measured = allocation_counter::measure(|| {
        for (tier, frame) in frames {
            match tier {
                None => {
                    for packet in live::Packets::new(frame).flatten() {
                        _ = std::hint::black_box(decode::tick(&packet, 7, &mut clock));
                        packets += 1;
                    }
                }
                Some(tier) => {
                    for packet in depth::Packets::new(*tier, frame).flatten() {
                        if let depth::Packet::Side(_, _, rows) = packet {
                            _ = std::hint::black_box(decode::side(rows, &mut levels));
                        }
                        packets += 1;
                    }
                }
            }
        }
    });
    println!("{packets} packets, {} allocations", measured.count_total);
    assert_eq!(measured.count_total, 0);
    assert!(packets > 250, "{packets}");
}

#[test]
fn a_packet_that_is_too_short_or_of_no_segment_is_counted_and_the_next_one_is_read() {
    let ticker = [2, 16, 0, 1, 7, 0, 0, 0, 0, 0, 128, 63, 0, 0, 0, 0];
    let short = [4, 16, 0, 1, 7, 0, 0, 0, 0, 0, 128, 63, 0, 0, 0, 0];
    let nowhere = [2, 16, 0, 6, 7, 0, 0, 0, 0, 0, 128, 63, 0, 0, 0, 0];
    let message = [short, nowhere, ticker].concat();
    let packets: Vec<_> = live::Packets::new(&message).map(|packet| packet.map(|_| ())).collect();
    let errors = [WireError::TooShort { code: 4, bytes: 16 }, WireError::UnknownSegment(6)];
    assert_eq!(packets, [Err(errors[0]), Err(errors[1]), Ok(())]);
    // A side of 20 levels that lacks rows would empty the book.
    let side = [12, 0, 41, 1, 7, 0, 0, 0, 0, 0, 0, 0];
    let packets: Vec<_> = depth::Packets::new(Tier::Twenty, &side).map(|packet| packet.map(|_| ())).collect();
    assert_eq!(packets, [Err(WireError::TooShort { code: 41, bytes: 12 })]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn random_bytes_do_no_harm(message in proptest::collection::vec(any::<u8>(), 0..4_000)) {
        for tier in [None, Some(Tier::Twenty), Some(Tier::TwoHundred)] {
            read(tier, &message);
        }
    }

    #[test]
    fn changed_messages_do_no_harm(
        place in any::<prop::sample::Index>(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let (tier, mut message) = FRAMES[place.index(FRAMES.len())].clone();
        for (at, value) in changes {
            let at = at.index(message.len());
            message[at] = value;
        }
        read(tier, &message);
    }
}
