//! Tells the clients of a feed when its state changes.
//!
//! Bound: [`FRAMES`] announcements in a second, whatever a broker or an adapter does. A change that finds no
//! place waits, a later one takes its turn, and one that is undone meanwhile is never heard of: what was said
//! last is always what is true, or will be said within a second. Producer: the task of the feed. Consumer:
//! the shards, which hand one encoded frame to every session of the feed that asked for it.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use tickhost_core::{
    feed_state::FeedState,
    protocol::{reply::FeedFacts, text},
};
use tokio_tungstenite::tungstenite::Utf8Bytes;

use super::{Feed, FeedView};
use crate::{
    base::clock::Moment,
    feeds::bulletin::{Bulletin, Recipient},
};

/// Most announcements in a [`WINDOW`].
const FRAMES: usize = 5;
const WINDOW: Duration = Duration::from_secs(1);

/// Pause between two looks that only the passing of time calls for. Silence, and its end, are noticed that
/// late at most.
const LOOK_PAUSE: Duration = Duration::from_secs(1);

/// Longest pause between two looks while the hours of exchanges matter: the time of day may be set, and
/// machines sleep.
const HOURS_PAUSE: Duration = Duration::from_secs(5);

/// The last thing said of a feed. Whoever comes later is told this, not what the feed may be by then: the
/// next announcement says only what differs from it.
#[derive(Clone, Debug, Default)]
pub(super) struct Announcement {
    /// Counts the announcements of a feed, so that nobody takes an earlier one for news.
    number: u64,
    view: FeedView,
}

impl Feed {
    /// The number and the frame of what clients were told last, with the ages of this moment.
    pub(crate) fn announced(&self, now: Moment) -> (u64, Utf8Bytes) {
        let Announcement { number, mut view } = self.0.announced.lock().clone();
        // What was called silent keeps its age until its end is announced.
        if view.state != FeedState::Stale {
            view.last_tick_ns = self.0.counters.last_tick_ns.get();
        }
        let frame = view.frame(&self.0.spec.broker, now.unix_ns, now.at);
        (number, text(frame))
    }
}

/// Leaves a line for the operator, as often as clients are told.
fn log(feed: &Feed, view: &FeedView, now: Moment) {
    let spec = feed.spec();
    let FeedFacts { state, last_tick_age_ms, retry_in_ms, attempts, market, opens_in_ms, .. } =
        view.facts(&spec.broker, now.unix_ns, now.at);
    let (feed, user) = (feed.id().0, spec.account.as_ref().map(|account| account.user.as_str()));
    let reason = view.message(now.unix_ns);
    macro_rules! line {
        ($level:expr) => {
            tracing::event!(
                $level,
                adapter = %spec.adapter,
                broker = %spec.broker,
                feed,
                user,
                state,
                reason,
                last_tick_age_ms,
                retry_in_ms,
                attempts,
                market,
                opens_in_ms,
                "The state of a feed has changed"
            )
        };
    }
    match view.state {
        FeedState::Stale | FeedState::AuthFailed | FeedState::Down => line!(tracing::Level::WARN),
        FeedState::Starting | FeedState::Connecting | FeedState::Live | FeedState::Closed => {
            line!(tracing::Level::INFO);
        }
    }
}

/// Decides what is said, and when. Part of the task of one feed.
#[derive(Debug, Default)]
pub(super) struct Announcer {
    said: Announcement,
    /// Times of the last announcements, at most [`FRAMES`].
    said_at: VecDeque<Instant>,
    look_at: Option<Instant>,
}

impl Announcer {
    /// Tells the shards what clients of the feed have to hear by now.
    pub(super) fn announce(&mut self, feed: &Feed, recipients: &[Arc<dyn Recipient>], now: Moment) {
        if !self.look(feed.view(now.unix_ns), now.at) {
            return;
        }
        log(feed, &self.said.view, now);
        // First here: a session that follows from now on finds it, and is told of everything after it.
        *feed.0.announced.lock() = self.said.clone();
        let (number, frame) = feed.announced(now);
        for recipient in recipients {
            let frame = frame.clone();
            recipient.tell(Bulletin::FeedStatus { feed: feed.id(), number, frame });
        }
    }

    /// When the feed must be looked at again although nothing happened.
    pub(super) const fn due(&self) -> Option<Instant> {
        self.look_at
    }

    /// Takes the present view of the feed; says whether it is to be announced.
    fn look(&mut self, view: FeedView, now: Instant) -> bool {
        let silence_at = match view.state {
            FeedState::Live => view.stale_in.map(|pause| now + pause.max(LOOK_PAUSE)),
            FeedState::Stale => Some(now + LOOK_PAUSE),
            _ => None,
        };
        let hours_at = view.market.map(|_| now + HOURS_PAUSE);
        self.look_at = [silence_at, hours_at].into_iter().flatten().min();
        if !view.is_news_after(&self.said.view) {
            return false;
        }
        while self.said_at.front().is_some_and(|at| now.duration_since(*at) >= WINDOW) {
            self.said_at.pop_front();
        }
        if self.said_at.len() >= FRAMES {
            let free_at = self.said_at.front().map(|at| *at + WINDOW);
            self.look_at = [self.look_at, free_at].into_iter().flatten().min();
            return false;
        }
        self.said_at.push_back(now);
        self.said = Announcement { number: self.said.number + 1, view };
        true
    }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

