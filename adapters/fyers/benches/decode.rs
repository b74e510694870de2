//! Time from the bytes of a frame to ticks, for each kind of record.

use std::hint::black_box;

use adapter_fyers::{
    decode,
    request::MAX_TOPICS,
    state::Topics,
    tbt::{book::Books, wire::SocketMessage},
    topic::Topic,
    wire::{Frame, LITE_VALUES},
};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use serde_json::Value;

/// Records in a frame.
const RECORDS: u16 = 100;

fn frame(records: &[Vec<u8>]) -> Vec<u8> {
    let mut frame = vec![0, 0, 6, 0, 0, 0, 1];
    frame.extend(u16::try_from(records.len()).unwrap_or(0).to_be_bytes());
    records.iter().for_each(|record| frame.extend(record));
    frame
}

fn snapshot(id: u16, feed: &str, values: u8) -> Vec<u8> {
    let name = format!("{feed}|nse_cm|{}", 1_000 + id);
    let mut record = vec![b'S'];
    record.extend(id.to_be_bytes());
    record.push(u8::try_from(name.len()).unwrap_or(0));
    record.extend(name.as_bytes());
    record.push(values);
    (0..values).for_each(|place| record.extend((100_000 + i32::from(place)).to_be_bytes()));
    record.extend([0, 0, 0, 1, 2, 0, 0, 0]);
    record
}

/// Every value is another one than in the round before.
fn update(id: u16, values: u8, round: i32) -> Vec<u8> {
    let mut record = vec![b'U'];
    record.extend(id.to_be_bytes());
    record.push(values);
    (0..values).for_each(|place| record.extend((200_000 + i32::from(place) + round).to_be_bytes()));
    record
}

fn lite(id: u16, round: i32) -> Vec<u8> {
    let mut record = vec![b'L'];
    record.extend(id.to_be_bytes());
    record.extend((300_000 + round).to_be_bytes());
    record
}

fn take(topics: &mut Topics, bytes: &[u8], is_lite: bool) {
    let Ok(Frame::Data(data)) = Frame::parse(bytes, LITE_VALUES) else { return };
    for record in data.records.flatten() {
        let target = topics.target(&record);
        if topics.apply(&record, target)
            && let Some(target) = target
            && let Some(instrument) = topics.get(target.place)
        {
            if is_lite {
                _ = black_box(decode::last_price(instrument));
            } else {
                _ = black_box((decode::quote(instrument, 1), decode::book(instrument)));
            }
        }
    }
}

fn data(criterion: &mut Criterion) {
    assert!(usize::from(RECORDS) <= MAX_TOPICS, "one frame is one request's topics");
    let mut group = criterion.benchmark_group("decode");
    group.throughput(Throughput::Elements(RECORDS.into()));
    for (name, feed, values) in [("quote", "sf", 21), ("book", "dp", 30), ("lite", "sf", 21)] {
        let mut topics = Topics::new();
        let snapshots: Vec<Vec<u8>> = (0..RECORDS).map(|id| snapshot(id, feed, values)).collect();
        for id in 0..RECORDS {
            if let Some((feed, topic)) = Topic::parse(format!("{feed}|nse_cm|{}", 1_000 + id).as_bytes()) {
                topics.want(feed, topic);
            }
        }
        take(&mut topics, &frame(&snapshots), false);
        let rounds = [0, 1].map(|round| {
            let record = |id| if name == "lite" { lite(id, round) } else { update(id, values, round) };
            frame(&(0..RECORDS).map(record).collect::<Vec<_>>())
        });
        let mut round = 0;
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                round ^= 1;
                if let Some(bytes) = rounds.get(round) {
                    take(&mut topics, black_box(bytes), name == "lite");
                }
            });
        });
    }
    group.finish();
}

/// Snapshots of the vectors, whose books have fifty rows.
fn fifty_levels(criterion: &mut Criterion) {
    let lines = include_str!("../testdata/fyers.jsonl").lines();
    let line =
        lines.filter_map(|line| serde_json::from_str::<Value>(line).ok()).find(|line| line["feed"] == "tbt");
    let Some(line) = line else { return };
    let message = line
        .pointer("/frames_hex/0")
        .and_then(Value::as_str)
        .and_then(|text| hex::decode(text).ok())
        .unwrap_or_default();
    let mut books = Books::new();
    for event in line.pointer("/expected/0").and_then(Value::as_array).into_iter().flatten() {
        books.want(event["symbol"].as_str().unwrap_or_default());
    }
    criterion.bench_function("fifty levels", |bencher| {
        bencher.iter(|| {
            let Ok(message) = SocketMessage::parse(black_box(&message)) else { return };
            let taken = books.apply(&message, |news| {
                if let adapter_fyers::tbt::book::News::Changed(book) = news {
                    _ = black_box(book.levels(50));
                }
            });
            _ = black_box(taken);
        });
    });
}

criterion_group!(benches, data, fifty_levels);
criterion_main!(benches);
