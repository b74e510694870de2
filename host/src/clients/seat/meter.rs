//! How far behind a client is, measured with the ticks that it gets.
//!
//! A session follows one tick at a time: the first one offered when it follows none, from its offer to the
//! moment when it and everything before it is with the kernel. That costs an offer one look at a flag, and a
//! wake-up one look at a clock; a client that stops reading shows by the age of the tick that is followed.

use std::{
    cell::{Cell, RefCell},
    net::SocketAddr,
    sync::Arc,
};

use serde::Serialize;
use tickhost_core::{mailbox::Times, metrics::FeedCounters, model::FeedId};

/// What is measured of one session.
#[derive(Debug)]
pub(super) struct Meter {
    peer: SocketAddr,
    since_ns: u64,
    feed: RefCell<Option<(FeedId, Arc<FeedCounters>)>>,
    /// Whether a tick is followed: all that an offer looks at while one is.
    follows: Cell<bool>,
    times: Cell<Times>,
    /// Ticks to be handed over until the one that is followed is, itself included.
    ahead: Cell<usize>,
    lag_ns: Cell<u64>,
    written: Cell<u64>,
    /// Of them, those that the counters of the feed know.
    accounted: Cell<u64>,
    conflated: Cell<u64>,
}

impl Meter {
    pub(super) fn new(peer: SocketAddr, since_ns: u64) -> Self {
        Self {
            peer,
            since_ns,
            feed: RefCell::default(),
            follows: Cell::new(false),
            times: Cell::default(),
            ahead: Cell::new(0),
            lag_ns: Cell::new(0),
            written: Cell::new(0),
            accounted: Cell::new(0),
            conflated: Cell::new(0),
        }
    }

    /// The session belongs to this feed from now on.
    pub(super) fn set_feed(&self, feed: Option<(FeedId, Arc<FeedCounters>)>) {
        *self.feed.borrow_mut() = feed;
        self.follows.set(false);
    }

    /// A tick was offered; `waiting` gives the number of ticks that wait, it included.
    #[inline]
    pub(super) fn offered(&self, times: Times, waiting: impl FnOnce() -> usize) {
        if !self.follows.get() && times.received_ns != 0 {
            self.follows.set(true);
            self.times.set(times);
            self.ahead.set(waiting());
        }
    }

    /// A newer tick took the place of one that waited.
    #[inline]
    pub(super) fn conflated(&self) {
        self.conflated.set(self.conflated.get() + 1);
    }

    /// A tick was handed to the socket.
    #[inline]
    pub(super) fn written(&self) {
        self.written.set(self.written.get() + 1);
        self.ahead.set(self.ahead.get().saturating_sub(1));
    }

    /// Adds what was written since the last call to the counters of the feed, once for each wake-up.
    pub(super) fn account_written(&self) {
        let written = self.written.get();
        let before = self.accounted.replace(written);
        if written != before
            && let Some((_, counters)) = &*self.feed.borrow()
        {
            counters.written.add(written - before);
        }
    }

    /// The kernel has everything that was handed to the socket. `is_all` when nothing else waits. `unix_ns`
    /// reads the time of day in nanoseconds since the Unix epoch, once for each tick that was followed.
    pub(super) fn flushed(&self, is_all: bool, unix_ns: impl FnOnce() -> u64) {
        if !self.follows.get() || (self.ahead.get() > 0 && !is_all) {
            return;
        }
        self.follows.set(false);
        let (now_ns, times) = (unix_ns(), self.times.get());
        let lag_ns = now_ns.saturating_sub(times.received_ns);
        self.lag_ns.set(lag_ns);
        if let Some((_, counters)) = &*self.feed.borrow() {
            counters.host_latency.record(lag_ns);
            if times.exchange_ns != 0 {
                counters.exchange_latency.record(now_ns.saturating_sub(times.exchange_ns));
            }
        }
    }

