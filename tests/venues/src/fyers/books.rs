//! The TBT socket: books of 50 levels, as protobuf. A first message says all of a book, the others what
//! changed.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;
use tokio_tungstenite::tungstenite::Message;

use super::{
    Fyers,
    names::{by_ticker, fytoken, ticker},
    proto::Writer,
};
use crate::{
    broker::{Cause, News, Next},
    model::{ABSENT, Level, Mode, Side, Values, now_ns, scaled},
    state::{Core, Peer},
    universe::Instrument,
};

/// Levels on a side.
pub const LEVELS: u8 = 50;

/// The mode of everything on this socket.
const MODE: Mode = Mode::Deep(LEVELS);

/// Symbols on one connection.
pub const SYMBOLS: usize = 5;

/// Numbers of channels.
const CHANNELS: std::ops::RangeInclusive<u8> = 1..=50;

/// Type of a message with books.
const DEPTH: u64 = 6;

/// Type of an answer to a request.
const RESPONSE: u64 = 8;

/// What the venue knows of a connection.
#[derive(Debug, Default)]
pub(super) struct Books {
    /// Channels that were resumed: the others are silent.
    resumed: BTreeSet<u8>,
    symbols: BTreeMap<usize, Book>,
    /// Messages of changes that are still to be lost.
    pub lost: u32,
    /// Which book each packet is of that was written and not sent yet, and whether it says all of it.
    written: Vec<(usize, bool)>,
}

#[derive(Debug)]
struct Book {
    channel: u8,
    sequence: u64,
    /// None when the client was told nothing.
    last: Option<State>,
}

/// What a client was told of a book.
#[derive(Clone, Debug, PartialEq, Eq)]
struct State {
    buy: Option<u64>,
    sell: Option<u64>,
    bids: [Row; LEVELS as usize],
    asks: [Row; LEVELS as usize],
}

/// Price in hundredths, quantity, orders.
type Row = (i64, u32, u32);

/// The session of a connection to the TBT socket; none for other connections.
pub(super) fn of(peer: &mut Peer) -> Option<&mut Books> {
    peer.session.downcast_mut()
}

#[derive(Deserialize)]
struct Asked {
    #[serde(rename = "type")]
    kind: u8,
    data: Value,
}

#[derive(Deserialize)]
struct Subscription {
    subs: i8,
    symbols: Vec<String>,
    mode: String,
    channel: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Switch {
    resume_channels: Vec<String>,
    pause_channels: Vec<String>,
}

pub(super) fn hear(core: &mut Core, connection: u64, text: &str) -> Next {
    if core.peer(connection).and_then(of).is_none() {
        return Next::Go;
    }
    if text == "ping" {
        core.answer(connection, Message::text("pong"));
        return Next::Go;
    }
    let outcome = match serde_json::from_str::<Asked>(text) {
        Ok(Asked { kind: 1, data }) => subscription(core, connection, data),
        Ok(Asked { kind: 2, data }) => switch(core, connection, data),
        _ => Err("invalid request"),
    };
    let (text, is_error) = outcome.map_or_else(|text| (text, true), |text| (text, false));
    if is_error {
        respond(core, connection, text, true);
    }
    Next::Go
}

/// Says something about a request.
fn respond(core: &Core, connection: u64, text: &str, is_error: bool) {
    let mut message = Writer::default();
    message.number(1, RESPONSE);
    message.bytes(4, text.as_bytes());
    message.number(5, u64::from(is_error));
    core.answer(connection, Message::binary(message.finish()));
}

fn number(channel: &str) -> Result<u8, &'static str> {
    channel.parse().ok().filter(|channel| CHANNELS.contains(channel)).ok_or("invalid channel")
}

/// Whether the broker has deep books of an instrument.
fn is_deep(one: &Instrument) -> bool {
    matches!(one.exchange, "NSE" | "NFO")
}

