//! Times of India, which brokers write without a zone. India has no summer time: it is 5:30 ahead of UTC all
//! year.

use std::{
    str::FromStr,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// India's distance to UTC, in seconds.
pub const OFFSET_SECONDS: i64 = 19_800;

const DAY_SECONDS: i64 = 86_400;

const UNIX_DAY: time::Date = time::UtcDateTime::UNIX_EPOCH.date();

/// The day in India, in days since 1 January 1970, at a time in nanoseconds since the Unix epoch. For who
/// compares days on every packet; [`Day`] is for everybody else.
pub const fn day_number(nanos: u64) -> u64 {
    (nanos / 1_000_000_000 + OFFSET_SECONDS.unsigned_abs()) / DAY_SECONDS.unsigned_abs()
}

/// A day of India's calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day {
    /// Year.
    pub year: i32,
    /// Month, 1 to 12.
    pub month: u8,
    /// Day of the month, 1 to 31.
    pub day: u8,
}

impl Day {
    /// The day in India at a time.
    pub fn at(time: SystemTime) -> Self {
        Self::from_number((unix_seconds(time) + OFFSET_SECONDS).div_euclid(DAY_SECONDS))
    }

    /// A day by its name, when there is such a day: years 1970 to 9999.
    pub fn new(year: i32, month: u8, day: u8) -> Option<Self> {
        let named = Self { year, month, day };
        ((1_970..=9_999).contains(&year) && named.date().is_some()).then_some(named)
    }

    /// Days since 1 January 1970.
    pub fn number(self) -> i64 {
        self.date().map_or(0, |date| (date - UNIX_DAY).whole_days())
    }

    fn from_number(number: i64) -> Self {
        // More days than there are dates would be more than a duration holds.
        let days = time::Duration::days(number.clamp(-10_000_000, 10_000_000));
        let date = UNIX_DAY.saturating_add(days);
        Self { year: date.year(), month: date.month().into(), day: date.day() }
    }

    fn date(self) -> Option<time::Date> {
        time::Date::from_calendar_date(self.year, self.month.try_into().ok()?, self.day).ok()
    }

    /// A time of this day in India, as seconds since the Unix epoch.
    pub fn seconds_at(self, hour: u8, minute: u8, second: u8) -> i64 {
        let of_day = i64::from(hour) * 3_600 + i64::from(minute) * 60 + i64::from(second);
        self.number() * DAY_SECONDS + of_day - OFFSET_SECONDS
    }
}

/// A text that is no day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a day must be written as YYYY-MM-DD")]
pub struct NotADay;

impl FromStr for Day {
    type Err = NotADay;

    /// Reads `YYYY-MM-DD`.
    fn from_str(text: &str) -> Result<Self, NotADay> {
        let mut parts = text.splitn(3, '-');
        let mut part = |digits| number::<i32>(parts.next()?, digits);
        let named = (|| {
            let (year, month, day) = (part(4)?, part(2)?, part(2)?);
            Self::new(year, u8::try_from(month).ok()?, u8::try_from(day).ok()?)
        })();
        named.ok_or(NotADay)
    }
}

/// Reads `YYYY-MM-DD HH:MM:SS` (or with a `T`) of India as milliseconds since the Unix epoch.
pub fn parse(text: &str) -> Option<i64> {
    let (date, time) = text.split_once([' ', 'T'])?;
    let day: Day = date.parse().ok()?;
    let mut time = time.splitn(3, ':');
    let (hour, minute, second) =
        (number(time.next()?, 2)?, number(time.next()?, 2)?, number(time.next()?, 2)?);
    (hour < 24 && minute < 60 && second < 60).then(|| day.seconds_at(hour, minute, second) * 1_000)
}

fn number<T: FromStr>(text: &str, digits: usize) -> Option<T> {
    (text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit()))
        .then(|| text.parse().ok())
        .flatten()
}

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

/// The last time before or at `now` at which it was so late in India: a broker that renews something daily
/// did it then.
pub fn last(hour: u8, minute: u8, now: SystemTime) -> SystemTime {
    let mut at = Day::at(now).seconds_at(hour, minute, 0);
    if at > unix_seconds(now) {
        at -= DAY_SECONDS;
    }
    UNIX_EPOCH + Duration::from_secs(u64::try_from(at).unwrap_or(0))
}

fn unix_seconds(time: SystemTime) -> i64 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_secs()).unwrap_or(i64::MAX - OFFSET_SECONDS),
        Err(before) => -i64::try_from(before.duration().as_secs()).unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

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

    #[test]
    fn days_are_counted_as_they_begin_in_india() {
        // 2026-11-25, 23:59:59 in India.
        let last = 1_795_631_399_u64 * 1_000_000_000;
        let day = Day::new(2026, 11, 25).unwrap().number().unsigned_abs();
        assert_eq!([last, last + 999_999_999, last + 1_000_000_000].map(day_number), [day, day, day + 1]);
        assert_eq!(day_number(u64::MAX), 213_504);
    }

    #[test]
    fn times_of_india_are_read() {
        assert_eq!(parse("1970-01-01 05:30:00"), Some(0));
        assert_eq!(parse("2026-11-25T09:15:00"), Some(1_795_578_300_000));
        for nonsense in [
            "",
            "2026-11-25",
            "2026-02-29 00:00:00",
            "2026-13-01 00:00:00",
            "2026-11-25 24:00:00",
            "+026-11-25 00:00:00",
            "2026-11-25 9:15:00",
        ] {
            assert_eq!(parse(nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn the_last_daily_time_is_today_s_or_yesterday_s() {
        // 2026-11-25 08:29:59 and 08:30:00 in India.
        let today = 1_795_575_600;
        assert_eq!(last(8, 30, at(today)), at(today));
        assert_eq!(last(8, 30, at(today - 1)), at(today - 86_400));
        assert_eq!(last(8, 30, at(today + 86_399)), at(today));
    }

    #[test]
    fn days_are_of_the_years_1970_to_9999() {
        for (year, month, day, is_one) in [
            (1_969, 12, 31, false),
            (1_970, 1, 1, true),
            (9_999, 12, 31, true),
            (10_000, 1, 1, false),
            (-1, 1, 1, false),
            (2_025, 2, 29, false),
        ] {
            assert_eq!(Day::new(year, month, day).is_some(), is_one, "{year}-{month}-{day}");
        }
        assert_eq!("1969-12-31".parse::<Day>(), Err(NotADay));
        assert_eq!(parse("1969-12-31 23:59:59"), None);
    }

    proptest! {
        #[test]
        fn a_day_has_one_name(number in 0_i64..2_932_896) {
            let day = Day::from_number(number);
            prop_assert_eq!(day.number(), number);
            prop_assert_eq!(Day::new(day.year, day.month, day.day), Some(day));
        }
    }
}
