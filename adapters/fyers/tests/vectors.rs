//! Every line of the vectors in `testdata`, or in the folder that `TICKHOST_VECTORS` names: what is known of
//! each topic after each frame, against what the broker's own package knows.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests fail by panicking, and tell what they compared"
)]

#[path = "vectors/decoders.rs"]
mod decoders;

use adapter_fyers::{
    decode,
    state::{Instrument, Values},
    topic::{Feed, Segment, Topic},
};
use adapter_sdk::{Level, Price, Tick, testing::Vectors};
use serde_json::Value;

use self::decoders::{Hsm, HsmEvent, Tbt, TbtEvent};

const FOLDER: &str = env!("CARGO_MANIFEST_DIR");

/// Lines of one of the feeds.
fn vectors(feed: &str) -> Vectors {
    let mut vectors = Vectors::main(FOLDER, "fyers.jsonl");
    vectors.retain(|line| line["feed"] == feed);
    vectors
}

const SCRIP: [&str; 21] = [
    "ltp",
    "vol_traded_today",
    "last_traded_time",
    "exch_feed_time",
    "bid_size",
    "ask_size",
    "bid_price",
    "ask_price",
    "last_traded_qty",
    "tot_buy_qty",
    "tot_sell_qty",
    "avg_trade_price",
    "OI",
    "low_price",
    "high_price",
    "Yhigh",
    "Ylow",
    "lower_ckt",
    "upper_ckt",
    "open_price",
    "prev_close_price",
];

const INDEX: [&str; 6] =
    ["ltp", "prev_close_price", "exch_feed_time", "high_price", "low_price", "open_price"];

/// Levels are numbered from 1.
const BOOK: [&str; 6] = ["bid_price", "ask_price", "bid_size", "ask_size", "bid_order", "ask_order"];

fn name(feed: Feed, place: usize) -> String {
    match feed {
        Feed::Scrip => SCRIP[place].to_owned(),
        Feed::Index => INDEX[place].to_owned(),
        Feed::Depth => format!("{}{}", BOOK[place / 5], place % 5 + 1),
    }
}

#[derive(Default)]
struct Counts {
    frames: usize,
    events: usize,
    fields: usize,
}

impl Counts {
    /// The broker's integers, one by one, in both directions.
    fn state(&mut self, id: &Value, feed: Feed, values: &Values, expected: &Value) {
        let mut expected = expected.as_object().unwrap().clone();
        let mut take = |name: &str| expected.remove(name).map(|value| value.as_i64().unwrap());
        assert_eq!(take("multiplier"), Some(values.multiplier.into()), "{id}");
        assert_eq!(take("precision"), Some(values.precision.into()), "{id}");
        self.fields += 2;
        let places =
            [21, 6, 30][[Feed::Scrip, Feed::Index, Feed::Depth].iter().position(|one| *one == feed).unwrap()];
        for place in 0..places {
            let name = name(feed, place);
            assert_eq!(take(&name), values.get(place).map(i64::from), "{name} of {id}");
            self.fields += 1;
        }
        assert!(expected.is_empty(), "{id}: {expected:?}");
    }

    /// What the ticks have is what the state says, by the rules that the decoder documents.
    fn ticks(&mut self, id: &Value, feed: Feed, instrument: &Instrument, expected: &Value) {
        let topic = instrument.topic();
        let may_be_negative =
            matches!(topic.segment(), Segment::Mcx | Segment::NseCommodity) && !topic.is_index();
        let state = Expected { state: &expected["state"], may_be_negative };
        if feed == Feed::Depth {
            let Some(book) = decode::book(instrument).unwrap() else {
                assert!(instrument.book().unwrap().is_empty(), "{id}");
                return;
            };
            for (ours, names) in [
                (book.buy(), ["bid_price", "bid_size", "bid_order"]),
                (book.sell(), ["ask_price", "ask_size", "ask_order"]),
            ] {
                let wanted = state.side(names);
                assert_eq!(ours, wanted, "{id}");
                self.fields += wanted.len() * 3;
            }
            return;
        }
        let wanted = state.tick(feed, instrument.topic().segment().is_cash());
        assert_eq!(decode::quote(instrument, 7), Ok(wanted), "{id}");
        if let (Some(price), Some(theirs)) =
            (decode::last_price(instrument).unwrap(), expected["sdk"]["ltp"].as_f64())
        {
            // The package rounds to two decimal places.
            assert!((price.as_f64() - theirs).abs() <= 0.0051, "ltp of {id}: {price:?} and {theirs}");
            self.fields += 1;
        }
    }
}

