//! The synthetic market: what each instrument's next tick holds.
//!
//! No clock, no I/O, no floating point. The n-th tick of an instrument depends on the seed and on its name
//! alone: not on when it was subscribed, in which order, at which rate or in which mode. Instruments that
//! share a spot price (a share at two exchanges, a chain of options) walk the same path, each at its own
//! pace.

mod book;
mod path;
pub(crate) mod random;

use std::collections::HashMap;

pub use book::{Level, Side};
pub use path::Greeks;

use self::{book::Book, path::Path, random::Random};
use crate::universe::{Instrument, Kind, PRICE_SCALE, Universe};

/// All instruments of one instance that have ticked, and those that could.
///
/// Memory is bounded by the universe: an instrument keeps its day when nobody holds it any more.
#[derive(Debug)]
pub struct Market {
    seed: u64,
    universe: Universe,
    states: HashMap<usize, Simulated>,
}

impl Market {
    /// A market that has not opened yet.
    pub fn new(seed: u64, universe: Universe) -> Self {
        Self { seed, universe, states: HashMap::new() }
    }

    /// What trades here.
    pub fn universe(&self) -> &Universe {
        &self.universe
    }

    /// Moves the instrument at a position of the universe by one tick, at a time in nanoseconds since the
    /// Unix epoch. `None` when nothing stands there.
    pub fn advance(&mut self, position: usize, now_ns: u64) -> Option<&Simulated> {
        let instrument = self.universe.instruments().get(position)?;
        let state = self.states.entry(position).or_insert_with(|| Simulated::new(self.seed, instrument));
        state.advance(now_ns);
        Some(state)
    }
}

/// One instrument's trading day. It begins when the instrument is first asked for, and does not end.
#[derive(Clone, Debug)]
pub struct Simulated {
    kind: Kind,
    tick: i64,
    lot: i64,
    /// Most lots of one book level; ten times most lots of one trade.
    span: i64,
    random: Random,
    path: Path,
    book: Book,
    limits: Option<Limits>,
    prev_close: i64,
    open: i64,
    high: i64,
    low: i64,
    ltp: i64,
    volume: i64,
    /// Sum of price times quantity over all trades of the day.
    value: i128,
    last_quantity: i64,
    /// 0 before the first trade.
    last_trade_ts_ns: u64,
    oi: OpenInterest,
    ticks: u64,
}

/// The values of an instrument after a tick. Prices are scaled by [`PRICE_SCALE`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View {
    /// Last price.
    pub ltp: i64,
    /// First price of the day.
    pub open: i64,
    /// Highest price of the day.
    pub high: i64,
    /// Lowest price of the day.
    pub low: i64,
    /// Last price of the day before.
    pub prev_close: i64,
    /// `ltp - prev_close`.
    pub change: i64,
    /// `change` in percent of `prev_close`, scaled by [`PRICE_SCALE`], with two decimals.
    pub change_percent: i64,
    /// What indices do not have.
    pub trading: Option<Trading>,
    /// What only derivatives have.
    pub oi: Option<OpenInterest>,
    /// What indices and crypto pairs do not have.
    pub limits: Option<Limits>,
}

/// Values of an instrument that is traded itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trading {
    /// Time of the last trade, in nanoseconds since the Unix epoch.
    pub last_trade_ts_ns: u64,
    /// Quantity of the last trade.
    pub last_quantity: i64,
    /// Quantity traded today.
    pub volume: i64,
    /// Volume-weighted average price of the day.
    pub average_price: i64,
    /// Resting quantity over all buy levels, also those beyond any book that is published.
    pub total_buy_quantity: i64,
    /// Resting quantity over all sell levels.
    pub total_sell_quantity: i64,
    /// Best bid.
    pub bid: Level,
    /// Best ask.
    pub ask: Level,
}

/// Open contracts, in the exchange's unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenInterest {
    /// Now.
    pub now: i64,
    /// Most of the day.
    pub high: i64,
    /// Fewest of the day.
    pub low: i64,
}

/// Prices between which trading is allowed today.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Lower circuit.
    pub lower: i64,
    /// Upper circuit.
    pub upper: i64,
}

impl Simulated {
    /// An instrument before its first tick.
    pub fn new(seed: u64, instrument: &Instrument) -> Self {
        let Instrument { kind, tick, lot, ref spot, .. } = *instrument;
        let name = instrument.name();
        let mut random = Random::new(seed, &name);
        let path = Path::new(seed, spot);
        let span = match kind {
            Kind::Equity => random.between(50, 2_000),
            Kind::Crypto => 500,
            Kind::Index | Kind::Future { .. } | Kind::Option { .. } => 40,
        };
        let prev_close = on_tick(path.previous_close(kind), tick);
        let limits = limits(kind, tick, prev_close, spot.price);
        let open = within(limits, on_tick(path.price(kind), tick));
        let volume = lot.saturating_mul(random.below(span.saturating_mul(1_000)));
        let open_interest = lot.saturating_mul(random.between(1_000, 50_000));
        Self {
            kind,
            tick,
            lot,
            span,
            book: Book::new(seed ^ random::hash(&name), tick, lot, span, open),
            random,
            path,
            limits,
            prev_close,
            open,
            high: open,
            low: open,
            ltp: open,
            volume,
            value: i128::from(open) * i128::from(volume),
            last_quantity: 0,
            last_trade_ts_ns: 0,
            oi: OpenInterest { now: open_interest, high: open_interest, low: open_interest },
            ticks: 0,
        }
    }

