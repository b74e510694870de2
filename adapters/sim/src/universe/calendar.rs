//! Civil dates, and the expiry days that follow from them.
//!
//! Holidays are not known here: an expiry may fall on one.

use std::fmt;

use adapter_sdk::ist;

/// A date of the Gregorian calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date {
    /// Days since 1 January 1970.
    days: i64,
}

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weekday {
    /// Monday.
    Monday = 0,
    /// Tuesday: expiry at NSE.
    Tuesday = 1,
    /// Wednesday.
    Wednesday = 2,
    /// Thursday: expiry at BSE.
    Thursday = 3,
    /// Friday.
    Friday = 4,
    /// Saturday.
    Saturday = 5,
    /// Sunday.
    Sunday = 6,
}

impl Date {
    /// The date in India at a moment, given in nanoseconds since the Unix epoch.
    pub fn in_india(now_ns: u64) -> Self {
        Self { days: ist::day_number(now_ns).cast_signed() }
    }

    /// The date of a year, a month from 1 and a day from 1. A day past the month's end runs into the next
    /// month.
    pub const fn new(year: i64, month: u8, day: i64) -> Self {
        Self { days: ist::numbered(year, month, day) }
    }

    /// Year, month from 1, day from 1.
    pub const fn parts(self) -> (i64, u8, u8) {
        ist::named(self.days)
    }

    /// Days from this date to another; negative when the other is earlier.
    pub fn days_until(self, other: Self) -> i64 {
        other.days - self.days
    }

    /// The next dates on a weekday, this one included.
    pub fn weekly(self, weekday: Weekday, count: usize) -> Vec<Self> {
        let first = self.days + (weekday as i64 - self.weekday_number()).rem_euclid(7);
        (0_i64..).step_by(7).take(count).map(|later| Self { days: first + later }).collect()
    }

    /// The last dates on a weekday of this month and the next ones, from this date on.
    pub fn monthly(self, weekday: Weekday, count: usize) -> Vec<Self> {
        self.of_months(count, |year, month| {
            let last = Self::new(year, month + 1, 0);
            last.minus((last.weekday_number() - weekday as i64).rem_euclid(7))
        })
    }

    /// A day of this month and the next ones, or the Friday before it, from this date on.
    pub fn monthly_on_day(self, day: i64, count: usize) -> Vec<Self> {
        self.of_months(count, |year, month| {
            let date = Self::new(year, month, day);
            date.minus((date.weekday_number() - Weekday::Friday as i64).max(0))
        })
    }

    fn of_months(self, count: usize, date_in: impl Fn(i64, u8) -> Self) -> Vec<Self> {
        let (year, month, _) = self.parts();
        (0..12)
            .map(|later| month - 1 + later)
            .map(|months| (year + i64::from(months / 12), months % 12 + 1))
            .map(|(year, month)| date_in(year, month))
            .filter(|date| *date >= self)
            .take(count)
            .collect()
    }

    fn minus(self, days: i64) -> Self {
        Self { days: self.days - days }
    }

    /// Monday is 0.
    fn weekday_number(self) -> i64 {
        ist::weekday(self.days).into()
    }
}

/// Writes the form that derivative symbols contain: `30DEC25`.
impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MONTHS: [&str; 12] =
            ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
        let (year, month, day) = self.parts();
        let name = MONTHS.get(usize::from(month) - 1).copied().unwrap_or_default();
        write!(f, "{day:02}{name}{:02}", year.rem_euclid(100))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(dates: &[Date]) -> Vec<String> {
        dates.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn dates_survive_the_way_to_days_and_back() {
        for days in (-20_000..40_000).step_by(13) {
            let date = Date { days };
            let (year, month, day) = date.parts();
            assert_eq!(Date::new(year, month, day.into()), date);
        }
        assert_eq!(Date::new(1970, 1, 1).days, 0);
        assert_eq!(Date::new(2024, 2, 29).to_string(), "29FEB24");
    }

    #[test]
    fn the_day_changes_at_midnight_in_india() {
        let midnight_utc_s = 1_767_052_800; // 30 December 2025, 00:00 UTC
        let at = |seconds: u64| Date::in_india(seconds * 1_000_000_000).to_string();
        assert_eq!(at(midnight_utc_s - 5 * 3600 - 1800), "30DEC25");
        assert_eq!(at(midnight_utc_s - 5 * 3600 - 1801), "29DEC25");
    }

    #[test]
    fn weekly_expiries_include_today() {
        let tuesday = Date::new(2025, 12, 30);
        assert_eq!(names(&tuesday.weekly(Weekday::Tuesday, 2)), ["30DEC25", "06JAN26"]);
        assert_eq!(names(&tuesday.weekly(Weekday::Monday, 1)), ["05JAN26"]);
    }

    #[test]
    fn monthly_expiries_are_the_last_of_their_month() {
        let date = Date::new(2025, 11, 26);
        assert_eq!(names(&date.monthly(Weekday::Tuesday, 2)), ["30DEC25", "27JAN26"]);
        assert_eq!(names(&Date::new(2026, 2, 1).monthly(Weekday::Saturday, 1)), ["28FEB26"]);
    }

    #[test]
    fn an_expiry_on_a_weekend_moves_to_the_friday_before() {
        // 20 December 2025 is a Saturday.
        assert_eq!(names(&Date::new(2025, 12, 1).monthly_on_day(20, 2)), ["19DEC25", "20JAN26"]);
    }
}