/// The values of a vector.
struct Expected<'a> {
    state: &'a Value,
    may_be_negative: bool,
}

impl Expected<'_> {
    fn raw(&self, name: &str) -> Option<i64> {
        self.state[name].as_i64()
    }

    /// By a division of floating-point numbers, where the decoder divides integers. Zero is none, and so are
    /// the numbers that mean it, what is beyond 20 million rupees, and below zero but of commodities.
    fn price(&self, raw: i64) -> Option<Price> {
        let is_word = [0, -1, -2_000_000_000, i32::MAX.into()].contains(&raw);
        let precision = i32::try_from(self.raw("precision").unwrap()).unwrap();
        let multiplier = self.raw("multiplier").unwrap().max(1);
        #[expect(clippy::cast_precision_loss, reason = "below 2^53")]
        let price = raw as f64 / (10_f64.powi(precision) * multiplier as f64);
        let lowest = if self.may_be_negative { -100_000.0 } else { 0.0 };
        let can_be = !is_word && price > lowest && price < 20_000_000.0;
        can_be.then(|| Price::from_nanos((Price::from_f64(price).unwrap().as_nanos() + 50) / 100 * 100))
    }

    /// None for -1.
    fn count(raw: i64) -> Option<i64> {
        Some(raw & 0xffff_ffff).filter(|count| *count != 0xffff_ffff)
    }

    fn side(&self, [price, size, orders]: [&str; 3]) -> Vec<Level> {
        let mut side = Vec::new();
        for row in 1..=5 {
            let raw = |name| self.raw(&format!("{name}{row}"));
            match (raw(price), raw(size)) {
                // Padding, or orders at the market.
                (Some(0), Some(_)) | (None, None) => {}
                (Some(price), Some(size)) => {
                    let (Some(price), Some(quantity)) = (self.price(price), Self::count(size)) else { break };
                    let orders = raw(orders).map(|orders| u32::try_from(orders & 0xffff_ffff).unwrap());
                    side.push(Level { price, quantity, orders });
                }
                _ => break,
            }
        }
        side
    }

    fn tick(&self, feed: Feed, is_cash: bool) -> Tick {
        let mut tick = Tick::new(7);
        let prices: [(&str, fn(Tick, Price) -> Tick); 10] = [
            ("open_price", Tick::open),
            ("high_price", Tick::high),
            ("low_price", Tick::low),
            ("prev_close_price", Tick::close),
            ("avg_trade_price", Tick::average_price),
            ("bid_price", Tick::bid_price),
            ("ask_price", Tick::ask_price),
            ("lower_ckt", Tick::lower_circuit),
            ("upper_ckt", Tick::upper_circuit),
            ("ltp", Tick::ltp),
        ];
        for (name, set) in prices {
            if let Some(price) = self.raw(name).and_then(|raw| self.price(raw)) {
                tick = set(tick, price);
            }
        }
        let counts: [(&str, fn(Tick, i64) -> Tick); 7] = [
            ("vol_traded_today", Tick::volume),
            ("last_traded_qty", Tick::last_quantity),
            ("tot_buy_qty", Tick::total_buy_quantity),
            ("tot_sell_qty", Tick::total_sell_quantity),
            ("bid_size", Tick::bid_size),
            ("ask_size", Tick::ask_size),
            ("OI", Tick::oi),
        ];
        for (name, set) in counts {
            let may_be_zero = match name {
                "OI" => !is_cash,
                "last_traded_qty" => false,
                _ => true,
            };
            // A size without its price says nothing.
            let is_told = match name {
                "bid_size" => self.raw("bid_price").and_then(|raw| self.price(raw)).is_some(),
                "ask_size" => self.raw("ask_price").and_then(|raw| self.price(raw)).is_some(),
                _ => true,
            };
            let raw = self.raw(name).filter(|raw| is_told && (may_be_zero || *raw != 0));
            if let Some(count) = raw.and_then(Self::count) {
                tick = set(tick, count);
            }
        }
        let times: [(&str, fn(Tick, u64) -> Tick); 2] =
            [("last_traded_time", Tick::last_trade_ts_ns), ("exch_feed_time", Tick::exchange_ts_ns)];
        for (name, set) in times {
            // Of this century; the end of 31 bits is none.
            let seconds = self.raw(name).map(|raw| (raw & 0xffff_ffff).unsigned_abs());
            let is_time = |at: &u64| (946_684_800..4_102_444_800).contains(at) && *at != 0x7fff_ffff;
            if let Some(seconds) = seconds.filter(is_time) {
                tick = set(tick, seconds * 1_000_000_000);
            }
        }
        assert!(feed == Feed::Scrip || self.raw("OI").is_none());
        tick
    }
}

