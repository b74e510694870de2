//! A limit on requests per second.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::time::Instant;

/// Spaces requests evenly. Clones share the limit.
#[derive(Clone, Debug)]
pub struct RateLimit {
    spacing: Duration,
    next: Arc<Mutex<Option<Instant>>>,
}

impl RateLimit {
    /// So many requests in a second; below 1 is fewer than one. What is not above 0 counts as one in a
    /// minute.
    pub fn per_second(rate: f64) -> Self {
        let spacing = if rate > 0.0 { Duration::try_from_secs_f64(1.0 / rate).ok() } else { None };
        Self { spacing: spacing.unwrap_or(Duration::from_mins(1)), next: Arc::default() }
    }

    /// Waits for its turn. Turns are given in the order in which they were asked for.
    pub async fn turn(&self) {
        let at = {
            let mut next = self.next.lock();
            let at = next.map_or_else(Instant::now, |next| next.max(Instant::now()));
            *next = Some(at + self.spacing);
            at
        };
        tokio::time::sleep_until(at).await;
    }

    /// The broker asked for a pause: nobody gets a turn before it is over.
    pub fn pause(&self, pause: Duration) {
        let until = Instant::now() + pause;
        let mut next = self.next.lock();
        *next = Some(next.map_or(until, |next| next.max(until)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn requests_are_spaced_and_clones_share_the_limit() {
        let limit = RateLimit::per_second(4.0);
        let begun = Instant::now();
        limit.turn().await;
        assert_eq!(begun.elapsed(), Duration::ZERO);
        limit.clone().turn().await;
        limit.turn().await;
        assert_eq!(begun.elapsed(), Duration::from_millis(500));
        limit.pause(Duration::from_secs(10));
        limit.turn().await;
        assert_eq!(begun.elapsed(), Duration::from_millis(10_500));
    }

    #[tokio::test(start_paused = true)]
    async fn a_rate_that_is_none_does_not_stop_everything() {
        for rate in [0.0, -1.0, f64::NAN, f64::MIN_POSITIVE] {
            let limit = RateLimit::per_second(rate);
            let begun = Instant::now();
            limit.turn().await;
            limit.turn().await;
            assert_eq!(begun.elapsed(), Duration::from_mins(1));
        }
    }
}
