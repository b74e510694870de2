//! The ticks of one feed: from the merge into what is known to the streams that show it.

use std::{sync::Arc, time::Duration};

use super::{
    ledger::Ledger,
    outgoing::Outgoing,
    topic::{Stream, Topic},
    topic_of,
};
use crate::{
    book::{Changed, Entry, moment},
    calendar::Calendar,
    metrics::FeedCounters,
    model::{FeedId, Greeks, InstrumentId, Key, Ltp, Mode, Quote},
    throttle::{Nanos, Throttle, Verdict},
};

/// A feed, while it is open.
#[derive(Debug)]
pub(super) struct Feed {
    pub(super) id: FeedId,
    pub(super) throttle: Throttle<Key>,
    pub(super) counters: Arc<FeedCounters>,
    pub(super) repeats_modes: bool,
    pub(super) has_hours: bool,
    pub(super) ledger: Ledger,
    /// Instruments that have ticked since they were subscribed.
    pub(super) active: u64,
}

/// The parts of the router that a tick concerns beside its feed, borrowed apart.
pub(super) struct Tables<'a> {
    pub(super) topics: &'a mut [Option<Box<Topic>>],
    pub(super) out: &'a mut Outgoing,
    pub(super) calendar: &'a Calendar,
}

/// What a tick is, whatever it says.
#[derive(Clone, Copy)]
pub(super) struct Arrival {
    pub(super) instrument: InstrumentId,
    /// None for greeks, which concern those who see a difference.
    pub(super) published: Option<Mode>,
    /// Others that are merged into it.
    pub(super) missed: u32,
    /// The moment that it speaks of, in nanoseconds since the Unix epoch; 0 when nobody knows.
    pub(super) at_ns: u64,
}

impl Arrival {
    pub(super) const fn of_ltp(tick: &Ltp) -> Self {
        let at_ns = moment(tick.fields, tick.exchange_ts_ns, tick.received_ts_ns);
        Self { instrument: InstrumentId(tick.instrument), published: Some(Mode::Ltp), missed: 0, at_ns }
    }

    pub(super) const fn of(quote: &Quote, published: Mode) -> Self {
        let at_ns = moment(quote.fields, quote.exchange_ts_ns, quote.received_ts_ns);
        Self { instrument: InstrumentId(quote.instrument), published: Some(published), missed: 0, at_ns }
    }

    pub(super) const fn of_greeks(greeks: &Greeks) -> Self {
        let at_ns = moment(greeks.fields, greeks.exchange_ts_ns, greeks.received_ts_ns);
        Self { instrument: InstrumentId(greeks.instrument), published: None, missed: 0, at_ns }
    }
}

impl Feed {
    /// A feed that begins; see [`Command::OpenFeed`](super::Command::OpenFeed).
    pub(super) fn new(
        id: FeedId,
        interval: Duration,
        counters: Arc<FeedCounters>,
        repeats_modes: bool,
        has_hours: bool,
    ) -> Self {
        let throttle = Throttle::new(interval);
        Self { id, throttle, counters, repeats_modes, has_hours, ledger: Ledger::default(), active: 0 }
    }

    /// Takes one tick of a batch that is counted as received, if the instrument is one that this feed was
    /// asked for.
    #[inline]
    pub(super) fn apply(
        &mut self,
        tables: &mut Tables<'_>,
        arrival: Arrival,
        now: Nanos,
        merge: impl FnOnce(&mut Entry) -> Option<Changed>,
    ) {
        let Tables { topics, out, calendar } = tables;
        let Arrival { instrument, published, missed, at_ns } = arrival;
        let Some(topic) = topic_of(topics, instrument).filter(|topic| topic.feed == self.id) else {
            self.ledger.dropped_unsubscribed += 1;
            return;
        };
        let was_empty = topic.entry.is_empty();
        // Greeks say nothing of the broker's clock.
        let Some(changed) = topic.merge(at_ns, calendar, published.is_some(), merge) else {
            self.ledger.out_of_order += 1;
            return;
        };
        if was_empty && !topic.entry.is_empty() && !std::mem::replace(&mut topic.has_ticked, true) {
            self.active += 1;
        }
        let repeats_another_mode =
            self.repeats_modes && published.is_some_and(|mode| topic.note_published(mode, now));
        if !topic.is_shown {
            return;
        }
        let reached = if changed.is_beside_ticks() { Some(Mode::Depth) } else { published };
        for place in 0..topic.streams.len() {
            let Some(stream) = topic.streams.get_mut(place) else { break };
            let variant = stream.variant;
            let is_news = changed.is_visible_in(variant.mode());
            stream.owes |= is_news;
            if Some(variant.mode()) > reached || (published.is_none() && !is_news) {
                continue;
            }
            self.ledger.updates += 1;
            if repeats_another_mode && !stream.owes {
                self.ledger.repeated += 1;
                continue;
            }
            stream.owes = false;
            let key = Key { instrument, variant };
            let verdict = if variant.is_lossless() {
                Verdict::Emit
            } else {
                self.throttle.offer(key, &mut stream.spacing, now)
            };
            match verdict {
                Verdict::Emit => {
                    let received_ns = topic.entry.quote().received_ts_ns;
                    out.emit(topic, key, missed, received_ns, &mut self.ledger);
                }
                Verdict::Wait => {}
                Verdict::Replaced => self.ledger.conflated_throttle += 1,
            }
        }
    }

    /// A stream ends: what waited for its interval is accounted for.
    pub(super) fn abandon(&mut self, stream: &Stream) {
        if stream.spacing.is_dirty() {
            self.throttle.forget(stream.spacing);
            self.ledger.abandoned += 1;
        }
    }

    pub(super) fn settle(&mut self) {
        self.ledger.settle(&self.counters, self.throttle.waiting());
        self.counters.active.set(self.active);
    }
}
