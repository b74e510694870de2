//! What decoding costs: a message of many packets to ticks, for each kind of packet.

use std::hint::black_box;

use adapter_zerodha::decode::Packets;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const PACKETS: u16 = 100;

/// A message of packets of one length, with tokens of NSE's stocks.
fn message(length: u16) -> Vec<u8> {
    let mut message = PACKETS.to_be_bytes().to_vec();
    for number in 0..PACKETS {
        let mut packet: Vec<u8> = (0..length).map(|place| u8::try_from(place % 251).unwrap_or(1)).collect();
        let token = u32::from(number + 1) << 8 | 1;
        packet.splice(..4, token.to_be_bytes());
        message.extend(length.to_be_bytes());
        message.extend(packet);
    }
    message
}

fn decode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decode");
    group.throughput(Throughput::Elements(PACKETS.into()));
    for (name, length) in [("ltp", 8), ("quote", 44), ("full", 184)] {
        let message = message(length);
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                for packet in Packets::new(black_box(&message)).flatten() {
                    black_box((packet.tick(packet.token()), packet.book()));
                }
            });
        });
    }
    group.finish();
}

criterion_group!(benches, decode);
criterion_main!(benches);
