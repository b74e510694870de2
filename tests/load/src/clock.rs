//! One clock for all processes of a measurement, and sleeping against it.

use std::time::Duration;

use rustix::{
    thread::{ClockId, NanosleepRelativeResult, Timespec, nanosleep},
    time::clock_gettime,
};

/// Microseconds of the machine's monotonic clock, which every process reads alike.
pub(crate) fn now_us() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0) / 1_000
}

/// Microseconds since the Unix epoch at the zero of that clock.
pub(crate) fn epoch_us() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(0).saturating_sub(now_us())
}

/// Sleeps until the clock shows `us`. Interrupted sleeps go on.
pub(crate) fn sleep_until(us: u64) {
    let left = us.saturating_sub(now_us());
    if left == 0 {
        return;
    }
    let left = Duration::from_micros(left);
    let mut request = Timespec {
        tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(left.subsec_nanos()),
    };
    while let NanosleepRelativeResult::Interrupted(rest) = nanosleep(&request) {
        request = rest;
    }
}
