//! Every line of `testdata`, or of the folder that `TICKHOST_VECTORS` names, value by value.
//! `cargo test --test vectors -- --nocapture` prints how much was compared.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "tests fail by panicking, and print what they compared"
)]

use adapter_sdk::{Level, Price, Tick, testing::Vectors};
use adapter_xts::{
    decode::{self, Books},
    engine::{Packet, Version, said},
    wire::{About, Code, News, binary, exchange_of, json, key, read_event, time},
};
use serde_json::Value;

const FOLDER: &str = env!("CARGO_MANIFEST_DIR");

/// The connection of a line, with what it knows.
struct Connection {
    version: Version,
    is_announced: bool,
    unpacker: binary::Unpacker,
    scratch: String,
    books: Books,
}

impl Connection {
    /// Compares what a frame becomes with its events, and counts the values.
    fn compare(&mut self, frame: &Value, events: &[Value]) -> usize {
        let mut found = Vec::new();
        if let Some(quote) = frame["list_quote"].as_str() {
            let asked = frame["code"].as_i64().and_then(Code::of);
            let news = json::read(quote, asked).unwrap();
            return self.same(&news, &events[0]);
        }
        if let Some(text) = frame["text"].as_str() {
            match Packet::read(text) {
                Packet::Event(name, argument) => {
                    let mut scratch = std::mem::take(&mut self.scratch);
                    let news =
                        said(argument, &mut scratch).and_then(|text| read_event(name, text).unwrap_or(None));
                    assert_eq!(usize::from(news.is_some()), events.len(), "{text}");
                    let count = news.map_or(0, |news| self.same(&news, &events[0]));
                    self.scratch = scratch;
                    return count;
                }
                Packet::Announced(_) => self.is_announced = true,
                Packet::Open | Packet::Joined { .. } => {}
                other => panic!("{text}: {other:?}"),
            }
            assert!(events.is_empty());
            return 0;
        }
        assert!(std::mem::take(&mut self.is_announced));
        let bytes = hex(frame["hex"].as_str().unwrap());
        let frame = self.version.attachment(&bytes);
        binary::read(frame, &mut self.unpacker, |news| found.extend(news.ok()));
        assert_eq!(found.len(), events.len());
        found.iter().zip(events).map(|(news, event)| self.same(news, event)).sum()
    }

    fn same(&mut self, news: &News<'_>, event: &Value) -> usize {
        let About::Instrument(about) = news.about else { panic!("{event}") };
        let number = |name: &str| event[name].as_i64();
        assert_eq!(key(number("segment").unwrap(), number("instrument").unwrap()), Some(about));
        let known = *decode::take(&mut self.books, about, news);
        let kind = event["event"].as_str().unwrap();
        let code = if kind == "bands" { 1_105 } else { number("code").unwrap() };
        assert_eq!(i64::from(news.code.number()), code);
        if kind != "bands" {
            assert_eq!(event["snapshot"], news.is_image);
        }
        let (tick, count) = expected(event);
        // An event of limits shows those of its message alone.
        let ours = if kind == "bands" { news.tick.numbered(1) } else { known.tick(1).update() };
        assert_eq!(ours, tick, "{event}");
        let mut rows = 0;
        for (side, ours) in [("buy", known.book().buy()), ("sell", known.book().sell())] {
            let theirs = levels(event, side);
            assert_eq!(ours, theirs, "{side} of {event}");
            rows += event[side].as_array().map_or(0, Vec::len);
        }
        count + 4 + rows * 3
    }
}

/// A price that is one.
fn price(value: &Value) -> Option<Price> {
    (value.as_f64()? > 0.0).then(|| Price::parse(&value.to_string()).unwrap())
}

/// What the event says of the values, which are those that have a place in a tick.
fn expected(event: &Value) -> (Tick, usize) {
    let exchange = exchange_of(event["segment"].as_i64().unwrap()).unwrap();
    let (mut tick, mut count) = (Tick::new(1), 0);
    let prices: [(&str, fn(Tick, Price) -> Tick); 8] = [
        ("ltp", Tick::ltp),
        ("average_price", Tick::average_price),
        ("open", Tick::open),
        ("high", Tick::high),
        ("low", Tick::low),
        ("close", Tick::close),
        ("upper_circuit", Tick::upper_circuit),
        ("lower_circuit", Tick::lower_circuit),
    ];
    for (name, set) in prices {
        if let Some(value) = event.get(name) {
            count += 1;
            tick = tick.with(price(value), set);
        }
    }
    let counts: [(&str, fn(Tick, i64) -> Tick); 5] = [
        ("last_quantity", Tick::last_quantity),
        ("volume", Tick::volume),
        ("total_buy_quantity", Tick::total_buy_quantity),
        ("total_sell_quantity", Tick::total_sell_quantity),
        ("oi", Tick::oi),
    ];
    for (name, set) in counts {
        if let Some(value) = event.get(name) {
            count += 1;
            let is_none = name == "last_quantity" && value == 0;
            tick = tick.with(value.as_i64().filter(|_| !is_none), set);
        }
    }
    let times: [(&str, fn(Tick, u64) -> Tick); 2] =
        [("last_trade_time", Tick::last_trade_ts_ns), ("last_update_time", Tick::exchange_ts_ns)];
    for (name, set) in times {
        if let Some(value) = event.get(name) {
            count += 1;
            tick = tick.with(time(exchange, value.as_i64().unwrap()), set);
        }
    }
    if let Some(value) = event.get("change_percent").filter(|_| event["ltp"] != 0) {
        count += 1;
        tick = tick.change_percent(Price::parse(&value.to_string()).unwrap());
    }
    (tick, count)
}

/// The rows that are levels, by the rules of the host: with a price and a quantity.
fn levels(event: &Value, side: &str) -> Vec<Level> {
    let rows = event[side].as_array().into_iter().flatten();
    let level = |row: &Value| {
        let (quantity, orders) = (row[1].as_i64().unwrap(), row[2].as_u64().unwrap());
        let level = Level { price: price(&row[0])?, quantity, orders: u32::try_from(orders).ok() };
        (quantity != 0).then_some(level)
    };
    rows.filter_map(level).collect()
}

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> =
        text.chars().map(|digit| u8::try_from(digit.to_digit(16).unwrap()).unwrap()).collect();
    digits.chunks_exact(2).map(|pair| pair[0] * 16 + pair[1]).collect()
}

#[test]
fn every_message_becomes_what_it_says() {
    let Some(vectors) = Vectors::read(FOLDER, "xts.jsonl") else { return };
    let values = vectors.compare(|line| {
        let (frames, expected) = (line["frames"].as_array().unwrap(), line["expected"].as_array().unwrap());
        assert_eq!(frames.len(), expected.len());
        let version = if line["eio"] == 3 { Version::Three } else { Version::Four };
        let mut connection = Connection {
            version,
            is_announced: false,
            unpacker: binary::Unpacker::default(),
            scratch: String::new(),
            books: Books::new(),
        };
        let events = expected.iter().map(|events| events.as_array().unwrap());
        frames.iter().zip(events).map(|(frame, events)| connection.compare(frame, events)).sum()
    });
    assert!(!vectors.is_own() || (vectors.lines().len() == 200 && values > 5_000), "{values}");
}