/// Subscribes or unsubscribes. The symbols that there are count, also when there are others.
fn subscription(core: &mut Core, connection: u64, data: Value) -> Result<&'static str, &'static str> {
    let asked: Subscription = serde_json::from_value(data).map_err(|_| "invalid request")?;
    let channel = number(&asked.channel)?;
    if asked.mode != "depth" {
        return Err("invalid mode");
    }
    let tickers: Vec<&str> = asked.symbols.iter().map(String::as_str).collect();
    let mut places: Vec<usize> = by_ticker(&core.universe, &tickers).into_values().collect();
    places.retain(|place| core.instrument(*place).is_some_and(is_deep));
    places.sort_unstable();
    let pairs: Vec<(usize, Mode)> = places.iter().map(|place| (*place, MODE)).collect();
    let are_all = places.len() == tickers.iter().collect::<BTreeSet<_>>().len();
    let session = core.peer(connection).and_then(of).ok_or("invalid request")?;
    let answer = match asked.subs {
        1 => {
            let fresh = places.iter().filter(|place| !session.symbols.contains_key(place)).count();
            if session.symbols.len() + fresh > SYMBOLS {
                return Err("symbol limit reached");
            }
            for place in places {
                session.symbols.insert(place, Book { channel, sequence: 0, last: None });
            }
            respond(core, connection, "subscribed", false);
            core.subscribe::<Fyers>(connection, &pairs);
            "subscribed"
        }
        -1 => {
            session.symbols.retain(|place, book| book.channel != channel || !places.contains(place));
            core.unsubscribe(connection, &pairs);
            respond(core, connection, "unsubscribed", false);
            "unsubscribed"
        }
        _ => return Err("invalid request"),
    };
    if are_all { Ok(answer) } else { Err("invalid symbol") }
}

/// Pauses and resumes channels. A book of which nothing was told begins with all of it.
fn switch(core: &mut Core, connection: u64, data: Value) -> Result<&'static str, &'static str> {
    let asked: Switch = serde_json::from_value(data).map_err(|_| "invalid request")?;
    let numbers = |names: &[String]| names.iter().map(|name| number(name)).collect::<Result<Vec<_>, _>>();
    let (resumed, paused) = (numbers(&asked.resume_channels)?, numbers(&asked.pause_channels)?);
    let session = core.peer(connection).and_then(of).ok_or("invalid request")?;
    paused.iter().for_each(|channel| {
        session.resumed.remove(channel);
    });
    session.resumed.extend(resumed);
    let silent = session.symbols.iter().filter(|(_, book)| book.last.is_none());
    let pairs: Vec<(usize, Mode)> = silent.map(|(place, _)| (*place, MODE)).collect();
    if core.snapshots {
        core.send_state::<Fyers>(connection, &pairs, Cause::State);
    }
    Ok("switched")
}

/// All of a book, as a message.
pub(super) fn encode(instrument: &Instrument, mode: Mode, values: &Values) -> Result<Vec<u8>, String> {
    let news = News { place: 0, instrument, mode, values, cause: Cause::State };
    message(&news, None, &state(&news)?, 1)
}

impl Books {
    /// A message of one book, or none when it is not heard or nothing changed.
    pub(super) fn write(&mut self, news: &News<'_>) -> Result<Vec<Vec<u8>>, String> {
        // A stray may be anything.
        if !is_deep(news.instrument) {
            return Ok(Vec::new());
        }
        let (now, is_stray) = (state(news)?, news.cause == Cause::Stray);
        let resumed = &self.resumed;
        let mut unknown = Book { channel: 0, sequence: 0, last: None };
        let found = self.symbols.get_mut(&news.place).filter(|book| resumed.contains(&book.channel));
        let Some(book) = found.or_else(|| is_stray.then_some(&mut unknown)) else { return Ok(Vec::new()) };
        let is_change = matches!(news.cause, Cause::Trade | Cause::Partial);
        let old = book.last.as_ref().filter(|_| is_change);
        let is_whole = old.is_none();
        let new = match (news.cause, &book.last) {
            (Cause::Partial, Some(last)) => now.over(last, news),
            _ => now,
        };
        if old == Some(&new) {
            return Ok(Vec::new());
        }
        book.sequence += 1;
        let message = message(news, old, &new, book.sequence)?;
        book.last = Some(new);
        if is_change && !is_whole && self.lost > 0 {
            self.lost -= 1;
            return Ok(Vec::new());
        }
        self.written.push((news.place, is_whole));
        Ok(vec![message])
    }

