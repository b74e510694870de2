//! Days, and how exchanges write them in their symbols.

use std::fmt;

use adapter_time::ist;

const MONTHS: [&str; 12] =
    ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];

/// A day of the Gregorian calendar, as the number of days since 1970-01-01.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date(pub i64);

impl Date {
    /// The day of a time in seconds since the Unix epoch, in India.
    pub const fn at(seconds: i64) -> Self {
        Self(ist::day_and_second(seconds).0)
    }

    /// Year, month from 1, day from 1.
    pub const fn civil(self) -> (i64, u8, u8) {
        ist::named(self.0)
    }

    /// The first Tuesday from this day on: the day on which the exchanges' derivatives expire.
    #[must_use]
    pub const fn tuesday(self) -> Self {
        const TUESDAY: i64 = 1;
        Self(self.0 + (TUESDAY - ist::weekday(self.0) as i64).rem_euclid(7))
    }

    /// Whether it is the last day of its weekday in the month.
    pub const fn is_last_in_month(self) -> bool {
        self.civil().1 != Self(self.0 + 7).civil().1
    }

    /// `JAN` to `DEC`.
    pub fn month_name(self) -> &'static str {
        MONTHS.get(usize::from(self.civil().1) - 1).copied().unwrap_or_default()
    }

    /// How exchanges write an expiry in their symbols: `26AUG` for the last one of a month, `26804` for
    /// another, where the month is a digit, or O, N, D.
    pub fn period(self) -> String {
        let (year, month, day) = self.civil();
        if self.is_last_in_month() {
            return format!("{:02}{}", year % 100, self.month_name());
        }
        let month = match month {
            10 => 'O',
            11 => 'N',
            12 => 'D',
            other => char::from(b'0' + other),
        };
        format!("{:02}{month}{day:02}", year % 100)
    }

    /// `24DEC30`.
    pub fn short(self) -> String {
        let (year, _, day) = self.civil();
        format!("{day:02}{}{:02}", self.month_name(), year % 100)
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.civil();
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_have_their_names() {
        for (day, shown, short, is_last) in [
            (0, "1970-01-01", "01JAN70", false),
            (11_016, "2000-02-29", "29FEB00", true),
            (22_272, "2030-12-24", "24DEC30", false),
        ] {
            assert_eq!(Date(day).to_string(), shown);
            assert_eq!(Date(day).short(), short);
            assert_eq!(Date(day).is_last_in_month(), is_last, "{shown}");
        }
        assert_eq!(Date(22_270).tuesday(), Date(22_272));
        assert_eq!(Date(22_272).tuesday(), Date(22_272));
    }
}
