//! From the broker's integers to ticks. Pure: no clock, no connection, no allocation.

use adapter_sdk::{Level, Price, Tick};

use crate::state::{Instrument, Values};

/// Levels on each side of a book of the data socket.
pub const LEVELS: usize = 5;

/// Nanoseconds in a second.
const NANOS: u64 = 1_000_000_000;

/// Places of `sf`.
mod scrip {
    pub(super) const LTP: usize = 0;
    pub(super) const VOLUME: usize = 1;
    pub(super) const LAST_TRADE_TIME: usize = 2;
    pub(super) const FEED_TIME: usize = 3;
    pub(super) const BID_SIZE: usize = 4;
    pub(super) const ASK_SIZE: usize = 5;
    pub(super) const BID_PRICE: usize = 6;
    pub(super) const ASK_PRICE: usize = 7;
    pub(super) const LAST_QUANTITY: usize = 8;
    pub(super) const TOTAL_BUY: usize = 9;
    pub(super) const TOTAL_SELL: usize = 10;
    pub(super) const AVERAGE: usize = 11;
    pub(super) const OI: usize = 12;
    pub(super) const LOW: usize = 13;
    pub(super) const HIGH: usize = 14;
    pub(super) const LOWER_CIRCUIT: usize = 17;
    pub(super) const UPPER_CIRCUIT: usize = 18;
    pub(super) const OPEN: usize = 19;
    pub(super) const PREV_CLOSE: usize = 20;
}

/// Places of `if`.
mod index {
    pub(super) const LTP: usize = 0;
    pub(super) const PREV_CLOSE: usize = 1;
    pub(super) const FEED_TIME: usize = 2;
    pub(super) const HIGH: usize = 3;
    pub(super) const LOW: usize = 4;
    pub(super) const OPEN: usize = 5;
}

/// Places of `dp`: for each level a price, a quantity and a number of orders.
mod book {
    pub(super) const BID_PRICE: usize = 0;
    pub(super) const ASK_PRICE: usize = 5;
    pub(super) const BID_SIZE: usize = 10;
    pub(super) const ASK_SIZE: usize = 15;
    pub(super) const BID_ORDERS: usize = 20;
    pub(super) const ASK_ORDERS: usize = 25;
}

/// Why values are no tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Prices of more decimal places than a price can have.
    #[error("prices with more than nine decimal places")]
    Precision,
}

/// Both sides of a book, best levels first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Book {
    buy: Side,
    sell: Side,
}

impl Book {
    /// Bids.
    pub fn buy(&self) -> &[Level] {
        self.buy.levels()
    }

