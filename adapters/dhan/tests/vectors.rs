//! Every message in `testdata`, or in the folder that `TICKHOST_VECTORS` names, field by field.
//! `cargo test --test vectors -- --nocapture` prints how much was compared.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::float_cmp,
    reason = "tests fail by panicking, print what they compared, and compare numbers that must be the same"
)]

use adapter_dhan::{
    clock::Clock,
    decode::{self, Decoded},
    segment::{Key, Segment},
    wire::{
        WireError,
        depth::{self, Side, Tier},
        live::{self, Body},
    },
};
use adapter_sdk::{Level, Price, Tick, testing::Vectors};
use serde_json::Value;

/// A time at which no packet of the file is near the clock.
const NOW: u64 = 4_000_000_000;

/// Lines of some of the feeds.
fn vectors(is_wanted: impl Fn(&str) -> bool) -> Vectors {
    let mut vectors = Vectors::main(env!("CARGO_MANIFEST_DIR"), "dhan.jsonl");
    vectors.retain(|line| is_wanted(line["feed"].as_str().unwrap()));
    vectors
}

fn frame(line: &Value) -> Vec<u8> {
    hex::decode(line["frame_hex"].as_str().unwrap()).unwrap()
}

/// Compares values of one packet, and counts them.
struct Compare<'a> {
    json: &'a Value,
    at: String,
    fields: usize,
}

impl<'a> Compare<'a> {
    fn new(line: &Value, json: &'a Value) -> Self {
        Self { json, at: format!("{} {}", line["id"], json["packet"]), fields: 0 }
    }

    fn whole(&mut self, name: &str, ours: impl Into<u64>) {
        assert_eq!(self.json[name].as_u64(), Some(ours.into()), "{} {name}", self.at);
        self.fields += 1;
    }

    /// The file has the float widened to 64 bits, of whose digits the parser of JSON may lose the last one.
    fn float(&mut self, name: &str, ours: f32) {
        #[expect(clippy::cast_possible_truncation, reason = "widened from it")]
        let theirs = self.json[name].as_f64().map(|value| value as f32);
        assert_eq!(theirs, Some(ours), "{} {name}", self.at);
        self.fields += 1;
    }

    fn key(&mut self, key: Key) {
        self.whole("segment", key.segment.code());
        self.whole("security_id", key.id);
    }

    fn side(&mut self, key: Key, side: Side, rows: &depth::Rows<'_>) {
        assert_eq!(self.json["packet"], if side == Side::Bid { "depth_bid" } else { "depth_ask" });
        self.key(key);
        let theirs: Vec<(f64, u32, u32)> = serde_json::from_value(self.json["levels"].clone()).unwrap();
        let ours: Vec<_> = rows.clone().map(|row| (row.price, row.quantity, row.orders)).collect();
        assert_eq!(ours, theirs, "{}", self.at);
        self.fields += ours.len() * 3;
        let mut levels = Vec::new();
        decode::side(rows.clone(), &mut levels).unwrap();
        // Those of zeros are padding, and those without a price orders at the market: a book has neither.
        let there = theirs.iter().filter(|(price, ..)| *price != 0.0);
        let there: Vec<Level> = there
            .map(|(price, quantity, orders)| Level {
                price: Price::from_f64(format!("{price:.2}").parse().unwrap()).unwrap(),
                quantity: (*quantity).into(),
                orders: Some(*orders),
            })
            .collect();
        assert_eq!(levels, there, "{}", self.at);
    }

    fn trade(&mut self, trade: &live::Trade, day: &live::Day) {
        self.float("ltp", trade.last_price);
        self.whole("ltq", trade.last_quantity);
        self.whole("ltt", trade.time);
        self.float("avg_price", trade.average_price);
        self.whole("volume", trade.volume);
        self.whole("total_sell_quantity", trade.total_sell_quantity);
        self.whole("total_buy_quantity", trade.total_buy_quantity);
        self.float("open", day.open);
        self.float("close", day.close);
        self.float("high", day.high);
        self.float("low", day.low);
    }

