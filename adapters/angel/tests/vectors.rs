//! Every line of the vectors in `testdata`, or in the folder that `TICKHOST_VECTORS` names, field by field,
//! against what the broker's own SDK makes of it.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests fail by panicking, and tell what they compared"
)]

use adapter_angel::{
    control::{self, Control},
    decode::{self, Decoded},
    segment::Segment,
    wire::{Body, Packet, Record, WireError},
};
use adapter_sdk::{Level, Price, Tick, testing::Vectors};
use serde_json::Value;

const FOLDER: &str = env!("CARGO_MANIFEST_DIR");

fn frame(line: &Value) -> Vec<u8> {
    hex::decode(line["frame_hex"].as_str().unwrap()).unwrap()
}

/// Counts what it compares.
struct Compare<'a> {
    line: &'a Value,
    expected: &'a Value,
    fields: usize,
}

impl Compare<'_> {
    fn whole(&mut self, name: &str, ours: i64) {
        self.fields += 1;
        assert_eq!(self.expected[name].as_i64(), Some(ours), "{name} of {}", self.line["id"]);
    }

    fn float(&mut self, name: &str, ours: f64) {
        self.fields += 1;
        let theirs = self.expected[name].as_f64().unwrap();
        assert_eq!(theirs.to_bits(), ours.to_bits(), "{name} of {}", self.line["id"]);
    }

    fn text(&mut self, name: &str, ours: &str) {
        self.fields += 1;
        assert_eq!(self.expected[name].as_str(), Some(ours), "{name} of {}", self.line["id"]);
    }

    fn records<'a>(&mut self, name: &str, ours: impl Iterator<Item = &'a Record>) {
        let theirs = self.expected[name].as_array().unwrap();
        let ours: Vec<&Record> = ours.collect();
        assert_eq!(theirs.len(), ours.len(), "{name} of {}", self.line["id"]);
        for (theirs, ours) in theirs.iter().zip(ours) {
            let mut one = Compare { line: self.line, expected: theirs, fields: 0 };
            one.whole("flag", ours.flag.into());
            one.whole("quantity", ours.quantity);
            one.whole("price", ours.price);
            one.whole("no of orders", ours.orders.into());
            self.fields += one.fields;
        }
    }

    /// The wire's integers, as the SDK has them.
    fn packet(&mut self, packet: &Packet) {
        self.whole("exchange_type", packet.key.segment.code().into());
        self.text("token", packet.key.token.as_str());
        let (trade, quote, snap) = match &packet.body {
            Body::Ltp(trade) => (trade, None, None),
            Body::Quote(trade, quote) => (trade, Some(quote), None),
            Body::Snap(trade, quote, snap) => (trade, Some(quote), Some(snap)),
            Body::Depth(depth) => {
                self.whole("subscription_mode", 4);
                self.whole("packet_received_time", depth.received_time_ms);
                let real = Compare { line: self.line, expected: &self.line["beyond_sdk"], fields: 0 };
                let mut real = real;
                real.whole("exchange_timestamp_at_27", depth.exchange_time_ms);
                self.fields += real.fields;
                for (name, rows) in [("depth_20_buy_data", &depth.buy), ("depth_20_sell_data", &depth.sell)] {
                    let theirs = self.expected[name].as_array().unwrap();
                    assert_eq!(theirs.len(), rows.len());
                    for (theirs, row) in theirs.iter().zip(rows) {
                        let mut one = Compare { line: self.line, expected: theirs, fields: 0 };
                        one.whole("quantity", row.quantity.into());
                        one.whole("price", row.price.into());
                        one.whole("num_of_orders", row.orders.into());
                        self.fields += one.fields;
                    }
                }
                return;
            }
        };
        self.whole("sequence_number", trade.sequence);
        self.whole("exchange_timestamp", trade.exchange_time_ms);
        self.whole("last_traded_price", trade.last_price);
        self.whole("subscription_mode", if snap.is_some() { 3 } else { 1 + i64::from(quote.is_some()) });
        if let Some(quote) = quote {
            self.whole("last_traded_quantity", quote.last_quantity);
            self.whole("average_traded_price", quote.average_price);
            self.whole("volume_trade_for_the_day", quote.volume);
            self.float("total_buy_quantity", quote.total_buy_quantity);
            self.float("total_sell_quantity", quote.total_sell_quantity);
            self.whole("open_price_of_the_day", quote.open);
            self.whole("high_price_of_the_day", quote.high);
            self.whole("low_price_of_the_day", quote.low);
            self.whole("closed_price", quote.close);
        }
        if let Some(snap) = snap {
            self.whole("last_traded_timestamp", snap.last_trade_time);
            self.whole("open_interest", snap.oi);
            self.whole("open_interest_change_percentage", snap.oi_change);
            self.whole("upper_circuit_limit", snap.upper_circuit);
            self.whole("lower_circuit_limit", snap.lower_circuit);
            self.whole("52_week_high_price", snap.year_high);
            self.whole("52_week_low_price", snap.year_low);
            self.records("best_5_buy_data", snap.best_five.iter().filter(|one| one.flag != 0));
            self.records("best_5_sell_data", snap.best_five.iter().filter(|one| one.flag == 0));
        }
    }
}