#[test]
fn the_data_socket_knows_what_the_brokers_package_knows() {
    let mut counts = Counts::default();
    let vectors = vectors("hsm");
    vectors.compare(|line| {
        let before = counts.fields;
        let id = &line["id"];
        let mut hsm = Hsm::new(line);
        for (place, frame) in line["frames_hex"].as_array().unwrap().iter().enumerate() {
            counts.frames += 1;
            let expected = line["expected"][place].as_array().unwrap();
            let mut seen = expected.iter();
            let outcome = hsm.feed(&hex::decode(frame.as_str().unwrap()).unwrap(), |event| {
                counts.events += 1;
                let Some(expected) = seen.next() else {
                    panic!("{id}, frame {place}: {event:?} is one too many")
                };
                match event {
                    HsmEvent::Send(bytes) => {
                        assert_eq!(expected["ev"], "send", "{id}");
                        assert_eq!(expected["hex"], hex::encode(bytes), "{id}");
                    }
                    HsmEvent::Answer(kind, is_accepted) => {
                        assert_eq!(expected["ev"], if is_accepted { "message" } else { "error" }, "{id}");
                        assert!(expected.get("topic").is_none(), "{id}");
                        // The package has no name for a mode that was refused.
                        let theirs = expected["sdk"]["type"].as_str().unwrap_or("lit");
                        assert!(kind.contains(&theirs), "{id}: {kind:?} and {theirs}");
                    }
                    HsmEvent::Custom(code, text) => {
                        assert_eq!(expected["ev"], "error", "{id}");
                        assert_eq!(expected["sdk"]["message"], text, "{id}");
                        assert_eq!(expected["sdk"]["code"], code, "{id}");
                    }
                    HsmEvent::Tick(feed, instrument) => {
                        assert_eq!(expected["topic"], instrument.topic().of(feed), "{id}, frame {place}");
                        let values =
                            if feed == Feed::Depth { instrument.book() } else { instrument.prices() };
                        counts.state(id, feed, values.unwrap(), &expected["state"]);
                        counts.ticks(id, feed, instrument, expected);
                    }
                }
            });
            assert_eq!(outcome, Ok(()), "{id}, frame {place}");
            assert_eq!(seen.next(), None, "{id}, frame {place}: an event is missing");
        }
        counts.fields - before
    });
    println!("data socket: {} frames, {} events", counts.frames, counts.events);
    assert!(!vectors.is_own() || vectors.lines().len() == 150);
}

fn rows(rows: &[adapter_fyers::tbt::book::Row]) -> Vec<[i64; 3]> {
    let mut rows: Vec<[i64; 3]> =
        rows.iter().map(|row| [row.price, row.quantity.into(), row.orders.into()]).collect();
    while rows.last() == Some(&[0, 0, 0]) {
        rows.pop();
    }
    rows
}

/// The package divides prices by 100.
fn theirs(rows: &Value) -> Vec<[i64; 3]> {
    let row = |row: &Value| {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "hundredths of what the package made of hundredths"
        )]
        let price = (row[0].as_f64().unwrap() * 100.0).round() as i64;
        [price, row[1].as_i64().unwrap(), row[2].as_i64().unwrap()]
    };
    rows.as_array().unwrap().iter().map(row).collect()
}

