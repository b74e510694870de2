//! From the broker's packets to ticks. Pure: no clock of its own, no connection, no allocation, and no input
//! that makes it panic.

use adapter_sdk::{
    Level, Price, Tick,
    read::{self, Sign},
};

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

/// A price of a deep book that is no number: of such a side nobody knows which level is its best.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a price that is no number")]
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
    /// The close of the day before, which comes once, before the first packet of a subscription; see
    /// [`Apart`].
    Close(Price),
    /// A book with the values beside it.
    Book(Tick, Book),
    /// Nothing of an instrument.
    Nothing,
}

/// A book of the live feed.
pub type Book = adapter_sdk::Book<LEVELS>;

/// Makes a tick of a packet, under the number that its instrument is subscribed with.
///
/// The packets have no way to say that a value is missing but zero and what [`adapter_sdk::read`] takes for
/// "none". A price, a time, or a last quantity of zero is absent; a volume or a total of zero is zero, before
/// the opening too, and so is open interest where there is any. Indices have nothing but prices and the time:
/// the rest of their packets is filled with zeros.
///
/// The close in quotes and full packets is left out: it is that of this day, and zero as long as the day
/// lasts.
pub fn tick(packet: &Packet, instrument: u32, clock: &mut Clock) -> Decoded {
    let segment = packet.key.segment;
    let tick = Tick::new(instrument);
    match &packet.body {
        Body::Ticker { last_price, time } => {
            let tick = tick.with(price(*last_price, segment), Tick::ltp);
            Decoded::Ltp(tick.with(clock.nanos(segment, *time), Tick::last_trade_ts_ns))
        }
        Body::PreviousClose { close, .. } => price(*close, segment).map_or(Decoded::Nothing, Decoded::Close),
        Body::OpenInterest(oi) if segment.has_open_interest() => {
            Decoded::Interest(tick.with(count(*oi), Tick::oi))
        }
        Body::Quote(trade, day) => Decoded::Quote(with_trade(tick, trade, day, segment, clock)),
        Body::Full(trade, interest, day, levels) => {
            let mut tick = with_trade(tick, trade, day, segment, clock);
            if segment.has_open_interest() {
                tick = tick.with(count(interest.oi), Tick::oi);
            }
            if segment == Segment::NseDerivatives {
                tick = tick.with(count(interest.high), Tick::oi_high).with(count(interest.low), Tick::oi_low);
            }
            Decoded::Book(tick, book(levels, segment))
        }
        Body::OpenInterest(_) | Body::MarketStatus | Body::Disconnect(_) | Body::Other(_) => Decoded::Nothing,
    }
}

/// What the broker says of an instrument beside its quotes and full packets, and does not repeat in them:
/// they are whole with it. It is true for one connection and one day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Apart {
    /// Close of the day before.
    pub close: Option<Price>,
    /// Open interest, of which full packets have a place of their own.
    pub oi: Option<i64>,
}

impl Apart {
    /// The values of a full packet as an image.
    #[must_use]
    pub fn full(&self, tick: Tick) -> Tick {
        tick.with(self.close, Tick::close).with(self.close, Tick::prev_close).image()
    }

    /// The values of a quote as an image.
    #[must_use]
    pub fn quote(&self, tick: Tick) -> Tick {
        self.full(tick.with(self.oi, Tick::oi))
    }
}

/// The rows of one side of a deep book, without those that do not exist and those of orders at the market.
/// They are at most as many as the feed's levels.
///
/// # Errors
/// When a price is no number; what `side` had before is gone then.
pub fn side(rows: Rows<'_>, side: &mut Vec<Level>) -> Result<(), BadPrice> {
    side.clear();
    for row in rows {
        if !row.price.is_finite() {
            return Err(BadPrice);
        }
        // Deep books are of shares and derivatives of NSE.
        let price = read::float(row.price, Sign::Positive);
        if let (Some(price), Some(quantity)) = (price, count(row.quantity)) {
            side.push(Level { price, quantity, orders: Some(row.orders) });
        }
    }
    Ok(())
}

fn with_trade(tick: Tick, trade: &Trade, day: &Day, segment: Segment, clock: &mut Clock) -> Tick {
    let tick = tick
        .with(price(trade.last_price, segment), Tick::ltp)
        .with(clock.nanos(segment, trade.time), Tick::last_trade_ts_ns)
        .with(price(day.open, segment), Tick::open)
        .with(price(day.high, segment), Tick::high)
        .with(price(day.low, segment), Tick::low);
    if segment == Segment::Index {
        return tick;
    }
    tick.with(price(trade.average_price, segment), Tick::average_price)
        .with(Some(trade.last_quantity.into()).filter(|quantity| *quantity > 0), Tick::last_quantity)
        .with(count(trade.volume), Tick::volume)
        .with(count(trade.total_buy_quantity), Tick::total_buy_quantity)
        .with(count(trade.total_sell_quantity), Tick::total_sell_quantity)
}

#[inline]
fn count(value: u32) -> Option<i64> {
    read::quantity(value.into())
}

fn book(levels: &[live::Level; LEVELS], segment: Segment) -> Book {
    let mut book = Book::new();
    for level in levels {
        let bid = row(level.bid_price, level.bid_quantity, level.bid_orders, segment);
        let ask = row(level.ask_price, level.ask_quantity, level.ask_orders, segment);
        bid.into_iter().for_each(|level| book.push_buy(level));
        ask.into_iter().for_each(|level| book.push_sell(level));
    }
    book
}

