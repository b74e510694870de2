//! Times of India, which brokers write without a zone. India has no summer time: it is 5:30 ahead of UTC all year.

use std::{
    str::FromStr,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// India's distance to UTC, in seconds.
pub const OFFSET_SECONDS: i64 = 19_800;

const DAY_SECONDS: i64 = 86_400;

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
        let is_plausible =
            (1_970..=9_999).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day);
        (is_plausible && Self::from_number(named.number()) == named).then_some(named)
    }

    /// Days since 1 January 1970. The algorithm is Howard Hinnant's `days_from_civil`.
    pub fn number(self) -> i64 {
        let year = i64::from(self.year) - i64::from(self.month <= 2);
        let era = year.div_euclid(400);
        let year_of_era = year.rem_euclid(400);
        let day_of_year = (153 * ((i64::from(self.month) + 9) % 12) + 2) / 5 + i64::from(self.day) - 1;
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        era * 146_097 + day_of_era - 719_468
    }

    fn from_number(number: i64) -> Self {
        let shifted = number + 719_468;
        let era = shifted.div_euclid(146_097);
        let day_of_era = shifted.rem_euclid(146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
        let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        Self {
            year: i32::try_from(year).unwrap_or(i32::MAX),
            month: u8::try_from(month).unwrap_or(1),
            day: u8::try_from(day).unwrap_or(1),
        }
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

/// The last time before or at `now` at which it was so late in India: a broker that renews something daily did it then.
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

    proptest! {
        #[test]
        fn a_day_has_one_name(number in 0_i64..2_932_896) {
            let day = Day::from_number(number);
            prop_assert_eq!(day.number(), number);
            prop_assert_eq!(Day::new(day.year, day.month, day.day), Some(day));
        }
    }
}
