//! Every message in `testdata`, or in the folder that `TICKHOST_VECTORS` names, field by field.
//! `cargo test --test vectors -- --nocapture` prints how much was compared.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "tests fail by panicking, and print what they compared"
)]

use adapter_sdk::{Level, Price, Tick, read::Odd, testing::Vectors};
use adapter_zerodha::{
    decode::{DecodeError, Kind, Packet, Packets},
    wire::{self, Text},
};
use serde_json::Value;

const INSTRUMENT: u32 = 7;
const SECOND: u64 = 1_000_000_000;

const FOLDER: &str = env!("CARGO_MANIFEST_DIR");

fn frame(line: &Value) -> Vec<u8> {
    hex::decode(line["frame_hex"].as_str().unwrap()).unwrap()
}

/// Times are of this century; the end of 31 bits is none.
fn is_time(seconds: u64) -> bool {
    (946_684_800..4_102_444_800).contains(&seconds) && seconds != 0x7fff_ffff
}

/// Reads what a tick must be, and counts the values that it read.
struct Expected<'a> {
    json: &'a Value,
    tick: Tick,
    fields: usize,
}

impl Expected<'_> {
    fn price(&mut self, name: &str, set: fn(Tick, Price) -> Tick) {
        let json = self.json.get(name).or_else(|| self.json.get("ohlc")?.get(name)).unwrap();
        if let Some(price) = self.price_of(json) {
            self.tick = set(self.tick, price);
        }
        self.fields += 1;
    }

    /// The package knows no price that there is not. A tick has none where the package makes zero of it, or a
    /// number that is beyond what the documents' signed numbers hold, as it reads them as unsigned: then it
    /// is a word for none, or below zero, which happens at MCX. Of NSE's and BSE's other decimal places the
    /// words alone are none.
    fn price_of(&self, json: &Value) -> Option<Price> {
        let rupees = json.as_f64().unwrap();
        let (words, wraps_at): (&[f64], _) = match self.json["instrument_token"].as_u64().unwrap() & 0xff {
            3 => (&[214.748_364_7, 214.748_364_8, 229.496_729_6], 402.653_184),
            6 | 12 => (&[214_748.364_7, 214_748.364_8, 229_496.729_6], 402_653.184),
            7 | 8 if rupees > 42_849_672.96 && rupees < 42_949_672.95 => {
                return Price::from_f64(((rupees - 42_949_672.96) * 100.0).round() / 100.0);
            }
            _ => (&[], 20_000_000.0),
        };
        let is_none = rupees == 0.0 || rupees >= wraps_at || words.contains(&rupees);
        (!is_none).then(|| Price::from_f64(rupees).unwrap())
    }

    /// Zero is a count; the highest number is -1, and none.
    fn count(&mut self, name: &str, set: fn(Tick, i64) -> Tick) {
        let count = self.json[name].as_i64().unwrap();
        if count != i64::from(u32::MAX) {
            self.tick = set(self.tick, count);
        }
        self.fields += 1;
    }

    /// Open interest of nothing but zeros has not come, or is that of a share.
    fn interest(&mut self) {
        if self.json["oi"] == 0 && self.json["oi_day_high"] == 0 {
            self.fields += 2;
            return;
        }
        self.count("oi", Tick::oi);
        self.count("oi_day_high", Tick::oi_high);
        self.count("oi_day_low", Tick::oi_low);
    }

    /// Neither the broker nor a tick says the change: the package derives it in percent, from two values that
    /// a tick has. So they must give the same, where both are there; the package has 0 where there is no
    /// close.
    fn change(&mut self) {
        let (ltp, close) =
            (self.json["last_price"].as_f64().unwrap(), self.json["ohlc"]["close"].as_f64().unwrap());
        let ours = if close == 0.0 { 0.0 } else { (ltp - close) * 100.0 / close };
        let theirs = self.json["change"].as_f64().unwrap();
        assert!((ours - theirs).abs() <= theirs.abs() * 1e-9, "change: {ours} and {theirs}");
        self.fields += 1;
    }

    fn time(&mut self, name: &str, set: fn(Tick, u64) -> Tick) {
        let seconds = self.json[name].as_u64().unwrap();
        if is_time(seconds) {
            self.tick = set(self.tick, seconds * SECOND);
        }
        self.fields += 1;
    }

    /// The rows of one side. Those of zeros are padding, and those without a price orders at the market: a
    /// book has neither.
    fn side(&mut self, name: &str) -> Vec<Level> {
        let rows = self.json["depth"][name].as_array().unwrap();
        assert_eq!(rows.len(), 5);
        self.fields += rows.len() * 3;
        let rows = rows.iter().filter(|row| row["quantity"] != u32::MAX).filter_map(|row| {
            Some(Level {
                price: self.price_of(&row["price"])?,
                quantity: row["quantity"].as_i64().unwrap(),
                orders: Some(u32::try_from(row["orders"].as_u64().unwrap()).unwrap()),
            })
        });
        rows.collect()
    }
}

