//! From the broker's integers to ticks. Pure: no clock, no connection, no allocation.

use adapter_sdk::{
    Level, Price, Tick,
    read::{self, Sign},
};

use crate::state::{Instrument, Values, feed_time};

/// Levels on each side of a book of the data socket.
pub const LEVELS: usize = 5;

/// Place of the last price in `sf` and `if`.
const LTP: usize = 0;

/// Places of `dp`, of the first level of a side: price, quantity and number of orders. Those of the other
/// levels follow.
const BIDS: [usize; 3] = [0, 10, 20];
const ASKS: [usize; 3] = [5, 15, 25];

/// Why values are no tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Prices of more decimal places than a price can have.
    #[error("prices with more than nine decimal places")]
    Precision,
}

/// A book of the data socket.
pub type Book = adapter_sdk::Book<LEVELS>;

/// Units of a price in 1.
const UNITS: i64 = 1_000_000_000;

/// Makes prices of the integers of one feed.
#[derive(Clone, Copy)]
struct Prices {
    scale: Scale,
    sign: Sign,
}

#[derive(Clone, Copy)]
enum Scale {
    /// So many units in each: what all known segments have.
    Whole(i64),
    /// Divided by this.
    Divided(i64),
}

impl Scale {
    const fn of(divisor: i64) -> Self {
        if UNITS % divisor == 0 { Self::Whole(UNITS / divisor) } else { Self::Divided(divisor) }
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

impl Prices {
    fn of(instrument: &Instrument, values: &Values) -> Result<Self, DecodeError> {
        let topic = instrument.topic();
        let sign = if topic.is_index() { Sign::Positive } else { topic.segment().sign() };
        Ok(Self { scale: Scale::of(values.divisor().ok_or(DecodeError::Precision)?), sign })
    }

    /// None for zero, by which the broker means that there is none, and for what [`adapter_sdk::read`] takes
    /// for none.
    #[inline]
    fn price(self, raw: i32) -> Option<Price> {
        if read::is_word(raw.into()) { None } else { read::plausible(self.scale.price(raw), self.sign) }
    }

    fn at(self, values: &Values, place: usize) -> Option<Price> {
        values.get(place).and_then(|raw| self.price(raw))
    }
}

/// The last price alone; none when the broker has not sent one, or zero, as it does before the first trade.
///
/// # Errors
/// When the broker's decimal places cannot be.
pub fn last_price(instrument: &Instrument) -> Result<Option<Price>, DecodeError> {
    let Some(values) = instrument.prices() else { return Ok(None) };
    Ok(Prices::of(instrument, values)?.at(values, LTP))
}

/// Everything but the book, under a number of the host. Zero is a volume, a total or open interest, before
/// the opening too; it is no price, no time and no last quantity. Without its price the size of a best bid or
/// ask is left out, too.
///
/// # Errors
/// When the broker's decimal places cannot be.
pub fn quote(instrument: &Instrument, number: u32) -> Result<Tick, DecodeError> {
    let tick = values(instrument, number)?;
    let at = instrument.prices().zip(feed_time(instrument.topic().prices()));
    Ok(tick.with(at.and_then(|(values, place)| time(values, place)), Tick::exchange_ts_ns))
}

/// The same without the exchange's time, which is that of the quote: for a book that came alone.
///
/// # Errors
/// When the broker's decimal places cannot be.
pub fn values(instrument: &Instrument, number: u32) -> Result<Tick, DecodeError> {
    let tick = Tick::new(number);
    let Some(values) = instrument.prices() else { return Ok(tick) };
    let prices = Prices::of(instrument, values)?;
    let price = |place| prices.at(values, place);
    let count = |place| values.get(place).and_then(count);
    // By the broker's places, those of `if` first, then those of `sf`.
    let tick = tick.with(price(LTP), Tick::ltp);
    if instrument.topic().is_index() {
        return Ok(tick
            .with(price(1), Tick::close)
            .with(price(3), Tick::high)
            .with(price(4), Tick::low)
            .with(price(5), Tick::open));
    }
    let (bid, ask) = (price(6), price(7));
    // Shares have no open interest of their own; their place for it is filled with zero.
    let oi = count(12).filter(|oi| *oi != 0 || !instrument.topic().segment().is_cash());
    Ok(tick
        .with(count(1), Tick::volume)
        .with(time(values, 2), Tick::last_trade_ts_ns)
        .with(bid, Tick::bid_price)
        .with(bid.and_then(|_| count(4)), Tick::bid_size)
        .with(ask, Tick::ask_price)
        .with(ask.and_then(|_| count(5)), Tick::ask_size)
        .with(count(8).filter(|quantity| *quantity != 0), Tick::last_quantity)
        .with(count(9), Tick::total_buy_quantity)
        .with(count(10), Tick::total_sell_quantity)
        .with(price(11), Tick::average_price)
        .with(oi, Tick::oi)
        .with(price(13), Tick::low)
        .with(price(14), Tick::high)
        .with(price(17), Tick::lower_circuit)
        .with(price(18), Tick::upper_circuit)
        .with(price(19), Tick::open)
        .with(price(20), Tick::close))
}

/// The book of an instrument; none when the broker has said nothing of it. Rows without a price are no
/// levels: they are padding, or orders at the market before the opening. Where a row's price or quantity
/// alone is known, a side ends: what comes after it would pass for better than it is.
///
/// # Errors
/// When the broker's decimal places cannot be.
pub fn book(instrument: &Instrument) -> Result<Option<Book>, DecodeError> {
    let Some(values) = instrument.book().filter(|values| !values.is_empty()) else { return Ok(None) };
    let prices = Prices::of(instrument, values)?;
    let mut book = Book::new();
    side(values, prices, BIDS, |level| book.push_buy(level));
    side(values, prices, ASKS, |level| book.push_sell(level));
    Ok(Some(book))
}

/// Levels of a side, until one is damaged; rows without a price or without anything are none.
#[inline]
fn side(values: &Values, scale: Prices, [prices, sizes, orders]: [usize; 3], mut push: impl FnMut(Level)) {
    for row in 0..LEVELS {
        let (price, size) = match (values.get(prices + row), values.get(sizes + row)) {
            (Some(0), Some(_)) | (None, None) => continue,
            (Some(price), Some(size)) => (scale.price(price), count(size)),
            _ => return,
        };
        let (Some(price), Some(quantity)) = (price, size) else { return };
        push(Level { price, quantity, orders: values.get(orders + row).map(i32::cast_unsigned) });
    }
}

/// A count above 2,147,483,647 comes as a negative number: quantities are never below zero. -1 is none.
fn count(raw: i32) -> Option<i64> {
    read::quantity(i64::from(raw.cast_unsigned()))
}

/// Nanoseconds since the Unix epoch; none for a time that cannot be.
fn time(values: &Values, place: usize) -> Option<u64> {
    read::seconds(i64::from(values.get(place)?.cast_unsigned()))
}

#[cfg(test)]
mod tests;
