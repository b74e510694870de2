//! The only place that reads clocks: everything else is handed the time.
//!
//! The time of day can be shifted, so that nights and weekends can be tried with the real program: see
//! [`Shift`]. Monotonic time cannot, and no timer depends on the time of day.

use std::{
    ops::Add,
    path::PathBuf,
    sync::atomic::{AtomicI64, Ordering},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// Between two looks at the file of a [`Shift`].
const SHIFT_LOOK_EVERY: Duration = Duration::from_millis(50);

/// Nanoseconds that the time of day is ahead of the system's.
static SHIFT_NS: AtomicI64 = AtomicI64::new(0);

/// One moment, by both clocks: deadlines and pauses are monotonic, what people and brokers are told is the
/// time of day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Monotonic time.
    pub at: Instant,
    /// Time of day, in nanoseconds since the Unix epoch, UTC.
    pub unix_ns: u64,
}

impl Moment {
    /// The present moment.
    pub fn now() -> Self {
        Self { at: Instant::now(), unix_ns: unix_nanos() }
    }
}

impl Add<Duration> for Moment {
    type Output = Self;

    fn add(self, time: Duration) -> Self {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        Self { at: self.at + time, unix_ns: self.unix_ns.saturating_add(nanos) }
    }
}

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
    let now_ns = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| u64::try_from(since.as_nanos()).unwrap_or(u64::MAX));
    now_ns.saturating_add_signed(SHIFT_NS.load(Ordering::Relaxed))
}

/// Milliseconds since the Unix epoch, UTC.
pub fn unix_millis() -> u64 {
    unix_nanos() / 1_000_000
}

/// Milliseconds from one moment to another, both in nanoseconds since the Unix epoch; none when the first,
/// being 0, never came.
pub fn age_ms(then_ns: u64, now_ns: u64) -> Option<u64> {
    (then_ns > 0).then(|| now_ns.saturating_sub(then_ns) / 1_000_000)
}

/// A file with the whole seconds that the time of day of this process is ahead of the system's, or behind it.
/// For tests.
#[derive(Debug)]
pub struct Shift(PathBuf);

impl Shift {
    /// The variable of the environment that names the file. It is no setting, and stands in no document for
    /// operators.
    pub const VARIABLE: &str = "TICKHOST_CLOCK_OFFSET_FILE";

    /// The file that the environment names, read once; none when it names none.
    pub fn of_environment() -> Option<Self> {
        let shift = Self(PathBuf::from(std::env::var_os(Self::VARIABLE)?));
        tracing::warn!(path = %shift.0.display(), "The time of day is shifted, for a test");
        shift.apply();
        Some(shift)
    }

    /// Follows the file for ever.
    pub async fn follow(self) {
        loop {
            tokio::time::sleep(SHIFT_LOOK_EVERY).await;
            self.apply();
        }
    }

    /// What is missing, or no number, leaves the clock as it is.
    fn apply(&self) {
        let seconds = std::fs::read_to_string(&self.0).ok().and_then(|text| text.trim().parse::<i64>().ok());
        if let Some(seconds) = seconds {
            SHIFT_NS.store(seconds.saturating_mul(1_000_000_000), Ordering::Relaxed);
        }
    }
}
