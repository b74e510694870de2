//! When to try again.

use std::time::Duration;

use crate::Backoff;

/// Counts failures in a row, and draws the pauses between them. The SDK has its own for an adapter's
/// connection; this is for what an adapter connects beside it.
#[derive(Debug)]
pub struct Pauses {
    settings: Backoff,
    failures: u32,
}

impl Pauses {
    /// The first failure gets the first pause.
    pub const fn new(settings: Backoff) -> Self {
        Self { settings, failures: 0 }
    }

    /// The pause after a failure of something that had been up for `lasted`. Half of it is random, so that
    /// the connections of many hosts do not return in step.
    pub fn after_failure(&mut self, lasted: Duration, is_rate_limited: bool) -> Duration {
        let (before, chance) = (self.settings.count(self.failures, lasted), rand::random());
        self.failures = before.saturating_add(1);
        if is_rate_limited { self.settings.longest(chance) } else { self.settings.pause(before, chance) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_the_longest_and_start_over_after_a_stable_time() {
        let settings = Backoff::default();
        let mut pauses = Pauses::new(settings);
        let first = pauses.after_failure(Duration::ZERO, false);
        assert!(first >= settings.first / 2 && first <= settings.first, "{first:?}");
        for _ in 0..40 {
            assert!(pauses.after_failure(Duration::from_secs(59), false) <= settings.longest);
        }
        assert!(pauses.after_failure(Duration::ZERO, false) >= settings.longest / 2);
        assert!(pauses.after_failure(settings.stable_after, false) <= settings.first);
        assert!(pauses.after_failure(Duration::ZERO, true) >= settings.longest / 2);
    }
}
