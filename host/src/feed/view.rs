//! What is true of a feed at one moment, silence considered, and how that is said to clients and operators.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{Feed, FeedState};
use crate::{
    clock::age_ms,
    protocol::reply::{self, FeedFacts},
};

/// Longest text of a broker or an adapter that goes to clients, in bytes: whoever wrote it bounds nothing.
const MAX_ERROR_BYTES: usize = 512;

/// A feed at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FeedView {
    /// Its state.
    pub state: FeedState,
    /// When it was entered, in nanoseconds since the Unix epoch; 0 when nobody knows. [`FeedState::Stale`] counts from
    /// the last sign of life, or from the subscription of the first instrument, and [`FeedState::Live`] from the connect, whatever silence there was since.
    pub since_ns: u64,
    /// When the last tick came, in nanoseconds since the Unix epoch; 0 before the first.
    pub last_tick_ns: u64,
    /// The last thing that went wrong, for people, at most 512 bytes; none when that is over.
    pub last_error: Option<Arc<str>>,
    /// When the next attempt is made after a failure.
    pub retry_at: Option<Instant>,
    /// Until a live feed is stale if nothing comes; none for others, and when nothing is subscribed.
    pub stale_in: Option<Duration>,
}

impl Feed {
    /// What is true of the feed at `now_ns`, in nanoseconds since the Unix epoch.
    pub fn view(&self, now_ns: u64) -> FeedView {
        let last_tick_ns = self.0.counters.last_tick_ns.get();
        let status = self.0.status.lock();
        let mut view = FeedView {
            state: status.state,
            since_ns: status.since_ns,
            last_tick_ns,
            last_error: status.last_error.as_ref().map(bounded),
            retry_at: status.retry_at,
            stale_in: None,
        };
        // A feed that nobody asked anything of may be silent as long as it likes.
        if status.state == FeedState::Live && status.instruments > 0 {
            view.consider_silence(status.listening_since_ns, self.0.stale_after, now_ns);
        }
        view
    }
}

impl FeedView {
    fn consider_silence(&mut self, listening_since_ns: u64, stale_after: Duration, now_ns: u64) {
        let last_sign_ns = self.last_tick_ns.max(self.since_ns).max(listening_since_ns);
        let silence = Duration::from_nanos(now_ns.saturating_sub(last_sign_ns));
        if silence > stale_after {
            self.state = FeedState::Stale;
            self.since_ns = last_sign_ns;
        } else {
            self.stale_in = Some(stale_after.saturating_sub(silence));
        }
    }

    /// Whether it tells clients something that they have not `heard`. That times pass they know, and that an attempt
    /// which was announced is being made.
    pub(super) fn is_news_after(&self, heard: &Self) -> bool {
        (self.state, &self.last_error) != (heard.state, &heard.last_error)
            || self.retry_at.is_some() && self.retry_at != heard.retry_at
    }

    /// Whether the broker is connected; a feed that is only silent is.
    pub const fn is_connected(&self) -> bool {
        matches!(self.state, FeedState::Live | FeedState::Stale)
    }

    /// As frames say it at this moment, which is `now_ns` since the Unix epoch.
    pub fn facts<'a>(&self, broker: &'a str, now_ns: u64, now: Instant) -> FeedFacts<'a> {
        let retry_in = self.retry_at.map(|at| at.saturating_duration_since(now));
        FeedFacts {
            broker,
            state: self.state.label(),
            state_age_ms: age_ms(self.since_ns, now_ns),
            last_tick_age_ms: age_ms(self.last_tick_ns, now_ns),
            retry_in_ms: retry_in.map(|pause| u64::try_from(pause.as_millis()).unwrap_or(u64::MAX)),
        }
    }

    /// The news frame of this moment.
    pub(super) fn frame(&self, broker: &str, now_ns: u64, now: Instant) -> bytes::Bytes {
        reply::feed_status(&self.facts(broker, now_ns, now), &self.message(now_ns))
    }

    /// The state in a sentence for people.
    fn message(&self, now_ns: u64) -> String {
        let sentence = match self.state {
            FeedState::Starting => "not connected to the broker yet",
            FeedState::Connecting if self.last_error.is_none() => "connecting to the broker",
            FeedState::Connecting => "connecting to the broker again",
            FeedState::Live => "connected to the broker",
            FeedState::Stale => {
                let silence = Duration::from_nanos(now_ns.saturating_sub(self.since_ns));
                return format!("connected to the broker, but silent for {} s", silence.as_secs());
            }
            FeedState::AuthFailed => "the broker refused the credentials, new ones are needed",
            FeedState::Down => "the adapter failed and will be started again",
            FeedState::Closed => "ended",
        };
        match &self.last_error {
            Some(error) => format!("{sentence}: {error}"),
            None => sentence.to_owned(),
        }
    }
}

