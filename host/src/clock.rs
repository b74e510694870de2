//! The only place that reads clocks: everything else is handed the time.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A monotonic clock that counts nanoseconds from its making.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
}

impl Clock {
    /// A clock that starts now.
    pub fn start() -> Self {
        Self { start: Instant::now() }
    }

    /// Nanoseconds since the start.
    pub fn nanos(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// The moment that [`Self::nanos`] calls `nanos`.
    pub fn instant_of(&self, nanos: u64) -> Instant {
        self.start + Duration::from_nanos(nanos)
    }

    /// Time since the start.
    pub fn uptime(&self) -> Duration {
        self.start.elapsed()
    }
}

/// Nanoseconds since the Unix epoch, UTC.
pub fn unix_nanos() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}

/// Milliseconds since the Unix epoch, UTC.
pub fn unix_millis() -> u64 {
    unix_nanos() / 1_000_000
}

/// Milliseconds from one moment to another, both in nanoseconds since the Unix epoch; none when the first, being 0, never
/// came.
pub fn age_ms(then_ns: u64, now_ns: u64) -> Option<u64> {
    (then_ns > 0).then(|| now_ns.saturating_sub(then_ns) / 1_000_000)
}