/// Compares a packet with what the broker's package made of it; gives the number of values.
fn compare(packet: &Packet<'_>, json: &Value, at: &str) -> usize {
    let text = |name: &str| json[name].as_str().unwrap();
    let is_tradable = json["tradable"].as_bool().unwrap();
    assert_eq!(u64::from(packet.token()), json["instrument_token"].as_u64().unwrap(), "{at}");
    let kind = match (text("mode"), is_tradable) {
        ("ltp", _) => Kind::Ltp,
        ("quote", true) => Kind::Quote,
        ("quote", false) => Kind::IndexQuote,
        ("full", true) => Kind::Full,
        ("full", false) => Kind::IndexFull,
        other => panic!("{at}: {other:?}"),
    };
    assert_eq!(packet.kind, kind, "{at}");
    let mut expected = Expected { json, tick: Tick::new(INSTRUMENT), fields: 3 };
    expected.price("last_price", Tick::ltp);
    if kind != Kind::Ltp {
        expected.price("open", Tick::open);
        expected.price("high", Tick::high);
        expected.price("low", Tick::low);
        expected.price("close", Tick::close);
        expected.change();
    }
    if matches!(kind, Kind::Quote | Kind::Full) {
        if json["last_traded_quantity"] != 0 {
            expected.count("last_traded_quantity", Tick::last_quantity);
        }
        expected.price("average_traded_price", Tick::average_price);
        expected.count("volume_traded", Tick::volume);
        expected.count("total_buy_quantity", Tick::total_buy_quantity);
        expected.count("total_sell_quantity", Tick::total_sell_quantity);
    }
    if kind == Kind::Full {
        expected.time("last_trade_time", Tick::last_trade_ts_ns);
        expected.interest();
    }
    if matches!(kind, Kind::Full | Kind::IndexFull) {
        expected.time("exchange_timestamp", Tick::exchange_ts_ns);
    }
    match packet.book() {
        Some(book) => {
            assert_eq!(book.buy(), expected.side("buy"), "{at}");
            assert_eq!(book.sell(), expected.side("sell"), "{at}");
        }
        None => assert!(json.get("depth").is_none(), "{at}"),
    }
    assert_eq!(packet.tick(INSTRUMENT), expected.tick, "{at}");
    expected.fields
}

#[test]
fn every_message_becomes_what_the_brokers_package_makes_of_it() {
    let files = [
        (Some(Vectors::main(FOLDER, "zerodha.jsonl")), 200),
        (Vectors::read(FOLDER, "zerodha-official.jsonl"), 4),
    ];
    for (vectors, known) in files {
        let Some(vectors) = vectors else { continue };
        let (mut packets, mut unknown) = (0, 0);
        let fields = vectors.compare(|line| {
            let message = frame(line);
            let at = line["id"].to_string();
            let expected = line["expected"].as_array().unwrap();
            let mut whole = Vec::new();
            for packet in Packets::new(&message) {
                match packet {
                    Ok(packet) => whole.push(packet),
                    Err(DecodeError::UnknownLength { .. }) if line["case"] == "unknown_len" => unknown += 1,
                    Err(error) => panic!("{at}: {error}"),
                }
            }
            assert_eq!(whole.len(), expected.len(), "{at}");
            packets += whole.len();
            whole.iter().zip(expected).map(|(packet, json)| compare(packet, json, &at)).sum()
        });
        println!("{packets} packets, {unknown} of unknown length");
        assert!(packets > 0 && fields > packets);
        assert!(!vectors.is_own() || vectors.lines().len() == known);
    }
}