    /// Adds what is known here to a row.
    pub(super) fn describe(&self, row: &mut SessionRow, now_ns: u64) {
        let waits_ns =
            if self.follows.get() { now_ns.saturating_sub(self.times.get().received_ns) } else { 0 };
        row.peer = Some(self.peer);
        row.age_ms = now_ns.saturating_sub(self.since_ns) / 1_000_000;
        row.feed = self.feed.borrow().as_ref().map(|(feed, _)| feed.0);
        row.lag_us = self.lag_ns.get().max(waits_ns) / 1_000;
        row.written = self.written.get();
        row.conflated = self.conflated.get();
    }
}

/// One session, as the operator sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SessionRow {
    /// Its number, which no other session of this host ever has.
    pub id: u64,
    /// The other end.
    pub peer: Option<SocketAddr>,
    /// Milliseconds since it connected.
    pub age_ms: u64,
    /// The user, none before a valid key.
    pub user: Option<String>,
    /// Identity of the key, which is not secret.
    pub key: Option<String>,
    /// Number of the feed.
    pub feed: Option<u32>,
    /// Subscriptions: each mode of a symbol counts.
    pub subscriptions: u64,
    /// Microseconds from the receipt of a tick to its hand-over, of the last one that was followed; or the
    /// age of the one that still waits, when that is more.
    pub lag_us: u64,
    /// Ticks that wait.
    pub waiting: usize,
    /// Whether newer ticks take the place of those that wait.
    pub behind: bool,
    /// Ticks written.
    pub written: u64,
    /// Ticks that were replaced by newer ones because the client was behind.
    pub conflated: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_NS: u64 = 1_900_000_000_000_000_000;

    fn meter() -> (Meter, Arc<FeedCounters>) {
        let meter = Meter::new(SocketAddr::from(([127, 0, 0, 1], 1)), NOW_NS);
        let counters = Arc::<FeedCounters>::default();
        meter.set_feed(Some((FeedId(1), Arc::clone(&counters))));
        (meter, counters)
    }

    fn ago(ms: u64) -> Times {
        let received_ns = NOW_NS - ms * 1_000_000;
        Times { received_ns, exchange_ns: received_ns - 1_000_000_000 }
    }

    #[test]
    fn a_tick_is_measured_when_it_and_all_before_it_are_with_the_kernel() {
        let (meter, counters) = meter();
        meter.offered(ago(100), || 3);
        // One at a time.
        meter.offered(ago(0), || 4);
        meter.written();
        meter.flushed(false, || NOW_NS);
        assert_eq!(counters.host_latency.read().count(), 0);
        meter.written();
        meter.written();
        meter.flushed(false, || NOW_NS);
        let (host, exchange) = (counters.host_latency.read(), counters.exchange_latency.read());
        assert_eq!((host.count(), exchange.count()), (1, 1));
        assert!(host.sum_us >= 100_000 && exchange.sum_us >= 1_100_000, "{host:?} {exchange:?}");
        meter.flushed(true, || NOW_NS);
        assert_eq!(counters.host_latency.read().count(), 1);
    }

    #[test]
    fn a_client_that_does_not_read_shows_by_the_age_of_what_waits() {
        let (meter, _) = meter();
        meter.offered(ago(0), || 1);
        meter.written();
        meter.flushed(true, || NOW_NS);
        meter.offered(ago(5_000), || 1);
        let mut row = SessionRow::default();
        meter.describe(&mut row, NOW_NS);
        assert!(row.lag_us >= 5_000_000, "{row:?}");
        assert_eq!((row.written, row.feed), (1, Some(1)));
    }

    #[test]
    fn a_tick_without_times_is_not_measured() {
        let (meter, counters) = meter();
        meter.offered(Times::default(), || 1);
        meter.written();
        meter.flushed(true, || NOW_NS);
        assert_eq!(counters.host_latency.read().count(), 0);
        meter.offered(Times { exchange_ns: 0, ..ago(1) }, || 1);
        meter.flushed(true, || NOW_NS);
        assert_eq!((counters.host_latency.read().count(), counters.exchange_latency.read().count()), (1, 0));
    }
}
