//! What the adapters of a feed say of their lists of instruments, and the instruments that a list does not
//! have any more.
//!
//! An instrument that somebody holds and that the broker's list has lost is *lost*: it keeps its number, its
//! holders and its last values, but has no place on a connection. It is asked for again when an adapter says
//! that its list has changed, and when a connection is made again, since that may have brought another list.
//! Nobody asks for it more often, so a broker that lists an instrument and refuses it each time costs little.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use adapter_abi::OutcomeCode;
use rustc_hash::FxHashSet;
use tickhost_core::model::InstrumentId;

use super::Actor;
use crate::{
    base::clock::Moment,
    feeds::{bulletin::Bulletin, feed::list_report::ListReport},
};

/// Shortest pause between two looks at what adapters said of their lists: an adapter that says it all the
/// time costs no more than one that says it once a second.
pub(super) const LOOK_PAUSE: Duration = Duration::from_secs(1);

/// What the feed knows of its adapters' lists.
#[derive(Debug, Default)]
pub(super) struct Lists {
    /// That of the connection whose list is the worst; none when no adapter says anything.
    present: Option<Arc<ListReport>>,
    /// What the log said was wrong last, none when it said nothing or that the list is whole.
    logged: Option<String>,
    looked_at: Option<Instant>,
    /// Instruments that are lost at the moment.
    lost: usize,
    /// There is something to look at.
    is_due: bool,
}

impl Lists {
    /// There is news, or another list may be in use.
    pub(super) const fn note(&mut self) {
        self.is_due = true;
    }

    /// When to look.
    pub(super) fn due(&self, now: Instant) -> Option<Instant> {
        self.is_due.then(|| self.looked_at.map_or(now, |at| at + LOOK_PAUSE))
    }

    /// The worst of the feed's lists.
    pub(super) const fn present(&self) -> Option<&Arc<ListReport>> {
        self.present.as_ref()
    }

    /// Instruments that are lost at the moment.
    pub(super) const fn lost(&self) -> usize {
        self.lost
    }

    /// One that was lost is back, or nobody wants it any more.
    pub(super) const fn found(&mut self) {
        self.lost = self.lost.saturating_sub(1);
    }

    fn is_incomplete(&self) -> bool {
        self.present.as_ref().is_some_and(|list| !list.is_whole)
    }
}

impl Actor {
    /// Reads what the adapters have said, when it is time, and asks for what was lost.
    pub(super) fn look_at_lists(&mut self, now: Moment) {
        // An instance that has ended takes what it said with it.
        self.lists.present = self.worst_list();
        if self.lists.due(now.at).is_none_or(|at| now.at < at) {
            return;
        }
        (self.lists.is_due, self.lists.looked_at) = (false, Some(now.at));
        for connection in &mut self.connections {
            let Some(json) = connection.running().and_then(|running| running.events.take_list()) else {
                continue;
            };
            match ListReport::read(&json, |text| self.credentials.current().redacted(text)) {
                Some(list) => connection.list.said = Some(Arc::new(list)),
                None => self.feed.0.counters.lists_malformed.add(1),
            }
        }
        self.lists.present = self.worst_list();
        self.log_list();
        self.ask_for_lost(now);
    }

    fn worst_list(&self) -> Option<Arc<ListReport>> {
        ListReport::worst(self.connections.iter().filter_map(|connection| connection.list.said.as_ref()))
            .cloned()
    }

    /// Logs what has become of the list, if that is news.
    fn log_list(&mut self) {
        // An instance that has just begun has said nothing yet, which is no news.
        let Some(list) = &self.lists.present else { return };
        let trouble = list.trouble();
        if trouble == self.lists.logged {
            return;
        }
        let (adapter, feed) = (&self.feed.0.spec.adapter, self.feed.id().0);
        let (instruments, skipped) = (list.instruments, list.skipped);
        if let Some(reason) = &trouble {
            tracing::warn!(
                %adapter,
                feed,
                reason,
                instruments,
                skipped,
                "A list of instruments is not whole; the broker is asked for another"
            );
        } else {
            tracing::info!(%adapter, feed, instruments, skipped, "The list of instruments is whole again");
        }
        self.lists.logged = trouble;
    }

    /// Asks the adapters for what their lists had lost, as far as there is room for it.
    fn ask_for_lost(&mut self, now: Moment) {
        let waiting: FxHashSet<InstrumentId> = self.placement.parked().iter().copied().collect();
        let mut lost = self.subscriptions.lost();
        lost.retain(|instrument| !waiting.contains(instrument));
        self.placement.park(lost);
        self.place_parked(now);
    }

    /// Whether an instrument that the adapter does not know, and that somebody holds, is only lost: it was
    /// there before, or is missing from a list that is known to be incomplete.
    pub(super) fn is_only_lost(&self, instrument: InstrumentId, code: OutcomeCode) -> bool {
        let was_there = self.subscriptions.get(instrument).is_some_and(|held| held.was_there);
        code == OutcomeCode::UNKNOWN_INSTRUMENT && (was_there || self.lists.is_incomplete())
    }

    /// The broker's list does not have an instrument any more: it gives its place back, and its holders hear
    /// of it once. `is_carried` when the adapter still holds it for subscribed.
    pub(super) fn lose(&mut self, instrument: InstrumentId, message: &Arc<str>, is_carried: bool) {
        self.subscriptions.withdraw_grant(instrument);
        let Some(held) = self.subscriptions.get_mut(instrument) else { return };
        if let Some(wanted) = held.demand.upstream() {
            held.upstream = wanted;
        }
        let is_news = !std::mem::replace(&mut held.is_lost, true);
        if let Some(number) = held.connection.take() {
            self.placement.release(number, instrument);
            if let Some(connection) = self.connections.get_mut(number) {
                connection.drop_one(&held.exchange);
            }
            if is_carried {
                self.unsubscribe_upstream(number, &[instrument.0]);
            }
        }
        if !is_news {
            return;
        }
        self.lists.lost += 1;
        self.feed.counters().instruments_lost.add(1);
        for recipient in &self.host.recipients {
            recipient.tell(Bulletin::Lost { instrument, message: Arc::clone(message) });
        }
    }

    /// Notes how many of the lost instruments are back, and how many more are lost, since `before`.
    pub(super) fn log_lost_since(&self, before: (u64, u64)) {
        let (lost, returned) = self.lost_and_returned();
        let (lost, returned) = (lost - before.0, returned - before.1);
        let (adapter, feed) = (&self.feed.0.spec.adapter, self.feed.id().0);
        if lost > 0 {
            tracing::warn!(%adapter, feed, lost, "The broker's list does not have instruments that clients hold; they come back when it does");
        }
        if returned > 0 {
            tracing::info!(%adapter, feed, returned, "The broker's list has instruments again that it had lost");
        }
    }

    pub(super) fn lost_and_returned(&self) -> (u64, u64) {
        let counters = self.feed.counters();
        (counters.instruments_lost.get(), counters.instruments_returned.get())
    }

    /// Asks all instances for their lists again, those included that are about to begin.
    pub(super) fn renew_lists(&mut self) {
        for connection in &mut self.connections {
            connection.instances().for_each(|instance| instance.renew_list());
            connection.list.is_wanted = connection.succession.is_due || connection.running().is_none();
        }
    }
}
