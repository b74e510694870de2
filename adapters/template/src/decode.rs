//! From the broker's bytes to ticks. Pure: no clock, no connection, and no input that makes it panic.

use adapter_sdk::{
    Level, Price, Tick,
    read::{self, Sign},
};

use crate::wire::{Message, Packet, Row};

/// Decimal places of the broker's prices: they are in paise.
const DECIMALS: u32 = 2;

/// A packet, decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decoded {
    /// A last price.
    Ltp(Tick),
    /// A quote.
    Quote(Tick),
    /// A book: its values, bids and asks.
    Book(Tick, Vec<Level>, Vec<Level>),
}

/// Why a packet was not understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The text is no message of the broker.
    #[error("no message of the broker")]
    NoMessage,
    /// One side of a book without the other.
    #[error("half a book")]
    HalfABook,
}

/// Reads a message.
///
/// # Errors
/// [`DecodeError::NoMessage`].
pub fn message(text: &str) -> Result<Message, DecodeError> {
    serde_json::from_str(text).map_err(|_| DecodeError::NoMessage)
}

/// Makes a tick of a packet, under the number that its instrument is subscribed with. A value that is not
/// there is absent, and so is one that cannot be, such as a price of zero or one of the words by which
/// brokers mean "none": see [`adapter_sdk::read`]. A volume of zero is one.
///
/// A packet says what has changed, so the tick is an update. If your broker's packets say all that there is
/// to know of an instrument, make it an image: `tick.image()`.
///
/// # Errors
/// When a side of the book is missing.
pub fn packet(packet: &Packet, instrument: u32) -> Result<Decoded, DecodeError> {
    let mut tick = Tick::new(instrument);
    let mut is_quote = false;
    if let Some(price) = packet.p.and_then(price) {
        tick = tick.ltp(price);
    }
    if let Some(at) = packet.t.and_then(time) {
        tick = tick.exchange_ts_ns(at);
    }
    if let Some(at) = packet.lt.and_then(time) {
        tick = tick.last_trade_ts_ns(at);
    }
    if let Some(quantity) = packet.v.and_then(read::quantity) {
        tick = tick.volume(quantity);
    }
    if let Some(quantity) = packet.lq.and_then(read::quantity).filter(|quantity| *quantity > 0) {
        tick = tick.last_quantity(quantity);
    }
    let prices: [(_, fn(Tick, Price) -> Tick); 5] = [
        (packet.o, Tick::open),
        (packet.hi, Tick::high),
        (packet.lo, Tick::low),
        (packet.c, Tick::close),
        (packet.ap, Tick::average_price),
    ];
    for (paise, set) in prices {
        is_quote |= paise.is_some();
        if let Some(price) = paise.and_then(price) {
            tick = set(tick, price);
        }
    }
    let counts: [(_, fn(Tick, i64) -> Tick); 3] = [
        (packet.oi, Tick::oi),
        (packet.tb, Tick::total_buy_quantity),
        (packet.ts, Tick::total_sell_quantity),
    ];
    for (count, set) in counts {
        is_quote |= count.is_some();
        if let Some(count) = count.and_then(read::quantity) {
            tick = set(tick, count);
        }
    }
    match (&packet.b, &packet.s) {
        (Some(buy), Some(sell)) => Ok(Decoded::Book(tick, side(buy), side(sell))),
        (None, None) if is_quote => Ok(Decoded::Quote(tick)),
        (None, None) => Ok(Decoded::Ltp(tick)),
        _ => Err(DecodeError::HalfABook),
    }
}

/// Say [`Sign::Either`] for exchanges where prices may be below zero.
const fn price(paise: i64) -> Option<Price> {
    read::scaled(paise, DECIMALS, Sign::Positive)
}

fn time(ms: u64) -> Option<u64> {
    read::millis(i64::try_from(ms).ok()?)
}

/// One side of a book, without the rows of zeros at its end, and without those that have no price.
fn side(rows: &[Row]) -> Vec<Level> {
    let level = |(paise, quantity, orders): &Row| {
        Some(Level { price: price(*paise)?, quantity: read::quantity(*quantity)?, orders: Some(*orders) })
    };
    rows.iter().filter_map(level).collect()
}
