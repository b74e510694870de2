//! An instance that is to take another's place, and whether it is ready to.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use adapter_abi::{StatusEvent, StatusKind, SubscriptionOutcome};
use rustc_hash::FxHashSet;
use tickhost_core::handover::Handover;
use tracing::Span;

use super::{connection::Link, events::Events};
use crate::adapters::AdapterInstance;

/// Longest time for a new instance to get ready; after it the old one stays.
const READY_WITHIN: Duration = Duration::from_secs(15);

/// Longest wait, of one that is ready, for ticks of every instrument of which the old one still publishes. It
/// costs nobody anything, since the old one serves meanwhile.
const COVERED_WITHIN: Duration = Duration::from_secs(8);

/// Longest wait for the old one to say what the new one said first. Shorter, since a broker may give the old
/// one nothing any more.
const REACHED_WITHIN: Duration = Duration::from_secs(2);

/// Wait for a first tick when neither instance has published anything.
const QUIET: Duration = Duration::from_millis(500);

/// How long the search for the point at which the new ticks go on may last after the flip.
pub(super) const SETTLED_WITHIN: Duration = Duration::from_secs(2);

/// Between two looks at a handover.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(20);

/// An instance beside the one that serves.
#[derive(Debug)]
pub(super) struct Standby {
    pub(super) instance: Arc<dyn AdapterInstance>,
    pub(super) events: Arc<Events>,
    pub(super) handover: Arc<Handover>,
    pub(super) link: Link,
    /// Instruments whose outcome is awaited.
    awaited: FxHashSet<u32>,
    /// What it said of instruments, to be heeded after the flip.
    pub(super) outcomes: Vec<SubscriptionOutcome>,
    began: Instant,
    ready_at: Option<Instant>,
    /// From the beginning of this instance to the end of the other, or of this one.
    pub(super) span: Span,
}

/// What is to be done with a standby.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Wait.
    Wait,
    /// Let it take over.
    Flip,
    /// End it, for this reason; the old instance stays.
    GiveUp(String),
}

impl Standby {
    pub(super) fn new(
        instance: Arc<dyn AdapterInstance>,
        events: Arc<Events>,
        handover: Arc<Handover>,
        awaited: impl IntoIterator<Item = u32>,
        now: Instant,
        span: Span,
    ) -> Self {
        Self {
            instance,
            events,
            handover,
            link: Link::Connecting,
            awaited: awaited.into_iter().collect(),
            outcomes: Vec::new(),
            began: now,
            ready_at: None,
            span,
        }
    }

    /// Awaits an outcome of more instruments.
    pub(super) fn expect(&mut self, instruments: impl IntoIterator<Item = u32>) {
        self.awaited.extend(instruments);
    }

    /// Awaits nothing more of these instruments.
    pub(super) fn note_outcomes_unneeded(&mut self, instruments: &[u32]) {
        for instrument in instruments {
            self.awaited.remove(instrument);
        }
    }

    /// Takes what it said of instruments.
    pub(super) fn note_outcomes(&mut self, outcomes: Vec<SubscriptionOutcome>) {
        for outcome in &outcomes {
            self.awaited.remove(&outcome.instrument);
        }
        self.outcomes.extend(outcomes);
    }

    /// Takes a status event; gives the reason when it will not do.
    pub(super) fn observe(&mut self, event: &StatusEvent) -> Result<(), String> {
        match event.kind {
            StatusKind::CONNECTING => self.link = Link::Connecting,
            StatusKind::CONNECTED => self.link = Link::Up,
            StatusKind::DISCONNECTED => {
                self.link = Link::Connecting;
                self.ready_at = None;
            }
            StatusKind::AUTH_FAILED | StatusKind::FAILED | StatusKind::STOPPED => {
                return Err(event.message.to_string());
            }
            _ => {}
        }
        Ok(())
    }

    /// Judges whether it can take over at `now`. An old instance that is not connected has nothing that is
    /// worth a wait.
    pub(super) fn judge(&mut self, is_old_connected: bool, now: Instant) -> Verdict {
        if self.link == Link::Up && self.awaited.is_empty() {
            let ready_at = *self.ready_at.get_or_insert_with(|| {
                self.handover.set_ready();
                now
            });
            let waited = now.duration_since(ready_at);
            let is_quiet = waited >= QUIET && self.handover.is_quiet();
            let longest = if self.handover.is_uncovered() { COVERED_WITHIN } else { REACHED_WITHIN };
            if !is_old_connected || self.handover.is_covered() || is_quiet || waited >= longest {
                return Verdict::Flip;
            }
        } else if now.duration_since(self.began) >= READY_WITHIN {
            let what =
                if self.link == Link::Up { "did not answer for every symbol" } else { "did not connect" };
            return Verdict::GiveUp(format!("it {what} within {} s", READY_WITHIN.as_secs()));
        }
        Verdict::Wait
    }
}
