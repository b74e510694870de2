//! Dates and times of day in India, where the exchanges of the calendar are: no summer time, UTC+05:30
//! always.

use std::{fmt, str::FromStr};

use adapter_time::ist::{self, Day};

const NANOS: u64 = 1_000_000_000;

/// Years that a calendar may speak of.
const YEARS: std::ops::RangeInclusive<i32> = 2000..=2199;

/// A date.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date {
    /// Days since 1 January 1970.
    number: i64,
}

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
        let (number, second) = ist::day_and_second((unix_ns / NANOS).cast_signed());
        (Self { number }, TimeOfDay(second))
    }

    /// The moment at which it is this time on this date in India, in nanoseconds since the Unix epoch.
    pub fn at(self, time: TimeOfDay) -> u64 {
        u64::try_from(ist::unix_seconds_of(self.number, time.0)).unwrap_or(0).saturating_mul(NANOS)
    }

    /// The date so many days later.
    #[must_use]
    pub const fn plus_days(self, days: i64) -> Self {
        Self { number: self.number.saturating_add(days) }
    }

    /// Days from an earlier date to this one.
    pub const fn days_since(self, earlier: Self) -> i64 {
        self.number.saturating_sub(earlier.number)
    }

    /// Day of the week, 0 for Monday to 6 for Sunday.
    pub fn weekday(self) -> usize {
        ist::weekday(self.number).into()
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Day::from_number(self.number).fmt(f)
    }
}

impl FromStr for Date {
    type Err = NotATime;

    fn from_str(text: &str) -> Result<Self, NotATime> {
        let day = text.parse().ok().filter(|day: &Day| YEARS.contains(&day.year));
        day.map(|day| Self { number: day.number() })
            .ok_or_else(|| NotATime::new(text, "a date such as 2026-01-26"))
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
            let date = Date { number: days };
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
