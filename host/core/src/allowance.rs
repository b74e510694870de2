//! So much in a second, and so much at once: for whoever is to be slowed or cut. Time is handed in.

use std::time::{Duration, Instant};

/// What may still be spent.
#[derive(Debug)]
pub struct Allowance {
    per_second: f64,
    burst: f64,
    left: f64,
    since: Option<Instant>,
}

impl Allowance {
    /// All of the burst is there.
    pub fn new(per_second: u32, burst: u32) -> Self {
        let burst = f64::from(burst.max(1));
        Self { per_second: f64::from(per_second.max(1)), burst, left: burst, since: None }
    }

    /// Whether so much may be spent now.
    pub fn has(&mut self, count: u32, now: Instant) -> bool {
        self.earn(now);
        self.left >= f64::from(count)
    }

    /// How much may be spent now.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is neither negative nor beyond the burst"
    )]
    pub fn left(&mut self, now: Instant) -> u32 {
        self.earn(now);
        self.left.max(0.0) as u32
    }

    /// How long until so much may be spent; none when it may be now.
    pub fn wait_for(&mut self, count: u32, now: Instant) -> Option<Duration> {
        self.earn(now);
        let missing = f64::from(count) - self.left;
        (missing > 0.0).then(|| Duration::from_secs_f64(missing / self.per_second))
    }

    /// Whether half of the burst is there.
    pub fn is_half_full(&mut self, now: Instant) -> bool {
        self.earn(now);
        self.left * 2.0 >= self.burst
    }

    /// Spends it, into debt if there is not so much. Gives the time until the debt is paid.
    pub fn spend(&mut self, count: u32, now: Instant) -> Option<Duration> {
        self.earn(now);
        self.left -= f64::from(count);
        (self.left < 0.0).then(|| Duration::from_secs_f64(-self.left / self.per_second))
    }

    fn earn(&mut self, now: Instant) {
        let since = self.since.replace(now).unwrap_or(now);
        let earned = now.saturating_duration_since(since).as_secs_f64() * self.per_second;
        self.left = (self.left + earned).min(self.burst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_then_the_rate_and_debts_are_paid() {
        let (mut allowance, start) = (Allowance::new(1_000, 2_000), Instant::now());
        assert!(allowance.has(2_000, start));
        assert_eq!(allowance.spend(2_000, start), None);
        assert!(!allowance.has(1, start));
        assert_eq!(allowance.spend(500, start), Some(Duration::from_millis(500)));
        let later = start + Duration::from_secs(1);
        assert!(allowance.has(500, later) && !allowance.has(501, later));
        assert!(!allowance.has(2_001, start + Duration::from_hours(1)), "no more than the burst is saved");
    }

    #[test]
    fn it_says_how_long_to_wait_for_so_much_and_when_half_of_it_is_back() {
        let (mut allowance, start) = (Allowance::new(10, 5), Instant::now());
        assert_eq!(allowance.wait_for(5, start), None);
        assert_eq!(allowance.spend(5, start), None);
        assert_eq!(allowance.wait_for(1, start), Some(Duration::from_millis(100)));
        allowance.spend(10, start);
        assert_eq!(allowance.wait_for(1, start), Some(Duration::from_millis(1_100)));
        let later = |ms| start + Duration::from_millis(ms);
        assert!(!allowance.is_half_full(later(1_240)) && allowance.is_half_full(later(1_260)));
    }
}