#[test]
fn the_socket_of_fifty_levels_knows_what_the_brokers_package_knows() {
    let mut counts = Counts::default();
    let vectors = vectors("tbt");
    vectors.compare(|line| {
        let before = counts.fields;
        let id = &line["id"];
        let mut tbt = Tbt::new(line);
        for (place, frame) in line["frames_hex"].as_array().unwrap().iter().enumerate() {
            counts.frames += 1;
            let mut events = tbt.feed(&hex::decode(frame.as_str().unwrap()).unwrap()).unwrap();
            events.sort_by(|one, other| one.symbol().cmp(other.symbol()));
            let mut events = events.into_iter().peekable();
            for expected in line["expected"][place].as_array().unwrap() {
                if expected["unchanged"] == true
                    && events.peek().is_none_or(|event| event.symbol() != expected["symbol"])
                {
                    continue;
                }
                counts.events += 1;
                match events.next().unwrap_or_else(|| panic!("{id}, frame {place}: {expected} is missing")) {
                    TbtEvent::Error(message) => assert_eq!(expected["msg"], message, "{id}"),
                    TbtEvent::Gap(symbol) => panic!("{id}, frame {place}: a gap of {symbol}"),
                    TbtEvent::Book(book, is_snapshot) => {
                        assert_eq!(expected["symbol"], book.ticker, "{id}");
                        assert_eq!(expected["snapshot"], is_snapshot, "{id}");
                        for (name, ours) in [
                            ("tbq", book.total_buy),
                            ("tsq", book.total_sell),
                            ("feed_time", book.feed_time),
                            ("send_time", book.send_time),
                            ("seq", Some(book.sequence)),
                        ] {
                            // The package has zero for what was never sent.
                            assert_eq!(expected[name].as_u64(), Some(ours.unwrap_or(0)), "{name} of {id}");
                            counts.fields += 1;
                        }
                        for (name, ours) in [("bids", &book.bids), ("asks", &book.asks)] {
                            let ours = rows(ours);
                            assert_eq!(theirs(&expected[name]), ours, "{name} of {id}, frame {place}");
                            counts.fields += ours.len() * 3;
                        }
                    }
                }
            }
            assert!(events.next().is_none(), "{id}, frame {place}: an event too many");
        }
        counts.fields - before
    });
    println!("fifty levels: {} frames, {} events", counts.frames, counts.events);
    assert!(!vectors.is_own() || vectors.lines().len() == 50);
}

#[test]
fn damage_is_an_error_and_the_stream_goes_on() {
    let (mut data, mut fifty) = (0, 0);
    let Some(vectors) = Vectors::read(FOLDER, "fyers-malformed.jsonl") else { return };
    vectors.compare(|line| {
        let id = &line["id"];
        let damaged = usize::try_from(line["malformed_at"].as_u64().unwrap()).unwrap();
        let frames: Vec<Vec<u8>> = line["frames_hex"]
            .as_array()
            .unwrap()
            .iter()
            .map(|frame| hex::decode(frame.as_str().unwrap()).unwrap())
            .collect();
        assert_eq!(frames.len(), damaged + 1, "{id}");
        if line["feed"] == "hsm" {
            data += 1;
            let mut hsm = Hsm::new(line);
            for (place, frame) in frames.iter().enumerate() {
                let outcome = hsm.feed(frame, |_| {});
                assert_eq!(outcome.is_err(), place == damaged, "{id}, frame {place}: {outcome:?}");
            }
            // What was known is still known: no topic stands for another one.
            for (name, _) in line["symbols"].as_object().unwrap() {
                let (_, topic) = Topic::parse(name.as_bytes()).unwrap();
                assert!(hsm.topics.find(&topic).is_some(), "{id}");
            }
            assert_eq!(hsm.feed(&frames[damaged - 1], |_| {}), Ok(()), "{id}");
        } else {
            fifty += 1;
            let mut tbt = Tbt::new(line);
            for (place, frame) in frames.iter().enumerate() {
                let before = tbt.books.clone_all();
                let outcome = tbt.feed(frame);
                assert_eq!(outcome.is_err(), place == damaged, "{id}, frame {place}: {outcome:?}");
                if place == damaged {
                    assert_eq!(
                        before,
                        tbt.books.clone_all(),
                        "{id}: something of a damaged message was taken"
                    );
                }
            }
        }
        frames.len()
    });
    println!("damaged: {data} lines of the data socket, {fifty} of fifty levels");
    assert!(!vectors.is_own() || (data, fifty) == (45, 15));
}
