//! From the broker's packets to ticks. Pure: no clock, no connection, no allocation, and no input that makes it panic.

use adapter_sdk::{Level, Price, Tick};

use crate::{
    segment::Segment,
    wire::{Body, Packet, Quote, Snap, Trade, WireError},
};

/// Most levels on a side of any packet.
const MAX_LEVELS: usize = 20;

/// Nanoseconds in a millisecond.
const NANOS_OF_MS: u64 = 1_000_000;

/// Times of the last trade above this are milliseconds: as seconds they would be in the year 5138. The live feed has
/// seconds, but no document promises it.
const SECONDS_BELOW: i64 = 100_000_000_000;

/// A packet, decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "lives on the stack for the time of one packet")]
pub enum Decoded {
    /// A last price.
    Ltp(Tick),
    /// A quote.
    Quote(Tick),
    /// A book with the values beside it.
    Book(Tick, Book),
}

/// Both sides of a book, best levels first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Book {
    /// Bids.
    pub buy: Side,
    /// Asks.
    pub sell: Side,
}

/// One side of a book.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Side {
    levels: [Level; MAX_LEVELS],
    length: usize,
}

impl Default for Side {
    fn default() -> Self {
        let empty = Level { price: Price::from_nanos(0), quantity: 0, orders: None };
        Self { levels: [empty; MAX_LEVELS], length: 0 }
    }
}

impl Side {
    /// The levels that are there.
    pub fn levels(&self) -> &[Level] {
        self.levels.get(..self.length).unwrap_or_default()
    }

    fn push(&mut self, level: Level) {
        if let Some(free) = self.levels.get_mut(self.length) {
            *free = level;
            self.length += 1;
        }
    }
}

/// Why a packet is no tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// It is no packet.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// A price or time that cannot be.
    #[error("a number that is out of range")]
    OutOfRange,
}

/// Makes a tick of a packet, under the number that its instrument is subscribed with.
///
/// The packets have no way to say that a value is missing but zero. A price, a time, or a last quantity of zero is
/// absent; a volume, a total or an open interest of zero is zero. Indices have nothing but prices and the time: the rest
/// of their packets is filled with zeros. Prices may be below zero, as they once were for oil; quantities may not, and
/// are then absent.
///
/// # Errors
/// When a price or time does not fit; nothing of the packet is kept then.
pub fn tick(packet: &Packet, instrument: u32, is_index: bool) -> Result<Decoded, DecodeError> {
    let segment = packet.key.segment;
    let mut tick = Tick::new(instrument);
    match &packet.body {
        Body::Ltp(trade) => Ok(Decoded::Ltp(with_trade(tick, trade, segment)?)),
        Body::Quote(trade, quote) => {
            tick = with_trade(tick, trade, segment)?;
            Ok(Decoded::Quote(with_quote(tick, quote, segment, is_index)?))
        }
        Body::Snap(trade, quote, snap) => {
            tick = with_trade(tick, trade, segment)?;
            tick = with_quote(tick, quote, segment, is_index)?;
            if is_index {
                return Ok(Decoded::Book(tick, Book::default()));
            }
            let (tick, book) = with_snap(tick, snap, segment)?;
            Ok(Decoded::Book(tick, book))
        }
        Body::Depth(depth) => {
            if let Some(at) = nanos(depth.exchange_time_ms)? {
                tick = tick.exchange_ts_ns(at);
            }
            let mut book = Book::default();
            for (rows, side) in [(&depth.buy, &mut book.buy), (&depth.sell, &mut book.sell)] {
                for row in rows {
                    let orders = u32::try_from(row.orders).ok();
                    if let Some(level) = level(row.price.into(), row.quantity.into(), orders, segment)? {
                        side.push(level);
                    }
                }
            }
            Ok(Decoded::Book(tick, book))
        }
    }
}

fn with_trade(mut tick: Tick, trade: &Trade, segment: Segment) -> Result<Tick, DecodeError> {
    if let Some(price) = price(trade.last_price, segment)? {
        tick = tick.ltp(price);
    }
    if let Some(at) = nanos(trade.exchange_time_ms)? {
        tick = tick.exchange_ts_ns(at);
    }
    Ok(tick)
}