    /// Moves on by one tick: usually a trade, sometimes a change of the book alone.
    pub fn advance(&mut self, now_ns: u64) {
        self.ticks += 1;
        self.path.advance();
        // A price without a trade would make the first tick's values contradict each other.
        let trades = self.last_trade_ts_ns == 0 || self.random.below(5) != 0;
        if trades || self.kind == Kind::Index {
            self.trade(now_ns);
        }
        self.book.advance(&mut self.random, self.ltp, trades);
    }

    fn trade(&mut self, now_ns: u64) {
        self.ltp = within(self.limits, on_tick(self.path.price(self.kind), self.tick));
        self.high = self.high.max(self.ltp);
        self.low = self.low.min(self.ltp);
        self.last_trade_ts_ns = now_ns.max(self.last_trade_ts_ns).max(1);

        // Small trades are the more frequent ones.
        let most_lots = self.span / 10;
        let lots = 1 + self.random.below(most_lots).min(self.random.below(most_lots));
        self.last_quantity = self.lot.saturating_mul(lots);
        self.volume = self.volume.saturating_add(self.last_quantity);
        self.value += i128::from(self.ltp) * i128::from(self.last_quantity);

        let opened = self.lot.saturating_mul(self.random.between(-lots, lots));
        self.oi.now = self.oi.now.saturating_add(opened).max(self.lot);
        self.oi.high = self.oi.high.max(self.oi.now);
        self.oi.low = self.oi.low.min(self.oi.now);
    }

    /// Ticks so far.
    pub const fn ticks(&self) -> u64 {
        self.ticks
    }

    /// The values after the last tick.
    pub fn view(&self) -> View {
        let change = self.ltp - self.prev_close;
        let percent = mul_div(change, 100 * PRICE_SCALE, self.prev_close);
        View {
            ltp: self.ltp,
            open: self.open,
            high: self.high,
            low: self.low,
            prev_close: self.prev_close,
            change,
            change_percent: nearest(percent, PRICE_SCALE / 100),
            trading: (self.kind != Kind::Index).then(|| self.trading()),
            oi: self.kind.is_derivative().then_some(self.oi),
            limits: self.limits,
        }
    }

    /// Greeks after the last tick; none of what is no option.
    pub fn greeks(&self) -> Option<Greeks> {
        self.path.greeks(self.kind)
    }

    /// The best `count` levels of one side, best first: fewer where the price cannot go further, none for an
    /// index.
    pub fn levels(&self, side: Side, count: u16) -> impl Iterator<Item = Level> + '_ {
        let count = if self.kind == Kind::Index { 0 } else { count };
        let allowed = move |level: &Level| {
            self.limits.is_none_or(|limits| (limits.lower..=limits.upper).contains(&level.price))
        };
        self.book.levels(side, count).take_while(allowed)
    }

    fn trading(&self) -> Trading {
        let (total_buy_quantity, total_sell_quantity) = self.book.totals();
        Trading {
            last_trade_ts_ns: self.last_trade_ts_ns,
            last_quantity: self.last_quantity,
            volume: self.volume,
            average_price: self.average_price(),
            total_buy_quantity,
            total_sell_quantity,
            bid: self.book.best(Side::Buy),
            ask: self.book.best(Side::Sell),
        }
    }

    /// Rounded down to paise, or to the tick where that is finer: a multiple of which the day's low is, so
    /// that the average cannot fall below it.
    fn average_price(&self) -> i64 {
        let paisa = PRICE_SCALE / 100;
        let unit = if self.tick % paisa == 0 { paisa } else { self.tick };
        let average = i64::try_from(self.value / i128::from(self.volume.max(1))).unwrap_or(self.ltp);
        average - average % unit
    }
}

fn limits(kind: Kind, tick: i64, prev_close: i64, spot: i64) -> Option<Limits> {
    match kind {
        Kind::Index | Kind::Crypto => None,
        Kind::Equity | Kind::Future { .. } => {
            let fifth = prev_close / 5;
            let lower = prev_close - fifth;
            let upper = prev_close + fifth;
            Some(Limits { lower: lower + (tick - lower % tick) % tick, upper: upper - upper % tick })
        }
        Kind::Option { .. } => {
            // An option moves at most as far as its spot, and that stays within a tenth of its price.
            let upper = prev_close.saturating_add(spot / 5);
            Some(Limits { lower: tick, upper: upper - upper % tick })
        }
    }
}

fn within(limits: Option<Limits>, price: i64) -> i64 {
    limits.map_or(price, |limits| price.min(limits.upper).max(limits.lower))
}

/// The nearest multiple of a positive tick size that is not below it.
fn on_tick(price: i64, tick: i64) -> i64 {
    nearest(price, tick).max(tick)
}

fn nearest(value: i64, unit: i64) -> i64 {
    value.saturating_add(unit / 2).div_euclid(unit).saturating_mul(unit)
}

/// `a * b / c`, limited to what an `i64` holds. `c` must be positive.
fn mul_div(a: i64, b: i64, c: i64) -> i64 {
    let result = i128::from(a) * i128::from(b) / i128::from(c.max(1));
    i64::try_from(result).unwrap_or(if result < 0 { i64::MIN } else { i64::MAX })
}

#[cfg(test)]
mod tests;
