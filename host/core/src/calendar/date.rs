//! Dates and times of day in India, where the exchanges of the calendar are: no summer time, UTC+05:30 always.

use std::{fmt, str::FromStr};

use time::{Duration, Month};

const IST_OFFSET_SECONDS: i64 = 5 * 3_600 + 30 * 60;
const DAY_SECONDS: i64 = 86_400;
const NANOS: u64 = 1_000_000_000;

/// 1970-01-01.
const UNIX_DAY: time::Date = time::UtcDateTime::UNIX_EPOCH.date();

/// Years that a calendar may speak of.
const YEARS: std::ops::RangeInclusive<i32> = 2000..=2199;

/// A date.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date(time::Date);

/// Seconds since midnight, 0 to 86,400.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimeOfDay(u32);

/// A text that is no date, or no time of day.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not {wanted}")]
pub struct NotATime {
    text: String,
    wanted: &'static str,
}

impl NotATime {
    pub(super) fn new(text: &str, wanted: &'static str) -> Self {
        Self { text: text.chars().take(64).collect(), wanted }
    }
}

impl Date {
    /// Date and time of day in India at a moment in nanoseconds since the Unix epoch.
    pub fn in_india(unix_ns: u64) -> (Self, TimeOfDay) {
        let seconds =
            i64::try_from(unix_ns / NANOS).unwrap_or(i64::MAX - IST_OFFSET_SECONDS) + IST_OFFSET_SECONDS;
        let time = u32::try_from(seconds.rem_euclid(DAY_SECONDS)).unwrap_or(0);
        (Self(UNIX_DAY).plus_days(seconds.div_euclid(DAY_SECONDS)), TimeOfDay(time))
    }

    /// The moment at which it is this time on this date in India, in nanoseconds since the Unix epoch.
    pub fn at(self, time: TimeOfDay) -> u64 {
        let seconds = self.days_since(Self(UNIX_DAY)) * DAY_SECONDS + i64::from(time.0) - IST_OFFSET_SECONDS;
        u64::try_from(seconds).unwrap_or(0).saturating_mul(NANOS)
    }

    /// The date so many days later, 31 December 9999 at the latest.
    #[must_use]
    pub fn plus_days(self, days: i64) -> Self {
        // More days than there are dates would be more than a duration holds.
        Self(self.0.saturating_add(Duration::days(days.clamp(-10_000_000, 10_000_000))))
    }

    /// Days from an earlier date to this one.
    pub fn days_since(self, earlier: Self) -> i64 {
        (self.0 - earlier.0).whole_days()
    }

    /// Day of the week, 0 for Monday to 6 for Sunday.
    pub fn weekday(self) -> usize {
        self.0.weekday().number_days_from_monday().into()
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.0.year(), u8::from(self.0.month()), self.0.day())
    }
}

impl FromStr for Date {
    type Err = NotATime;

    fn from_str(text: &str) -> Result<Self, NotATime> {
        let no_date = || NotATime::new(text, "a date such as 2026-01-26");
        let mut parts = text.splitn(3, '-');
        let mut part = |length| digits(parts.next(), length).ok_or_else(no_date);
        let (year, month, day) = (part(4)?, part(2)?, part(2)?);
        let named = || {
            let year = i32::try_from(year).ok().filter(|year| YEARS.contains(year))?;
            let month = Month::try_from(u8::try_from(month).ok()?).ok()?;
            time::Date::from_calendar_date(year, month, u8::try_from(day).ok()?).ok()
        };
        named().map(Self).ok_or_else(no_date)
    }
}

impl TimeOfDay {
    /// The start of the day.
    pub const MIDNIGHT: Self = Self(0);

    /// So many minutes earlier, at midnight at the earliest.
    #[must_use]
    pub const fn minus_minutes(self, minutes: u32) -> Self {
        Self(self.0.saturating_sub(minutes.saturating_mul(60)))
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0 / 3_600, self.0 / 60 % 60)
    }
}

impl FromStr for TimeOfDay {
    type Err = NotATime;

    fn from_str(text: &str) -> Result<Self, NotATime> {
        let no_time = || NotATime::new(text, "a time of day such as 09:15, from 00:00 to 24:00");
        let (hours, minutes) = text.split_once(':').ok_or_else(no_time)?;
        let part = |part| digits(Some(part), 2).ok_or_else(no_time);
        let (hours, minutes) = (part(hours)?, part(minutes)?);
        let is_one = hours < 24 && minutes < 60 || (hours, minutes) == (24, 0);
        let seconds = u32::try_from(hours * 3_600 + minutes * 60).ok().filter(|_| is_one);
        seconds.map(Self).ok_or_else(no_time)
    }
}

/// A number of exactly so many digits.
fn digits(text: Option<&str>, length: usize) -> Option<i64> {
    let text = text.filter(|text| text.len() == length && text.bytes().all(|byte| byte.is_ascii_digit()))?;
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn dates_are_those_of_india_and_weekdays_those_of_the_wall_calendar() {
        // 2026-11-25 18:29:59 and 18:30:00 UTC.
        let before_midnight = 1_795_631_399 * NANOS;
        let (date, time) = Date::in_india(before_midnight);
        assert_eq!(
            (date.to_string(), time.to_string(), date.weekday()),
            ("2026-11-25".into(), "23:59".into(), 2)
        );
        let (next, midnight) = Date::in_india(before_midnight + NANOS);
        assert_eq!((next.to_string().as_str(), midnight), ("2026-11-26", TimeOfDay::MIDNIGHT));
        assert_eq!(next.at(midnight), before_midnight + NANOS);
        assert_eq!("2024-02-29".parse::<Date>().map(Date::weekday), Ok(3));
    }

    #[test]
    fn what_is_no_date_or_time_is_refused() {
        for text in [
            "2026-02-29",
            "2026-13-01",
            "2026-00-10",
            "26-01-01",
            "2026-1-1",
            "2026/01/01",
            "",
            "2026-01-01x",
            "1999-01-01",
        ] {
            assert!(text.parse::<Date>().is_err(), "{text}");
        }
        for text in ["9:15", "09:60", "24:01", "0915", "-1:00", "09:15:00", ""] {
            assert!(text.parse::<TimeOfDay>().is_err(), "{text}");
        }
        assert_eq!("24:00".parse::<TimeOfDay>(), Ok(TimeOfDay(86_400)));
    }

    proptest! {
        #[test]
        fn dates_come_back_from_their_text(days in 10_958_i64..84_006) {
            let date = Date(UNIX_DAY).plus_days(days);
            prop_assert_eq!(date.to_string().parse::<Date>(), Ok(date));
            prop_assert_eq!(date.plus_days(7).weekday(), date.weekday());
        }

        #[test]
        fn moments_come_back_from_their_date_and_time(seconds in 0_u64..7_000_000_000) {
            let (date, time) = Date::in_india(seconds * NANOS);
            prop_assert_eq!(date.at(time), seconds * NANOS);
        }

        #[test]
        fn no_text_panics(text in ".{0,16}") {
            _ = text.parse::<Date>();
            _ = text.parse::<TimeOfDay>();
        }
    }
}
