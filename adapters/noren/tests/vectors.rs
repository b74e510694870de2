//! Every line of `testdata`, or of the folder that `TICKHOST_VECTORS` names, value by value.
//! `cargo test --test vectors -- --nocapture` prints how much was compared.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "tests fail by panicking, and print what they compared"
)]

use std::{
    collections::HashMap,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use adapter_noren::{
    account::Account,
    brand::Brand,
    decode::{self, Book},
    list::Instruments,
    order,
    request::{self, Channel},
    wire::{self, Key, Kind, Message},
};
use adapter_sdk::{ExposeSecret as _, Level, Price, Tick, plan::Change, read::Odd, testing::Vectors};
use serde_json::{Value, json};

const FOLDER: &str = env!("CARGO_MANIFEST_DIR");

/// No price of the files is beyond this, but for words that mean none.
const HIGHEST: f64 = 20_000_000.0;

/// Midnight in India at the end of a day, before which every time of the day is.
fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_795_631_399)
}

/// A price that is one.
fn price(value: &Value) -> Option<Price> {
    let number = value.as_f64()?;
    (number > 0.0 && number < HIGHEST)
        .then(|| Price::parse(&value.to_string()).or(Price::from_f64(number)).unwrap())
}

/// Reads what a tick must be, and counts the values.
struct Expected<'a> {
    event: &'a Value,
    tick: Tick,
    count: usize,
}

impl Expected<'_> {
    fn price(&mut self, name: &str, set: impl Fn(Tick, Price) -> Tick) {
        if let Some(value) = self.event.get(name) {
            self.count += 1;
            if let Some(price) = price(value) {
                self.tick = set(self.tick, price);
            }
        }
    }

    fn whole(&mut self, name: &str, set: impl Fn(Tick, i64) -> Tick) {
        if let Some(value) = self.event.get(name) {
            self.count += 1;
            self.tick = set(self.tick, value.as_i64().unwrap());
        }
    }
}

/// What the event says of the values; the time of the last trade is compared apart, since a tick has its day
/// too.
fn expected(event: &Value, last_trade: Option<u64>) -> (Tick, usize) {
    let mut expected = Expected { event, tick: Tick::new(1), count: 0 };
    expected.price("ltp", Tick::ltp);
    expected.price("open", Tick::open);
    expected.price("high", Tick::high);
    expected.price("low", Tick::low);
    expected.price("close", Tick::close);
    expected.price("average_price", Tick::average_price);
    expected.price("upper_circuit", Tick::upper_circuit);
    expected.price("lower_circuit", Tick::lower_circuit);
    for (name, set) in
        [("change_percent", Tick::change_percent as fn(Tick, Price) -> Tick), ("change", Tick::change)]
    {
        if let Some(value) = event.get(name) {
            expected.count += 1;
            expected.tick = set(expected.tick, Price::from_f64(value.as_f64().unwrap()).unwrap());
        }
    }
    expected.whole("volume", Tick::volume);
    expected.whole("oi", Tick::oi);
    expected.whole("total_buy_quantity", Tick::total_buy_quantity);
    expected.whole("total_sell_quantity", Tick::total_sell_quantity);
    if event["last_quantity"] != 0 {
        expected.whole("last_quantity", Tick::last_quantity);
    }
    // Times before the year 2000 are none.
    if let Some(seconds) = event["feed_time"].as_u64() {
        expected.count += 1;
        if (946_684_800..4_102_444_800).contains(&seconds) {
            expected.tick = expected.tick.exchange_ts_ns(seconds * 1_000_000_000);
        }
    }
    if let Some(at) = last_trade {
        expected.tick = expected.tick.last_trade_ts_ns(at);
    }
    (expected.tick, expected.count)
}

/// The rows that are levels, by the rules of the host: with a price and a quantity.
fn levels(event: &Value, side: &str) -> Vec<Level> {
    let rows = event[side].as_array().into_iter().flatten();
    let level = |row: &Value| {
        let (quantity, orders) = (row[1].as_i64().unwrap(), row[2].as_u64().unwrap());
        let orders = u32::try_from(orders).unwrap();
        (quantity != 0)
            .then(|| Some(Level { price: price(&row[0])?, quantity, orders: Some(orders) }))
            .flatten()
    };
    rows.filter_map(level).collect()
}

fn of_zero_orders(levels: &[Level]) -> Vec<Level> {
    levels.iter().map(|level| Level { orders: Some(level.orders.unwrap_or(0)), ..*level }).collect()
}

/// The connection of a line, with what it knows.
#[derive(Default)]
struct Connection {
    state: Book,
    /// When the last trades were, by the rule of the decoder: the vectors have no day.
    trades: HashMap<Key, u64>,
    odd: Odd,
}