/// The tick that the line's values make, by the rules that the decoder documents.
struct Wanted<'a> {
    expected: &'a Value,
    divisor: i64,
    is_index: bool,
    is_cash: bool,
}

impl Wanted<'_> {
    fn whole(&self, name: &str) -> i64 {
        self.expected[name].as_i64().unwrap()
    }

    /// Nanos by a division, where the decoder counts decimals. Zero is none, and so are the numbers that mean
    /// it, what is beyond 20 million rupees, and below zero but of commodities.
    fn price(&self, raw: i64) -> Option<Price> {
        let is_word =
            [-1, i32::MIN.into(), i32::MAX.into(), 0x8000_0000, 0x88ca_6c00, u32::MAX.into()].contains(&raw);
        let may_be_negative = matches!(self.whole("exchange_type"), 5 | 7);
        let lowest = if may_be_negative { -100_000 * self.divisor } else { 0 };
        let can_be = raw != 0 && raw > lowest && raw < 20_000_000 * self.divisor;
        (can_be && !is_word).then(|| Price::from_nanos(raw * (1_000_000_000 / self.divisor)))
    }

    fn with_price(&self, tick: Tick, name: &str, set: fn(Tick, Price) -> Tick) -> Tick {
        self.price(self.whole(name)).map_or(tick, |price| set(tick, price))
    }

    /// A number below zero is no quantity, and neither is the highest of 32 bits.
    fn with_count(&self, tick: Tick, name: &str, set: fn(Tick, i64) -> Tick) -> Tick {
        let count = self.whole(name);
        if count < 0 || count == i64::from(u32::MAX) || count == i64::MAX { tick } else { set(tick, count) }
    }

    fn tick(&self) -> Tick {
        let mode = self.whole("subscription_mode");
        let mut tick = self.with_price(Tick::new(7), "last_traded_price", Tick::ltp);
        if let Some(at) = time_of(self.whole("exchange_timestamp"), 1_000) {
            tick = tick.exchange_ts_ns(at);
        }
        if mode < 2 {
            return tick;
        }
        tick = self.with_price(tick, "open_price_of_the_day", Tick::open);
        tick = self.with_price(tick, "high_price_of_the_day", Tick::high);
        tick = self.with_price(tick, "low_price_of_the_day", Tick::low);
        tick = self.with_price(tick, "closed_price", Tick::close);
        if self.is_index {
            return tick;
        }
        tick = self.with_price(tick, "average_traded_price", Tick::average_price);
        if self.whole("last_traded_quantity") != 0 {
            tick = self.with_count(tick, "last_traded_quantity", Tick::last_quantity);
        }
        tick = self.with_count(tick, "volume_trade_for_the_day", Tick::volume);
        let total = |name: &str| {
            let value = self.expected[name]
                .as_f64()
                .filter(|value| (0.0..=9_007_199_254_740_992.0).contains(value))?;
            Some(format!("{value:.0}").parse::<i64>().unwrap())
        };
        tick = total("total_buy_quantity").map_or(tick, |total| tick.total_buy_quantity(total));
        tick = total("total_sell_quantity").map_or(tick, |total| tick.total_sell_quantity(total));
        if mode < 3 {
            return tick;
        }
        if let Some(at) = time_of(self.whole("last_traded_timestamp"), 1) {
            tick = tick.last_trade_ts_ns(at);
        }
        if self.whole("open_interest") != 0 || !self.is_cash {
            tick = self.with_count(tick, "open_interest", Tick::oi);
        }
        tick = self.with_price(tick, "upper_circuit_limit", Tick::upper_circuit);
        self.with_price(tick, "lower_circuit_limit", Tick::lower_circuit)
    }

    /// Rows without a price are padding, or orders at the market: a book has neither.
    fn side(&self, name: &str, orders: &str) -> Vec<Level> {
        let rows = self.expected[name].as_array().unwrap().iter();
        rows.filter(|row| row["quantity"].as_i64().unwrap() >= 0)
            .filter_map(|row| {
                Some(Level {
                    price: self.price(row["price"].as_i64().unwrap())?,
                    quantity: row["quantity"].as_i64().unwrap(),
                    orders: u32::try_from(row[orders].as_i64().unwrap()).ok(),
                })
            })
            .collect()
    }
}

