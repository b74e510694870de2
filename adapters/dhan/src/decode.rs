//! From the broker's packets to ticks. Pure: no clock of its own, no connection, no allocation, and no input that makes
//! it panic.

use adapter_sdk::{Level, Price, Tick};

use crate::{
    clock::Clock,
    segment::Segment,
    wire::{
        depth::Rows,
        live::{self, Body, Day, LEVELS, Packet, Trade},
    },
};

/// From here on 32 bits hold no hundredths any more: neighbours are more than a hundredth apart.
const COARSE_FROM: f64 = 131_072.0;

/// Price steps of what is that expensive, in hundredths of a rupee.
const COARSE_STEPS: [f64; 3] = [100.0, 10.0, 5.0];

/// A price that cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a price that is no number, or out of range")]
pub struct BadPrice;

/// A packet as a tick.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "lives on the stack for the time of one packet")]
pub enum Decoded {
    /// A last price.
    Ltp(Tick),
    /// A quote.
    Quote(Tick),
    /// Open interest, which comes in a packet of its own beside quotes.
    Interest(Tick),
    /// The close of the day before, which comes once, before the first packet of a subscription; see [`with_close`].
    Close(Price),
    /// A book with the values beside it.
    Book(Tick, Book),
    /// Nothing of an instrument.
    Nothing,
}

/// A book of at most [`LEVELS`] levels on each side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Book {
    buy: Side,
    sell: Side,
}

impl Book {
    /// Bids, best first.
    pub fn buy(&self) -> &[Level] {
        self.buy.levels()
    }

