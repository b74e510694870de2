//! What one connection does: which instruments tick when, and what goes wrong on purpose.
//!
//! No clock and no I/O: the caller says how late it is, waits until [`Feed::next_wake`] and hands over where
//! ticks go.

mod schedule;

use std::{cell::RefCell, rc::Rc, time::Duration};

use self::schedule::Schedule;
use crate::{
    config::{Settings, Stage},
    market::{Greeks, Level, Market, Side, View, random::Random},
};

/// Number that ticks nobody asked for are published under; hosts count from the other end.
pub const STRAY_INSTRUMENT: u32 = u32::MAX;

/// Shortest rest between two wake-ups; ticks that fall due in it share a batch. After more work than that the
/// rest is as long as the work, so that a rate that is too much for the machine costs ticks and at most half
/// a core.
const REST: Duration = Duration::from_millis(1);

/// Longest rest.
const REST_MAX: Duration = Duration::from_millis(50);

/// A moment, on the two clocks that matter.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// Time since the connection began; never goes back.
    pub age: Duration,
    /// Nanoseconds since the Unix epoch.
    pub ts_ns: u64,
}

/// How much of an instrument is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// The last trade.
    Price,
    /// Everything but the book.
    Quote,
    /// Everything, with so many levels on each side.
    Book(u16),
}

/// One tick, on its way out.
#[derive(Clone, Copy, Debug)]
pub struct Outgoing<'a> {
    /// Number that the instrument was subscribed under.
    pub instrument: u32,
    /// Which of the values are wanted.
    pub detail: Detail,
    /// Time the exchange puts on it, in nanoseconds since the Unix epoch.
    pub exchange_ts_ns: u64,
    /// The values.
    pub view: &'a View,
    /// Greeks of an option, unless no more than the last trade is wanted.
    pub greeks: Option<Greeks>,
    /// Bids, best first; empty unless a book is wanted and the instrument has one.
    pub buy: &'a [Level],
    /// Asks, best first; empty like the bids.
    pub sell: &'a [Level],
}

/// Where ticks go.
pub trait Outlet {
    /// Takes one tick. Must not wait.
    fn tick(&mut self, tick: Outgoing<'_>);
}

/// Whether a connection still stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Progress {
    /// It does.
    Connected,
    /// It has just been lost, as the settings say.
    Lost,
}

/// One connection's subscriptions. Costs nothing while there are none.
#[derive(Debug)]
pub struct Feed {
    settings: Rc<Settings>,
    /// Shared with later connections of the instance, so that volumes and day ranges survive a reconnection.
    market: Rc<RefCell<Market>>,
    schedule: Schedule<Subscribed>,
    /// Spreads the ticks over time; what they hold does not depend on it.
    random: Random,
    rest_until: Duration,
    /// When the work began that has not been rested from.
    woke_at: Option<Duration>,
    buffers: Buffers,
}

#[derive(Clone, Copy, Debug)]
struct Subscribed {
    /// In the universe.
    position: usize,
    detail: Detail,
    interval: Duration,
    panics: bool,
}

/// The times that a tick carries.
#[derive(Clone, Copy, Debug)]
struct Moment {
    exchange_ts_ns: u64,
    /// When it was due, if it is to say so.
    stamp_ns: Option<u64>,
}

impl Moment {
    /// The same for a tick that was due some time before.
    fn due_before(self, late: Duration) -> Self {
        Self { stamp_ns: self.stamp_ns.map(|now_ns| now_ns.saturating_sub(nanos(late))), ..self }
    }
}

/// The two sides of a book, kept so that a tick allocates nothing.
#[derive(Debug, Default)]
struct Buffers {
    buy: Vec<Level>,
    sell: Vec<Level>,
}

impl Feed {
    /// A connection without subscriptions.
    pub fn new(settings: Rc<Settings>, market: Rc<RefCell<Market>>) -> Self {
        let random = Random::new(settings.seed, "schedule");
        Self {
            settings,
            market,
            schedule: Schedule::new(),
            random,
            rest_until: Duration::ZERO,
            woke_at: None,
            buffers: Buffers::default(),
        }
    }

    /// Adds the instrument at a position of the universe under a number, or changes its detail, and publishes
    /// a tick of it at once, so that a newcomer does not wait. Does nothing when nothing stands at the
    /// position.
    ///
    /// # Panics
    ///
    /// When the settings ask for it.
    pub fn subscribe(
        &mut self,
        instrument: u32,
        position: usize,
        detail: Detail,
        now: Now,
        outlet: &mut impl Outlet,
    ) {
        let market = self.market.borrow();
        let Some(listed) = market.universe().instruments().get(position) else { return };
        if self.settings.faults.panics(Stage::Subscribe, &listed.symbol) {
            simulated_panic(Stage::Subscribe);
        }
        let subscribed = Subscribed {
            position,
            detail,
            interval: self.settings.rates.interval(listed),
            panics: self.settings.faults.panics(Stage::Next, &listed.symbol),
        };
        drop(market);
        if let Some(known) = self.schedule.get_mut(instrument) {
            *known = subscribed;
        } else {
            // Instruments subscribed together do not stay in step.
            let first = now.age.saturating_add(part(subscribed.interval, &mut self.random));
            self.schedule.insert(instrument, first, subscribed);
        }
        if !self.is_mute(now.age) {
            let moment = self.moment(now);
            let mut market = self.market.borrow_mut();
            publish(instrument, subscribed, moment, &mut market, &mut self.buffers, outlet);
        }
    }