    /// Asks.
    pub fn sell(&self) -> &[Level] {
        self.sell.levels()
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Side {
    levels: [Level; LEVELS],
    length: usize,
}

impl Side {
    fn levels(&self) -> &[Level] {
        self.levels.get(..self.length).unwrap_or_default()
    }
}

/// Units of a price in 1.
const UNITS: i64 = 1_000_000_000;

/// Makes prices of the integers of one feed.
#[derive(Clone, Copy)]
enum Scale {
    /// So many units in each: what all known segments have.
    Whole(i64),
    /// Divided by this.
    Divided(i64),
}

impl Scale {
    fn of(values: &Values) -> Result<Self, DecodeError> {
        let divisor = values.divisor().ok_or(DecodeError::Precision)?;
        Ok(if UNITS % divisor == 0 { Self::Whole(UNITS / divisor) } else { Self::Divided(divisor) })
    }

    /// Exact, as far as the ninth decimal place goes; what is beyond is rounded.
    fn price(self, raw: i32) -> Price {
        // Below 2.2 × 10^18, and a divisor is at most 65,535 × 10^9: nothing can overflow.
        Price::from_nanos(match self {
            Self::Whole(units) => i64::from(raw) * units,
            Self::Divided(divisor) => (i64::from(raw) * UNITS + divisor / 2).div_euclid(divisor),
        })
    }
}

/// The last price alone; none when the broker has not sent one. Zero is what it sends before the first trade.
///
/// # Errors
/// When the broker's decimal places cannot be.
pub fn last_price(instrument: &Instrument) -> Result<Option<Price>, DecodeError> {
    let Some(values) = instrument.prices() else { return Ok(None) };
    let scale = Scale::of(values)?;
    Ok(values.get(scrip::LTP).filter(|raw| *raw != 0).map(|raw| scale.price(raw)))
}

/// Everything but the book, under a number of the host. Times of zero and a last price of zero mean that there is none
/// yet; every other zero is the broker's word.
///
/// # Errors
/// When the broker's decimal places cannot be.
pub fn quote(instrument: &Instrument, number: u32) -> Result<Tick, DecodeError> {
    let tick = values(instrument, number)?;
    let place = if instrument.topic().is_index() { index::FEED_TIME } else { scrip::FEED_TIME };
    Ok(match instrument.prices().and_then(|values| time(values, place)) {
        Some(at) => tick.exchange_ts_ns(at),
        None => tick,
    })
}

/// The same without the exchange's time, which is that of the quote: for a book that came alone.
///
/// # Errors
/// When the broker's decimal places cannot be.
pub fn values(instrument: &Instrument, number: u32) -> Result<Tick, DecodeError> {
    let tick = Tick::new(number);
    let Some(values) = instrument.prices() else { return Ok(tick) };
    let scale = Scale::of(values)?;
    if instrument.topic().is_index() {
        Ok(index_quote(values, scale, tick))
    } else {
        Ok(scrip_quote(values, scale, tick, instrument.topic().segment().is_cash()))
    }
}

fn index_quote(values: &Values, scale: Scale, mut tick: Tick) -> Tick {
    let prices: [(_, fn(Tick, Price) -> Tick); 4] = [
        (index::OPEN, Tick::open),
        (index::HIGH, Tick::high),
        (index::LOW, Tick::low),
        (index::PREV_CLOSE, Tick::close),
    ];
    tick = with_prices(values, scale, &prices, tick);
    if let Some(raw) = values.get(index::LTP).filter(|raw| *raw != 0) {
        tick = tick.ltp(scale.price(raw));
    }
    tick
}

fn scrip_quote(values: &Values, scale: Scale, mut tick: Tick, is_cash: bool) -> Tick {
    let prices: [(_, fn(Tick, Price) -> Tick); 9] = [
        (scrip::OPEN, Tick::open),
        (scrip::HIGH, Tick::high),
        (scrip::LOW, Tick::low),
        (scrip::PREV_CLOSE, Tick::close),
        (scrip::AVERAGE, Tick::average_price),
        (scrip::BID_PRICE, Tick::bid_price),
        (scrip::ASK_PRICE, Tick::ask_price),
        (scrip::LOWER_CIRCUIT, Tick::lower_circuit),
        (scrip::UPPER_CIRCUIT, Tick::upper_circuit),
    ];
    let counts: [(_, fn(Tick, i64) -> Tick); 6] = [
        (scrip::VOLUME, Tick::volume),
        (scrip::LAST_QUANTITY, Tick::last_quantity),
        (scrip::TOTAL_BUY, Tick::total_buy_quantity),
        (scrip::TOTAL_SELL, Tick::total_sell_quantity),
        (scrip::BID_SIZE, Tick::bid_size),
        (scrip::ASK_SIZE, Tick::ask_size),
    ];
    tick = with_prices(values, scale, &prices, tick);
    for (place, set) in counts {
        if let Some(raw) = values.get(place) {
            tick = set(tick, count(raw));
        }
    }
    // Shares have no open interest of their own; their place for it is filled with zero.
    if let Some(oi) = values.get(scrip::OI).map(count).filter(|oi| *oi > 0 || !is_cash) {
        tick = tick.oi(oi);
    }
    if let Some(raw) = values.get(scrip::LTP).filter(|raw| *raw != 0) {
        tick = tick.ltp(scale.price(raw));
    }
    if let Some(at) = time(values, scrip::LAST_TRADE_TIME) {
        tick = tick.last_trade_ts_ns(at);
    }
    tick
}

fn with_prices(
    values: &Values,
    scale: Scale,
    prices: &[(usize, fn(Tick, Price) -> Tick)],
    mut tick: Tick,
) -> Tick {
    for (place, set) in prices {
        if let Some(raw) = values.get(*place) {
            tick = set(tick, scale.price(raw));
        }
    }
    tick
}

/// The book of an instrument; none when the broker has said nothing of it. Rows of nothing but zeros are no levels. Where a row's price or
/// quantity alone is known, a side ends: what comes after it would pass for better than it is.
///
/// # Errors
/// When the broker's decimal places cannot be.
pub fn book(instrument: &Instrument) -> Result<Option<Book>, DecodeError> {
    let Some(values) = instrument.book().filter(|values| !values.is_empty()) else { return Ok(None) };
    let scale = Scale::of(values)?;
    Ok(Some(Book {
        buy: side(values, scale, [book::BID_PRICE, book::BID_SIZE, book::BID_ORDERS]),
        sell: side(values, scale, [book::ASK_PRICE, book::ASK_SIZE, book::ASK_ORDERS]),
    }))
}

fn side(values: &Values, scale: Scale, [prices, sizes, orders]: [usize; 3]) -> Side {
    let empty = Level { price: Price::from_nanos(0), quantity: 0, orders: None };
    let mut side = Side { levels: [empty; LEVELS], length: 0 };
    for row in 0..LEVELS {
        let (price, size) = match (values.get(prices + row), values.get(sizes + row)) {
            (Some(0), Some(0)) | (None, None) => continue,
            (Some(price), Some(size)) => (price, size),
            _ => break,
        };
        if let Some(free) = side.levels.get_mut(side.length) {
            let orders = values.get(orders + row).map(i32::cast_unsigned);
            *free = Level { price: scale.price(price), quantity: count(size), orders };
            side.length += 1;
        }
    }
    side
}

/// A count above 2,147,483,647 comes as a negative number: quantities are never below zero.
fn count(raw: i32) -> i64 {
    i64::from(raw.cast_unsigned())
}

/// Nanoseconds since the Unix epoch; zero means that there is no time.
fn time(values: &Values, place: usize) -> Option<u64> {
    let seconds = u64::from(values.get(place)?.cast_unsigned());
    (seconds > 0).then(|| seconds * NANOS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_are_exact_and_rounded_beyond_the_ninth_place() {
        let divided = |divisor: i64| {
            if UNITS % divisor == 0 { Scale::Whole(UNITS / divisor) } else { Scale::Divided(divisor) }
        };
        for (divisor, raw, nanos) in [
            (1, i32::MAX, 2_147_483_647_000_000_000),
            (100, 62_505, 625_050_000_000),
            (100, -3_763, -37_630_000_000),
            (10_000, 830_025, 83_002_500_000),
            (3, 2, 666_666_667),
            (3, -2, -666_666_667),
            (65_535 * UNITS, i32::MAX, 32_768),
        ] {
            assert_eq!(divided(divisor).price(raw).as_nanos(), nanos, "{raw} / {divisor}");
        }
    }
}