fn with_quote(mut tick: Tick, quote: &Quote, segment: Segment, is_index: bool) -> Result<Tick, DecodeError> {
    let prices: [(_, fn(Tick, Price) -> Tick); 4] = [
        (quote.open, Tick::open),
        (quote.high, Tick::high),
        (quote.low, Tick::low),
        (quote.close, Tick::close),
    ];
    for (raw, set) in prices {
        if let Some(price) = price(raw, segment)? {
            tick = set(tick, price);
        }
    }
    if is_index {
        return Ok(tick);
    }
    if let Some(price) = price(quote.average_price, segment)? {
        tick = tick.average_price(price);
    }
    if quote.last_quantity > 0 {
        tick = tick.last_quantity(quote.last_quantity);
    }
    if quote.volume >= 0 {
        tick = tick.volume(quote.volume);
    }
    if let Some(quantity) = whole(quote.total_buy_quantity) {
        tick = tick.total_buy_quantity(quantity);
    }
    if let Some(quantity) = whole(quote.total_sell_quantity) {
        tick = tick.total_sell_quantity(quantity);
    }
    Ok(tick)
}

fn with_snap(mut tick: Tick, snap: &Snap, segment: Segment) -> Result<(Tick, Book), DecodeError> {
    let is_seconds = snap.last_trade_time < SECONDS_BELOW;
    let ms = if is_seconds { snap.last_trade_time.saturating_mul(1_000) } else { snap.last_trade_time };
    if let Some(at) = nanos(ms)? {
        tick = tick.last_trade_ts_ns(at);
    }
    // Shares have none of their own, although some come with that of their future.
    if snap.oi > 0 || (snap.oi == 0 && !segment.is_cash()) {
        tick = tick.oi(snap.oi);
    }
    if let Some(price) = price(snap.upper_circuit, segment)? {
        tick = tick.upper_circuit(price);
    }
    if let Some(price) = price(snap.lower_circuit, segment)? {
        tick = tick.lower_circuit(price);
    }
    let mut book = Book::default();
    for record in &snap.best_five {
        if let Some(level) = level(record.price, record.quantity, Some(record.orders.into()), segment)? {
            // The Python SDK takes everything but 0 for a buy, too.
            let side = if record.flag == 0 { &mut book.sell } else { &mut book.buy };
            side.push(level);
        }
    }
    Ok((tick, book))
}

/// A level, unless it is one of the zeros that sides are filled up with. In the pre-open session orders at any price
/// stand at price 0.
fn level(
    raw: i64,
    quantity: i64,
    orders: Option<u32>,
    segment: Segment,
) -> Result<Option<Level>, DecodeError> {
    if quantity < 0 || (raw == 0 && quantity == 0) {
        return Ok(None);
    }
    let price = Price::from_scaled(raw, segment.decimals()).ok_or(DecodeError::OutOfRange)?;
    Ok(Some(Level { price, quantity, orders }))
}

fn price(raw: i64, segment: Segment) -> Result<Option<Price>, DecodeError> {
    if raw == 0 {
        return Ok(None);
    }
    Price::from_scaled(raw, segment.decimals()).map(Some).ok_or(DecodeError::OutOfRange)
}

/// Nanoseconds since the Unix epoch; zero means that there is no time.
fn nanos(ms: i64) -> Result<Option<u64>, DecodeError> {
    let ms = u64::try_from(ms).map_err(|_| DecodeError::OutOfRange)?;
    let nanos = ms.checked_mul(NANOS_OF_MS).ok_or(DecodeError::OutOfRange)?;
    Ok((nanos > 0).then_some(nanos))
}

/// A quantity out of a floating-point field, unless it is none.
fn whole(value: f64) -> Option<i64> {
    /// 2^53: whole numbers above are not exact any more.
    const LIMIT: f64 = 9_007_199_254_740_992.0;
    if !(0.0..=LIMIT).contains(&value) {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, reason = "the range was checked above")]
    let whole = value as i64;
    Some(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_that_are_none_are_absent() {
        assert_eq!((whole(0.0), whole(186_243_127.0)), (Some(0), Some(186_243_127)));
        for nonsense in [f64::NAN, f64::INFINITY, -1.0, -1e300, 1e17] {
            assert_eq!(whole(nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn prices_may_be_below_zero_and_zero_is_none() {
        assert_eq!(price(-3_763, Segment::Mcx), Ok(Some(Price::from_nanos(-37_630_000_000))));
        assert_eq!(price(0, Segment::Mcx), Ok(None));
        assert_eq!(price(i64::MAX, Segment::Mcx), Err(DecodeError::OutOfRange));
        assert_eq!(price(847_525_000, Segment::Currency), Ok(Some(Price::from_nanos(84_752_500_000))));
    }
}
