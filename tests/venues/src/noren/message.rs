//! What a client is told of an instrument: all of it once, and then what has changed.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Map, Value};

use super::{Rules, instruments};
use crate::{
    broker::{Cause, News},
    model::{ABSENT, LEVELS, Mode, Side, Values, decimal},
    state::Peer,
    universe::{Instrument, Kind},
};

/// Members of a message with their texts.
type Members = BTreeMap<String, String>;

/// What the venue knows of a connection.
#[derive(Debug, Default)]
pub(super) struct Session {
    /// Whether the log-in was accepted.
    pub is_accepted: bool,
    /// What was told of each instrument in each of the two channels.
    told: HashMap<(usize, Mode), Members>,
}

/// The session of a connection.
pub(super) fn of(peer: &mut Peer) -> Option<&mut Session> {
    peer.session.downcast_mut()
}

impl Session {
    /// Forgets what was told of an instrument that is not subscribed any more.
    pub(super) fn forget(&mut self, place: usize, mode: Mode) {
        self.told.remove(&(place, mode));
    }

    /// The message that a connection is to be told.
    pub(super) fn write(&mut self, rules: &Rules, news: &News<'_>) -> Result<Vec<Vec<u8>>, String> {
        let is_whole = matches!(news.cause, Cause::State | Cause::Whole);
        let mut now = members(news.instrument, news.mode, news.values, is_whole);
        let told = self.told.entry((news.place, news.mode)).or_default();
        // Who was told nothing yet, since it was not asked for, is told of changes all the same.
        if is_whole || (told.is_empty() && news.cause == Cause::Trade) {
            told.clone_from(&now);
            return packet(rules, news.instrument, news.mode, true, now).map(|packet| vec![packet]);
        }
        if news.cause == Cause::Trade {
            now.retain(|name, text| told.get(name) != Some(text));
        }
        told.extend(now.clone());
        packet(rules, news.instrument, news.mode, false, now).map(|packet| vec![packet])
    }
}

/// All that there is to say of an instrument, or a message of an update with all of it.
pub(super) fn image(
    rules: &Rules,
    instrument: &Instrument,
    mode: Mode,
    values: &Values,
    is_image: bool,
) -> Result<Vec<u8>, String> {
    packet(rules, instrument, mode, is_image, members(instrument, mode, values, is_image))
}

fn packet(
    rules: &Rules,
    instrument: &Instrument,
    mode: Mode,
    is_image: bool,
    members: Members,
) -> Result<Vec<u8>, String> {
    let (exchange, token) = instruments::name(rules, instrument).ok_or("it does not trade at this broker")?;
    let kind = match (mode, is_image) {
        (Mode::Deep(_), _) => return Err("the broker has no deep books".to_owned()),
        (Mode::Full, true) => "dk",
        (Mode::Full, false) => "df",
        (_, true) => "tk",
        (_, false) => "tf",
    };
    let mut packet = Map::new();
    for (name, text) in [("t", kind), ("e", exchange), ("tk", &token.to_string())] {
        packet.insert(name.to_owned(), text.into());
    }
    if is_image {
        packet.insert("ts".to_owned(), instruments::theirs(instrument).into());
        packet.insert("pp".to_owned(), if matches!(exchange, "CDS" | "BCD") { "4" } else { "2" }.into());
        packet.insert("ti".to_owned(), decimal(instrument.tick).into());
        packet.insert("ls".to_owned(), instrument.lot.to_string().into());
        if instrument.kind == Kind::Share {
            // The total of the contracts on it, which is not its own.
            packet.insert("toi".to_owned(), "663702".into());
        }
    }
    packet.extend(members.into_iter().map(|(name, text)| (name, Value::from(text))));
    Ok(Value::Object(packet).to_string().into_bytes())
}

/// Prices have two decimals at least.
fn price(value: i64) -> String {
    let text = decimal(value);
    match text.split_once('.') {
        None => format!("{text}.00"),
        Some((_, part)) if part.len() == 1 => format!("{text}0"),
        Some(_) => text,
    }
}

/// The values that are there. In an image zero stands for what is known not to be there.
fn members(instrument: &Instrument, mode: Mode, values: &Values, is_image: bool) -> Members {
    let mut members = Members::new();
    let mut set = |name: &str, value: i64, text: fn(i64) -> String| {
        if value != ABSENT {
            members.insert(name.to_owned(), text(value));
        }
    };
    let count = |value: i64| value.to_string();
    set("lp", values.ltp, price);
    set("o", values.open, price);
    set("h", values.high, price);
    set("l", values.low, price);
    set("c", values.close, price);
    let at = if values.exchange_ts_ns == ABSENT && is_image { 0 } else { values.exchange_ts_ns };
    set("ft", at, |at| (at / 1_000_000_000).to_string());
    if instrument.kind != Kind::Index {
        set("ap", values.average_price, price);
        set("v", values.volume, count);
        set("ltq", values.last_quantity, count);
        set("tbq", values.total_buy_quantity, count);
        set("tsq", values.total_sell_quantity, count);
        set("uc", values.upper_circuit, price);
        set("lc", values.lower_circuit, price);
        if instrument.expiry.is_some() || values.oi != 0 {
            set("oi", values.oi, count);
        }
        let levels = if mode == Mode::Full { LEVELS } else { 1 };
        for (side, rows) in [('b', &values.bids), ('s', &values.asks)] {
            book(&mut members, side, rows, levels, mode == Mode::Full && is_image);
        }
    }
    members
}

/// Rows of a side: all of them in an image of the book, with zeros where there is none, and else those that
/// there are.
fn book(members: &mut Members, side: char, rows: &Side, levels: usize, is_padded: bool) {
    let has_book = levels == LEVELS;
    for place in 0..levels {
        let Some(level) = rows.get(place).copied().or(is_padded.then(Default::default)) else { return };
        let number = place + 1;
        members.insert(format!("{side}p{number}"), price(level.price));
        members.insert(format!("{side}q{number}"), level.quantity.to_string());
        if has_book {
            members.insert(format!("{side}o{number}"), level.orders.to_string());
        }
    }
}
