//! How often a connection is heard, and so how long its silence may last before it means something.
//!
//! One that carries a single option may say nothing for a minute in the middle of a session; one with an
//! index never does for ten seconds. So the longest gap of the last minutes says what is usual, and a silence
//! of some times as much is none of the market's. Until that is known, and for connections with long gaps,
//! the time of the settings counts.

use std::time::Duration;

use super::silence::Hearing;

/// Shortest silence that means something. With the pause between two looks it is told within 15 s.
const SHORTEST: Duration = Duration::from_secs(12);

/// Silence that means something, in longest gaps.
const GAPS: u32 = 4;

/// How long, and for how many gaps, a connection is listened to before its pace is known.
const LEARNING: Duration = Duration::from_secs(30);
const LEARNING_GAPS: u32 = 20;

/// Gaps of this window and of the one before it count.
const WINDOW: Duration = Duration::from_mins(5);

/// Whose ticks a connection brings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Crowd {
    /// Instruments.
    pub instruments: usize,
    /// Exchanges of theirs that trade.
    pub open_exchanges: usize,
}

/// The pace of one connection. Times are nanoseconds since the Unix epoch.
#[derive(Debug, Default)]
pub struct Pace {
    crowd: Crowd,
    last_tick_ns: u64,
    /// When the first gap ended.
    since_ns: u64,
    gaps: u32,
    /// Longest gap of the present window, and of the one before.
    longest: [Duration; 2],
    window_since_ns: u64,
}

impl Pace {
    /// Takes how the connection is heard at a moment. Called at least once a second, or gaps look longer than
    /// they are.
    pub fn observe(&mut self, hearing: Hearing, is_suspect: bool, last_tick_ns: u64, crowd: Crowd) {
        match hearing {
            Hearing::Excused => *self = Self::default(),
            // What a reconnect costs says nothing about the market; but one that silence caused may have been
            // needless.
            Hearing::Down if !is_suspect => self.last_tick_ns = 0,
            Hearing::Down => {}
            Hearing::Heard { .. } | Hearing::Silent { .. } => self.listen(last_tick_ns, crowd),
        }
    }

    /// Longest silence that means nothing; `longest` when the pace is not known.
    pub fn patience(&self, now_ns: u64, longest: Duration) -> Duration {
        if self.gaps < LEARNING_GAPS || since(self.since_ns, now_ns) < LEARNING {
            return longest;
        }
        let [present, before] = self.longest;
        (present.max(before) * GAPS).max(SHORTEST).min(longest)
    }

    fn listen(&mut self, last_tick_ns: u64, crowd: Crowd) {
        // Those that are left may be the quiet ones.
        let is_another = crowd.open_exchanges != self.crowd.open_exchanges
            || crowd.instruments < self.crowd.instruments / 2;
        if is_another {
            *self = Self::default();
        }
        self.crowd.open_exchanges = crowd.open_exchanges;
        self.crowd.instruments = self.crowd.instruments.max(crowd.instruments);
        if last_tick_ns <= self.last_tick_ns {
            return;
        }
        let before_ns = std::mem::replace(&mut self.last_tick_ns, last_tick_ns);
        if before_ns == 0 {
            return;
        }
        if self.gaps == 0 {
            (self.since_ns, self.window_since_ns) = (last_tick_ns, last_tick_ns);
        }
        if since(self.window_since_ns, last_tick_ns) >= WINDOW {
            self.window_since_ns = last_tick_ns;
            self.longest = [Duration::ZERO, self.longest[0]];
        }
        self.gaps = self.gaps.saturating_add(1);
        self.longest[0] = self.longest[0].max(since(before_ns, last_tick_ns));
    }
}

const fn since(before_ns: u64, now_ns: u64) -> Duration {
    Duration::from_nanos(now_ns.saturating_sub(before_ns))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND_NS: u64 = 1_000_000_000;
    const LONGEST: Duration = Duration::from_mins(2);
    const HEARD: Hearing = Hearing::Heard { stale_in: LONGEST };
    const CROWD: Crowd = Crowd { instruments: 10, open_exchanges: 2 };

    /// Ticks once in so many seconds, from one second to another.
    fn tick(pace: &mut Pace, every: u64, seconds: std::ops::Range<u64>) {
        for second in seconds.filter(|second| second % every == 0) {
            pace.observe(HEARD, false, second * SECOND_NS, CROWD);
        }
    }

    fn patience(pace: &Pace, second: u64) -> u64 {
        pace.patience(second * SECOND_NS, LONGEST).as_secs()
    }

    #[test]
    fn who_is_heard_all_the_time_is_missed_soon_and_who_is_not_is_given_time() {
        for (every, wanted) in [(1, 12), (3, 12), (10, 40), (25, 100), (60, 120)] {
            let mut pace = Pace::default();
            let end = 1_040 + every * 22;
            tick(&mut pace, every, 1_000..end);
            assert_eq!(patience(&pace, end), wanted, "once in {every} s");
        }
    }

    #[test]
    fn a_pace_is_not_known_at_once() {
        let mut pace = Pace::default();
        tick(&mut pace, 1, 1_000..1_031);
        assert_eq!(patience(&pace, 1_030), 120);
        assert_eq!(patience(&pace, 1_031), 12);
        let mut few = Pace::default();
        tick(&mut few, 2, 1_000..1_040);
        assert_eq!(patience(&few, 1_040), 120, "too few gaps");
    }

    #[test]
    fn one_long_gap_counts_for_some_minutes_and_is_forgotten_after_that() {
        let mut pace = Pace::default();
        tick(&mut pace, 1, 1_000..1_100);
        tick(&mut pace, 1, 1_120..1_390);
        assert_eq!(patience(&pace, 1_390), 84);
        tick(&mut pace, 1, 1_390..1_590);
        assert_eq!(patience(&pace, 1_590), 84);
        tick(&mut pace, 1, 1_590..1_610);
        assert_eq!(patience(&pace, 1_610), 12);
    }

    #[test]
    fn a_loss_of_the_connection_is_no_gap_and_a_silence_that_was_taken_for_one_is() {
        for (is_suspect, wanted) in [(false, 12), (true, 84)] {
            let mut pace = Pace::default();
            tick(&mut pace, 1, 1_000..1_100);
            pace.observe(Hearing::Down, is_suspect, 1_099 * SECOND_NS, CROWD);
            tick(&mut pace, 1, 1_120..1_130);
            assert_eq!(patience(&pace, 1_130), wanted);
        }
    }

    #[test]
    fn others_have_another_pace() {
        for crowd in [Crowd { instruments: 4, ..CROWD }, Crowd { open_exchanges: 1, ..CROWD }] {
            let mut pace = Pace::default();
            tick(&mut pace, 1, 1_000..1_100);
            pace.observe(HEARD, false, 1_100 * SECOND_NS, crowd);
            assert_eq!(patience(&pace, 1_100), 120, "{crowd:?}");
        }
        let mut pace = Pace::default();
        tick(&mut pace, 1, 1_000..1_100);
        pace.observe(HEARD, false, 1_100 * SECOND_NS, Crowd { instruments: 5, ..CROWD });
        assert_eq!(patience(&pace, 1_100), 12);
        pace.observe(Hearing::Excused, false, 1_100 * SECOND_NS, CROWD);
        assert_eq!(patience(&pace, 1_100), 120, "a new session begins");
    }
}
