//! What the socket says as JSON, and as texts of what has changed.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Map, Value, json};

use super::{client, instruments};
use crate::{
    broker::News,
    model::{ABSENT, LEVELS, Level, Mode, PRICE_SCALE, Values, decimal},
    universe::{Instrument, Kind},
};

/// From 1970 to 1980, with which the times of NSE begin.
const DECADE: i64 = 315_532_800;

/// How far the clock of India is ahead.
const AHEAD: i64 = 19_800;

/// The time of a segment, in seconds; zero for none.
pub(super) fn seconds(segment: u16, nanos: i64) -> i64 {
    if nanos <= 0 {
        return 0;
    }
    nanos / 1_000_000_000 + AHEAD - if segment < 10 { DECADE } else { 0 }
}

/// The code of a mode.
pub(super) fn code(one: &Instrument, mode: Mode) -> Result<u16, String> {
    match mode {
        Mode::Deep(_) => Err("the broker has no deep books".to_owned()),
        _ if one.kind == Kind::Index => Ok(1_504),
        Mode::Ltp => Ok(1_512),
        Mode::Quote => Ok(1_501),
        Mode::Full => Ok(1_502),
    }
}

fn number(price: i64) -> Value {
    serde_json::from_str(&decimal(price)).unwrap_or_default()
}

/// The change in percent, which a close of the day before means.
fn change(values: &Values) -> Option<Value> {
    if values.ltp <= 0 || values.close <= 0 {
        return None;
    }
    let hundredths = i128::from(values.ltp - values.close) * 10_000 / i128::from(values.close);
    i64::try_from(hundredths).ok().map(|hundredths| number(hundredths * (PRICE_SCALE / 100)))
}

fn level(level: &Level) -> Value {
    json!({ "Size": level.quantity, "Price": number(level.price), "TotalOrders": level.orders, "BuyBackMarketMaker": 0 })
}

fn named(one: &Instrument) -> Result<(u16, u32), String> {
    instruments::name(one).ok_or_else(|| "it does not trade at this broker".to_owned())
}

/// Values by their names in JSON and in texts.
type Member = (&'static str, &'static str, Value);

fn members(one: &Instrument, mode: Mode, values: &Values) -> Result<Vec<Member>, String> {
    let (segment, _) = named(one)?;
    let mut members = Vec::new();
    let mut set = |full, short, value: i64, write: &dyn Fn(i64) -> Value| {
        if value != ABSENT {
            members.push((full, short, write(value)));
        }
    };
    let count = |value: i64| Value::from(value);
    let time = |nanos: i64| Value::from(seconds(segment, nanos));
    if one.kind == Kind::Index {
        set("IndexValue", "ltp", values.ltp, &number);
        set("OpeningIndex", "o", values.open, &number);
        set("HighIndexValue", "h", values.high, &number);
        set("LowIndexValue", "l", values.low, &number);
        set("ClosingIndex", "c", values.close, &number);
        set("ExchangeTimeStamp", "lut", values.exchange_ts_ns, &time);
        members.extend(change(values).map(|change| ("PercentChange", "pc", change)));
        return Ok(members);
    }
    set("LastTradedPrice", "ltp", values.ltp, &number);
    set("LastTradedQunatity", "ltq", values.last_quantity, &count);
    set("LastUpdateTime", "lut", values.exchange_ts_ns, &time);
    if mode == Mode::Ltp {
        return Ok(members);
    }
    set("TotalBuyQuantity", "tb", values.total_buy_quantity, &count);
    set("TotalSellQuantity", "ts", values.total_sell_quantity, &count);
    set("TotalTradedQuantity", "v", values.volume, &count);
    set("AverageTradedPrice", "ap", values.average_price, &number);
    set("LastTradedTime", "ltt", values.last_trade_ts_ns, &time);
    set("Open", "o", values.open, &number);
    set("High", "h", values.high, &number);
    set("Low", "l", values.low, &number);
    set("Close", "c", values.close, &number);
    Ok(members)
}

/// Everything that there is to say of an instrument, as an object.
pub(super) fn object(one: &Instrument, mode: Mode, values: &Values) -> Result<(u16, Value), String> {
    let (segment, token) = named(one)?;
    let code = code(one, mode)?;
    let is_index = one.kind == Kind::Index;
    let mut object = Map::new();
    for (name, value) in [
        ("MessageCode", json!(code)),
        ("MessageVersion", json!(4)),
        ("ApplicationType", json!(0)),
        ("TokenID", json!(0)),
        ("ExchangeSegment", json!(segment)),
        ("ExchangeInstrumentID", json!(if is_index { 0 } else { token })),
        ("ExchangeTimeStamp", json!(seconds(segment, values.exchange_ts_ns))),
    ] {
        object.insert(name.to_owned(), value);
    }
    let mut within = Map::new();
    if is_index {
        object.insert("IndexName".to_owned(), one.name.clone().into());
    } else if mode != Mode::Ltp {
        for (name, side) in [("BidInfo", &values.bids), ("AskInfo", &values.asks)] {
            within.insert(name.to_owned(), level(&side.first().copied().unwrap_or_default()));
        }
    }
    let values_by_name = members(one, mode, values)?;
    within.extend(values_by_name.into_iter().map(|(name, _, value)| (name.to_owned(), value)));
    if code == 1_502 {
        for (name, side) in [("Bids", &values.bids), ("Asks", &values.asks)] {
            let rows = side.whole::<LEVELS>()?;
            object.insert(name.to_owned(), rows.iter().map(level).collect());
        }
        object.insert("Touchline".to_owned(), within.into());
    } else {
        object.extend(within);
    }
    Ok((code, object.into()))
}