    use super::*;

    fn view(state: FeedState) -> FeedView {
        FeedView { state, ..FeedView::default() }
    }

    fn with_error(state: FeedState, error: &str) -> FeedView {
        FeedView { last_error: Some(error.into()), ..view(state) }
    }

    #[test]
    fn changes_are_announced_once_and_ages_are_no_change() {
        let now = Instant::now();
        let mut announcer = Announcer::default();
        assert!(!announcer.look(view(FeedState::Starting), now), "everybody starts with it");
        assert!(announcer.look(view(FeedState::Connecting), now));
        assert!(!announcer.look(view(FeedState::Connecting), now));
        assert!(announcer.look(with_error(FeedState::Connecting, "reset"), now));
        assert!(announcer.look(with_error(FeedState::Connecting, "refused"), now));
        let older = FeedView { last_tick_ns: 7, since_ns: 3, ..with_error(FeedState::Connecting, "refused") };
        assert!(!announcer.look(older, now));
        let retried =
            FeedView { retry_at: Some(now + WINDOW), ..with_error(FeedState::Connecting, "refused") };
        assert!(announcer.look(retried.clone(), now));
        assert!(!announcer.look(retried, now));
        assert!(!announcer.look(with_error(FeedState::Connecting, "refused"), now), "it is being made");
        assert_eq!(announcer.said.number, 4);
        assert_eq!(announcer.due(), None);
    }

    #[test]
    fn silence_is_looked_for_when_it_is_due_and_its_end_once_a_second() {
        let now = Instant::now();
        let mut announcer = Announcer::default();
        let live =
            |seconds| FeedView { stale_in: Some(Duration::from_secs(seconds)), ..view(FeedState::Live) };
        assert!(announcer.look(live(15), now));
        assert_eq!(announcer.due(), Some(now + Duration::from_secs(15)));
        announcer.look(live(0), now);
        assert_eq!(announcer.due(), Some(now + LOOK_PAUSE), "a look costs little, but not nothing");
        announcer.look(view(FeedState::Stale), now);
        assert_eq!(announcer.due(), Some(now + LOOK_PAUSE));
        announcer.look(view(FeedState::Live), now);
        assert_eq!(announcer.due(), None, "nothing is subscribed");
    }

    #[test]
    fn a_change_that_is_undone_before_its_turn_is_not_heard_of() {
        let now = Instant::now();
        let mut announcer = Announcer::default();
        let states = [FeedState::Connecting, FeedState::Live];
        for state in states.into_iter().cycle().take(FRAMES) {
            assert!(announcer.look(view(state), now));
        }
        assert!(!announcer.look(view(FeedState::Live), now));
        assert_eq!(announcer.due(), Some(now + WINDOW));
        assert!(!announcer.look(view(FeedState::Connecting), now));
        assert_eq!(announcer.due(), None);
        assert!(!announcer.look(view(FeedState::Connecting), now + WINDOW));
    }

    /// A feed that flaps at random, and a task that looks at it upon each change and at each deadline.
    #[test]
    fn flapping_is_bounded_and_the_newest_state_always_arrives() {
        let mut random = StdRng::seed_from_u64(20_240_115);
        for _ in 0..200 {
            let start = Instant::now();
            let (mut announcer, mut now) = (Announcer::default(), start);
            let mut said: Vec<Instant> = Vec::new();
            let mut newest = FeedView::default();
            for change in 0..random.random_range(1..100) {
                let next = now + Duration::from_millis(random.random_range(0..200));
                while let Some(due) = announcer.due().filter(|due| *due <= next) {
                    assert!(due > now, "a deadline in the past would spin");
                    now = due;
                    said.extend(announcer.look(newest.clone(), now).then_some(now));
                }
                now = next;
                newest = match random.random_range(0..4) {
                    0 => view(FeedState::Live),
                    1 => view(FeedState::Connecting),
                    2 => with_error(FeedState::Down, &change.to_string()),
                    _ => with_error(FeedState::AuthFailed, "token"),
                };
                said.extend(announcer.look(newest.clone(), now).then_some(now));
            }
            let end = now;
            while let Some(due) = announcer.due() {
                assert!(due <= end + WINDOW);
                said.extend(announcer.look(newest.clone(), due).then_some(due));
            }
            assert!(!newest.is_news_after(&announcer.said.view));
            assert_eq!(announcer.said.number, said.len() as u64);
            for window in said.windows(FRAMES + 1) {
                assert!(window[FRAMES].duration_since(window[0]) >= WINDOW, "{said:?}");
            }
        }
    }
}