/// Nanoseconds of a time of this century with so many units in a second; others are none.
fn time_of(raw: i64, per_second: i64) -> Option<u64> {
    let is_time = (946_684_800 * per_second..4_102_444_800 * per_second).contains(&raw) && raw != 0x7fff_ffff;
    is_time.then(|| (raw * (1_000_000_000 / per_second)).unsigned_abs())
}

#[test]
fn every_packet_is_what_the_broker_s_sdk_makes_of_it() {
    let vectors = Vectors::main(FOLDER, "angel.jsonl");
    let (mut wire, mut levels) = (0, 0);
    vectors.compare(|line| {
        let (fields, rows) = compare_packet(line);
        wire += fields;
        levels += rows;
        // A tick has one value for each of the wire's, or leaves it out by a rule that it has been compared
        // by.
        fields + rows * 3
    });
    println!("{wire} fields of the wire, {levels} levels of books");
    // What the file has: a comparison that leaves something out is noticed.
    assert!(!vectors.is_own() || (vectors.lines().len(), wire, levels) == (200, 8_829, 992));
}

/// Gives the fields of the wire and the levels of books that were compared.
fn compare_packet(line: &Value) -> (usize, usize) {
    let expected = line["expected"].as_array().unwrap();
    assert_eq!(expected.len(), 1);
    let bytes = frame(line);
    let packet = Packet::parse(&bytes).unwrap();
    let mut compare = Compare { line, expected: &expected[0], fields: 0 };
    compare.packet(&packet);

    let is_index = line["case"].as_str().unwrap().contains("-index");
    let segment = packet.key.segment;
    let divisor = line["beyond_sdk"]["price_divisor"].as_i64().unwrap();
    let wanted = Wanted { expected: &expected[0], divisor, is_index, is_cash: segment.is_cash() };
    let mode = wanted.whole("subscription_mode");
    let compare_book = |book: &decode::Book, buy: Vec<Level>, sell: Vec<Level>| {
        assert_eq!((book.buy(), book.sell()), (&buy[..], &sell[..]), "{}", line["id"]);
        buy.len() + sell.len()
    };
    let levels = match decode::tick(&packet, 7, is_index) {
        Decoded::Ltp(tick) => {
            assert_eq!((1, &tick), (mode, &wanted.tick()));
            0
        }
        Decoded::Quote(tick) => {
            assert_eq!((2, &tick), (mode, &wanted.tick()));
            0
        }
        Decoded::Bookless(tick) => {
            assert_eq!((3, true, &tick), (mode, is_index, &wanted.tick()), "{}", line["id"]);
            // There is nothing that could have been left out.
            let rows = |name, orders| wanted.side(name, orders).len();
            rows("best_5_buy_data", "no of orders") + rows("best_5_sell_data", "no of orders")
        }
        Decoded::Book(tick, book) => {
            assert_eq!((3, &tick), (mode, &wanted.tick()), "{}", line["id"]);
            let (buy, sell) = ("best_5_buy_data", "best_5_sell_data");
            compare_book(&book, wanted.side(buy, "no of orders"), wanted.side(sell, "no of orders"))
        }
        Decoded::Deep(tick, book) => {
            let at = time_of(line["beyond_sdk"]["exchange_timestamp_at_27"].as_i64().unwrap(), 1_000);
            let only_time = at.map_or(Tick::new(7), |at| Tick::new(7).exchange_ts_ns(at));
            assert_eq!((4, tick), (mode, only_time), "{}", line["id"]);
            let (buy, sell) = ("depth_20_buy_data", "depth_20_sell_data");
            compare_book(&book, wanted.side(buy, "num_of_orders"), wanted.side(sell, "num_of_orders"))
        }
    };
    (compare.fields, levels)
}