/// A level, unless it has no price: it is one of the zeros that books are filled up with then, or of the
/// orders at the market before the opening.
fn row(value: f32, quantity: u32, orders: u16, segment: Segment) -> Option<Level> {
    let (price, quantity) = (price(value, segment)?, count(quantity)?);
    Some(Level { price, quantity, orders: Some(orders.into()) })
}

/// The price that was meant by a float of 32 bits, which holds about seven digits: 6.55 arrives as
/// 6.550000190734863. None for what [`adapter_sdk::read::float`] takes for none.
fn price(value: f32, segment: Segment) -> Option<Price> {
    let wide = f64::from(value);
    let rounded = if segment.decimals() == 4 { (wide * 1e4).round() / 1e4 } else { hundredths(wide) / 1e2 };
    read::float(rounded, segment.sign())
}

fn hundredths(wide: f64) -> f64 {
    let scaled = wide * 1e2;
    if wide.abs() < COARSE_FROM {
        return scaled.round();
    }
    // Several hundredths are the same float. What is that expensive trades in larger steps: the price is the
    // roundest one of which this float is the nearest.
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
    use crate::segment::Key;

    fn shown(value: f32, segment: Segment) -> Option<i64> {
        price(value, segment).map(Price::as_nanos)
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
        assert_eq!(shown(-37.63, Segment::NseDerivatives), None);
        // Words for none: floats that are none, 32 bits that are no float, and numbers that became one.
        let bits = [0x8000_0000, 0x88ca_6c00, 0x7fff_ffff, u32::MAX].map(f32::from_bits);
        let numbers =
            [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, f32::MIN, 1e30, 1e-40, -0.0, -1.0, -0.01];
        let words = [21_474_836.0, -21_474_836.0, 42_949_672.0, 22_949_672.0, -20_000_000.0, 20_000_000.0];
        for nonsense in bits.into_iter().chain(numbers).chain(words) {
            assert_eq!(price(nonsense, Segment::Mcx), None, "{nonsense}");
        }
        assert_eq!(price(214_748.36, Segment::NseCurrency), None);
    }

    #[test]
    fn every_price_of_the_usual_steps_survives_32_bits() {
        for paise in (5..25_000_000_i64).step_by(5).step_by(7) {
            let exact = Price::from_scaled(paise, 2);
            let wide = exact.unwrap().as_f64();
            assert_eq!(price(f64_as_f32(wide), Segment::NseEquity), exact, "{paise}");
        }
    }

    const TRADE: Trade = Trade {
        last_price: 26_110.0,
        last_quantity: 0,
        time: 0,
        average_price: 0.0,
        volume: 0,
        total_sell_quantity: 0,
        total_buy_quantity: 0,
    };

    const DAY: Day = Day { open: 0.0, close: 0.0, high: 0.0, low: 0.0 };

    fn decoded(segment: Segment, body: Body) -> Decoded {
        let mut clock = Clock::new();
        clock.set(1_795_599_000);
        tick(&Packet { key: Key { segment, id: 1 }, body }, 7, &mut clock)
    }

    #[test]
    fn before_the_opening_zeros_are_no_prices_and_a_volume_of_zero_is_one() {
        let wanted = Tick::new(7).ltp(Price::from_nanos(26_110_000_000_000)).volume(0);
        let wanted = wanted.total_buy_quantity(0).total_sell_quantity(0);
        assert_eq!(decoded(Segment::NseEquity, Body::Quote(TRADE, DAY)), Decoded::Quote(wanted));
        let interest = live::Interest { oi: 0, high: u32::MAX, low: 5 };
        let full = Body::Full(TRADE, interest, DAY, [live::Level::default(); LEVELS]);
        let Decoded::Book(tick, book) = decoded(Segment::NseDerivatives, full) else { panic!("no book") };
        assert_eq!(tick, wanted.oi(0).oi_low(5));
        assert!(book.buy().is_empty() && book.sell().is_empty());
    }

    #[test]
    fn one_value_that_is_none_costs_no_other() {
        let trade = Trade { average_price: f32::NAN, ..TRADE };
        let day = Day { open: 25_900.0, high: f32::INFINITY, low: -1.0, close: 0.0 };
        let Decoded::Quote(tick) = decoded(Segment::NseEquity, Body::Quote(trade, day)) else {
            panic!("no quote")
        };
        let wanted = Tick::new(7).ltp(Price::from_nanos(26_110_000_000_000)).volume(0);
        let wanted = wanted.total_buy_quantity(0).total_sell_quantity(0);
        assert_eq!(tick, wanted.open(Price::from_nanos(25_900_000_000_000)));
    }

    #[test]
    fn a_level_has_a_price() {
        let level =
            |bid_price, bid_quantity| live::Level { bid_quantity, bid_price, ..live::Level::default() };
        let levels = [level(10.0, 5), level(0.0, 700), level(9.9, 0), level(f32::NAN, 3), level(9.8, 2)];
        let interest = live::Interest { oi: 0, high: 0, low: 0 };
        let full = Body::Full(TRADE, interest, DAY, levels);
        let Decoded::Book(_, book) = decoded(Segment::NseEquity, full) else { panic!("no book") };
        let quantities: Vec<i64> = book.buy().iter().map(|level| level.quantity).collect();
        assert_eq!((quantities, book.sell().len()), (vec![5, 0, 2], 0));
    }

    #[test]
    fn quotes_are_whole_with_what_came_apart() {
        let (close, tick) = (Price::from_nanos(5), Tick::new(7).volume(1));
        let apart = Apart { close: Some(close), oi: Some(9) };
        let full = tick.close(close).prev_close(close).image();
        assert_eq!((apart.full(tick), apart.quote(tick)), (full, full.oi(9)));
        assert_eq!(Apart::default().quote(tick), tick.image());
    }
}
