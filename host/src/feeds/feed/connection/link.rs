//! The link of a connection to its broker: what it is, since when, and whether it is one to rely on.

use std::time::{Duration, Instant};

use tickhost_core::feed_state::FeedState;

use crate::base::clock::Moment;

/// A connection that was up this long was not refused: brokers that allow fewer of them may end one right
/// after its beginning.
const STEADY_AFTER: Duration = Duration::from_secs(10);

/// State of one connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::feeds::feed) enum Link {
    #[default]
    Starting,
    Connecting,
    Up,
    AuthFailed,
    Failed,
    /// Nothing serves the feed.
    Unserved,
}

impl Link {
    /// What the link alone makes of its feed. A feed is as good as its worst connection.
    pub(in crate::feeds::feed) const fn feed_state(self) -> FeedState {
        match self {
            Self::Starting => FeedState::Starting,
            Self::Connecting => FeedState::Connecting,
            Self::Up => FeedState::Live,
            Self::AuthFailed => FeedState::AuthFailed,
            Self::Failed => FeedState::Down,
            Self::Unserved => FeedState::Closed,
        }
    }

    /// How bad it is, for the choice of the worst.
    pub(in crate::feeds::feed) const fn severity(self) -> u8 {
        match self {
            Self::Up => 0,
            Self::Starting => 1,
            Self::Connecting => 2,
            Self::Failed => 3,
            Self::AuthFailed => 4,
            Self::Unserved => 5,
        }
    }
}

/// A link, and its times.
#[derive(Debug, Default)]
pub(super) struct Uptime {
    link: Link,
    /// When the link became what it is, in nanoseconds since the Unix epoch; 0 before the first change.
    since_ns: u64,
    /// Since when it was not up, short times excepted; none before the first attempt.
    down_since: Option<Instant>,
    /// Since when it is up; none while it is not.
    up_since: Option<Instant>,
    /// It stays down, and what others have room for has moved there.
    is_left: bool,
}

impl Uptime {
    pub(super) const fn link(&self) -> Link {
        self.link
    }

    /// When the link became what it is, in nanoseconds since the Unix epoch; 0 before the first change.
    pub(super) const fn since_ns(&self) -> u64 {
        self.since_ns
    }

    /// Notes what the link has become.
    pub(super) fn set(&mut self, link: Link, now: Moment) {
        // A connect that is reported twice is another connection.
        if self.link != link || link == Link::Up {
            self.since_ns = now.unix_ns;
        }
        self.link = link;
        self.note_steady(now.at);
        if link == Link::Up {
            self.up_since.get_or_insert(now.at);
        } else {
            self.up_since = None;
            self.down_since.get_or_insert(now.at);
        }
    }

    /// Forgets that it was down, once it has been up for long enough.
    pub(super) fn note_steady(&mut self, now: Instant) {
        if self.up_since.is_some_and(|since| now.saturating_duration_since(since) >= STEADY_AFTER) {
            self.down_since = None;
            self.is_left = false;
        }
    }

    /// When [`Self::note_steady`] changes whether it is used.
    pub(super) fn steady_at(&self) -> Option<Instant> {
        self.up_since.filter(|_| self.is_left).map(|since| since + STEADY_AFTER)
    }

    /// Since when it is not up, short times excepted; none while it is.
    pub(super) fn down_since(&self) -> Option<Instant> {
        self.down_since.filter(|_| self.link != Link::Up)
    }

    /// Whether it stays down, and what others have room for has moved there.
    pub(super) const fn is_left(&self) -> bool {
        self.is_left
    }

    /// What others have room for moves there; says whether that is news.
    pub(super) const fn leave(&mut self) -> bool {
        !std::mem::replace(&mut self.is_left, true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_that_is_ended_right_after_it_began_was_down_all_the_time() {
        let mut uptime = Uptime::default();
        let start = Moment::now();
        let after = |seconds: u64| start + Duration::from_secs(seconds);
        uptime.set(Link::Connecting, start);
        assert_eq!(uptime.down_since(), Some(start.at));
        assert!(uptime.leave());
        assert!(!uptime.leave(), "it is no news any more");
        uptime.set(Link::Up, after(1));
        assert_eq!(uptime.down_since(), None);
        uptime.set(Link::Connecting, after(2));
        assert_eq!(uptime.down_since(), Some(start.at));
        uptime.set(Link::Up, after(3));
        assert_eq!(uptime.steady_at(), Some(after(3).at + STEADY_AFTER));
        uptime.note_steady(after(3).at + STEADY_AFTER / 2);
        assert!(uptime.is_left());
        uptime.note_steady(after(3).at + STEADY_AFTER);
        assert!(!uptime.is_left() && uptime.steady_at().is_none());
        uptime.set(Link::Connecting, after(60));
        assert_eq!(uptime.down_since(), Some(after(60).at), "another time");
    }

    #[test]
    fn a_connect_that_is_reported_twice_is_another_connection_and_nothing_else_is() {
        let mut uptime = Uptime::default();
        let start = Moment::now();
        let after = |seconds: u64| start + Duration::from_secs(seconds);
        for (link, second, since) in [
            (Link::Connecting, 0, 0),
            (Link::Connecting, 1, 0),
            (Link::Up, 2, 2),
            (Link::Up, 3, 3),
            (Link::Failed, 4, 4),
            (Link::Failed, 5, 4),
        ] {
            uptime.set(link, after(second));
            assert_eq!(uptime.since_ns(), after(since).unix_ns, "{link:?} at {second}");
        }
    }
}
