//! Times of India, which brokers write without a zone.

use std::time::SystemTime;

pub use adapter_time::ist::*;

/// A time of the day in India of which a broker does not say the day, in nanoseconds since the Unix epoch: it
/// is of the day of `latest`, the time that the broker's feed or this machine has. None when it is more than
/// a minute later, since it cannot be of that day then, and when there is no such time.
///
/// ```
/// use std::time::{Duration, UNIX_EPOCH};
///
/// use adapter_sdk::ist;
///
/// // 09:15:00 on 25 November 2026.
/// let latest = UNIX_EPOCH + Duration::from_secs(1_795_578_300);
/// assert_eq!(ist::on_the_day_of(latest, (9, 14, 59)), Some(1_795_578_299_000_000_000));
/// assert_eq!(ist::on_the_day_of(latest, (15, 29, 59)), None);
/// ```
pub fn on_the_day_of(latest: SystemTime, (hour, minute, second): (u8, u8, u8)) -> Option<u64> {
    const CLOCK_ERROR: i64 = 60;
    let is_time = hour < 24 && minute < 60 && second < 60;
    let at = Day::at(latest).seconds_at(hour, minute, second);
    let is_past = at <= unix_seconds(latest).saturating_add(CLOCK_ERROR);
    (is_time && is_past).then(|| crate::read::seconds(at)).flatten()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    #[test]
    fn a_time_without_a_day_is_of_today_or_of_no_day() {
        // 23:59:30 on 25 November 2026, and a minute later.
        let latest = |more: u64| UNIX_EPOCH + Duration::from_secs(1_795_631_370 + more);
        let at = |latest, clock| on_the_day_of(latest, clock).map(|nanos| nanos / 1_000_000_000);
        assert_eq!(at(latest(0), (0, 0, 0)), Some(1_795_545_000));
        assert_eq!(at(latest(0), (23, 59, 59)), Some(1_795_631_399));
        assert_eq!(at(latest(60), (23, 59, 59)), None);
        assert_eq!(at(latest(60), (0, 1, 30)), Some(1_795_631_490));
        assert_eq!(at(latest(60), (0, 1, 31)), None);
        for nonsense in [(24, 0, 0), (0, 60, 0), (0, 0, 60)] {
            assert_eq!(at(latest(0), nonsense), None);
        }
        // Before any broker was.
        assert_eq!(at(UNIX_EPOCH, (0, 0, 0)), None);
    }
}