#[test]
fn damaged_messages_keep_what_was_whole_and_invent_nothing() {
    // Whole packets and errors of each, as its description says.
    let known = [
        ("zm-empty_frame", 0, 0),
        ("zm-count_only_1", 0, 1),
        ("zm-cut_in_length", 0, 1),
        ("zm-cut_in_first_packet", 0, 1),
        ("zm-cut_in_second_packet", 1, 1),
        ("zm-count_larger_than_packets", 2, 1),
        ("zm-length_overruns", 0, 1),
        ("zm-zero_length_packet", 0, 1),
        ("zm-three_byte_packet", 0, 1),
        ("zm-huge_count", 2, 1),
        ("zm-random", 0, 1),
        ("zm-random2", 0, 1),
    ];
    let Some(vectors) = Vectors::read(FOLDER, "zerodha-malformed.jsonl") else { return };
    let mut found = Vec::new();
    vectors.compare(|line| {
        let message = frame(line);
        let (whole, damaged): (Vec<_>, Vec<_>) = Packets::new(&message).partition(Result::is_ok);
        // A message of nothing has nothing that could be damaged.
        assert!(!damaged.is_empty() || message.len() < 2, "{}", line["id"]);
        found.push((line["id"].as_str().unwrap().to_owned(), whole.len(), damaged.len()));
        damaged.len() + whole.len()
    });
    let known = known.map(|(id, whole, damaged)| (id.to_owned(), whole, damaged));
    assert!(!vectors.is_own() || found == known, "{found:?}");
}

#[test]
fn every_text_fires_what_the_brokers_package_fires() {
    let Some(vectors) = Vectors::read(FOLDER, "zerodha-text.jsonl") else { return };
    vectors.compare(|line| {
        let mut fields = 0;
        let expected = line["expected"].as_array().unwrap();
        match (wire::read(line["frame_text"].as_str().unwrap(), &Odd::new()), expected.as_slice()) {
            (Text::Order(update, token), [one]) if one["callback"] == "on_order_update" => {
                let data = &one["data"];
                let update = serde_json::to_value(update).unwrap();
                for (ours, theirs) in [
                    ("orderid", "order_id"),
                    ("action", "transaction_type"),
                    ("quantity", "quantity"),
                    ("price", "price"),
                    ("trigger_price", "trigger_price"),
                    ("pricetype", "order_type"),
                    ("product", "product"),
                    ("filled_quantity", "filled_quantity"),
                    ("pending_quantity", "pending_quantity"),
                    ("average_price", "average_price"),
                ] {
                    let is_same = match update[ours].as_f64() {
                        Some(number) => data[theirs].as_f64() == Some(number),
                        None => update[ours] == data[theirs],
                    };
                    assert!(is_same, "{} {ours}: {} {}", line["id"], update[ours], data[theirs]);
                    fields += 1;
                }
                assert_eq!(token.map(u64::from), data["instrument_token"].as_u64());
                assert_eq!(update["symbol"], data["tradingsymbol"].as_str().unwrap());
                assert_eq!(update["order_status"], data["status"].as_str().unwrap().to_lowercase());
                fields += 3;
            }
            (Text::Error(reason), [one]) if one["callback"] == "on_error" => {
                assert_eq!(reason, one["reason"].as_str().unwrap());
                fields += 1;
            }
            (Text::Notice(_) | Text::Instruments { .. } | Text::Other, []) => {}
            (found, expected) => panic!("{}: {found:?}, expected {expected:?}", line["id"]),
        }
        fields
    });
    assert!(!vectors.is_own() || vectors.lines().len() == 12);
}
