//! One connection of a feed: an adapter instance, replaced by a new one when it fails.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use adapter_abi::{ErrorCode, StatusEvent, StatusKind};

use super::{FeedState, events::Events};
use crate::plugins::AdapterInstance;

/// Pause before the first restart of a failed instance; doubles with each failure.
const FIRST_RESTART_PAUSE: Duration = Duration::from_millis(100);

/// Longest pause before a restart. It never gives up for good.
const LONGEST_RESTART_PAUSE: Duration = Duration::from_secs(30);

/// An instance that ran this long had recovered: the next failure counts as the first.
const STABLE_AFTER: Duration = Duration::from_mins(1);

/// State of one connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Link {
    #[default]
    Starting,
    Connecting,
    Up,
    AuthFailed,
    Failed,
}

impl Link {
    /// What the link alone makes of its feed. A feed is as good as its worst connection.
    pub(super) const fn feed_state(self) -> FeedState {
        match self {
            Self::Starting => FeedState::Starting,
            Self::Connecting => FeedState::Connecting,
            Self::Up => FeedState::Live,
            Self::AuthFailed => FeedState::AuthFailed,
            Self::Failed => FeedState::Down,
        }
    }

    /// How bad it is, for the choice of the worst.
    pub(super) const fn severity(self) -> u8 {
        match self {
            Self::Up => 0,
            Self::Starting => 1,
            Self::Connecting => 2,
            Self::Failed => 3,
            Self::AuthFailed => 4,
        }
    }
}

/// What the feed has to do after a status event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Consequence {
    Nothing,
    /// The instance is dead: take it away and start another at `restart_at`.
    Replace,
}

/// One connection.
#[derive(Debug, Default)]
pub(super) struct Connection {
    pub(super) instance: Option<Arc<dyn AdapterInstance>>,
    pub(super) events: Option<Arc<Events>>,
    pub(super) epoch: u64,
    pub(super) link: Link,
    pub(super) restart_at: Option<Instant>,
    pub(super) last_error: Option<Arc<str>>,
    pub(super) disconnects: u64,
    failures: u32,
    started_at: Option<Instant>,
}

impl Connection {
    /// An instance begins.
    pub(super) fn begin(&mut self, instance: Arc<dyn AdapterInstance>, events: Arc<Events>, now: Instant) {
        self.instance = Some(instance);
        self.events = Some(events);
        self.link = Link::Connecting;
        self.restart_at = None;
        self.started_at = Some(now);
    }

    /// Takes the instance away; nothing that it still says counts.
    pub(super) fn end(&mut self) -> Option<Arc<dyn AdapterInstance>> {
        if let Some(events) = self.events.take() {
            events.retire();
        }
        self.epoch += 1;
        self.instance.take()
    }

    /// The instance could not be made, or has died: plans the next attempt.
    pub(super) fn fail(&mut self, message: &str, now: Instant) {
        let was_stable =
            self.started_at.take().is_some_and(|start| now.duration_since(start) >= STABLE_AFTER);
        self.failures = if was_stable { 1 } else { self.failures.saturating_add(1) };
        self.link = Link::Failed;
        self.last_error = Some(message.into());
        self.restart_at = Some(now + restart_pause(self.failures));
    }

    /// Takes a status event of the present instance.
    pub(super) fn observe(&mut self, event: &StatusEvent, now: Instant) -> Consequence {
        match event.kind {
            StatusKind::CONNECTING => self.link = Link::Connecting,
            StatusKind::CONNECTED => {
                self.link = Link::Up;
                self.last_error = None;
            }
            StatusKind::DISCONNECTED => {
                self.disconnects += u64::from(self.link == Link::Up);
                self.link = Link::Connecting;
                self.last_error = Some(describe(event));
            }
            StatusKind::AUTH_FAILED => {
                self.link = Link::AuthFailed;
                self.last_error = Some(describe(event));
            }
            StatusKind::FAILED | StatusKind::STOPPED => {
                self.fail(&describe(event), now);
                return Consequence::Replace;
            }
            _ => {}
        }
        Consequence::Nothing
    }
}

fn describe(event: &StatusEvent) -> Arc<str> {
    if !event.message.is_empty() {
        return event.message.as_str().into();
    }
    match event.code {
        ErrorCode::NETWORK => "network error",
        ErrorCode::PROTOCOL => "the broker sent something unreadable",
        ErrorCode::AUTH => "the broker refused the credentials",
        ErrorCode::CONFIG => "the adapter's settings are wrong",
        ErrorCode::RATE_LIMITED => "the broker asks for fewer requests",
        ErrorCode::PANICKED => "the adapter panicked",
        _ => "the adapter gave no reason",
    }
    .into()
}

fn restart_pause(failures: u32) -> Duration {
    let doubled = FIRST_RESTART_PAUSE.saturating_mul(1 << failures.saturating_sub(1).min(16));
    // Half of the pause is random, so that several connections of one broker do not return in step.
    let pause = doubled.min(LONGEST_RESTART_PAUSE) / 2;
    pause + pause.mul_f64(rand::random::<f64>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(kind: StatusKind) -> StatusEvent {
        StatusEvent { kind, code: ErrorCode::NONE, request: 0, retry_in_ms: 0, message: "gone".into() }
    }

    #[test]
    fn a_dead_instance_is_replaced_later_and_later_but_always() {
        let mut connection = Connection::default();
        let now = Instant::now();
        let mut longest = Duration::ZERO;
        for _ in 0..100 {
            assert_eq!(connection.observe(&status(StatusKind::FAILED), now), Consequence::Replace);
            let pause = connection.restart_at.unwrap() - now;
            assert!(pause <= LONGEST_RESTART_PAUSE);
            longest = longest.max(pause);
        }
        assert!(longest >= LONGEST_RESTART_PAUSE / 2);
        assert_eq!(connection.link.feed_state(), FeedState::Down);
    }

    #[test]
    fn a_loss_is_counted_once_and_explained() {
        let mut connection = Connection::default();
        let now = Instant::now();
        connection.observe(&status(StatusKind::CONNECTED), now);
        connection.observe(&status(StatusKind::DISCONNECTED), now);
        connection.observe(&status(StatusKind::DISCONNECTED), now);
        assert_eq!((connection.disconnects, connection.last_error.as_deref()), (1, Some("gone")));
        connection.observe(&status(StatusKind::CONNECTED), now);
        assert_eq!(connection.last_error, None);
    }
}
