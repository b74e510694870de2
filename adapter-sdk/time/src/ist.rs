//! Times of India, where the exchanges are and which brokers write without a zone. India has no summer time:
//! it is 5:30 ahead of UTC all year.
//!
//! Days are counted from 1 January 1970 and have the names of the Gregorian calendar, as far as the year
//! 9999.

use std::{
    fmt,
    str::FromStr,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// India's distance to UTC, in seconds.
pub const OFFSET_SECONDS: i64 = 19_800;

/// Seconds of a day. There are no others, since the Unix epoch knows no leap seconds.
pub const DAY_SECONDS: i64 = 86_400;

/// Days from 1 March of the year 0, from where months are counted, to 1 January 1970.
const DAYS_BEFORE_1970: i64 = 719_468;

/// The last day that has a name: 31 December 9999.
const LAST_DAY: i64 = 2_932_896;

/// The day in India, in days since 1 January 1970, at a time in nanoseconds since the Unix epoch. For who
/// compares days on every packet; [`Day`] is for everybody else.
pub const fn day_number(nanos: u64) -> u64 {
    (nanos / 1_000_000_000 + OFFSET_SECONDS.unsigned_abs()) / DAY_SECONDS.unsigned_abs()
}

/// The day in India, in days since 1 January 1970, and the second of that day, 0 to 86,399, at a time in
/// seconds since the Unix epoch.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "0 to 86,399")]
pub const fn day_and_second(unix_seconds: i64) -> (i64, u32) {
    let seconds = unix_seconds.saturating_add(OFFSET_SECONDS);
    if seconds < 0 {
        return (seconds.div_euclid(DAY_SECONDS), seconds.rem_euclid(DAY_SECONDS) as u32);
    }
    // Every frame shows a time, and without signs this is a multiplication.
    let (seconds, of_a_day) = (seconds.unsigned_abs(), DAY_SECONDS.unsigned_abs());
    ((seconds / of_a_day).cast_signed(), (seconds % of_a_day) as u32)
}

/// The time in seconds since the Unix epoch at which so many seconds of a day have passed in India.
pub const fn unix_seconds_of(day: i64, second: u32) -> i64 {
    day.saturating_mul(DAY_SECONDS).saturating_add(second as i64 - OFFSET_SECONDS)
}

/// Year, month from 1 and day from 1 of a day counted from 1 January 1970. Before the year 0 there are no
/// names: it is the first day that has one.
#[inline]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "months and days are small, years below 2^32"
)]
pub const fn named(day: i64) -> (i64, u8, u8) {
    // Counted in years that begin in March, so that the leap day is the last of its year: the lengths of
    // months then follow one linear rule, and the cycle of 400 years has no special case.
    const DAYS_PER_400_YEARS: u64 = 146_097;
    let days = if day < -DAYS_BEFORE_1970 { 0 } else { day.saturating_add(DAYS_BEFORE_1970).unsigned_abs() };
    let (cycle, day_of_cycle) = (days / DAYS_PER_400_YEARS, days % DAYS_PER_400_YEARS);
    let year_of_cycle =
        (day_of_cycle - day_of_cycle / 1_460 + day_of_cycle / 36_524 - day_of_cycle / 146_096) / 365;
    let day_of_year = day_of_cycle - (365 * year_of_cycle + year_of_cycle / 4 - year_of_cycle / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = 400 * cycle + year_of_cycle + if month <= 2 { 1 } else { 0 };
    (year as i64, month as u8, day as u8)
}

/// Days from 1 January 1970 to a day of this name. A day before the first or behind the last of its month
/// counts on into the months beside it, and so does the month 13, since the last day of a month is the one
/// before the first of the next.
pub const fn numbered(year: i64, month: u8, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (cycle, year_of_cycle) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month as i64 + 9) % 12) + 2) / 5 + day - 1;
    let day_of_cycle = year_of_cycle * 365 + year_of_cycle / 4 - year_of_cycle / 100 + day_of_year;
    cycle * 146_097 + day_of_cycle - DAYS_BEFORE_1970
}

