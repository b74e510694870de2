//! Ticks of the adapter's own: which instrument ticks when, and what a tick holds.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
    time::Duration,
};

use adapter_sdk::{Level, Mode, Price, Subscription, Tick, TickSink};
use tokio::time::Instant;

/// Shortest rest between two wake-ups; ticks that fall due in it share a batch.
const REST: Duration = Duration::from_millis(1);

/// A schedule that is later than this starts over: what the machine could not do is not made up for.
const LATE: Duration = Duration::from_millis(100);

/// What is subscribed, and when it ticks next.
#[derive(Debug)]
pub(crate) struct Ticker {
    interval: Duration,
    wanted: BTreeMap<u32, Wanted>,
    /// Earliest first. An entry counts only when it is the time that the instrument itself names.
    due: BinaryHeap<Reverse<(Instant, u32)>>,
    rest_until: Option<Instant>,
    levels: Levels,
}

#[derive(Debug)]
struct Wanted {
    symbol: String,
    mode: Mode,
    depth: u16,
    /// Ticks so far.
    seq: u64,
    due: Instant,
}

/// Both sides of a book, kept so that a tick allocates nothing.
#[derive(Debug, Default)]
struct Levels {
    buy: Vec<Level>,
    sell: Vec<Level>,
}

impl Ticker {
    pub(crate) fn new(interval: Duration) -> Self {
        Self {
            interval,
            wanted: BTreeMap::new(),
            due: BinaryHeap::new(),
            rest_until: None,
            levels: Levels::default(),
        }
    }

    /// Adds an instrument, whose first tick is due at once, or changes its mode.
    pub(crate) fn subscribe(&mut self, subscription: &Subscription, now: Instant) {
        let Subscription { instrument, symbol, mode, depth, .. } = subscription;
        if let Some(wanted) = self.wanted.get_mut(instrument) {
            (wanted.mode, wanted.depth) = (*mode, *depth);
            return;
        }
        let wanted = Wanted { symbol: symbol.clone(), mode: *mode, depth: *depth, seq: 0, due: now };
        self.wanted.insert(*instrument, wanted);
        self.due.push(Reverse((now, *instrument)));
    }

    pub(crate) fn unsubscribe(&mut self, instrument: u32) {
        self.wanted.remove(&instrument);
    }

    /// Numbers and symbols of what is subscribed, smallest number first.
    pub(crate) fn wanted(&self) -> impl Iterator<Item = (u32, &str)> {
        self.wanted.iter().map(|(instrument, wanted)| (*instrument, wanted.symbol.as_str()))
    }

    /// Whether this number is subscribed.
    pub(crate) fn wants(&self, instrument: u32) -> bool {
        self.wanted.contains_key(&instrument)
    }

    /// When the next ticks are due; `None` when nothing is subscribed.
    pub(crate) fn next_wake(&self) -> Option<Instant> {
        let Reverse((due, _)) = self.due.peek()?;
        Some(self.rest_until.map_or(*due, |rest_until| rest_until.max(*due)))
    }

    /// Publishes what is due.
    pub(crate) fn advance(&mut self, now: Instant, ts_ns: u64, sink: &mut TickSink) {
        self.rest_until = Some(now + REST);
        while let Some(Reverse((due, instrument))) = self.due.peek().copied()
            && due <= now
        {
            self.due.pop();
            let Some(wanted) = self.wanted.get_mut(&instrument).filter(|wanted| wanted.due == due) else {
                continue;
            };
            wanted.publish(instrument, ts_ns, &mut self.levels, sink);
            wanted.due = if wanted.seq == 1 {
                now + self.interval.mul_f64(phase(instrument))
            } else if due + LATE < now {
                now + self.interval
            } else {
                due + self.interval
            };
            self.due.push(Reverse((wanted.due, instrument)));
        }
    }

    /// Publishes at least so many ticks of everything that is subscribed, whatever is due. False when nothing
    /// is.
    pub(crate) fn flood(&mut self, count: usize, ts_ns: u64, sink: &mut TickSink) -> bool {
        let rounds = if self.wanted.is_empty() { 0 } else { count.div_ceil(self.wanted.len()) };
        for _ in 0..rounds {
            for (instrument, wanted) in &mut self.wanted {
                wanted.publish(*instrument, ts_ns, &mut self.levels, sink);
            }
        }
        rounds > 0
    }
}

impl Wanted {
    fn publish(&mut self, instrument: u32, ts_ns: u64, levels: &mut Levels, sink: &mut TickSink) {
        self.seq += 1;
        let price = price_of(self.seq);
        let volume = i64::try_from(self.seq).unwrap_or(i64::MAX);
        let tick = Tick::new(instrument).ltp(price).volume(volume).exchange_ts_ns(ts_ns);
        match self.mode {
            Mode::Ltp => sink.ltp(&tick),
            Mode::Quote => sink.quote(&day_of(tick)),
            Mode::Depth => {
                levels.fill(price, self.depth);
                sink.depth(&day_of(tick), &levels.buy, &levels.sell);
            }
        }
    }
}

impl Levels {
    fn fill(&mut self, price: Price, depth: u16) {
        let level = |number: i64, sign: i64| Level {
            price: Price::from_nanos(price.as_nanos() + sign * number * STEP),
            quantity: number * 10,
            orders: Some(1),
        };
        self.buy.clear();
        self.buy.extend((1..=i64::from(depth)).map(|number| level(number, -1)));
        self.sell.clear();
        self.sell.extend((1..=i64::from(depth)).map(|number| level(number, 1)));
    }
}

/// The price step, 0.05.
const STEP: i64 = 50_000_000;

/// 100 and so many steps, starting over after a thousand ticks.
#[expect(clippy::cast_possible_wrap, reason = "a remainder of 1,000")]
const fn price_of(seq: u64) -> Price {
    Price::from_nanos(100_000_000_000 + (seq % 1_000) as i64 * STEP)
}

/// The tick with what a quote has beside it: the range that prices move in.
const fn day_of(tick: Tick) -> Tick {
    let (lowest, highest) = (price_of(0), price_of(999));
    tick.open(lowest).high(highest).low(lowest).close(lowest)
}

/// Part of an interval by which an instrument is off the others that were subscribed with it, so that they do
/// not all tick at one moment: multiples of the golden ratio fall evenly.
fn phase(instrument: u32) -> f64 {
    const GOLDEN: f64 = 0.618_033_988_749_895;
    (f64::from(instrument) * GOLDEN).fract()
}
