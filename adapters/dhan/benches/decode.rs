//! What decoding costs: a message of each kind to ticks. A regression shows in the delay of every tick.

use std::hint::black_box;

use adapter_dhan::{
    clock::Clock,
    decode,
    wire::{
        depth::{self, Tier},
        live,
    },
};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use serde_json::Value;

/// Packets of one kind in a message.
const PACKETS: u32 = 100;

/// The message of a kind in the vectors that says most: some are filled up with zeros.
fn message(kind: &str) -> Vec<u8> {
    let lines = include_str!("../testdata/dhan.jsonl").lines();
    let found = lines.filter_map(|line| {
        let line: Value = serde_json::from_str(line).ok()?;
        let bytes = hex::decode(line.get("frame_hex")?.as_str()?).ok()?;
        (line.get("kind")?.as_str() == Some(kind)).then_some(bytes)
    });
    found.max_by_key(|bytes| bytes.iter().filter(|byte| **byte != 0).count()).unwrap_or_default()
}

fn live_feed(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("live");
    group.throughput(Throughput::Elements(PACKETS.into()));
    for kind in ["ticker", "quote", "full", "oi"] {
        let message = message(kind).repeat(PACKETS as usize);
        assert!(!message.is_empty(), "there is a message of {kind}");
        let mut clock = Clock::new();
        group.bench_function(kind, |bencher| {
            bencher.iter(|| {
                for packet in live::Packets::new(black_box(&message)).flatten() {
                    _ = black_box(decode::tick(&packet, 7, &mut clock));
                }
            });
        });
    }
    group.finish();
}

fn depth_feeds(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("depth");
    for (kind, tier) in [("depth20", Tier::Twenty), ("depth200", Tier::TwoHundred)] {
        let message = message(kind);
        assert!(!message.is_empty(), "there is a message of {kind}");
        let mut levels = Vec::with_capacity(tier.levels().into());
        group.bench_function(kind, |bencher| {
            bencher.iter(|| {
                for packet in depth::Packets::new(tier, black_box(&message)).flatten() {
                    if let depth::Packet::Side(_, _, rows) = packet {
                        _ = black_box(decode::side(rows, &mut levels));
                    }
                }
            });
        });
    }
    group.finish();
}

criterion_group!(benches, live_feed, depth_feeds);
criterion_main!(benches);
