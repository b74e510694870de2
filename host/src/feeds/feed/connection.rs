//! One connection of a feed: an adapter instance, replaced by a new one when it fails.

mod attempt;
mod load;

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use adapter_abi::{ErrorCode, StatusEvent, StatusKind};
use adapter_time::Backoff;
use tickhost_core::{
    feed_state::FeedState,
    pace::Pace,
    silence::{Answers, ConnectionStatus},
};

pub(super) use self::attempt::Attempt;
use self::load::Load;
use super::{actor::swapping::Settling, events::Events, list::ListReport, swap::Standby};
use crate::{adapters::AdapterInstance, base::clock};

/// Pause before the first restart of a failed instance; doubles with each failure.
const FIRST_RESTART_PAUSE: Duration = Duration::from_millis(100);

/// Longest pause before a restart. It never gives up for good.
const LONGEST_RESTART_PAUSE: Duration = Duration::from_secs(30);

/// So many failures within [`CIRCUIT_WINDOW`] open the circuit: what fails that fast gains nothing from being started.
const CIRCUIT_FAILURES: usize = 5;
const CIRCUIT_WINDOW: Duration = Duration::from_secs(30);

/// How long the circuit stays open at most before one attempt, half of it by chance; doubles each time that it fails.
const FIRST_CIRCUIT_PAUSE: Duration = Duration::from_secs(15);
const LONGEST_CIRCUIT_PAUSE: Duration = Duration::from_mins(2);

/// An instance that ran this long had recovered: the next failure counts as the first.
const STABLE_AFTER: Duration = Duration::from_mins(1);

/// A connection that was up this long was not refused: brokers that allow fewer of them may end one right after its
/// beginning.
const STEADY_AFTER: Duration = Duration::from_secs(10);

