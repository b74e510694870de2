//! Time from the bytes of a packet to a tick.

use std::hint::black_box;

use adapter_angel::{decode, wire::Packet};
use adapter_sdk::serde_json::{self, Value};
use criterion::{Criterion, criterion_group, criterion_main};

/// A packet of each mode, of the vectors.
fn packet(mode: u8) -> Vec<u8> {
    let mut lines = include_str!("../testdata/angel.jsonl").lines();
    let found = lines.find_map(|line| {
        let line: Value = serde_json::from_str(line).ok()?;
        let is_plain = line.get("case")?.as_str()?.ends_with("plain");
        let bytes = hex::decode(line.get("frame_hex")?.as_str()?).ok()?;
        (is_plain && bytes.first() == Some(&mode)).then_some(bytes)
    });
    found.unwrap_or_default()
}

fn decode_packets(criterion: &mut Criterion) {
    for (name, mode) in [("ltp", 1), ("quote", 2), ("snap quote", 3), ("depth 20", 4)] {
        let bytes = packet(mode);
        assert!(!bytes.is_empty(), "there is a packet of mode {mode}");
        criterion.bench_function(name, |bencher| {
            bencher.iter(|| {
                let packet = Packet::parse(black_box(&bytes)).ok()?;
                Some(decode::tick(&packet, 1, false))
            });
        });
    }
}

criterion_group!(benches, decode_packets);
criterion_main!(benches);
