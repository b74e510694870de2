//! Every line of `testdata`, or of the folder that `TICKHOST_VECTORS` names, value by value.
//! `cargo test --test vectors -- --nocapture` prints how much was compared.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "tests fail by panicking"
)]

use std::collections::{BTreeMap, HashMap};

use adapter_sdk::{Greeks, Level, Price, Tick, testing::Vectors};
use adapter_upstox::{
    decode::{Decoded, State},
    key::Key,
    request::Refused,
    wire::{Branch, Feed, Kind, Response, STATUSES},
};
use serde_json::Value;

/// What `requestMode` has for each of the modes of the file.
const MODES: [&str; 4] = ["ltpc", "full_d5", "option_greeks", "full_d30"];

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

/// A price that is one by the host's rules.
fn price(value: &Value) -> Option<Price> {
    Some(number(value)).filter(|price| *price > 0.0 && *price < 20_000_000.0).and_then(Price::from_f64)
}

fn count(value: &Value) -> i64 {
    value.as_i64().unwrap_or_else(|| {
        let float = number(value);
        assert!(float.fract() == 0.0, "{value}");
        format!("{float:.0}").parse().unwrap()
    })
}

fn nanos(value: &Value) -> u64 {
    u64::try_from(count(value)).unwrap() * 1_000_000
}

/// What a tick must be, and how many values that is.
fn expected(event: &Value) -> (Tick, usize) {
    let (mut tick, mut values) = (Tick::new(0), 0);
    for (name, value) in event.as_object().unwrap() {
        tick = match name.as_str() {
            "ts" => tick.exchange_ts_ns(nanos(value)),
            "ltp" => tick.with(price(value), Tick::ltp),
            "close" => tick.with(price(value), Tick::close),
            "open" => tick.with(price(value), Tick::open),
            "high" => tick.with(price(value), Tick::high),
            "low" => tick.with(price(value), Tick::low),
            "average_price" => tick.with(price(value), Tick::average_price),
            "last_trade_time" => tick.with(Some(nanos(value)).filter(|at| *at > 0), Tick::last_trade_ts_ns),
            // Nobody trades nothing.
            "last_quantity" => tick.with(Some(count(value)).filter(|some| *some > 0), Tick::last_quantity),
            "volume" => tick.volume(count(value)),
            // A share has none.
            "oi" if count(value) == 0 && event["key"].as_str().unwrap().contains("_EQ|") => tick,
            "oi" => tick.oi(count(value)),
            "total_buy_quantity" => tick.total_buy_quantity(count(value)),
            "total_sell_quantity" => tick.total_sell_quantity(count(value)),
            _ => continue,
        };
        values += 1;
    }
    (tick, values)
}

/// Rows with a price and a quantity.
fn rows(event: &Value, side: &str) -> (Vec<Level>, usize) {
    let rows = event[side].as_array().map(Vec::as_slice).unwrap_or_default();
    let level = |row: &Value| {
        let (price, quantity) = (price(&row[0])?, count(&row[1]));
        (quantity > 0).then_some(Level { price, quantity, orders: None })
    };
    (rows.iter().filter_map(level).collect(), rows.len() * 2)
}

/// The greeks of an event: a message without the part has those that were known.
fn greeks(event: &Value) -> Option<(Greeks, usize)> {
    let row = event.get("greeks")?.as_array().unwrap();
    let row: Vec<Price> = row.iter().map(|value| Price::from_f64(number(value)).unwrap()).collect();
    let [delta, theta, gamma, vega, rho] = row[..] else { panic!("{event}") };
    let mut greeks = Greeks::new(0).exchange_ts_ns(nanos(&event["ts"]));
    let iv = Price::from_f64(number(&event["iv"]) * 100.0).filter(|iv| iv.as_nanos() > 0);
    greeks = greeks.with(iv, Greeks::implied_volatility);
    if row.iter().any(|value| value.as_nanos() != 0) {
        greeks = greeks.delta(delta).theta(theta).gamma(gamma).vega(vega).rho(rho);
    }
    Some((greeks, 6))
}

/// What a message came to.
struct Shown {
    mode: u64,
    branch: Branch,
    tick: Tick,
    greeks: Option<Greeks>,
    best: [Option<Level>; 2],
    book: Option<[Vec<Level>; 2]>,
}

