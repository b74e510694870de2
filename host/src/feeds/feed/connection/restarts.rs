//! When an instance that failed is started again: later and later, and with long pauses when it fails at once
//! each time.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use adapter_time::Backoff;

/// Pause before the first restart of a failed instance; doubles with each failure.
const FIRST_RESTART_PAUSE: Duration = Duration::from_millis(100);

/// Longest pause before a restart. It never gives up for good.
const LONGEST_RESTART_PAUSE: Duration = Duration::from_secs(30);

/// So many failures within [`CIRCUIT_WINDOW`] open the circuit: what fails that fast gains nothing from being
/// started.
const CIRCUIT_FAILURES: usize = 5;
const CIRCUIT_WINDOW: Duration = Duration::from_secs(30);

/// How long the circuit stays open at most before one attempt, half of it by chance; doubles each time that
/// it fails.
const FIRST_CIRCUIT_PAUSE: Duration = Duration::from_secs(15);
const LONGEST_CIRCUIT_PAUSE: Duration = Duration::from_mins(2);

/// An instance that ran this long had recovered: the next failure counts as the first.
const STABLE_AFTER: Duration = Duration::from_mins(1);

/// Failures of a connection's instances, and when the next one is started.
#[derive(Debug, Default)]
pub(super) struct Restarts {
    due: Option<Instant>,
    failures: u32,
    /// Failures of the last [`CIRCUIT_WINDOW`], while the circuit is closed.
    recent: VecDeque<Instant>,
    /// Times in a row that the circuit opened; while there are any, each instance is a trial.
    openings: u32,
    /// When the present instance was started; none without one.
    started_at: Option<Instant>,
}

/// What follows from a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    /// The instance had begun.
    pub(super) was_made: bool,
    /// How long the circuit stays open; none while it is closed.
    pub(super) circuit_pause: Option<Duration>,
}

impl Restarts {
    /// An instance begins.
    pub(super) const fn begin(&mut self, now: Instant) {
        (self.due, self.started_at) = (None, Some(now));
    }

    /// Forgets the failures of a build that another one replaces.
    pub(super) fn forgive(&mut self) {
        (self.failures, self.openings, self.due) = (0, 0, None);
        self.recent.clear();
    }

    /// The instance could not be made, or has died: plans the next attempt.
    pub(super) fn fail(&mut self, now: Instant) -> Failure {
        let started_at = self.started_at.take();
        let was_made = started_at.is_some();
        if started_at.is_some_and(|start| now.duration_since(start) >= STABLE_AFTER) {
            self.forgive();
        }
        self.failures = self.failures.saturating_add(1);
        self.recent.push_back(now);
        self.recent.retain(|failure| now.duration_since(*failure) <= CIRCUIT_WINDOW);
        if self.openings == 0 && self.recent.len() < CIRCUIT_FAILURES {
            self.due = Some(now + restart_pause(self.failures));
            return Failure { was_made, circuit_pause: None };
        }
        let pause = circuit_pause(self.openings);
        self.openings = self.openings.saturating_add(1);
        self.recent.clear();
        self.due = Some(now + pause);
        Failure { was_made, circuit_pause: Some(pause) }
    }

    /// When the next instance is started; none when nothing has failed.
    pub(super) const fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Whether to start the next instance now.
    pub(super) fn take_due(&mut self, now: Instant) -> bool {
        self.due.take_if(|at| *at <= now).is_some()
    }
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

    #[test]
    fn a_dead_instance_is_replaced_later_and_later_but_always() {
        let mut restarts = Restarts::default();
        let now = Instant::now();
        let mut longest = Duration::ZERO;
        for _ in 0..100 {
            restarts.fail(now);
            let pause = restarts.due().unwrap() - now;
            assert!(pause <= LONGEST_CIRCUIT_PAUSE);
            longest = longest.max(pause);
        }
        assert!(longest >= LONGEST_CIRCUIT_PAUSE / 2);
    }

    #[test]
    fn the_fifth_failure_in_half_a_minute_opens_the_circuit_and_a_stable_instance_closes_it() {
        let mut restarts = Restarts::default();
        let mut now = Instant::now();
        let mut after_failure = |ran_for: Duration| {
            restarts.begin(now);
            now += ran_for;
            let failure = restarts.fail(now);
            assert!(failure.was_made);
            let pause = restarts.due().unwrap() - now;
            assert!(failure.circuit_pause.is_none_or(|said| said == pause));
            (pause, failure.circuit_pause.is_some())
        };
        for _ in 1..CIRCUIT_FAILURES {
            let (pause, is_open) = after_failure(Duration::from_secs(1));
            assert!(pause <= Duration::from_secs(1) && !is_open, "{pause:?}");
        }
        let (pause, is_open) = after_failure(Duration::from_secs(1));
        assert!(pause >= FIRST_CIRCUIT_PAUSE / 2 && is_open, "{pause:?}");
        // Half open: one failed trial is enough to open it again, for longer.
        let (pause, is_open) = after_failure(Duration::from_secs(1));
        assert!(pause >= FIRST_CIRCUIT_PAUSE && is_open, "{pause:?}");
        let (pause, is_open) = after_failure(STABLE_AFTER);
        assert!(pause <= FIRST_RESTART_PAUSE && !is_open, "{pause:?}");
    }

    #[test]
    fn failures_that_are_far_apart_do_not_open_the_circuit() {
        let mut restarts = Restarts::default();
        let mut now = Instant::now();
        for _ in 0..50 {
            now += CIRCUIT_WINDOW / 3;
            assert_eq!(restarts.fail(now), Failure { was_made: false, circuit_pause: None });
        }
    }

    #[test]
    fn a_restart_is_due_once_and_not_before_its_time() {
        let mut restarts = Restarts::default();
        let now = Instant::now();
        restarts.fail(now);
        let due = restarts.due().unwrap();
        assert!(!restarts.take_due(due.checked_sub(Duration::from_nanos(1)).unwrap()));
        assert!(restarts.take_due(due));
        assert!(!restarts.take_due(due) && restarts.due().is_none());
    }
}
