//! How long to wait before something that failed is tried again.

use std::time::Duration;

/// Pauses that double with each failure, up to a longest one.
///
/// ```
/// use std::time::Duration;
///
/// use adapter_time::Backoff;
///
/// const AGAIN: Backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(30));
///
/// assert_eq!(AGAIN.whole(0), Duration::from_millis(100));
/// assert_eq!(AGAIN.whole(3), Duration::from_millis(800));
/// assert_eq!(AGAIN.whole(1_000), Duration::from_secs(30));
/// // With half of it left to chance, here a number in the middle of what there is.
/// assert_eq!(AGAIN.pause(3, 0.5), Duration::from_millis(600));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// Before the first retry; doubles with each failure.
    pub first: Duration,
    /// Longest pause. One that is shorter than `first` makes all pauses so long.
    pub longest: Duration,
    /// What lasted this long had recovered: the next failure counts as the first.
    pub stable_after: Duration,
}

impl Backoff {
    /// Between these two, for what has recovered when it lasts for a minute.
    pub const fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, stable_after: Duration::from_mins(1) }
    }

    /// The pause after so many failures before the last one, without chance.
    pub fn whole(&self, before: u32) -> Duration {
        self.first.saturating_mul(2_u32.saturating_pow(before)).min(self.longest)
    }

    /// The same with half of it left to chance, so that what failed together does not return in step.
    /// `chance` is a random number from 0 to 1; what lies outside counts as the nearer of them.
    pub fn pause(&self, before: u32, chance: f64) -> Duration {
        jittered(self.whole(before), chance)
    }

    /// The longest pause, with half of it left to chance: for who was asked to be patient.
    pub fn longest(&self, chance: f64) -> Duration {
        jittered(self.longest, chance)
    }

    /// Failures before the next one, after one of something that had lasted for so long.
    #[must_use]
    pub fn count(&self, before: u32, lasted: Duration) -> u32 {
        if lasted >= self.stable_after { 0 } else { before }
    }
}

impl Default for Backoff {
    /// A quarter of a second to a minute.
    fn default() -> Self {
        Self::new(Duration::from_millis(250), Duration::from_mins(1))
    }
}

fn jittered(whole: Duration, chance: f64) -> Duration {
    let half = whole / 2;
    // Not a number is as good as any.
    let chance = if chance.is_nan() { 1.0 } else { chance.clamp(0.0, 1.0) };
    half + half.mul_f64(chance)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const AGAIN: Backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(30));

    #[test]
    fn pauses_double_to_the_longest_and_stay_there() {
        let whole: Vec<u128> = (0..11).map(|before| AGAIN.whole(before).as_millis()).collect();
        assert_eq!(whole, [100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600, 30_000, 30_000]);
        assert_eq!(AGAIN.whole(u32::MAX), AGAIN.longest);
        // Where doubling is more than a duration holds.
        let endless = Backoff::new(Duration::from_secs(u64::MAX / 2), Duration::MAX);
        assert_eq!(endless.whole(31), Duration::MAX);
    }

    #[test]
    fn half_of_a_pause_is_left_to_chance() {
        let ms = |chance| AGAIN.pause(2, chance).as_millis();
        assert_eq!([0.0, 0.5, 1.0].map(ms), [200, 300, 400]);
        assert_eq!([-1.0, 2.0, f64::INFINITY, f64::NAN].map(ms), [200, 400, 400, 400]);
        assert_eq!([0.0, 1.0].map(|chance| AGAIN.longest(chance).as_secs()), [15, 30]);
    }

    #[test]
    fn what_lasted_long_enough_begins_at_the_first_pause_again() {
        assert_eq!(AGAIN.count(7, Duration::from_mins(1)), 0);
        assert_eq!(AGAIN.count(7, Duration::from_millis(59_999)), 7);
    }

    proptest! {
        #[test]
        fn no_pause_is_longer_than_the_longest_or_shorter_than_half_of_the_one_before(
            first in any::<u32>(), longest in any::<u32>(), before in any::<u32>(), chance in any::<f64>()
        ) {
            let backoff = Backoff::new(Duration::from_millis(first.into()), Duration::from_millis(longest.into()));
            let pause = backoff.pause(before, chance);
            prop_assert!(pause <= backoff.longest);
            prop_assert!(pause >= backoff.whole(before) / 2);
            prop_assert!(backoff.whole(before.saturating_add(1)) >= backoff.whole(before));
        }
    }
}