impl Shown {
    fn of(mode: u64, decoded: &Decoded<'_>) -> Self {
        Self {
            mode,
            branch: decoded.branch(),
            tick: decoded.tick(),
            greeks: decoded.greeks(),
            best: decoded.best(),
            book: decoded.book().map(|book| [book.buy().to_vec(), book.sell().to_vec()]),
        }
    }
}

/// One connection, with the books that a client would see.
#[derive(Default)]
struct Connection {
    state: State,
    feed: Feed,
    books: HashMap<Key, [Vec<Level>; 2]>,
}

impl Connection {
    fn message(&mut self, bytes: &[u8], events: &[Value]) -> usize {
        let response = Response::read(bytes).unwrap();
        let mut decoded: BTreeMap<String, Shown> = BTreeMap::new();
        response.feeds(&mut self.feed, |taken| {
            let (name, feed) = taken.unwrap();
            let one = self.state.take(Key::parse(name).unwrap(), feed, response.at).unwrap();
            decoded.insert(name.to_owned(), Shown::of(feed.mode, &one));
        });
        let mut segments = BTreeMap::new();
        response.segments(|taken| {
            let (segment, status) = taken.unwrap();
            segments.insert(segment.to_owned(), STATUSES[usize::try_from(status).unwrap()]);
        });
        let mut values = 0;
        let mut ticks = decoded.iter();
        for event in events {
            values += match event["event"].as_str().unwrap() {
                "tick" => {
                    let (name, shown) = ticks.next().unwrap();
                    assert_eq!(event["key"], **name);
                    assert_eq!(event["mode"], MODES[usize::try_from(shown.mode).unwrap()]);
                    assert_eq!(event["snapshot"], response.kind == Kind::Initial);
                    self.tick(Key::parse(name).unwrap(), shown, event) + 3
                }
                "market_info" => {
                    assert_eq!(response.kind, Kind::Market);
                    assert_eq!(serde_json::to_value(&segments).unwrap(), event["segments"]);
                    segments.len()
                }
                other => panic!("{other}"),
            };
        }
        assert!(ticks.next().is_none(), "{events:?}");
        values
    }

    fn tick(&mut self, key: Key, shown: &Shown, event: &Value) -> usize {
        let (tick, mut values) = expected(event);
        assert_eq!(shown.tick.update(), tick, "{event}");
        if let Some((greeks, count)) = greeks(event) {
            assert_eq!(shown.greeks, Some(greeks), "{event}");
            values += count;
        } else {
            assert_eq!(shown.greeks, None, "{event}");
        }
        if let Some(book) = &shown.book {
            self.books.insert(key, book.clone());
        }
        for (place, side) in ["buy", "sell"].into_iter().enumerate() {
            let (rows, count) = rows(event, side);
            values += count;
            if shown.branch == Branch::Market {
                let known = self.books.get(&key).map(|book| book[place].clone()).unwrap_or_default();
                assert_eq!(known, rows, "{side} of {event}");
            }
            if event.get(side).is_some() && shown.branch == Branch::FirstLevel {
                assert_eq!(shown.best[place], rows.first().copied(), "{side} of {event}");
            }
        }
        values
    }
}

#[test]
fn every_message_becomes_what_it_says() {
    let vectors = Vectors::main(env!("CARGO_MANIFEST_DIR"), "upstox-v3.jsonl");
    let values = vectors.compare(|line| {
        let (frames, expected) = (line["frames"].as_array().unwrap(), line["expected"].as_array().unwrap());
        assert_eq!(frames.len(), expected.len());
        let mut connection = Connection::default();
        let mut values = 0;
        for (frame, events) in frames.iter().zip(expected) {
            let events = events.as_array().unwrap();
            values += match frame["text"].as_str() {
                Some(text) => {
                    assert_eq!(events.len(), 1);
                    assert_eq!(events[0]["event"], "error");
                    assert_eq!(events[0]["message"], Refused::read(text).unwrap().error);
                    1
                }
                None => connection.message(&hex(frame["hex"].as_str().unwrap()), events),
            };
        }
        values
    });
    assert!(!vectors.is_own() || (vectors.lines().len() == 200 && values > 15_000), "{values}");
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|place| u8::from_str_radix(&text[place..place + 2], 16).unwrap()).collect()
}
