//! The book around a price. Its levels are computed when asked for, so that a tick costs the same in every
//! mode.

use super::random::{self, Random};

/// Levels over which the total quantities are summed: more than any book that is published.
const LEVELS_IN_TOTALS: i64 = 60;

/// A level keeps its quantity for this many ticks, so that a book does not change as a whole with each of
/// them.
const TICKS_PER_QUANTITY: u64 = 16;

/// One side of a book.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Bids, highest first.
    Buy,
    /// Asks, lowest first.
    Sell,
}

/// One price level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    /// Price, scaled by [`PRICE_SCALE`](crate::universe::PRICE_SCALE).
    pub price: i64,
    /// Quantity resting there; a positive multiple of the lot.
    pub quantity: i64,
    /// Orders resting there, at least 1.
    pub orders: u32,
}

/// Best prices, and what the levels behind them follow from.
#[derive(Clone, Debug)]
pub(super) struct Book {
    seed: u64,
    tick: i64,
    lot: i64,
    /// Most lots of one level.
    span: i64,
    ticks: u64,
    bid: i64,
    ask: i64,
}

impl Book {
    pub(super) fn new(seed: u64, tick: i64, lot: i64, span: i64, price: i64) -> Self {
        Self { seed, tick, lot, span, ticks: 0, bid: price, ask: price.saturating_add(tick) }
    }

    /// Places the best prices around the last one; after a trade one of them equals it.
    pub(super) fn advance(&mut self, random: &mut Random, ltp: i64, traded: bool) {
        self.ticks = self.ticks.wrapping_add(1);
        // The dearer an instrument in ticks, the wider its spread.
        let widest = 2 + (ltp / self.tick / 4_000).min(18);
        let spread = random.between(1, widest);
        let below = if traded { spread * random.below(2) } else { random.between(0, spread) };
        // At the lowest price there is, the last trade was at the bid.
        self.bid = (ltp - below * self.tick).max(self.tick);
        self.ask = self.bid.saturating_add(spread * self.tick);
    }

    pub(super) fn best(&self, side: Side) -> Level {
        match side {
            Side::Buy => self.level(side, self.bid),
            Side::Sell => self.level(side, self.ask),
        }
    }

    /// The best levels of one side, best first; bids end at the lowest price there is.
    pub(super) fn levels(&self, side: Side, count: u16) -> impl Iterator<Item = Level> + '_ {
        (0..i64::from(count))
            .map(move |away| match side {
                Side::Buy => self.bid - away * self.tick,
                Side::Sell => self.ask.saturating_add(away * self.tick),
            })
            .take_while(|price| *price >= self.tick)
            .map(move |price| self.level(side, price))
    }

    /// Quantities over the whole book, buy and sell: never less than its levels hold together.
    pub(super) fn totals(&self) -> (i64, i64) {
        let epoch = self.ticks / TICKS_PER_QUANTITY;
        let total = |salt: u64| {
            let beyond = random::reduce(random::mix(self.seed ^ salt ^ epoch), self.span * 10);
            self.lot.saturating_mul(self.span * LEVELS_IN_TOTALS + beyond)
        };
        (total(0x_b0), total(0x_5e11 << 32))
    }

    fn level(&self, side: Side, price: i64) -> Level {
        let salt = if side == Side::Buy { 0 } else { u64::MAX };
        let of_price = random::mix(self.seed ^ salt ^ price.cast_unsigned());
        let epoch = self.ticks.wrapping_add(of_price % TICKS_PER_QUANTITY) / TICKS_PER_QUANTITY;
        let now = random::mix(of_price ^ epoch);
        let lots = 1 + random::reduce(now, self.span);
        let orders = 1 + random::reduce(random::mix(now), lots.min(20));
        Level { price, quantity: self.lot.saturating_mul(lots), orders: u32::try_from(orders).unwrap_or(1) }
    }
}