/// State of one connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Link {
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
    pub(super) const fn feed_state(self) -> FeedState {
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
    pub(super) const fn severity(self) -> u8 {
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

/// What the feed has to do after a status event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Consequence {
    Nothing,
    /// The instance is dead: take it away, note the failure, and start another when it is time.
    Replace,
}

/// The list of instruments of one connection.
#[derive(Debug, Default)]
pub(super) struct List {
    /// What the instance says of it; none before it says anything.
    pub(super) said: Option<Arc<ListReport>>,
    /// The next instance is to be asked for a new one.
    pub(super) is_wanted: bool,
}

impl List {
    /// Asks a new instance for another list, if that is wanted.
    pub(super) fn ask(&mut self, instance: &dyn AdapterInstance) {
        if std::mem::take(&mut self.is_wanted) {
            instance.renew_list();
        }
    }
}

/// One connection.
#[derive(Debug, Default)]
pub(super) struct Connection {
    pub(super) instance: Option<Arc<dyn AdapterInstance>>,
    pub(super) events: Option<Arc<Events>>,
    /// That of the instance's events; 0 when there is no instance.
    pub(super) epoch: u64,
    link: Link,
    /// When the link became what it is, in nanoseconds since the Unix epoch; 0 before the first change.
    since_ns: u64,
    /// Since when it was not up, short times excepted; none before the first attempt.
    down_since: Option<Instant>,
    /// Since when it is up; none while it is not.
    up_since: Option<Instant>,
    /// It stays down, and what others have room for has moved there.
    pub(super) is_left: bool,
    /// How long the present attempt to connect takes.
    pub(super) attempt: Attempt,
    pub(super) restart_at: Option<Instant>,
    /// When the instance itself will try again, by its own word.
    pub(super) retry_at: Option<Instant>,
    pub(super) last_error: Option<Arc<str>>,
    pub(super) disconnects: u64,
    /// Attempts to connect since the last that succeeded.
    attempts: u32,
    /// The first attempt of this instance was counted when it began.
    is_first_attempt: bool,
    /// Its list of instruments.
    pub(super) list: List,
    /// What it carries.
    load: Load,
    /// How often it is heard.
    pub(super) pace: Pace,
    /// Longest silence that means nothing; none while its pace is not known.
    pub(super) patience: Option<Duration>,
    /// What was done about its silence.
    pub(super) answers: Answers,
    /// What is to take the instance's place.
    pub(super) standby: Option<Standby>,
    /// What took it a moment ago.
    pub(super) settling: Option<Settling>,
    /// Another build is to take the instance's place as soon as the broker has room for both.
    pub(super) is_due: bool,
    /// Instances that still end, where the broker has no room beside them: the next one begins when they have gone.
    pub(super) endings: usize,
    /// Instances that still end, and whose place was taken already.
    pub(super) leaving: usize,
    failures: u32,
    /// Failures of the last [`CIRCUIT_WINDOW`], while the circuit is closed.
    recent_failures: VecDeque<Instant>,
    /// Times in a row that the circuit opened; while there are any, each instance is a trial.
    openings: u32,
    started_at: Option<Instant>,
}

impl Connection {
    /// An instance begins.
    pub(super) fn begin(&mut self, instance: Arc<dyn AdapterInstance>, events: Arc<Events>, now: Instant) {
        self.epoch = events.epoch;
        self.instance = Some(instance);
        self.events = Some(events);
        self.set_link(Link::Connecting);
        self.attempts = self.attempts.saturating_add(1);
        self.is_first_attempt = true;
        (self.restart_at, self.retry_at) = (None, None);
        self.is_due = false;
        self.started_at = Some(now);
    }

    /// The link.
    pub(super) const fn link(&self) -> Link {
        self.link
    }

    /// Attempts to connect since the last that succeeded; the one that is under way counts.
    pub(super) const fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Notes what the link has become.
    pub(super) fn set_link(&mut self, link: Link) {
        // A connect that is reported twice is another connection.
        if self.link != link || link == Link::Up {
            self.since_ns = clock::unix_nanos();
        }
        self.link = link;
        let now = Instant::now();
        self.note_steady(now);
        if link == Link::Up {
            self.up_since.get_or_insert(now);
        } else {
            self.up_since = None;
            self.down_since.get_or_insert(now);
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

    /// Instruments that it carries.
    pub(super) const fn instruments(&self) -> usize {
        self.load.instruments
    }

    /// It carries an instrument of this exchange from now on.
    pub(super) fn carry(&mut self, exchange: &Arc<str>) {
        self.load.add(exchange);
    }

    /// It carries one less of them.
    pub(super) fn drop_one(&mut self, exchange: &str) {
        self.load.remove(exchange);
    }

    /// What it says of itself.
    pub(super) fn status(&self, number: usize) -> ConnectionStatus {
        ConnectionStatus {
            number,
            state: self.link.feed_state(),
            since_ns: self.since_ns,
            instruments: self.load.instruments,
            listening_since_ns: self.load.since_ns,
            exchanges: Arc::clone(&self.load.exchanges),
            last_tick_ns: self.events.as_ref().map(|events| Arc::clone(&events.last_tick_ns)),
            patience: self.patience,
            suspect_since_ns: self.answers.since_ns,
            attempts: self.attempts,
            last_error: self.last_error.clone(),
            retry_at: self.restart_at.or(self.retry_at),
        }
    }

    /// Takes the instance away; nothing that it still says counts.
    pub(super) fn end(&mut self) -> Option<Arc<dyn AdapterInstance>> {
        if let Some(events) = self.events.take() {
            events.retire();
        }
        self.epoch = 0;
        self.list.said = None;
        self.attempt.abandon();
        self.instance.take()
    }

    /// When the next attempt is made; none while it waits for something else.
    pub(super) fn next_attempt(&self) -> Option<Instant> {
        self.restart_at.filter(|_| self.endings == 0)
    }

    /// Forgets the failures of a build that another one replaces.
    pub(super) fn forgive(&mut self) {
        self.failures = 0;
        self.openings = 0;
        self.recent_failures.clear();
        self.restart_at = None;
    }

    /// Nothing serves the feed, for this reason.
    pub(super) fn close(&mut self, why: &Arc<str>) {
        self.forgive();
        self.set_link(Link::Unserved);
        self.last_error = Some(Arc::clone(why));
    }

    /// The instance could not be made, or has died: plans the next attempt.
    pub(super) fn fail(&mut self, message: &str, now: Instant) {
        self.attempt.end(Err("failed"));
        let started_at = self.started_at.take();
        let was_made = started_at.is_some();
        let was_stable = started_at.is_some_and(|start| now.duration_since(start) >= STABLE_AFTER);
        if was_stable {
            self.failures = 0;
            self.openings = 0;
            self.recent_failures.clear();
        }
        self.failures = self.failures.saturating_add(1);
        // One that could not even be made is an attempt too.
        self.attempts = self.attempts.saturating_add(u32::from(!was_made));
        self.set_link(Link::Failed);
        self.recent_failures.push_back(now);
        self.recent_failures.retain(|failure| now.duration_since(*failure) <= CIRCUIT_WINDOW);
        if self.openings == 0 && self.recent_failures.len() < CIRCUIT_FAILURES {
            self.last_error = Some(message.into());
            self.restart_at = Some(now + restart_pause(self.failures));
            return;
        }
        let pause = circuit_pause(self.openings);
        self.openings = self.openings.saturating_add(1);
        self.recent_failures.clear();
        let seconds = pause.as_secs();
        self.last_error =
            Some(format!("{message} (it fails again and again; next attempt in {seconds} s)").into());
        self.restart_at = Some(now + pause);
    }

    /// Takes a status event of the present instance.
    pub(super) fn observe(&mut self, event: &StatusEvent, now: Instant) -> Consequence {
        let tells_of_retry = event.kind == StatusKind::DISCONNECTED && event.retry_in_ms > 0;
        self.retry_at = now.checked_add(Duration::from_millis(event.retry_in_ms)).filter(|_| tells_of_retry);
        match event.kind {
            StatusKind::CONNECTING => {
                self.attempt.begin();
                let is_counted = std::mem::take(&mut self.is_first_attempt);
                self.attempts = self.attempts.saturating_add(u32::from(!is_counted));
                self.set_link(Link::Connecting);
            }
            StatusKind::CONNECTED => {
                self.attempt.end(Ok(()));
                self.set_link(Link::Up);
                self.attempts = 0;
                self.is_first_attempt = false;
                self.last_error = None;
            }
            StatusKind::DISCONNECTED => {
                self.attempt.end(Err("disconnected"));
                self.disconnects += u64::from(self.link == Link::Up);
                self.set_link(Link::Connecting);
                self.last_error = Some(describe(event));
            }
            StatusKind::AUTH_FAILED => {
                self.attempt.end(Err("auth_failed"));
                self.set_link(Link::AuthFailed);
                self.last_error = Some(describe(event));
            }
            StatusKind::FAILED | StatusKind::STOPPED => return Consequence::Replace,
            _ => {}
        }
        Consequence::Nothing
    }
}

/// What a status says, for people.
pub(super) fn describe(event: &StatusEvent) -> Arc<str> {
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

fn circuit_pause(openings: u32) -> Duration {
    Backoff::new(FIRST_CIRCUIT_PAUSE, LONGEST_CIRCUIT_PAUSE).pause(openings, rand::random())
}

fn restart_pause(failures: u32) -> Duration {
    Backoff::new(FIRST_RESTART_PAUSE, LONGEST_RESTART_PAUSE).pause(failures.saturating_sub(1), rand::random())
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
            connection.fail("gone", now);
            let pause = connection.restart_at.unwrap() - now;
            assert!(pause <= LONGEST_CIRCUIT_PAUSE);
            longest = longest.max(pause);
        }
        assert!(longest >= LONGEST_CIRCUIT_PAUSE / 2);
        assert_eq!(connection.link.feed_state(), FeedState::Down);
    }

    #[test]
    fn the_fifth_failure_in_half_a_minute_opens_the_circuit_and_a_stable_instance_closes_it() {
        let mut connection = Connection::default();
        let mut now = Instant::now();
        let mut pause_after_failure = |ran_for: Duration| {
            connection.started_at = Some(now);
            now += ran_for;
            connection.fail("crashed", now);
            (connection.restart_at.unwrap() - now, connection.last_error.clone().unwrap())
        };
        for _ in 1..CIRCUIT_FAILURES {
            let (pause, error) = pause_after_failure(Duration::from_secs(1));
            assert!(pause <= Duration::from_secs(1) && &*error == "crashed", "{pause:?} {error}");
        }
        let (pause, error) = pause_after_failure(Duration::from_secs(1));
        assert!(pause >= FIRST_CIRCUIT_PAUSE / 2, "{pause:?}");
        assert!(error.contains("next attempt in"), "{error}");
        // Half open: one failed trial is enough to open it again, for longer.
        let (pause, _) = pause_after_failure(Duration::from_secs(1));
        assert!(pause >= FIRST_CIRCUIT_PAUSE, "{pause:?}");
        let (pause, error) = pause_after_failure(STABLE_AFTER);
        assert!(pause <= FIRST_RESTART_PAUSE && &*error == "crashed", "{pause:?} {error}");
    }

    #[test]
    fn failures_that_are_far_apart_do_not_open_the_circuit() {
        let mut connection = Connection::default();
        let mut now = Instant::now();
        for _ in 0..50 {
            now += CIRCUIT_WINDOW / 3;
            connection.fail("crashed", now);
            assert_eq!(connection.openings, 0);
        }
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
        for (retry_in_ms, retry_at) in [(250, Some(now + Duration::from_millis(250))), (0, None)] {
            connection.observe(&StatusEvent { retry_in_ms, ..status(StatusKind::DISCONNECTED) }, now);
            assert_eq!(connection.retry_at, retry_at);
        }
        connection.observe(&StatusEvent { retry_in_ms: u64::MAX, ..status(StatusKind::DISCONNECTED) }, now);
        connection.observe(&status(StatusKind::CONNECTING), now);
        assert_eq!(connection.retry_at, None);
    }

    #[test]
    fn attempts_are_counted_until_one_succeeds() {
        let mut connection = Connection::default();
        let now = Instant::now();
        connection.fail("no such file", now);
        assert_eq!(connection.attempts(), 1, "it could not even be made");
        // As of an instance that began: its first attempt was counted then.
        (connection.attempts, connection.is_first_attempt, connection.started_at) = (2, true, Some(now));
        for attempts in [2, 3, 4] {
            connection.observe(&status(StatusKind::CONNECTING), now);
            assert_eq!(connection.attempts(), attempts);
            connection.observe(&status(StatusKind::DISCONNECTED), now);
        }
        connection.fail("crashed", now);
        assert_eq!(connection.attempts(), 4, "this attempt was counted when it began");
        connection.observe(&status(StatusKind::CONNECTED), now);
        assert_eq!(connection.attempts(), 0);
    }

    #[test]
    fn a_connection_that_is_ended_right_after_it_began_was_down_all_the_time() {
        let mut connection = Connection::default();
        connection.set_link(Link::Connecting);
        let since = connection.down_since().unwrap();
        connection.is_left = true;
        connection.set_link(Link::Up);
        assert_eq!(connection.down_since(), None);
        connection.set_link(Link::Connecting);
        assert_eq!(connection.down_since(), Some(since));
        connection.set_link(Link::Up);
        let up = connection.up_since.unwrap();
        assert_eq!(connection.steady_at(), Some(up + STEADY_AFTER));
        connection.note_steady(up + STEADY_AFTER / 2);
        assert!(connection.is_left);
        connection.note_steady(up + STEADY_AFTER);
        assert!(!connection.is_left && connection.steady_at().is_none());
        connection.set_link(Link::Connecting);
        assert!(connection.down_since().unwrap() > since, "another time");
    }

    #[test]
    fn the_load_knows_its_exchanges_and_since_when_there_is_any() {
        let mut connection = Connection::default();
        let exchanges = |connection: &Connection| connection.status(0).exchanges.join(",");
        for exchange in ["NSE", "NSE", "MCX"] {
            connection.carry(&exchange.into());
        }
        assert_eq!((connection.instruments(), exchanges(&connection)), (3, "MCX,NSE".to_owned()));
        connection.drop_one("NSE");
        connection.drop_one("BSE");
        assert_eq!((connection.instruments(), exchanges(&connection)), (2, "MCX,NSE".to_owned()));
        connection.drop_one("NSE");
        connection.drop_one("MCX");
        assert_eq!((connection.instruments(), exchanges(&connection)), (0, String::new()));
        assert!(connection.status(0).listening_since_ns > 0);
    }
}