    /// Ends an instrument's ticks. Does nothing when it has none.
    pub fn unsubscribe(&mut self, instrument: u32) {
        self.schedule.remove(instrument);
    }

    /// Instruments that are subscribed.
    pub fn subscriptions(&self) -> usize {
        self.schedule.len()
    }

    /// Ticks that were left out because the machine was too slow for them.
    pub fn skipped(&self) -> u64 {
        self.schedule.skipped()
    }

    /// The age at which [`Self::advance`] has something to do, if it ever has. May be in the past.
    pub fn next_wake(&mut self, age: Duration) -> Option<Duration> {
        if let Some(woke_at) = self.woke_at.take() {
            let rest = age.saturating_sub(woke_at).clamp(REST, REST_MAX);
            self.rest_until = age.saturating_add(rest);
        }
        let due = if self.is_mute(age) { None } else { self.schedule.next_due() };
        let tick = due.map(|due| due.max(self.rest_until));
        [tick, self.settings.faults.disconnect_every].into_iter().flatten().min()
    }

    /// Publishes every tick that is due.
    ///
    /// # Panics
    ///
    /// When the settings ask for it.
    pub fn advance(&mut self, now: Now, outlet: &mut impl Outlet) -> Progress {
        if self.settings.faults.disconnect_every.is_some_and(|limit| now.age >= limit) {
            return Progress::Lost;
        }
        if !self.is_mute(now.age) {
            self.publish_due(now, outlet);
        }
        Progress::Connected
    }

    fn publish_due(&mut self, now: Now, outlet: &mut impl Outlet) {
        let moment = self.moment(now);
        let mut market = self.market.borrow_mut();
        let random = &mut self.random;
        let mut last = None;
        while let Some((instrument, due, &subscribed)) =
            self.schedule.pop_due(now.age, |subscribed| jittered(subscribed.interval, random))
        {
            if subscribed.panics {
                simulated_panic(Stage::Next);
            }
            let moment = moment.due_before(now.age.saturating_sub(due));
            last = publish(instrument, subscribed, moment, &mut market, &mut self.buffers, outlet);
        }
        if let Some(view) = last.filter(|_| self.settings.faults.stray_ticks) {
            let (detail, view, exchange_ts_ns) = (Detail::Price, &view, moment.exchange_ts_ns);
            outlet.tick(Outgoing {
                instrument: STRAY_INSTRUMENT,
                detail,
                exchange_ts_ns,
                view,
                greeks: None,
                buy: &[],
                sell: &[],
            });
        }
        self.woke_at = Some(now.age);
    }

    fn is_mute(&self, age: Duration) -> bool {
        self.settings.faults.mute_after.is_some_and(|mute_after| age >= mute_after)
    }

    fn moment(&self, now: Now) -> Moment {
        Moment {
            exchange_ts_ns: now.ts_ns.saturating_sub(nanos(self.settings.latency)),
            stamp_ns: self.settings.stamps.then_some(now.ts_ns),
        }
    }
}

/// Moves an instrument by one tick and sends it out. Returns the values sent, if the instrument exists.
fn publish(
    instrument: u32,
    subscribed: Subscribed,
    moment: Moment,
    market: &mut Market,
    buffers: &mut Buffers,
    outlet: &mut impl Outlet,
) -> Option<View> {
    let Moment { exchange_ts_ns, stamp_ns } = moment;
    let simulated = market.advance(subscribed.position, exchange_ts_ns)?;
    buffers.buy.clear();
    buffers.sell.clear();
    if let Detail::Book(levels) = subscribed.detail {
        buffers.buy.extend(simulated.levels(Side::Buy, levels));
        buffers.sell.extend(simulated.levels(Side::Sell, levels));
    }
    let mut view = simulated.view();
    if let (Some(trading), Some(stamp_ns)) = (&mut view.trading, stamp_ns) {
        trading.volume = i64::try_from(stamp_ns / 1_000).unwrap_or(i64::MAX);
        trading.last_quantity = i64::try_from(simulated.ticks()).unwrap_or(i64::MAX);
    }
    outlet.tick(Outgoing {
        instrument,
        detail: subscribed.detail,
        exchange_ts_ns,
        view: &view,
        greeks: simulated.greeks().filter(|_| subscribed.detail != Detail::Price),
        buy: &buffers.buy,
        sell: &buffers.sell,
    });
    Some(view)
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// From three to five quarters of an interval.
fn jittered(interval: Duration, random: &mut Random) -> Duration {
    (interval / 4 * 3).saturating_add(part(interval / 2, random))
}

/// Any part of an interval.
fn part(interval: Duration, random: &mut Random) -> Duration {
    let interval_ns = i64::try_from(interval.as_nanos()).unwrap_or(i64::MAX);
    Duration::from_nanos(random.below(interval_ns).unsigned_abs())
}

#[expect(clippy::panic, reason = "a person asked for it, to see that nothing else is harmed")]
pub(crate) fn simulated_panic(stage: Stage) -> ! {
    panic!("simulated panic, because faults.panic_in is {stage:?}");
}

#[cfg(test)]
mod tests;