    /// The broker's numbers; gives the name of the packet.
    fn live(&mut self, packet: &live::Packet) -> &'static str {
        self.key(packet.key);
        match &packet.body {
            Body::Ticker { last_price, time } => {
                self.float("ltp", *last_price);
                self.whole("ltt", *time);
                "ticker"
            }
            Body::Quote(trade, day) => {
                self.trade(trade, day);
                "quote"
            }
            Body::OpenInterest(oi) => {
                self.whole("oi", *oi);
                "oi"
            }
            Body::PreviousClose { close, oi } => {
                self.float("prev_close", *close);
                self.whole("prev_oi", *oi);
                "prev_close"
            }
            Body::MarketStatus => "market_status",
            Body::Full(trade, interest, day, levels) => {
                self.trade(trade, day);
                self.whole("oi", interest.oi);
                self.whole("oi_day_high", interest.high);
                self.whole("oi_day_low", interest.low);
                let rows = self.json["depth"].as_array().unwrap();
                assert_eq!(rows.len(), levels.len());
                for (json, level) in rows.iter().zip(levels) {
                    let mut row = Compare { json, at: self.at.clone(), fields: 0 };
                    row.whole("bid_quantity", level.bid_quantity);
                    row.whole("ask_quantity", level.ask_quantity);
                    row.whole("bid_orders", level.bid_orders);
                    row.whole("ask_orders", level.ask_orders);
                    row.float("bid_price", level.bid_price);
                    row.float("ask_price", level.ask_price);
                    self.fields += row.fields;
                }
                "full"
            }
            Body::Disconnect(code) => {
                self.whole("code", *code);
                "disconnect"
            }
            Body::Other(code) => panic!("{}: kind {code}", self.at),
        }
    }
}

/// The tick that the values of a packet must become, by the rules that the decoder documents. The prices go
/// by way of text, which shares nothing with the decoder.
struct Expected<'a> {
    json: &'a Value,
    segment: Segment,
    tick: Tick,
    fields: usize,
}

impl Expected<'_> {
    /// Zero is none, and so is what is no number, -1, 20 million rupees and more, and below zero but of MCX.
    fn price_of(&self, json: &Value) -> Option<Price> {
        let value = json.as_f64().unwrap_or(f64::NAN);
        let lowest = if self.segment == Segment::Mcx { -100_000.0 } else { 0.0 };
        if value == 0.0 || value == -1.0 || !(value > lowest && value < 20_000_000.0) {
            return None;
        }
        let places = if self.segment.decimals() == 4 { 4 } else { 2 };
        let mut text = format!("{value:.places$}");
        // Where several hundredths are the same float, the roundest of them is meant.
        if value >= 131_072.0 && places == 2 {
            #[expect(clippy::cast_possible_truncation, reason = "widened from it")]
            let float = value as f32;
            let rounder = [1.0, 0.1, 0.05].iter().map(|step| format!("{:.2}", (value / step).round() * step));
            text = rounder.into_iter().find(|text| text.parse() == Ok(float)).unwrap_or(text);
        }
        Price::from_f64(text.parse().unwrap()).filter(|price| price.as_nanos() != 0)
    }

    fn price(&mut self, name: &str, set: fn(Tick, Price) -> Tick) {
        if let Some(price) = self.price_of(&self.json[name]) {
            self.tick = set(self.tick, price);
        }
        self.fields += 1;
    }

    fn count(&mut self, name: &str, set: fn(Tick, i64) -> Tick) {
        // The highest number is -1, and none.
        let count = self.json[name].as_i64().unwrap();
        if count != i64::from(u32::MAX) {
            self.tick = set(self.tick, count);
        }
        self.fields += 1;
    }

    fn time(&mut self) {
        let seconds = self.json["ltt"].as_u64().unwrap();
        // Of this century, as it comes and as it is meant; the end of 31 bits is none.
        if (946_684_800 + 19_800..4_102_444_800).contains(&seconds) && seconds != 0x7fff_ffff {
            self.tick = self.tick.last_trade_ts_ns((seconds - 19_800) * 1_000_000_000);
        }
        self.fields += 1;
    }

    fn trade(&mut self) {
        self.price("ltp", Tick::ltp);
        self.time();
        self.price("open", Tick::open);
        self.price("high", Tick::high);
        self.price("low", Tick::low);
        if self.segment == Segment::Index {
            return;
        }
        self.price("avg_price", Tick::average_price);
        if self.json["ltq"] != 0 {
            self.count("ltq", Tick::last_quantity);
        }
        self.count("volume", Tick::volume);
        self.count("total_buy_quantity", Tick::total_buy_quantity);
        self.count("total_sell_quantity", Tick::total_sell_quantity);
    }

    fn side(&mut self, names: [&str; 3]) -> Vec<Level> {
        let rows = self.json["depth"].as_array().unwrap();
        self.fields += rows.len() * 3;
        let [price, quantity, orders] = names;
        // Those of zeros are padding, and those without a price orders at the market: a book has neither.
        let level = |row: &Value| {
            Some(Level {
                price: self.price_of(&row[price])?,
                quantity: row[quantity].as_i64().unwrap(),
                orders: Some(u32::try_from(row[orders].as_u64().unwrap()).unwrap()),
            })
        };
        rows.iter().filter(|row| row[quantity] != u32::MAX).filter_map(level).collect()
    }
}

