//! What a session does because time has passed. Pure: time is handed in.

use std::time::{Duration, Instant};

use tickhost_core::protocol::codes::CloseReason;

use super::SessionSettings;

/// Far enough to be never.
const NEVER: Duration = Duration::from_hours(8760);

/// Deadlines of one session.
#[derive(Debug)]
pub(super) struct Timers {
    authenticate_by: Option<Instant>,
    /// Since when the host checks a key. That time is not the client's.
    checking_since: Option<Instant>,
    nudge_at: Option<Instant>,
    nudge_after: Duration,
    ping_at: Option<Instant>,
    pong_by: Option<Instant>,
    ping_interval: Duration,
    ping_timeout: Duration,
    blocked_until: Option<Instant>,
    written: u64,
    write_timeout: Duration,
    readable_at: Option<Instant>,
    never: Instant,
}

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    Close(CloseReason),
    Ping,
    Nudge,
}

impl Timers {
    pub(super) fn new(settings: &SessionSettings, now: Instant) -> Self {
        Self {
            authenticate_by: Some(now + settings.auth_grace),
            checking_since: None,
            nudge_at: None,
            nudge_after: settings.nudge_after,
            ping_at: (!settings.ping_interval.is_zero()).then(|| now + settings.ping_interval),
            pong_by: None,
            ping_interval: settings.ping_interval,
            ping_timeout: settings.ping_timeout,
            blocked_until: None,
            written: 0,
            write_timeout: settings.write_timeout,
            readable_at: None,
            never: now + NEVER,
        }
    }

    /// The client's key is known: it may stay.
    pub(super) fn authenticated(&mut self) {
        self.authenticate_by = None;
    }

    /// A key is being checked. For so long nothing is read of the client, and its time does not pass.
    pub(super) fn checking(&mut self, now: Instant) {
        self.checking_since = Some(now);
    }

    /// It was checked.
    pub(super) fn checked(&mut self, now: Instant) {
        if let Some(since) = self.checking_since.take() {
            let lost = now.saturating_duration_since(since);
            for deadline in [&mut self.authenticate_by, &mut self.pong_by].into_iter().flatten() {
                *deadline += lost;
            }
        }
    }

    /// A successful log-in was answered: silence from now on means that the client waits for another word.
    pub(super) fn logged_in(&mut self, now: Instant) {
        self.nudge_at = (!self.nudge_after.is_zero()).then(|| now + self.nudge_after);
    }

    /// The client sent a message of its own accord.
    pub(super) fn requested(&mut self) {
        self.nudge_at = None;
    }

    /// Anything came from the client, so it is alive.
    pub(super) fn received(&mut self) {
        self.pong_by = None;
    }

    /// Whether the kernel takes nothing at the moment, and how much it took so far.
    pub(super) fn note_blocked(&mut self, is_blocked: bool, written: u64, now: Instant) {
        if !is_blocked || self.write_timeout.is_zero() {
            self.blocked_until = None;
        } else if self.blocked_until.is_none() || written != self.written {
            self.blocked_until = Some(now + self.write_timeout);
        }
        self.written = written;
    }

    /// When the client, if it sent more than it may, is read again.
    pub(super) fn note_readable(&mut self, at: Option<Instant>) {
        self.readable_at = at;
    }

    /// Whether the answer to a ping of the host is expected.
    pub(super) const fn expects_pong(&self) -> bool {
        self.pong_by.is_some()
    }

    /// One of the client's deadlines, unless its time stands still.
    fn passing(&self, deadline: Option<Instant>) -> Option<Instant> {
        deadline.filter(|_| self.checking_since.is_none())
    }

    /// When [`Self::due`] has to be asked next.
    pub(super) fn next(&self) -> Instant {
        [
            self.passing(self.authenticate_by),
            self.nudge_at,
            self.passing(self.ping_at),
            self.passing(self.pong_by),
            self.blocked_until,
            self.readable_at,
        ]
        .into_iter()
        .flatten()
        .min()
        .unwrap_or(self.never)
    }