#[test]
fn every_text_is_what_the_broker_documents() {
    let Some(vectors) = Vectors::read(FOLDER, "angel-text.jsonl") else { return };
    vectors.compare(|line| {
        let expected = &line["expected"][0];
        let ours = control::read(line["frame_text"].as_str().unwrap());
        match expected["event"].as_str().unwrap() {
            "pong" => assert!(matches!(ours, Control::Pong), "{line}"),
            "ignore" => assert!(matches!(ours, Control::Unknown), "{line}"),
            _ => {
                let Control::Error { code, correlation } = ours else { panic!("{line}") };
                assert_eq!(expected["errorCode"].as_str(), Some(code.as_str()));
                assert_eq!(expected["correlationID"].as_str(), correlation.as_deref());
            }
        }
        1
    });
    assert!(!vectors.is_own() || vectors.lines().len() == 6);
}

#[test]
fn damaged_packets_are_refused_and_trailing_bytes_are_not() {
    let Some(vectors) = Vectors::read(FOLDER, "angel-malformed.jsonl") else { return };
    let mut refused = 0;
    vectors.compare(|line| {
        let id = line["id"].as_str().unwrap();
        let parsed = Packet::parse(&frame(line));
        let expected = match id.rsplit('-').next().unwrap_or_default() {
            name if name.contains("trailing") => {
                let packet = parsed.unwrap();
                let mut compare = Compare { line, expected: &line["sdk_result"], fields: 0 };
                compare.packet(&packet);
                return compare.fields;
            }
            "mode0" | "mode9" | "random" => WireError::UnknownMode,
            "unknown_exchange" => WireError::UnknownSegment,
            _ => WireError::Truncated,
        };
        // Of other files it is not known what is wrong with which line.
        assert!(parsed == Err(expected) || (!vectors.is_own() && parsed.is_err()), "{id}: {parsed:?}");
        refused += 1;
        1
    });
    assert!(!vectors.is_own() || (vectors.lines().len(), refused) == (13, 12));
}

#[test]
fn the_live_tick_of_infy_reads_as_it_was_published() {
    // Values of a packet that a user of the broker published; bytes made from them.
    let mut bytes = vec![3_u8, 1];
    bytes.extend_from_slice(b"1594");
    bytes.resize(27, 0);
    for value in [0_i64, 1_735_201_464_000, 190_735] {
        bytes.extend_from_slice(&value.to_le_bytes());
    }
    bytes.resize(123, 0);
    bytes.extend_from_slice(&1_735_201_464_i64.to_le_bytes());
    bytes.resize(147, 0);
    for (flag, prices) in [
        (1_u16, [190_700_i64, 190_650, 190_645, 190_640, 190_635]),
        (0, [190_735, 190_740, 190_745, 190_750, 190_755]),
    ] {
        for price in prices {
            bytes.extend_from_slice(&flag.to_le_bytes());
            bytes.extend_from_slice(&10_i64.to_le_bytes());
            bytes.extend_from_slice(&price.to_le_bytes());
            bytes.extend_from_slice(&1_u16.to_le_bytes());
        }
    }
    for value in [209_995_i64, 171_815, 0, 0] {
        bytes.extend_from_slice(&value.to_le_bytes());
    }
    let packet = Packet::parse(&bytes).unwrap();
    assert_eq!((packet.key.segment, packet.key.token.as_str()), (Segment::NseCash, "1594"));
    let Decoded::Book(tick, book) = decode::tick(&packet, 1, false) else { panic!("no book") };
    let rupees = |text: f64| Price::from_f64(text).unwrap();
    let wanted = Tick::new(1)
        .ltp(rupees(1_907.35))
        .exchange_ts_ns(1_735_201_464_000_000_000)
        .last_trade_ts_ns(1_735_201_464_000_000_000)
        .upper_circuit(rupees(2_099.95))
        .lower_circuit(rupees(1_718.15))
        .volume(0)
        .total_buy_quantity(0)
        .total_sell_quantity(0);
    assert_eq!(tick, wanted);
    assert_eq!(book.buy()[0].price, rupees(1_907.0));
    assert_eq!(book.sell()[4].price, rupees(1_907.55));
}