impl Connection {
    /// Compares what a frame becomes with its events, and counts the values.
    fn compare(&mut self, text: &str, events: &[Value]) -> usize {
        let message = Message::read(text);
        let kind = message.as_ref().map_or(Kind::Other, wire::kind);
        match (kind, events) {
            (Kind::LogIn(is_accepted), [event]) if event["event"] == "auth" => {
                assert_eq!(event["ok"], is_accepted);
                1
            }
            (Kind::Order, [event]) if event["event"] == "order" => self.order(text, event),
            (Kind::Prices { has_book, is_image }, [event]) if event["event"] == "tick" => {
                assert_eq!(event["snapshot"], is_image);
                assert_eq!(event["message"], if has_book { "depth" } else { "touchline" });
                self.tick(&message.unwrap(), event) + 2
            }
            // An acknowledgement changes nothing here: it names what nobody wants any more.
            (Kind::Other, [event]) if event["event"] == "unsubscribed" => 1,
            (Kind::Prices { .. }, []) => {
                assert!(wire::key(&message.unwrap()).is_none(), "{text}");
                0
            }
            (Kind::Other, []) => 0,
            (kind, events) => panic!("{text}: {kind:?}, expected {events:?}"),
        }
    }

    fn tick(&mut self, message: &Message<'_>, event: &Value) -> usize {
        let key = wire::key(message).unwrap();
        assert_eq!(
            key.to_string(),
            format!("{}|{}", event["exchange"].as_str().unwrap(), event["token"].as_str().unwrap())
        );
        if let Some(at) = Self::last_trade(message, event) {
            self.trades.insert(key, at);
        }
        let known = decode::take(&mut self.state, key, message, now()).unwrap();
        let (tick, count) = expected(event, self.trades.get(&key).copied());
        // What the file calls the whole of it is one here too, once there was an image.
        let ours = known.tick(1).update();
        // The vectors have no absolute change.
        let ours = if event.get("change").is_none() {
            without_change(ours, message, &mut self.state, key)
        } else {
            ours
        };
        assert_eq!(ours, tick, "{event}");
        let known = self.state.get(&key).unwrap();
        for (side, ours) in [("buy", known.book().buy()), ("sell", known.book().sell())] {
            let (ours, theirs) = (of_zero_orders(ours), levels(event, side));
            if event["message"] == "depth" {
                assert_eq!(ours, theirs, "{event}");
            } else if let Some(best) = theirs.first() {
                // An event of the touchline shows the first row alone, whatever is known of the others.
                assert_eq!(ours.first(), Some(best), "{event}");
            }
        }
        let rows = ["buy", "sell"].map(|side| event[side].as_array().map_or(0, Vec::len));
        count + 2 + rows.iter().sum::<usize>() * 3
    }

    /// The rule: the day of an update is that of the feed's time, or else of now; an image is believed if it
    /// has a feed's time and a volume.
    fn last_trade(message: &Message<'_>, event: &Value) -> Option<u64> {
        let text = message.get("ltt")?;
        assert_eq!(event["last_trade_time"], text);
        let parts: Vec<u64> = text.split(':').map(|part| part.parse().unwrap()).collect();
        let of_day = parts[0] * 3_600 + parts[1] * 60 + parts[2];
        let fed_at: Option<u64> = message.get("ft").and_then(|text| text.parse().ok());
        let fed_at = fed_at.filter(|at| (946_684_800..4_102_444_800).contains(at));
        let is_image = event["snapshot"] == true;
        let has_traded =
            message.get("v").is_some_and(|volume| volume.parse::<u64>().is_ok_and(|volume| volume > 0));
        if is_image && (fed_at.is_none() || !has_traded) {
            return None;
        }
        let latest = fed_at.unwrap_or_else(|| now().duration_since(UNIX_EPOCH).unwrap().as_secs());
        let day = (latest + 19_800) / 86_400 * 86_400 - 19_800;
        (day + of_day <= latest + 60).then_some((day + of_day) * 1_000_000_000)
    }

    fn order(&self, text: &str, event: &Value) -> usize {
        let update = order::read(text, &self.odd, |_, _| false).unwrap();
        let ours = serde_json::to_value(&update).unwrap();
        let words = |name: &str, words: &[(&str, &str)]| {
            let theirs = event[name].as_str().unwrap_or_default();
            words.iter().find(|(word, _)| *word == theirs).map_or(theirs, |(_, ours)| ours).to_owned()
        };
        let mut count = 0;
        let mut same = |ours: &str, theirs: String| {
            assert_eq!(ours, theirs, "{event}");
            count += 1;
        };
        same(&update.orderid, words("order_id", &[]));
        same(&update.exchange, words("exchange", &[]));
        same(&update.symbol, words("symbol", &[]));
        same(&update.action, words("side", &[("B", "BUY"), ("S", "SELL")]));
        let kinds =
            [("LMT", "LIMIT"), ("L", "LIMIT"), ("MKT", "MARKET"), ("SL-LMT", "SL"), ("SL-MKT", "SL-M")];
        same(&update.pricetype, words("price_type", &kinds));
        same(&update.product, words("product", &[("C", "CNC"), ("M", "NRML"), ("I", "MIS")]));
        let status = words("status", &[]).to_lowercase().replace('_', " ");
        let status = match status.as_str() {
            "executed" => "complete",
            "canceled" => "cancelled",
            "new" | "replaced" => "open",
            other => other,
        };
        same(&update.order_status, status.to_owned());
        for (name, theirs) in [
            ("quantity", "quantity"),
            ("price", "price"),
            ("trigger_price", "trigger_price"),
            ("filled_quantity", "filled_quantity"),
            ("average_price", "average_price"),
        ] {
            assert_eq!(ours[name].as_f64(), event[theirs].as_f64(), "{name} of {event}");
            count += 1;
        }
        count
    }
}