    /// What is due at `now`, one thing at a time.
    pub(super) fn due(&mut self, now: Instant) -> Option<Due> {
        let is_over = |deadline: Option<Instant>| deadline.is_some_and(|deadline| deadline <= now);
        if is_over(self.passing(self.authenticate_by)) {
            return Some(Due::Close(CloseReason::AuthTimeout));
        }
        if is_over(self.passing(self.pong_by)) {
            return Some(Due::Close(CloseReason::PingTimeout));
        }
        if is_over(self.blocked_until) {
            return Some(Due::Close(CloseReason::WriteStalled));
        }
        if is_over(self.readable_at) {
            self.readable_at = None;
        }
        if is_over(self.nudge_at) {
            self.nudge_at = None;
            return Some(Due::Nudge);
        }
        if is_over(self.passing(self.ping_at)) {
            self.ping_at = Some(now + self.ping_interval);
            // A second ping does not prolong the wait for the answer to the first.
            self.pong_by.get_or_insert(now + self.ping_timeout);
            return Some(Due::Ping);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clients::session::rig::settings;

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn a_client_without_a_key_is_closed_at_the_end_of_its_grace() {
        let start = Instant::now();
        let mut timers = Timers::new(&settings(), start);
        assert_eq!(timers.next(), start + seconds(15));
        assert_eq!(timers.due(start + seconds(14)), None);
        assert_eq!(timers.due(start + seconds(15)), Some(Due::Close(CloseReason::AuthTimeout)));
        timers.authenticated();
        assert_eq!(timers.due(start + seconds(15)), None);
    }

    #[test]
    fn the_time_in_which_the_host_checks_a_key_is_not_the_clients() {
        let start = Instant::now();
        let mut timers = Timers::new(&settings(), start);
        timers.checking(start + seconds(10));
        assert_eq!(timers.due(start + seconds(60)), None);
        timers.checked(start + seconds(60));
        assert_eq!(timers.due(start + seconds(60)), Some(Due::Ping));
        assert_eq!(timers.next(), start + seconds(65));
        assert_eq!(timers.due(start + seconds(64)), None);
        assert_eq!(timers.due(start + seconds(65)), Some(Due::Close(CloseReason::AuthTimeout)));
        // Nor is a pong missing that was not read.
        timers.authenticated();
        timers.checking(start + seconds(70));
        timers.checked(start + seconds(100));
        assert_eq!(timers.due(start + seconds(100)), Some(Due::Ping));
        assert_eq!(timers.due(start + seconds(109)), None);
        assert_eq!(timers.due(start + seconds(110)), Some(Due::Close(CloseReason::PingTimeout)));
    }

    #[test]
    fn the_nudge_comes_once_and_only_into_silence() {
        let start = Instant::now();
        let mut timers = Timers::new(&settings(), start);
        timers.authenticated();
        timers.logged_in(start);
        timers.requested();
        assert_eq!(timers.due(start + seconds(1)), None);
        timers.logged_in(start);
        assert_eq!(timers.due(start + seconds(1)), Some(Due::Nudge));
        assert_eq!(timers.due(start + seconds(1)), None);
    }

    #[test]
    fn a_client_that_answers_no_ping_is_closed() {
        let start = Instant::now();
        let mut timers = Timers::new(&settings(), start);
        timers.authenticated();
        assert_eq!(timers.due(start + seconds(20)), Some(Due::Ping));
        timers.received();
        assert_eq!(timers.due(start + seconds(40)), Some(Due::Ping));
        assert_eq!(timers.due(start + seconds(60)), Some(Due::Close(CloseReason::PingTimeout)));
    }

    #[test]
    fn a_write_that_makes_progress_is_not_stalled() {
        let start = Instant::now();
        let mut timers = Timers::new(&SessionSettings { ping_interval: Duration::ZERO, ..settings() }, start);
        timers.authenticated();
        timers.note_blocked(true, 100, start);
        timers.note_blocked(true, 101, start + seconds(50));
        timers.note_blocked(true, 101, start + seconds(70));
        assert_eq!(timers.due(start + seconds(100)), None);
        assert_eq!(timers.due(start + seconds(110)), Some(Due::Close(CloseReason::WriteStalled)));
        timers.note_blocked(false, 101, start + seconds(111));
        assert_eq!(timers.due(start + seconds(111)), None);
    }
}
