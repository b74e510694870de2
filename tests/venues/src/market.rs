//! How prices move: a walk in steps of the tick, from a seed.

use crate::{
    model::{LEVELS, Level, Side, Values},
    universe::{Instrument, Kind},
};

/// A generator that needs no library: xorshift.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    /// The same numbers for the same seed.
    pub(crate) const fn new(seed: u64) -> Self {
        // Zero would stay zero.
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// The next number.
    pub(crate) const fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A number from 0 up to, not including, `limit`.
    pub(crate) fn below(&mut self, limit: i64) -> i64 {
        let limit = u64::try_from(limit).unwrap_or(1).max(1);
        i64::try_from(self.next() % limit).unwrap_or(0)
    }
}

/// The state of an instrument when it opens.
pub(crate) fn open(instrument: &Instrument, random: &mut Random, now_ns: i64) -> Values {
    let start = instrument.start;
    let tick = instrument.tick;
    let mut values = Values {
        ltp: start,
        // All of them differ, so that no two can be mistaken for each other, except of what costs next to
        // nothing.
        open: start + tick * (1 + random.below(5)),
        high: start + tick * (7 + random.below(50)),
        low: (start - tick * (7 + random.below(50))).max(tick),
        close: (start - tick * (1 + random.below(5))).max(tick),
        exchange_ts_ns: now_ns,
        ..Values::default()
    };
    if instrument.kind != Kind::Index {
        values.average_price = start + tick * 6;
        values.last_quantity = instrument.lot * (1 + random.below(9));
        values.volume = instrument.lot * (1_000 + random.below(100_000));
        values.last_trade_ts_ns = now_ns - 1_000_000_000 * (1 + random.below(60));
        values.lower_circuit = (start / 10 * 9 / tick).max(1) * tick;
        values.upper_circuit = (start / 10 * 11 / tick).max(2) * tick;
        if instrument.expiry.is_some() {
            values.oi = instrument.lot * (100 + random.below(10_000));
            values.oi_high = values.oi + instrument.lot * (1 + random.below(50));
            values.oi_low = values.oi - instrument.lot * (1 + random.below(50));
        }
        quote(&mut values, instrument, random, LEVELS);
    }
    values
}

/// One trade later, with as many levels as the deepest book that somebody looks at. The last price always
/// changes, so that a client can tell updates apart.
pub(crate) fn trade(
    values: &mut Values,
    instrument: &Instrument,
    random: &mut Random,
    now_ns: i64,
    levels: usize,
) {
    let tick = instrument.tick;
    let step = tick * (1 + random.below(3));
    let is_up = random.below(2) == 0;
    values.ltp = if is_up || values.ltp <= step { values.ltp + step } else { values.ltp - step };
    values.high = values.high.max(values.ltp);
    values.low = values.low.min(values.ltp);
    values.exchange_ts_ns = now_ns;
    if instrument.kind == Kind::Index {
        return;
    }
    values.last_trade_ts_ns = now_ns;
    values.last_quantity = instrument.lot * (1 + random.below(20));
    values.volume = (values.volume + values.last_quantity) % (i64::from(u32::MAX) - 1_000_000);
    let between = values.low.midpoint(values.high);
    values.average_price = (between / tick).max(1) * tick;
    if instrument.expiry.is_some() {
        values.oi += instrument.lot * (random.below(5) - 2);
        values.oi = values.oi.max(0);
        values.oi_high = values.oi_high.max(values.oi);
        values.oi_low = values.oi_low.min(values.oi);
    }
    quote(values, instrument, random, levels.max(LEVELS));
}

/// Lets a book have so many levels, below those that it has, for somebody who is the first to look that deep.
pub(crate) fn deepen(values: &mut Values, instrument: &Instrument, random: &mut Random, levels: usize) {
    if instrument.kind != Kind::Index && levels > LEVELS {
        let (bids, asks) = (values.bids.clone(), values.asks.clone());
        fill(values, instrument, random, levels, [&*bids, &*asks]);
    }
}

/// A book around the last price.
fn quote(values: &mut Values, instrument: &Instrument, random: &mut Random, levels: usize) {
    fill(values, instrument, random, levels, [&[], &[]]);
}

/// Both sides, beginning with the levels that are there.
fn fill(
    values: &mut Values,
    instrument: &Instrument,
    random: &mut Random,
    levels: usize,
    [bids, asks]: [&[Level]; 2],
) {
    let ltp = values.ltp;
    let mut side = |sign: i64, has: &[Level]| -> Side {
        let added = (has.len()..levels).map(|place| {
            let away = i64::try_from(place).unwrap_or(0) + i64::from(sign > 0);
            let price = ltp + sign * away * instrument.tick;
            // A penny stock has no bids below its smallest price.
            if price <= 0 {
                return Level::default();
            }
            let quantity = instrument.lot * (1 + random.below(500));
            Level { price, quantity, orders: u32::try_from(1 + random.below(40)).unwrap_or(1) }
        });
        has.iter().copied().chain(added).collect()
    };
    values.bids = side(-1, bids);
    values.asks = side(1, asks);
    let total = |side: &Side| side.iter().map(|level| level.quantity).sum::<i64>() * 3;
    values.total_buy_quantity = total(&values.bids);
    values.total_sell_quantity = total(&values.asks);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::MOST_LEVELS,
        universe::{Date, Universe},
    };

    #[test]
    fn a_book_is_as_deep_as_somebody_looks_and_what_was_there_stays() {
        let universe = Universe::new(0, Date(20_783));
        let share = &universe.all()[universe.place("NSE", "RELIANCE").unwrap()];
        let mut random = Random::new(1);
        let mut values = open(share, &mut random, 0);
        let before = (values.bids.clone(), values.asks.clone());
        assert_eq!((before.0.len(), before.1.len()), (LEVELS, LEVELS));
        deepen(&mut values, share, &mut random, MOST_LEVELS);
        assert_eq!((values.bids.len(), values.asks.len()), (MOST_LEVELS, MOST_LEVELS));
        assert_eq!((&values.bids[..LEVELS], &values.asks[..LEVELS]), (&before.0[..], &before.1[..]));
        assert!(values.bids.windows(2).all(|two| two[0].price == two[1].price + share.tick));
        assert!(values.asks.windows(2).all(|two| two[0].price + share.tick == two[1].price));
        trade(&mut values, share, &mut random, 0, 20);
        assert_eq!((values.bids.len(), values.asks.len()), (20, 20));
        trade(&mut values, share, &mut random, 0, 0);
        assert_eq!((values.bids.len(), values.asks.len()), (LEVELS, LEVELS));
    }

    #[test]
    fn a_side_ends_with_its_last_level() {
        let level = Level { price: 5, quantity: 1, orders: 1 };
        let side: Side = [level, Level::default(), level, Level::default()].into_iter().collect();
        assert_eq!(side[..], [level, Level::default(), level]);
        assert_eq!(side.padded::<2>(), [level, Level::default()]);
        assert_eq!(side.padded::<5>()[3..], [Level::default(); 2]);
    }
}
