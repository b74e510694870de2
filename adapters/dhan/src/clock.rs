//! What time the broker means.
//!
//! Times of the feed are seconds. The broker's people say that some of them are the wall clock of India taken
//! for UTC, and users see them 19,800 s ahead of the clock; no document names the zone. So a time is taken
//! for India's, unless it is that of the clock itself. What was traded five and a half hours ago, in India's
//! time, looks like that too: once a segment has shown times that are ahead of the clock, which none can be
//! but in India's time, all of the segment are.

use adapter_sdk::{
    ist::{OFFSET_SECONDS, day_number},
    read,
};

use crate::segment::Segment;

/// How far a time may be off the clock to be taken for it.
const NEAR_SECONDS: u64 = 120;

/// Nanoseconds in a second.
const NANOS: u64 = 1_000_000_000;

/// What the times of a connection have shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Clock {
    now_seconds: u64,
    /// By the segment's code: whether its times are India's for certain.
    is_indian: [bool; 9],
}

impl Clock {
    /// Nothing is known yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes what time it is, in seconds since the Unix epoch. Says whether another day has begun in India.
    pub const fn set(&mut self, now_seconds: u64) -> bool {
        let was = std::mem::replace(&mut self.now_seconds, now_seconds);
        was != 0 && day_number(was.saturating_mul(NANOS)) != day_number(now_seconds.saturating_mul(NANOS))
    }

    /// A time of a packet as nanoseconds since the Unix epoch. None when it has none, or none that can be;
    /// see [`read::seconds`].
    pub fn nanos(&mut self, segment: Segment, seconds: u32) -> Option<u64> {
        let shown = read::seconds(seconds.into())? / NANOS;
        let india = shown.checked_sub(OFFSET_SECONDS.unsigned_abs())?;
        let is_near = |time: u64| time.abs_diff(self.now_seconds) <= NEAR_SECONDS;
        let is_indian = self.is_indian.get_mut(usize::from(segment.code()))?;
        *is_indian |= is_near(india);
        let is_true = is_near(shown) && !*is_indian;
        read::seconds(if is_true { shown } else { india }.cast_signed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-25, 15:00:00 in India.
    const NOW: u64 = 1_795_599_000;

    fn clock() -> Clock {
        let mut clock = Clock::new();
        assert!(!clock.set(NOW));
        clock
    }

    fn seconds(at: u64) -> u32 {
        u32::try_from(at).unwrap()
    }

    #[test]
    fn times_of_india_become_those_of_the_world() {
        let mut clock = clock();
        for ago in [0, 1, 3_600, 86_400 * 300] {
            let shown = seconds(NOW - ago + 19_800);
            assert_eq!(clock.nanos(Segment::NseEquity, shown), Some((NOW - ago) * NANOS), "{ago}");
        }
        assert_eq!(clock.nanos(Segment::NseEquity, 0), None);
        for none in [1, 19_799, 19_800, 315_532_800, 315_532_800 + 19_800, 0x7fff_ffff, u32::MAX] {
            assert_eq!(clock.nanos(Segment::NseEquity, none), None, "{none}");
        }
    }

    #[test]
    fn a_day_begins_at_midnight_in_india() {
        let mut clock = Clock::new();
        // 2026-11-25, 23:59:59 in India.
        let last = 1_795_631_399;
        assert!(!clock.set(last) && !clock.set(last) && clock.set(last + 1) && !clock.set(last + 86_400));
    }

    #[test]
    fn a_time_that_is_the_clock_s_is_left_alone() {
        for off in [0, 60, 120] {
            assert_eq!(clock().nanos(Segment::Mcx, seconds(NOW - off)), Some((NOW - off) * NANOS));
        }
        assert_eq!(clock().nanos(Segment::Mcx, seconds(NOW - 121)), Some((NOW - 121 - 19_800) * NANOS));
    }

    #[test]
    fn an_old_trade_is_not_taken_for_a_new_one_where_times_are_known_to_be_india_s() {
        let mut clock = clock();
        let five_and_a_half_hours_ago = seconds(NOW - 19_800 + 19_800);
        // Somebody trades now, which is ahead of the clock.
        clock.nanos(Segment::NseEquity, seconds(NOW + 19_800 - 3));
        let shown = clock.nanos(Segment::NseEquity, five_and_a_half_hours_ago);
        assert_eq!(shown, Some((NOW - 19_800) * NANOS));
        // That says nothing of another segment.
        assert_eq!(clock.nanos(Segment::Mcx, five_and_a_half_hours_ago), Some(NOW * NANOS));
    }
}