/// The day of the week of a day counted from 1 January 1970, a Thursday: 0 for Monday to 6 for Sunday.
#[expect(clippy::cast_possible_truncation, reason = "0 to 6")]
pub const fn weekday(day: i64) -> u8 {
    day.saturating_add(3).rem_euclid(7) as u8
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
        Self::from_number(day_and_second(unix_seconds(time)).0)
    }

    /// A day by its name, when there is such a day: years 1970 to 9999.
    pub fn new(year: i32, month: u8, day: u8) -> Option<Self> {
        let named = Self { year, month, day };
        let is_in_range = (1_970..=9_999).contains(&year) && (1..=12).contains(&month);
        (is_in_range && Self::from_number(named.number()) == named).then_some(named)
    }

    /// Days since 1 January 1970.
    pub const fn number(self) -> i64 {
        numbered(self.year as i64, self.month, self.day as i64)
    }

    /// The day so many days after 1 January 1970, 31 December 9999 at the latest and the first of the year 0
    /// at the earliest.
    pub fn from_number(number: i64) -> Self {
        let (year, month, day) = named(number.min(LAST_DAY));
        Self { year: i32::try_from(year).unwrap_or(9_999), month, day }
    }

    /// A time of this day in India, as seconds since the Unix epoch.
    pub fn seconds_at(self, hour: u8, minute: u8, second: u8) -> i64 {
        unix_seconds_of(self.number(), u32::from(hour) * 3_600 + u32::from(minute) * 60 + u32::from(second))
    }
}

/// Writes `YYYY-MM-DD`.
impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
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

/// The last time before or at `now` at which it was so late in India: a broker that renews something daily
/// did it then.
pub fn last(hour: u8, minute: u8, now: SystemTime) -> SystemTime {
    let mut at = Day::at(now).seconds_at(hour, minute, 0);
    if at > unix_seconds(now) {
        at -= DAY_SECONDS;
    }
    UNIX_EPOCH + Duration::from_secs(u64::try_from(at).unwrap_or(0))
}

/// A time in seconds since the Unix epoch.
pub fn unix_seconds(time: SystemTime) -> i64 {
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

    #[test]
    fn every_day_has_the_name_of_the_calendar() {
        let mut date = time::Date::from_calendar_date(0, time::Month::March, 1).unwrap();
        for day in -DAYS_BEFORE_1970..=LAST_DAY {
            let name = (i64::from(date.year()), u8::from(date.month()), date.day());
            assert_eq!(named(day), name);
            assert_eq!(numbered(name.0, name.1, name.2.into()), day);
            assert_eq!(weekday(day), date.weekday().number_days_from_monday());
            date = date.next_day().unwrap_or(date);
        }
        assert_eq!((named(i64::MIN), named(-DAYS_BEFORE_1970 - 1)), ((0, 3, 1), (0, 3, 1)));
        assert!(named(i64::MAX).0 > 9_999);
    }

    #[test]
    fn days_outside_of_a_month_are_those_beside_it() {
        assert_eq!(named(numbered(2_024, 3, 0)), (2_024, 2, 29));
        assert_eq!(named(numbered(2_026, 13, 0)), (2_026, 12, 31));
        assert_eq!(named(numbered(2_026, 1, 32)), (2_026, 2, 1));
    }

    #[test]
    fn a_day_begins_at_half_past_six_in_the_evening_of_utc() {
        assert_eq!(day_and_second(0), (0, 19_800));
        assert_eq!((day_and_second(66_599), day_and_second(66_600)), ((0, 86_399), (1, 0)));
        assert_eq!(day_and_second(-19_801), (-1, 86_399));
        assert_eq!((unix_seconds_of(1, 0), unix_seconds_of(0, 86_400)), (66_600, 66_600));
        for extreme in [i64::MIN, i64::MAX] {
            day_and_second(extreme);
            unix_seconds_of(extreme, u32::MAX);
            weekday(extreme);
            assert!(Day::from_number(extreme).year <= 9_999);
        }
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