/// Takes the absolute change back, which the broker sends and the file does not have.
fn without_change(tick: Tick, message: &Message<'_>, state: &mut Book, key: Key) -> Tick {
    if message.get("cv").is_none() {
        return tick;
    }
    let known = state.update(key, Tick::new(0));
    known.clear(adapter_sdk::abi::field::CHANGE);
    known.tick(1).update()
}

/// What an instrument of a list is for the socket: its row is read as such.
fn listed(one: &Value) -> Key {
    let (exchange, token) = (one["exchange"].as_str().unwrap(), one["token"].as_str().unwrap());
    let (list, name) = if let Some(exchange) = exchange.strip_suffix("_INDEX") {
        (format!("exch,symbol,token\n{exchange},X,{token}\n"), "X")
    } else {
        {
            let head =
                "Exch,Token,Symbol,Trading Symbol,Instrument Type,Expiry Date,Strike Price,Option Type";
            let (kind, name) = if matches!(exchange, "NSE" | "BSE") {
                (",,,", "X")
            } else {
                ("FUTIDX,2090-12-28,,XX", "X28DEC90FUT")
            };
            (format!("{head}\n{exchange},{token},X,X,{kind}\n"), name)
        }
    };
    Instruments::parse(list.as_bytes()).unwrap().key(exchange, name).unwrap()
}

/// What the adapter says, compared as JSON.
fn outgoing(line: &Value) -> usize {
    let (input, wanted) = (&line["input"], &line["expected_out"]);
    let text = |name: &str| input[name].as_str().map(str::to_owned);
    let user = text("user").or_else(|| text("ucc")).unwrap();
    let token = text("token").or_else(|| text("session")).or_else(|| text("susertoken")).unwrap();
    let brand = Brand::named(line["broker"].as_str().unwrap()).unwrap();
    let name = if brand.name == "definedge" { "susertoken" } else { "access_token" };
    let fields = json!({ "user_id": user, name: token }).to_string();
    let account = Account::read(brand, &adapter_sdk::testing::credentials(&fields)).unwrap();
    let read = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    assert_eq!(read(account.hello().expose_secret()), wanted["connect"]);
    if let Some(heartbeat) = wanted.get("heartbeat") {
        assert_eq!(&read(brand.heartbeat), heartbeat);
    }
    let keys: Vec<Key> = match input.get("keys") {
        Some(keys) => keys
            .as_array()
            .unwrap()
            .iter()
            .map(|key| key.as_str().unwrap().split_once('|').unwrap())
            .map(|(exchange, token)| Key::of(exchange, token).unwrap())
            .collect(),
        None => input["instruments"].as_array().unwrap().iter().map(listed).collect(),
    };
    for (name, before, now) in [
        ("touchline", None, Some(Channel::Touchline)),
        ("depth", None, Some(Channel::Depth)),
        ("un_touchline", Some(Channel::Touchline), None),
        ("un_depth", Some(Channel::Depth), None),
    ] {
        let changes: Vec<_> = keys.iter().map(|key| Change { key: *key, before, now }).collect();
        let messages: Vec<Value> = request::messages(&changes).map(|message| read(&message)).collect();
        assert_eq!(messages, [wanted[name].clone()], "{name}");
    }
    5
}

fn compare(file: &str, known: usize) {
    let Some(vectors) = Vectors::read(FOLDER, file) else { return };
    let values = vectors.compare(|line| {
        if line["kind"] == "out" {
            return outgoing(line);
        }
        let (frames, expected) = (line["frames"].as_array().unwrap(), line["expected"].as_array().unwrap());
        assert_eq!(frames.len(), expected.len());
        let mut connection = Connection::default();
        let mut count = 0;
        for (frame, events) in frames.iter().zip(expected) {
            let text = frame.as_str().or_else(|| frame["text"].as_str()).unwrap();
            count += connection.compare(text, events.as_array().unwrap());
        }
        count
    });
    assert!(!vectors.is_own() || (vectors.lines().len() == known && values > known));
}

#[test]
fn every_message_of_the_family_becomes_what_it_says() {
    compare("noren.jsonl", 200);
}

#[test]
fn every_message_of_aliceblue_becomes_what_it_says() {
    compare("aliceblue.jsonl", 100);
}

#[test]
fn every_message_of_definedge_becomes_what_it_says() {
    compare("definedge.jsonl", 100);
}
