//! Tells a quiet adapter from one that hangs.

use std::time::{Duration, Instant};

/// Silence that is a hang. The SDK's loop turns once a second whatever the market does, so three turns are
/// missing.
pub const HANG_AFTER: Duration = Duration::from_secs(4);

/// Between two looks.
pub const LOOK_EVERY: Duration = Duration::from_millis(250);

/// What is known of an instance's signs of life. Wall clocks jump, so only changes of what the adapter
/// reports count, and the time between them is measured here.
#[derive(Debug)]
pub struct Watchdog {
    last_turn_ts_ns: u64,
    turned_at: Instant,
    alive_at: Instant,
}

/// Which sign of life is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Hang {
    /// The process says nothing any more.
    #[error("its process has given no sign of life for {} s", HANG_AFTER.as_secs())]
    Silent,
    /// A call into the library does not return.
    #[error("a call into the library did not return for {} s", HANG_AFTER.as_secs())]
    Call,
    /// The adapter's own loop does not turn: it computes, or sleeps, and does not give way.
    #[error("its loop has not turned for {} s: it is stuck in a computation or a blocking call", HANG_AFTER.as_secs())]
    Loop,
}

impl Watchdog {
    /// One that begins to watch.
    pub const fn new(now: Instant) -> Self {
        Self { last_turn_ts_ns: 0, turned_at: now, alive_at: now }
    }

    /// A sign of life: when the adapter's loop last turned as it says (0 when it never did, or does not say),
    /// and how long the present call into the library takes.
    ///
    /// # Errors
    /// When the call takes too long.
    pub fn alive(&mut self, last_turn_ts_ns: u64, busy: Duration, now: Instant) -> Result<(), Hang> {
        self.alive_at = now;
        if self.last_turn_ts_ns != last_turn_ts_ns {
            self.last_turn_ts_ns = last_turn_ts_ns;
            self.turned_at = now;
        }
        if busy >= HANG_AFTER { Err(Hang::Call) } else { Ok(()) }
    }

    /// Looks whether something is missing.
    ///
    /// # Errors
    /// What is.
    pub fn look(&self, now: Instant) -> Result<(), Hang> {
        if now.duration_since(self.alive_at) >= HANG_AFTER {
            return Err(Hang::Silent);
        }
        // An adapter without the SDK need not say when its loop turns.
        if self.last_turn_ts_ns != 0 && now.duration_since(self.turned_at) >= HANG_AFTER {
            return Err(Hang::Loop);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_quiet_adapter_is_left_alone_and_a_stuck_one_is_found_in_time() {
        let start = Instant::now();
        let mut dog = Watchdog::new(start);
        for second in 1..100 {
            let now = start + SECOND * second;
            assert_eq!(dog.alive(u64::from(second), Duration::ZERO, now), Ok(()));
            assert_eq!(dog.look(now), Ok(()));
        }
        // The process still answers, the loop does not turn.
        let last = start + SECOND * 99;
        let mut found = None;
        for quarter in 1..40 {
            let now = last + LOOK_EVERY * quarter;
            assert_eq!(dog.alive(99, Duration::ZERO, now), Ok(()));
            if let Err(hang) = dog.look(now) {
                found = Some((hang, now.duration_since(last)));
                break;
            }
        }
        let (hang, after) = found.unwrap();
        assert_eq!(hang, Hang::Loop);
        assert!(after >= HANG_AFTER && after < Duration::from_secs(5), "{after:?}");
    }

    #[test]
    fn silence_and_a_call_that_does_not_return_are_named() {
        let start = Instant::now();
        let mut dog = Watchdog::new(start);
        assert_eq!(dog.look(start + HANG_AFTER), Err(Hang::Silent));
        assert_eq!(dog.alive(0, HANG_AFTER, start), Err(Hang::Call));
    }

    #[test]
    fn an_adapter_that_never_says_when_it_turns_only_has_to_answer() {
        let start = Instant::now();
        let mut dog = Watchdog::new(start);
        for second in 1..100 {
            let now = start + SECOND * second;
            assert_eq!(dog.alive(0, Duration::ZERO, now), Ok(()));
            assert_eq!(dog.look(now), Ok(()));
        }
    }

    #[test]
    fn a_clock_that_is_set_back_is_no_hang() {
        let start = Instant::now();
        let mut dog = Watchdog::new(start);
        assert_eq!(dog.alive(1_000_000, Duration::ZERO, start), Ok(()));
        assert_eq!(dog.alive(1_000, Duration::ZERO, start + SECOND * 3), Ok(()));
        assert_eq!(dog.look(start + SECOND * 5), Ok(()));
    }
}