fn event(code: u16, form: &str, text: &str) -> String {
    let message = client::event(&format!("{code}-json-{form}"), text);
    message.into_text().map(|text| text.to_string()).unwrap_or_default()
}

/// The message of it.
pub(super) fn full(one: &Instrument, mode: Mode, values: &Values) -> Result<String, String> {
    let (code, object) = object(one, mode, values)?;
    Ok(event(code, "full", &object.to_string()))
}

/// Open interest, which has a message of its own.
pub(super) fn interest(one: &Instrument, values: &Values, is_partial: bool) -> Option<String> {
    let (segment, token) = instruments::name(one)?;
    if values.oi == ABSENT {
        return None;
    }
    if is_partial {
        return Some(event(1_510, "partial", &format!("t:{segment}_{token},o:{}", values.oi)));
    }
    let object = json!({
        "MessageCode": 1_510, "MessageVersion": 4, "ExchangeSegment": segment, "ExchangeInstrumentID": token, "XTSMarketType": 1,
        "OpenInterest": values.oi,
    });
    Some(event(1_510, "full", &object.to_string()))
}

/// The limits of the price, with others that mean something else.
pub(super) fn bands(one: &Instrument, values: &Values) -> Option<String> {
    let (segment, token) = instruments::name(one)?;
    let limits = [("110", values.upper_circuit), ("111", values.lower_circuit)];
    let mut text = format!("t:{segment}_{token},105:7.05");
    let known = limits.into_iter().filter(|(_, limit)| !matches!(*limit, 0 | ABSENT));
    let count = text.len();
    known.for_each(|(name, limit)| text.extend([",", name, ":", &decimal(limit)]));
    (text.len() > count).then(|| event(1_105, "partial", &text))
}

/// What a connection was told, by instrument and mode.
#[derive(Debug, Default)]
pub(super) struct Told(HashMap<(usize, Mode), BTreeMap<&'static str, String>>);

impl Told {
    /// Notes what a whole message has told.
    pub(super) fn note(&mut self, news: &News<'_>) {
        if let Ok(texts) = texts(news) {
            self.0.insert((news.place, news.mode), texts);
        }
    }

    /// Forgets what was told of an instrument that is not subscribed any more.
    pub(super) fn forget(&mut self, place: usize, mode: Mode) {
        self.0.remove(&(place, mode));
    }

    /// The message of what has changed; none when nothing has.
    pub(super) fn changes(&mut self, news: &News<'_>) -> Result<Option<String>, String> {
        let now = texts(news)?;
        let told = self.0.entry((news.place, news.mode)).or_default();
        let changed: Vec<_> = now
            .iter()
            .filter(|(name, text)| told.get(*name) != Some(*text))
            .map(|(name, text)| (*name, text.clone()))
            .collect();
        told.extend(changed.iter().cloned());
        if changed.is_empty() {
            return Ok(None);
        }
        let (segment, token) = named(news.instrument)?;
        let mut text = match news.instrument.kind {
            Kind::Index => format!("t:{segment}_{}", news.instrument.name),
            _ => format!("t:{segment}_{token}"),
        };
        changed
            .iter()
            .filter(|(name, _)| !name.contains('|'))
            .for_each(|(name, value)| text.extend([",", name, ":", value]));
        for (side, name) in [("b|", "bi"), ("a|", "ai")] {
            let rows: Vec<&str> = changed
                .iter()
                .filter(|(row, _)| row.starts_with(side))
                .map(|(_, row)| row.as_str())
                .collect();
            if !rows.is_empty() {
                text.extend([",", name, ":", &rows.join("|")]);
            }
        }
        Ok(Some(event(code(news.instrument, news.mode)?, "partial", &text)))
    }
}

/// The values as texts, and rows of the book under names of their own.
fn texts(news: &News<'_>) -> Result<BTreeMap<&'static str, String>, String> {
    const ROWS: [[&str; LEVELS]; 2] =
        [["b|0", "b|1", "b|2", "b|3", "b|4"], ["a|0", "a|1", "a|2", "a|3", "a|4"]];
    let members = members(news.instrument, news.mode, news.values)?;
    let mut texts: BTreeMap<&'static str, String> =
        members.into_iter().map(|(_, name, value)| (name, value.to_string())).collect();
    let levels = match (news.instrument.kind, news.mode) {
        (Kind::Index, _) | (_, Mode::Ltp) => 0,
        (_, Mode::Quote) => 1,
        _ => LEVELS,
    };
    for (names, side) in ROWS.into_iter().zip([&news.values.bids, &news.values.asks]) {
        for (place, (name, row)) in names.into_iter().zip(side.iter()).take(levels).enumerate() {
            texts.insert(name, format!("{place}|{}|{}|{}", row.quantity, decimal(row.price), row.orders));
        }
    }
    Ok(texts)
}