    /// Messages of one book each, or of several where they can be stacked: protobuf merges messages that
    /// follow each other.
    pub(super) fn wrap(&mut self, packets: Vec<Vec<u8>>, is_stacked: bool) -> Vec<Message> {
        let mut messages: Vec<Vec<u8>> = Vec::new();
        let (mut places, mut was_whole) = (BTreeSet::new(), None);
        for (packet, (place, is_whole)) in packets.into_iter().zip(self.written.drain(..)) {
            let fits = is_stacked && was_whole == Some(is_whole) && !places.contains(&place);
            if let Some(message) = messages.last_mut().filter(|_| fits) {
                message.extend(packet);
            } else {
                messages.push(packet);
                places.clear();
            }
            places.insert(place);
            was_whole = Some(is_whole);
        }
        messages.into_iter().map(Message::binary).collect()
    }
}

impl State {
    /// This state, and the old one where somebody says nothing of it.
    fn over(self, old: &Self, news: &News<'_>) -> Self {
        Self {
            buy: self.buy.or(old.buy),
            sell: self.sell.or(old.sell),
            bids: if news.values.bids.is_empty() { old.bids } else { self.bids },
            asks: if news.values.asks.is_empty() { old.asks } else { self.asks },
        }
    }
}

fn state(news: &News<'_>) -> Result<State, String> {
    let total = |number: i64| (number != ABSENT).then(|| u64::try_from(number).ok()).flatten();
    Ok(State {
        buy: total(news.values.total_buy_quantity),
        sell: total(news.values.total_sell_quantity),
        bids: rows(&news.values.bids)?,
        asks: rows(&news.values.asks)?,
    })
}

fn rows(side: &Side) -> Result<[Row; LEVELS as usize], String> {
    let mut rows = [(0, 0, 0); LEVELS as usize];
    for (row, level) in rows.iter_mut().zip(side.iter()) {
        let Level { price, quantity, orders } = *level;
        let quantity =
            u32::try_from(quantity).map_err(|_| format!("{quantity} does not fit into 32 bits"))?;
        *row = (scaled(price, 100)?, quantity, orders);
    }
    Ok(rows)
}

fn message(news: &News<'_>, old: Option<&State>, new: &State, sequence: u64) -> Result<Vec<u8>, String> {
    let instrument = news.instrument;
    let names = fytoken(instrument).zip(ticker(instrument)).filter(|_| is_deep(instrument));
    let Some((token, ticker)) = names else {
        return Err("the broker has deep books of NSE and NFO alone".to_owned());
    };
    let mut depth = Writer::default();
    depth.wrapped(1, new.buy.filter(|_| old.is_none_or(|old| old.buy != new.buy)));
    depth.wrapped(2, new.sell.filter(|_| old.is_none_or(|old| old.sell != new.sell)));
    levels(&mut depth, 3, old.map(|old| &old.asks), &new.asks);
    levels(&mut depth, 4, old.map(|old| &old.bids), &new.bids);
    let seconds = |nanos: i64| u64::try_from(nanos / 1_000_000_000).ok().filter(|_| nanos != ABSENT);
    let mut feed = Writer::default();
    feed.bytes(5, &depth.finish());
    feed.wrapped(6, seconds(news.values.exchange_ts_ns));
    feed.wrapped(7, seconds(now_ns()));
    feed.bytes(8, token.as_bytes());
    feed.number(9, sequence);
    feed.number(10, u64::from(old.is_none()));
    feed.bytes(11, ticker.as_bytes());
    let mut entry = Writer::default();
    entry.bytes(1, token.as_bytes());
    entry.bytes(2, &feed.finish());
    let mut message = Writer::default();
    message.number(1, DEPTH);
    message.bytes(2, &entry.finish());
    message.number(3, u64::from(old.is_none()));
    Ok(message.finish())
}

/// The rows of a side that changed, of which each has what changed of it, and its number.
fn levels(depth: &mut Writer, field: u8, old: Option<&[Row; LEVELS as usize]>, new: &[Row; LEVELS as usize]) {
    for (place, row) in new.iter().enumerate() {
        let before = old.and_then(|rows| rows.get(place));
        if before == Some(row) {
            continue;
        }
        let mut level = Writer::default();
        let is_new = |is_same: fn(&Row, &Row) -> bool| before.is_none_or(|before| !is_same(before, row));
        level.wrapped(1, is_new(|a, b| a.0 == b.0).then(|| row.0.cast_unsigned()));
        level.wrapped(2, is_new(|a, b| a.1 == b.1).then(|| row.1.into()));
        level.wrapped(3, is_new(|a, b| a.2 == b.2).then(|| row.2.into()));
        level.wrapped(4, Some(place as u64));
        depth.bytes(field, &level.finish());
    }
}
