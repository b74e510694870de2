//! From the broker's integers to ticks. Pure: no clock, no connection, no allocation.

use adapter_sdk::{
    Level, Price, Tick,
    read::{self, Sign},
};

use crate::state::{Instrument, Values};

/// Levels on each side of a book of the data socket.
pub const LEVELS: usize = 5;

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

    /// None for zero, by which the broker means that there is none, and for what [`adapter_sdk::read`] takes for none.
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
    Ok(Prices::of(instrument, values)?.at(values, scrip::LTP))
}

/// Everything but the book, under a number of the host. Zero is a volume, a total or open interest, before the opening too;
/// it is no price, no time and no last quantity. Without its price the size of a best bid or ask is left out, too.
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
    let prices = Prices::of(instrument, values)?;
    if instrument.topic().is_index() {
        Ok(index_quote(values, prices, tick))
    } else {
        Ok(scrip_quote(values, prices, tick, instrument.topic().segment().is_cash()))
    }
}

fn index_quote(values: &Values, prices: Prices, tick: Tick) -> Tick {
    let places: [(_, fn(Tick, Price) -> Tick); 5] = [
        (index::LTP, Tick::ltp),
        (index::OPEN, Tick::open),
        (index::HIGH, Tick::high),
        (index::LOW, Tick::low),
        (index::PREV_CLOSE, Tick::close),
    ];
    with_prices(values, prices, &places, tick)
}

fn scrip_quote(values: &Values, prices: Prices, mut tick: Tick, is_cash: bool) -> Tick {
    let places: [(_, fn(Tick, Price) -> Tick); 8] = [
        (scrip::LTP, Tick::ltp),
        (scrip::OPEN, Tick::open),
        (scrip::HIGH, Tick::high),
        (scrip::LOW, Tick::low),
        (scrip::PREV_CLOSE, Tick::close),
        (scrip::AVERAGE, Tick::average_price),
        (scrip::LOWER_CIRCUIT, Tick::lower_circuit),
        (scrip::UPPER_CIRCUIT, Tick::upper_circuit),
    ];
    let counts: [(_, fn(Tick, i64) -> Tick); 3] = [
        (scrip::VOLUME, Tick::volume),
        (scrip::TOTAL_BUY, Tick::total_buy_quantity),
        (scrip::TOTAL_SELL, Tick::total_sell_quantity),
    ];
    tick = with_prices(values, prices, &places, tick);
    for (place, set) in counts {
        tick = with_count(values, place, set, tick);
    }
    if let Some(price) = prices.at(values, scrip::BID_PRICE) {
        tick = with_count(values, scrip::BID_SIZE, Tick::bid_size, tick.bid_price(price));
    }
    if let Some(price) = prices.at(values, scrip::ASK_PRICE) {
        tick = with_count(values, scrip::ASK_SIZE, Tick::ask_size, tick.ask_price(price));
    }
    if values.get(scrip::LAST_QUANTITY).is_some_and(|raw| raw != 0) {
        tick = with_count(values, scrip::LAST_QUANTITY, Tick::last_quantity, tick);
    }
    // Shares have no open interest of their own; their place for it is filled with zero.
    if !is_cash || values.get(scrip::OI).is_some_and(|raw| raw != 0) {
        tick = with_count(values, scrip::OI, Tick::oi, tick);
    }
    if let Some(at) = time(values, scrip::LAST_TRADE_TIME) {
        tick = tick.last_trade_ts_ns(at);
    }
    tick
}

fn with_prices(
    values: &Values,
    prices: Prices,
    places: &[(usize, fn(Tick, Price) -> Tick)],
    mut tick: Tick,
) -> Tick {
    for (place, set) in places {
        if let Some(price) = prices.at(values, *place) {
            tick = set(tick, price);
        }
    }
    tick
}

fn with_count(values: &Values, place: usize, set: fn(Tick, i64) -> Tick, tick: Tick) -> Tick {
    values.get(place).and_then(count).map_or(tick, |count| set(tick, count))
}

/// The book of an instrument; none when the broker has said nothing of it. Rows without a price are no levels: they are
/// padding, or orders at the market before the opening. Where a row's price or quantity alone is known, a side ends: what
/// comes after it would pass for better than it is.
///
/// # Errors
/// When the broker's decimal places cannot be.
pub fn book(instrument: &Instrument) -> Result<Option<Book>, DecodeError> {
    let Some(values) = instrument.book().filter(|values| !values.is_empty()) else { return Ok(None) };
    let prices = Prices::of(instrument, values)?;
    let mut book = Book::new();
    let (bids, asks) = (
        [book::BID_PRICE, book::BID_SIZE, book::BID_ORDERS],
        [book::ASK_PRICE, book::ASK_SIZE, book::ASK_ORDERS],
    );
    side(values, prices, bids).for_each(|level| book.push_buy(level));
    side(values, prices, asks).for_each(|level| book.push_sell(level));
    Ok(Some(book))
}

/// Levels of a side, until one is damaged; rows without a price or without anything are none.
fn side(values: &Values, scale: Prices, [prices, sizes, orders]: [usize; 3]) -> impl Iterator<Item = Level> {
    (0..LEVELS)
        .map_while(move |row| match (values.get(prices + row), values.get(sizes + row)) {
            (Some(0), Some(_)) | (None, None) => Some(None),
            (Some(price), Some(size)) => Some(Some(Level {
                price: scale.price(price)?,
                quantity: count(size)?,
                orders: values.get(orders + row).map(i32::cast_unsigned),
            })),
            _ => None,
        })
        .flatten()
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