/// Compares the tick of a packet; gives the number of values.
fn compare_tick(packet: &live::Packet, json: &Value, at: &str) -> usize {
    let mut clock = Clock::new();
    clock.set(NOW);
    let decoded = decode::tick(packet, 7, &mut clock);
    let segment = packet.key.segment;
    let mut expected = Expected { json, segment, tick: Tick::new(7), fields: 0 };
    let ours = match json["packet"].as_str().unwrap() {
        "ticker" => {
            expected.price("ltp", Tick::ltp);
            expected.time();
            Decoded::Ltp(expected.tick)
        }
        "quote" => {
            expected.trade();
            Decoded::Quote(expected.tick)
        }
        "oi" if segment.has_open_interest() => {
            expected.count("oi", Tick::oi);
            Decoded::Interest(expected.tick)
        }
        "prev_close" => {
            expected.fields += 1;
            expected.price_of(&json["prev_close"]).map_or(Decoded::Nothing, Decoded::Close)
        }
        "full" => {
            expected.trade();
            if segment.has_open_interest() {
                expected.count("oi", Tick::oi);
            }
            if segment == Segment::NseDerivatives {
                expected.count("oi_day_high", Tick::oi_high);
                expected.count("oi_day_low", Tick::oi_low);
            }
            let Decoded::Book(tick, book) = decoded else { panic!("{at}: no book") };
            assert_eq!(tick, expected.tick, "{at}");
            assert_eq!(book.buy(), expected.side(["bid_price", "bid_quantity", "bid_orders"]), "{at}");
            assert_eq!(book.sell(), expected.side(["ask_price", "ask_quantity", "ask_orders"]), "{at}");
            return expected.fields;
        }
        _ => Decoded::Nothing,
    };
    assert_eq!(decoded, ours, "{at}");
    expected.fields
}

#[test]
fn every_message_of_the_live_feed_is_what_the_broker_documents() {
    let vectors = vectors(|feed| feed == "live");
    let (mut packets, mut skipped, mut cut) = (0, 0, 0);
    vectors.compare(|line| {
        let message = frame(line);
        let mut expected = line["expected"].as_array().unwrap().iter();
        let mut values = 0;
        for packet in live::Packets::new(&message) {
            match packet {
                Ok(live::Packet { body: Body::Other(_), .. }) => skipped += 1,
                Ok(packet) => {
                    let json = expected.next().unwrap();
                    let mut compare = Compare::new(line, json);
                    assert_eq!(json["packet"], compare.live(&packet), "{}", compare.at);
                    values += compare.fields + compare_tick(&packet, json, &compare.at);
                    packets += 1;
                }
                Err(error) => {
                    assert_eq!((error, &line["error"]), (WireError::Truncated, &Value::Bool(true)));
                    cut += 1;
                }
            }
        }
        assert!(expected.next().is_none(), "{} has more packets", line["id"]);
        values
    });
    println!("live: {packets} packets, {skipped} of other kinds, {cut} messages cut off");
    // What the file has: a comparison that leaves something out is noticed.
    assert!(!vectors.is_own() || (vectors.lines().len(), skipped, cut) == (165, 8, 8));
}

#[test]
fn every_message_of_the_depth_feeds_is_what_the_broker_documents() {
    let vectors = vectors(|feed| feed != "live");
    let mut packets = 0;
    vectors.compare(|line| {
        let tier = if line["feed"] == "depth20" { Tier::Twenty } else { Tier::TwoHundred };
        let message = frame(line);
        let mut expected = line["expected"].as_array().unwrap().iter();
        let mut values = 0;
        for packet in depth::Packets::new(tier, &message) {
            let json = expected.next().unwrap();
            let mut compare = Compare::new(line, json);
            match packet.unwrap() {
                depth::Packet::Disconnect(code) => {
                    assert_eq!(json["packet"], "disconnect");
                    compare.whole("code", code);
                }
                depth::Packet::Other(code) => panic!("{}: kind {code}", compare.at),
                depth::Packet::Side(key, side, rows) => compare.side(key, side, &rows),
            }
            values += compare.fields;
            packets += 1;
        }
        assert!(expected.next().is_none(), "{} has more packets", line["id"]);
        values
    });
    println!("depth: {packets} packets");
    assert!(!vectors.is_own() || vectors.lines().len() == 35);
}
