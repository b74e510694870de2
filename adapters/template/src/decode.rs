//! From the broker's bytes to ticks. Pure: no clock, no connection, and no input that makes it panic.

use adapter_sdk::{Level, Price, Tick};

use crate::wire::{Message, Packet, Row};

/// Decimal places of the broker's prices: they are in paise.
const DECIMALS: u32 = 2;

/// Nanoseconds in a millisecond.
const NANOS: u64 = 1_000_000;

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
    /// A price or time that cannot be.
    #[error("a number that is out of range")]
    OutOfRange,
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

/// Makes a tick of a packet, under the number that its instrument is subscribed with.
///
/// # Errors
/// When a value cannot be, or a side of the book is missing.
pub fn packet(packet: &Packet, instrument: u32) -> Result<Decoded, DecodeError> {
    let mut tick = Tick::new(instrument);
    let mut is_quote = false;
    // Each value by itself: what is absent stays absent.
    if let Some(paise) = packet.p {
        tick = tick.ltp(price(paise)?);
    }
    if let Some(ms) = packet.t {
        tick = tick.exchange_ts_ns(nanos(ms)?);
    }
    if let Some(ms) = packet.lt {
        tick = tick.last_trade_ts_ns(nanos(ms)?);
    }
    if let Some(quantity) = packet.v {
        tick = tick.volume(quantity);
    }
    if let Some(quantity) = packet.lq {
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
        if let Some(paise) = paise {
            (tick, is_quote) = (set(tick, price(paise)?), true);
        }
    }
    let counts: [(_, fn(Tick, i64) -> Tick); 3] = [
        (packet.oi, Tick::oi),
        (packet.tb, Tick::total_buy_quantity),
        (packet.ts, Tick::total_sell_quantity),
    ];
    for (count, set) in counts {
        if let Some(count) = count {
            (tick, is_quote) = (set(tick, count), true);
        }
    }
    match (&packet.b, &packet.s) {
        (Some(buy), Some(sell)) => Ok(Decoded::Book(tick, side(buy)?, side(sell)?)),
        (None, None) if is_quote => Ok(Decoded::Quote(tick)),
        (None, None) => Ok(Decoded::Ltp(tick)),
        _ => Err(DecodeError::HalfABook),
    }
}

fn price(paise: i64) -> Result<Price, DecodeError> {
    Price::from_scaled(paise, DECIMALS).ok_or(DecodeError::OutOfRange)
}

fn nanos(ms: u64) -> Result<u64, DecodeError> {
    ms.checked_mul(NANOS).ok_or(DecodeError::OutOfRange)
}

/// One side of a book, without the rows of zeros at its end.
fn side(rows: &[Row]) -> Result<Vec<Level>, DecodeError> {
    let real = rows.iter().take_while(|(paise, quantity, _)| *paise != 0 || *quantity != 0);
    real.map(|(paise, quantity, orders)| {
        Ok(Level { price: price(*paise)?, quantity: *quantity, orders: Some(*orders) })
    })
    .collect()
}