    /// Asks, best first.
    pub fn sell(&self) -> &[Level] {
        self.sell.levels()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Side {
    rows: [Level; LEVELS],
    length: usize,
}

const NO_PRICE: Price = Price::from_nanos(0);

const NO_LEVEL: Level = Level { price: NO_PRICE, quantity: 0, orders: None };

impl Side {
    fn levels(&self) -> &[Level] {
        self.rows.get(..self.length).unwrap_or_default()
    }

    fn push(&mut self, level: Option<Level>) {
        if let (Some(level), Some(free)) = (level, self.rows.get_mut(self.length)) {
            *free = level;
            self.length += 1;
        }
    }
}

/// Makes a tick of a packet, under the number that its instrument is subscribed with.
///
/// The packets have no way to say that a value is missing but zero. A price, a time, or a last quantity of zero is
/// absent; a volume or a total of zero is zero, and so is open interest where there is any. Indices have nothing but
/// prices and the time: the rest of their packets is filled with zeros.
///
/// The close in quotes and full packets is left out: it is that of this day, and zero as long as the day lasts.
///
/// # Errors
/// When a price is no number; nothing of the packet is kept then.
pub fn tick(packet: &Packet, instrument: u32, clock: &mut Clock) -> Result<Decoded, BadPrice> {
    let segment = packet.key.segment;
    let tick = Tick::new(instrument);
    Ok(match &packet.body {
        Body::Ticker { last_price, time } => {
            let tick = with(tick, *last_price, segment, Tick::ltp)?;
            Decoded::Ltp(with_time(tick, *time, segment, clock))
        }
        Body::PreviousClose { close, .. } => price(*close, segment)?.map_or(Decoded::Nothing, Decoded::Close),
        Body::OpenInterest(oi) if segment.has_open_interest() => Decoded::Interest(tick.oi((*oi).into())),
        Body::Quote(trade, day) => {
            let tick = with_trade(tick, trade, segment, clock)?;
            Decoded::Quote(with_day(tick, day, segment)?)
        }
        Body::Full(trade, interest, day, levels) => {
            let mut tick = with_trade(tick, trade, segment, clock)?;
            tick = with_day(tick, day, segment)?;
            if segment.has_open_interest() {
                tick = tick.oi(interest.oi.into());
            }
            if segment == Segment::NseDerivatives {
                tick = tick.oi_high(interest.high.into()).oi_low(interest.low.into());
            }
            Decoded::Book(tick, book(levels, segment)?)
        }
        Body::OpenInterest(_) | Body::MarketStatus | Body::Disconnect(_) | Body::Other(_) => Decoded::Nothing,
    })
}

/// A quote with the close of the day before, which the broker does not repeat.
#[must_use]
pub const fn with_close(tick: Tick, close: Price) -> Tick {
    tick.close(close).prev_close(close)
}

/// The rows of one side of a deep book, without those that do not exist. They are at most as many as the feed's levels.
///
/// # Errors
/// When a price is no number; what `side` had before is gone then.
pub fn side(rows: Rows<'_>, side: &mut Vec<Level>) -> Result<(), BadPrice> {
    side.clear();
    for row in rows {
        let price = Price::from_f64(row.price).ok_or(BadPrice)?;
        if price != NO_PRICE || row.quantity > 0 {
            side.push(Level { price, quantity: row.quantity.into(), orders: Some(row.orders) });
        }
    }
    Ok(())
}

fn with_trade(mut tick: Tick, trade: &Trade, segment: Segment, clock: &mut Clock) -> Result<Tick, BadPrice> {
    tick = with(tick, trade.last_price, segment, Tick::ltp)?;
    tick = with_time(tick, trade.time, segment, clock);
    if segment == Segment::Index {
        return Ok(tick);
    }
    tick = with(tick, trade.average_price, segment, Tick::average_price)?;
    if trade.last_quantity > 0 {
        tick = tick.last_quantity(trade.last_quantity.into());
    }
    Ok(tick
        .volume(trade.volume.into())
        .total_buy_quantity(trade.total_buy_quantity.into())
        .total_sell_quantity(trade.total_sell_quantity.into()))
}

fn with_day(mut tick: Tick, day: &Day, segment: Segment) -> Result<Tick, BadPrice> {
    tick = with(tick, day.open, segment, Tick::open)?;
    tick = with(tick, day.high, segment, Tick::high)?;
    with(tick, day.low, segment, Tick::low)
}

fn with_time(tick: Tick, time: u32, segment: Segment, clock: &mut Clock) -> Tick {
    clock.nanos(segment, time).map_or(tick, |nanos| tick.last_trade_ts_ns(nanos))
}

fn with(tick: Tick, value: f32, segment: Segment, set: fn(Tick, Price) -> Tick) -> Result<Tick, BadPrice> {
    Ok(price(value, segment)?.map_or(tick, |price| set(tick, price)))
}

fn book(levels: &[live::Level; LEVELS], segment: Segment) -> Result<Book, BadPrice> {
    let empty = Side { rows: [NO_LEVEL; LEVELS], length: 0 };
    let mut book = Book { buy: empty, sell: empty };
    for level in levels {
        book.buy.push(row(level.bid_price, level.bid_quantity, level.bid_orders, segment)?);
        book.sell.push(row(level.ask_price, level.ask_quantity, level.ask_orders, segment)?);
    }
    Ok(book)
}

/// A level, unless it is one of those of zeros that books are filled up with. A row with a quantity and no price is an
/// order at the market, before the opening.
fn row(value: f32, quantity: u32, orders: u16, segment: Segment) -> Result<Option<Level>, BadPrice> {
    let price = price(value, segment)?;
    if price.is_none() && quantity == 0 {
        return Ok(None);
    }
    let price = price.unwrap_or_default();
    Ok(Some(Level { price, quantity: quantity.into(), orders: Some(orders.into()) }))
}

/// The price that was meant by a float of 32 bits, which holds about seven digits: 6.55 arrives as 6.550000190734863.
/// Zero means that there is none.
fn price(value: f32, segment: Segment) -> Result<Option<Price>, BadPrice> {
    let wide = f64::from(value);
    let rounded = if segment.decimals() == 4 { (wide * 1e4).round() / 1e4 } else { hundredths(wide) / 1e2 };
    let price = Price::from_f64(rounded).ok_or(BadPrice)?;
    Ok(Some(price).filter(|price| *price != NO_PRICE))
}

fn hundredths(wide: f64) -> f64 {
    let scaled = wide * 1e2;
    if wide.abs() < COARSE_FROM {
        return scaled.round();
    }
    // Several hundredths are the same float. What is that expensive trades in larger steps: the price is the roundest
    // one of which this float is the nearest.
    let float = |value: f64| f64_as_f32(value).to_bits();
    let is_same = |step: &f64| float((scaled / step).round() * step / 1e2) == float(wide);
    COARSE_STEPS
        .iter()
        .find(|step| is_same(step))
        .map_or(scaled.round(), |step| (scaled / step).round() * step)
}

#[expect(clippy::cast_possible_truncation, reason = "to the float that the broker would send")]
const fn f64_as_f32(value: f64) -> f32 {
    value as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(value: f32, segment: Segment) -> Option<i64> {
        price(value, segment).unwrap().map(Price::as_nanos)
    }

    #[test]
    fn prices_are_those_that_were_meant() {
        for (value, nanos) in [
            (6.55_f32, 6_550_000_000_i64),
            (0.05, 50_000_000),
            (99_999.95, 99_999_950_000_000),
            (146_248.4, 146_248_400_000_000),
            (146_248.45, 146_248_450_000_000),
            (158_000.0, 158_000_000_000_000),
            (-37.63, -37_630_000_000),
        ] {
            assert_eq!(shown(value, Segment::Mcx), Some(nanos), "{value}");
        }
        assert_eq!(shown(83.0025, Segment::NseCurrency), Some(83_002_500_000));
        assert_eq!(shown(0.0, Segment::Mcx), None);
        for nonsense in [f32::NAN, f32::INFINITY, 1e30] {
            assert_eq!(price(nonsense, Segment::Mcx), Err(BadPrice));
        }
    }

    #[test]
    fn every_price_of_the_usual_steps_survives_32_bits() {
        for paise in (5..25_000_000_i64).step_by(5).step_by(7) {
            let exact = Price::from_scaled(paise, 2);
            let wide = exact.unwrap().as_f64();
            assert_eq!(price(f64_as_f32(wide), Segment::NseEquity).unwrap(), exact, "{paise}");
        }
    }
}