fn bounded(error: &Arc<str>) -> Arc<str> {
    match error.get(..error.floor_char_boundary(MAX_ERROR_BYTES)) {
        Some(beginning) if beginning.len() < error.len() => beginning.into(),
        _ => Arc::clone(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND_NS: u64 = 1_000_000_000;
    const STALE_AFTER: Duration = Duration::from_secs(15);

    fn live(since_ns: u64, last_tick_ns: u64) -> FeedView {
        FeedView { state: FeedState::Live, since_ns, last_tick_ns, ..FeedView::default() }
    }

    #[test]
    fn silence_counts_from_the_last_tick_the_connect_or_the_subscription_whichever_came_last() {
        for (since, last_tick, listening) in [(10, 40, 5), (40, 10, 5), (40, 0, 20), (10, 20, 40)] {
            let new = || live(since * SECOND_NS, last_tick * SECOND_NS);
            let listening_since_ns = listening * SECOND_NS;
            let mut view = new();
            view.consider_silence(listening_since_ns, STALE_AFTER, 50 * SECOND_NS);
            assert_eq!((view.state, view.stale_in), (FeedState::Live, Some(Duration::from_secs(5))));
            view.consider_silence(listening_since_ns, STALE_AFTER, 55 * SECOND_NS);
            assert_eq!((view.state, view.stale_in), (FeedState::Live, Some(Duration::ZERO)));
            let mut view = new();
            view.consider_silence(listening_since_ns, STALE_AFTER, 60 * SECOND_NS);
            assert_eq!((view.state, view.since_ns), (FeedState::Stale, 40 * SECOND_NS));
            assert_eq!(view.message(60 * SECOND_NS), "connected to the broker, but silent for 20 s");
            assert!(view.is_connected());
        }
    }

    #[test]
    fn facts_are_of_the_moment_and_what_is_not_known_is_absent() {
        let now = Instant::now();
        let retry_at = Some(now + Duration::from_millis(2_500));
        let down = FeedView { state: FeedState::Down, since_ns: SECOND_NS, retry_at, ..FeedView::default() };
        let at = |seconds| down.facts("sim", (1 + seconds) * SECOND_NS, now + Duration::from_secs(seconds));
        assert_eq!((at(1).state, at(1).state_age_ms, at(1).retry_in_ms), ("down", Some(1_000), Some(1_500)));
        assert_eq!((at(9).state_age_ms, at(9).retry_in_ms), (Some(9_000), Some(0)));
        assert_eq!(at(1).last_tick_age_ms, None);
        assert_eq!(FeedView::default().facts("sim", SECOND_NS, now).state_age_ms, None);
    }

    #[test]
    fn the_reason_stands_in_the_message_and_an_endless_one_is_cut() {
        let said = |state, error: Option<&str>| {
            let last_error = error.map(Arc::from).as_ref().map(bounded);
            FeedView { state, last_error, ..FeedView::default() }.message(0)
        };
        assert_eq!(said(FeedState::Connecting, None), "connecting to the broker");
        assert_eq!(said(FeedState::Connecting, Some("reset")), "connecting to the broker again: reset");
        assert_eq!(
            said(FeedState::Down, Some("crashed")),
            "the adapter failed and will be started again: crashed"
        );
        let endless = "é".repeat(1_000_000);
        assert!(said(FeedState::AuthFailed, Some(&endless)).len() < MAX_ERROR_BYTES + 100);
    }
}
