use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::model::{Greeks, PRICE_SCALE, Quote, greek};

/// Name inside `data`, bit, lowest mode that shows it, and where the value is.
type Shown = (&'static str, u32, Mode, fn(&Quote) -> i64);

const PRICES: [Shown; 14] = [
    ("ltp", field::LTP, Mode::Ltp, |q| q.ltp),
    ("open", field::OPEN, Mode::Quote, |q| q.open),
    ("high", field::HIGH, Mode::Quote, |q| q.high),
    ("low", field::LOW, Mode::Quote, |q| q.low),
    ("close", field::CLOSE, Mode::Quote, |q| q.close),
    ("average_price", field::AVERAGE_PRICE, Mode::Quote, |q| q.average_price),
    ("avg_trade_price", field::AVERAGE_PRICE, Mode::Quote, |q| q.average_price),
    ("change", field::CHANGE, Mode::Quote, |q| q.change),
    ("change_percent", field::CHANGE_PERCENT, Mode::Quote, |q| q.change_percent),
    ("bid_price", field::BID_PRICE, Mode::Quote, |q| q.bid_price),
    ("ask_price", field::ASK_PRICE, Mode::Quote, |q| q.ask_price),
    ("upper_circuit", field::UPPER_CIRCUIT, Mode::Quote, |q| q.upper_circuit),
    ("lower_circuit", field::LOWER_CIRCUIT, Mode::Quote, |q| q.lower_circuit),
    ("prev_close", field::PREV_CLOSE, Mode::Quote, |q| q.prev_close),
];

const INTEGERS: [Shown; 10] = [
    ("volume", field::VOLUME, Mode::Ltp, |q| q.volume),
    ("last_trade_quantity", field::LAST_QUANTITY, Mode::Ltp, |q| q.last_quantity),
    ("last_quantity", field::LAST_QUANTITY, Mode::Ltp, |q| q.last_quantity),
    ("total_buy_quantity", field::TOTAL_BUY_QUANTITY, Mode::Quote, |q| q.total_buy_quantity),
    ("total_sell_quantity", field::TOTAL_SELL_QUANTITY, Mode::Quote, |q| q.total_sell_quantity),
    ("oi", field::OI, Mode::Quote, |q| q.oi),
    ("bid_size", field::BID_SIZE, Mode::Quote, |q| q.bid_size),
    ("ask_size", field::ASK_SIZE, Mode::Quote, |q| q.ask_size),
    ("oi_high", field::OI_HIGH, Mode::Quote, |q| q.oi_high),
    ("oi_low", field::OI_LOW, Mode::Quote, |q| q.oi_low),
];

const FLAT: [&str; 6] = ["ltp", "open", "high", "low", "close", "volume"];

fn label() -> Label {
    Label::new("SBIN", "NSE", "sim", None)
}

fn variant(mode: Mode) -> Variant {
    Variant::new(mode, DepthClass::Five, false)
}

fn frame(variant: Variant, tick: TickView<'_>) -> Option<String> {
    let mut out = b"before".to_vec();
    let written = market_data(&mut out, &label(), variant, tick, EncodeOptions::default(), false);
    let text = String::from_utf8(out).unwrap().strip_prefix("before").unwrap().to_owned();
    assert_eq!(written, !text.is_empty());
    written.then_some(text)
}

fn only(fields: u32) -> Quote {
    Quote { fields, received_ts_ns: 1_705_294_800_123_000_000, ltp: 625_500_000_000, ..Quote::default() }
}

fn levels(count: usize) -> Vec<DepthLevel> {
    (1..)
        .map(|n| DepthLevel { price: n * PRICE_SCALE, quantity: n, orders: 1, reserved: 0 })
        .take(count)
        .collect()
}

#[test]
fn what_a_mode_cannot_show_is_no_frame() {
    let times = only(field::EXCHANGE_TS);
    let trade_time = only(field::LAST_TRADE_TS);
    let volume = only(field::VOLUME);
    let ltp = only(field::LTP);
    let sent = |quote: &Quote, buy: &[DepthLevel], mode| {
        frame(variant(mode), TickView { quote, buy, sell: &[], greeks: None })
    };
    assert_eq!(sent(&volume, &[], Mode::Ltp), None);
    assert_eq!(sent(&times, &[], Mode::Quote), None);
    assert_eq!(sent(&ltp, &[], Mode::Depth), None);
    assert!(sent(&ltp, &[], Mode::Ltp).is_some());
    assert!(sent(&volume, &[], Mode::Quote).is_some());
    assert!(sent(&trade_time, &[], Mode::Quote).is_some(), "when the last trade was is a value");
    assert!(sent(&times, &levels(1), Mode::Depth).is_some(), "a book needs no last price");
    assert_eq!(sent(&only(1 << 28), &[], Mode::Quote), None, "bits of later versions are no value");
    for says_what_it_is in [field::IMAGE, field::BOOK, field::RESERVED_FOR_HOSTS] {
        assert_eq!(sent(&only(says_what_it_is), &[], Mode::Quote), None);
    }
    let nothing = only(0);
    let tick = TickView { quote: &nothing, buy: &[], sell: &[], greeks: None };
    let greeks = |fields| Greeks { fields, ..Greeks::default() };
    let with = |greeks: &Greeks, mode| frame(variant(mode), TickView { greeks: Some(greeks), ..tick });
    for value in [greek::DELTA, greek::IMPLIED_VOLATILITY] {
        assert!(with(&greeks(value), Mode::Quote).is_some(), "greeks alone are a quote");
        assert_eq!(with(&greeks(value), Mode::Ltp), None);
        assert_eq!(with(&greeks(value), Mode::Depth), None, "and no book");
    }
    assert_eq!(with(&greeks(!greek::IN_GREEKS), Mode::Quote), None, "their time is no value");
    let empty_book = sent(&only(field::BOOK), &[], Mode::Depth).unwrap();
    assert!(empty_book.contains(r#""depth":{"buy":[],"sell":[]}"#), "{empty_book}");
}

#[test]
fn the_time_is_the_exchanges_else_that_of_receipt() {
    let mut quote = only(field::LTP);
    quote.exchange_ts_ns = 1_705_294_799_000_000_000;
    let tick = |quote: &Quote| {
        frame(variant(Mode::Ltp), TickView { quote, buy: &[], sell: &[], greeks: None }).unwrap()
    };
    let received = tick(&quote);
    assert!(received.contains(r#""timestamp":1705294800123"#), "{received}");
    assert!(received.contains(r#""timestamp":"2024-01-15T10:30:00.123+05:30""#), "{received}");
    quote.fields |= field::EXCHANGE_TS;
    let exchange = tick(&quote);
    assert!(exchange.contains(r#""timestamp":1705294799000"#), "{exchange}");
    assert!(exchange.contains(r#""timestamp":"2024-01-15T10:29:59.000+05:30""#), "{exchange}");
}

#[test]
fn levels_are_cut_to_the_depth_asked_for() {
    let (buy, sell) = (levels(200), levels(7));
    let quote = only(field::LTP);
    for depth in DepthClass::ALL {
        let tick = TickView { quote: &quote, buy: &buy, sell: &sell, greeks: None };
        let text = frame(Variant::new(Mode::Depth, depth, false), tick).unwrap();
        let frame: Value = serde_json::from_str(&text).unwrap();
        let shown = |side: &str, whole: usize| {
            let side = frame["data"]["depth"][side].as_array().unwrap().len();
            assert_eq!(side, whole.min(usize::from(depth.levels())));
        };
        shown("buy", 200);
        shown("sell", 7);
        assert_eq!(frame["depth"], frame["data"]["depth"]);
        assert_eq!(frame["data"]["bids"], frame["depth"]["buy"]);
        assert_eq!(frame["data"]["asks"], frame["depth"]["sell"]);
    }
}

#[test]
fn an_unknown_number_of_orders_is_zero_and_large_quantities_stay_whole() {
    let quote = only(field::LTP);
    let level = DepthLevel { price: 1, quantity: 1 << 40, orders: ORDERS_ABSENT, reserved: 0 };
    let text =
        frame(variant(Mode::Depth), TickView { quote: &quote, buy: &[], sell: &[level], greeks: None })
            .unwrap();
    let row = r#"{"price":0.000000001,"quantity":1099511627776,"orders":0}"#;
    assert!(text.contains(&format!(r#""depth":{{"buy":[],"sell":[{row}]}}"#)), "{text}");
}

#[test]
fn copies_are_left_out_when_switched_off() {
    let quote = only(field::LTP);
    let (buy, sell) = (levels(1), levels(1));
    let tick = TickView { quote: &quote, buy: &buy, sell: &sell, greeks: None };
    let mut out = Vec::new();
    let options = EncodeOptions { flat_fields: false, bids_asks: false };
    assert!(market_data(&mut out, &label(), variant(Mode::Depth), tick, options, true));
    let frame: Value = serde_json::from_slice(&out).unwrap();
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>().join(" ");
    assert_eq!(keys(&frame), "type symbol exchange mode broker topic snapshot data");
    assert_eq!(keys(&frame["data"]), "symbol exchange ltp timestamp depth");
}

#[test]
fn names_are_escaped_and_carry_the_suffix() {
    let label = Label::new("A\"\\\u{1}é:x", "N\tSE", "b\"", Some(DepthClass::Fifty));
    let quote = only(field::LTP);
    let tick = TickView { quote: &quote, buy: &[], sell: &[], greeks: None };
    let mut out = Vec::new();
    let variant = Variant::new(Mode::Ltp, DepthClass::Fifty, true);
    assert!(market_data(&mut out, &label, variant, tick, EncodeOptions::default(), false));
    let frame: Value = serde_json::from_slice(&out).unwrap();
    assert_eq!(frame["symbol"], "A\"\\\u{1}é:x:50");
    assert_eq!(frame["data"]["symbol"], frame["symbol"]);
    assert_eq!(frame["exchange"], "N\tSE");
    assert_eq!(frame["data"]["exchange"], "N\tSE");
    assert_eq!(frame["broker"], "b\"");
    assert_eq!(frame["topic"], "A\"\\\u{1}é:x:50.N\tSE");
}

/// The encoder has no other growing thing than `out`, so a buffer that stays where it was means no
/// allocation.
#[test]
fn the_longest_frame_fits_what_was_reserved_for_it() {
    let mut quote = extreme_quote(i64::MIN);
    quote.fields = u32::MAX;
    let greeks = extreme_greeks(i64::MIN);
    let level = DepthLevel { price: i64::MIN, quantity: i64::MIN, orders: ORDERS_ABSENT - 1, reserved: 0 };
    let book = vec![level; 200];
    let label = Label::new(&"\u{1}".repeat(128), &"\u{1}".repeat(32), "sim", Some(DepthClass::TwoHundred));
    for mode in Mode::ALL {
        for depth in DepthClass::ALL {
            let variant = Variant::new(mode, depth, false);
            let mut out = Vec::with_capacity(label.max_frame_bytes(variant));
            let place = (out.as_ptr(), out.capacity());
            let tick = TickView { quote: &quote, buy: &book, sell: &book, greeks: Some(&greeks) };
            assert!(market_data(&mut out, &label, variant, tick, EncodeOptions::default(), true));
            assert!(out.len() <= label.max_frame_bytes(variant), "{variant:?}: {}", out.len());
            assert_eq!((out.as_ptr(), out.capacity()), place, "{variant:?} moved its buffer");
        }
    }
}

const fn extreme_greeks(value: i64) -> Greeks {
    Greeks {
        instrument: 0,
        fields: u32::MAX,
        seq: 0,
        received_ts_ns: u64::MAX,
        exchange_ts_ns: u64::MAX,
        delta: value,
        gamma: value,
        theta: value,
        vega: value,
        rho: value,
        implied_volatility: value,
    }
}

fn extreme_quote(value: i64) -> Quote {
    let ts = u64::MAX;
    Quote {
        instrument: 0,
        fields: 0,
        seq: 0,
        received_ts_ns: ts,
        exchange_ts_ns: ts,
        last_trade_ts_ns: ts,
        ltp: value,
        volume: value,
        last_quantity: value,
        open: value,
        high: value,
        low: value,
        close: value,
        average_price: value,
        total_buy_quantity: value,
        total_sell_quantity: value,
        change: value,
        change_percent: value,
        oi: value,
        bid_price: value,
        ask_price: value,
        bid_size: value,
        ask_size: value,
        upper_circuit: value,
        lower_circuit: value,
        prev_close: value,
        oi_high: value,
        oi_low: value,
    }
}

/// The JSON text of each number in an object, before any parser turns it into a double.
fn raw_numbers(text: &str) -> serde_json::Map<String, Value> {
    let members: std::collections::BTreeMap<String, Box<serde_json::value::RawValue>> =
        serde_json::from_str(text).unwrap();
    members.into_iter().map(|(key, raw)| (key, Value::from(raw.get()))).collect()
}

fn has_null(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.iter().any(has_null),
        Value::Object(members) => members.values().any(has_null),
        _ => false,
    }
}

fn scaled(text: &str) -> i64 {
    let (whole, fraction) = text.split_once('.').expect("a price has a point");
    format!("{whole}{fraction:0<9}").parse().unwrap()
}

prop_compose! {
    fn any_level()(price: i64, quantity: i64, orders: u32) -> DepthLevel {
        DepthLevel { price, quantity, orders, reserved: 0 }
    }
}

prop_compose! {
    fn any_quote()(fields: u32, times: [u64; 3], v: [i64; 22]) -> Quote {
        Quote {
            instrument: 0, fields, seq: 0,
            received_ts_ns: times[0], exchange_ts_ns: times[1], last_trade_ts_ns: times[2],
            ltp: v[0], volume: v[1], last_quantity: v[2], open: v[3], high: v[4], low: v[5], close: v[6],
            average_price: v[7], total_buy_quantity: v[8], total_sell_quantity: v[9], change: v[10],
            change_percent: v[11], oi: v[12], bid_price: v[13], ask_price: v[14], bid_size: v[15],
            ask_size: v[16], upper_circuit: v[17], lower_circuit: v[18], prev_close: v[19], oi_high: v[20],
            oi_low: v[21],
        }
    }
}

prop_compose! {
    fn any_greeks()(fields: u32, v: [i64; 6]) -> Greeks {
        let [delta, gamma, theta, vega, rho, implied_volatility] = v;
        Greeks { fields, delta, gamma, theta, vega, rho, implied_volatility, ..Greeks::default() }
    }
}

/// Name inside `data.greeks`, bit, and where the value is.
type Greek = (&'static str, u32, fn(&Greeks) -> i64);

const GREEKS: [Greek; 5] = [
    ("delta", greek::DELTA, |g| g.delta),
    ("gamma", greek::GAMMA, |g| g.gamma),
    ("theta", greek::THETA, |g| g.theta),
    ("vega", greek::VEGA, |g| g.vega),
    ("rho", greek::RHO, |g| g.rho),
];

proptest! {
    #[test]
    fn greeks_are_shown_above_mode_ltp_and_only_those_that_are_known(
        quote in any_quote(),
        greeks in any_greeks(),
        mode in prop::sample::select(Mode::ALL.to_vec()),
    ) {
        let quote = Quote { fields: quote.fields | field::LTP | field::BOOK, ..quote };
        let tick = TickView { quote: &quote, buy: &[], sell: &[], greeks: None };
        let without = frame(variant(mode), tick).unwrap();
        let text = frame(variant(mode), TickView { greeks: Some(&greeks), ..tick }).unwrap();
        prop_assert!(text.len() <= label().max_frame_bytes(variant(mode)));
        let is_known = |bit: u32| greeks.fields & bit != 0 && mode >= Mode::Quote;
        let data = raw_numbers(raw_numbers(&text)["data"].as_str().unwrap());
        let object = data.get("greeks").map(|object| raw_numbers(object.as_str().unwrap()));
        prop_assert_eq!(object.is_some(), GREEKS.iter().any(|(_, bit, _)| is_known(*bit)));
        for (name, bit, value) in GREEKS {
            let shown = object.as_ref().and_then(|object| object.get(name));
            let expected = is_known(bit).then(|| value(&greeks));
            prop_assert_eq!(shown.map(|text| scaled(text.as_str().unwrap())), expected, "{}", name);
        }
        let volatility = data.get("implied_volatility").map(|text| scaled(text.as_str().unwrap()));
        prop_assert_eq!(volatility, is_known(greek::IMPLIED_VOLATILITY).then_some(greeks.implied_volatility));
        // Nothing else differs.
        let mut rest: Value = serde_json::from_str(&text).unwrap();
        let members = rest["data"].as_object_mut().unwrap();
        members.remove("greeks");
        members.remove("implied_volatility");
        prop_assert_eq!(rest, serde_json::from_str::<Value>(&without).unwrap());
    }

    #[test]
    fn any_tick_makes_a_frame_that_follows_the_rules_of_its_mode(
        quote in any_quote(),
        buy in prop::collection::vec(any_level(), 0..8),
        sell in prop::collection::vec(any_level(), 0..8),
        mode in prop::sample::select(Mode::ALL.to_vec()),
    ) {
        let Some(text) = frame(variant(mode), TickView { quote: &quote, buy: &buy, sell: &sell, greeks: None }) else {
            let is_hollow = match mode {
                Mode::Ltp => quote.fields & field::LTP == 0,
                Mode::Quote => quote.fields & IN_QUOTE_FRAME == 0,
                Mode::Depth => buy.is_empty() && sell.is_empty() && quote.fields & field::BOOK == 0,
            };
            prop_assert!(is_hollow);
            return Ok(());
        };
        prop_assert!(text.len() <= label().max_frame_bytes(variant(mode)));
        let frame: Value = serde_json::from_str(&text).unwrap();
        prop_assert!(!has_null(&frame));
        prop_assert_eq!(&frame["mode"], &Value::from(mode.number()));
        prop_assert_eq!(frame.get("depth").is_some(), mode == Mode::Depth);

        let outside = raw_numbers(&text);
        let inside = raw_numbers(outside["data"].as_str().unwrap());
        prop_assert_eq!(inside.contains_key("depth"), mode == Mode::Depth);
        prop_assert_eq!(inside.contains_key("bids"), mode == Mode::Depth);
        for (shown, is_price) in PRICES.iter().map(|s| (s, true)).chain(INTEGERS.iter().map(|s| (s, false))) {
            let (name, bit, lowest, value) = *shown;
            let text = inside.get(name).map(|text| text.as_str().unwrap());
            prop_assert_eq!(text.is_some(), quote.fields & bit != 0 && mode >= lowest, "{}", name);
            if let Some(text) = text {
                let read = if is_price { scaled(text) } else { text.parse().unwrap() };
                prop_assert_eq!(read, value(&quote), "{}", name);
            }
            let is_flat = FLAT.contains(&name) && (mode >= Mode::Quote || name == "ltp");
            prop_assert_eq!(outside.get(name), inside.get(name).filter(|_| is_flat), "{}", name);
        }
        let ltt = inside.get("ltt").map(|ms| ms.as_str().unwrap().parse::<u64>().unwrap());
        prop_assert_eq!(ltt, (quote.fields & field::LAST_TRADE_TS != 0).then_some(quote.last_trade_ts_ns / NS_PER_MS));
        let time = if quote.fields & field::EXCHANGE_TS != 0 { quote.exchange_ts_ns } else { quote.received_ts_ns };
        prop_assert_eq!(frame["data"]["timestamp"].as_u64(), Some(time / NS_PER_MS));
        let rows = frame["data"]["depth"]["buy"].as_array();
        for (row, level) in rows.into_iter().flatten().zip(&buy) {
            prop_assert_eq!(row["quantity"].as_i64(), Some(level.quantity));
        }
    }

    #[test]
    fn any_text_becomes_a_json_string_that_reads_back(text: String) {
        let mut out = Vec::new();
        push_json_string(&mut out, &text);
        prop_assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
    }
}
