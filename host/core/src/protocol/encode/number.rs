//! Prices and times as text, without the general formatting machinery.

use super::push_integer;
use crate::model::PRICE_SCALE;

/// Appends a scaled price as the shortest decimal that means the same, with at least one digit behind the point.
pub(super) fn push_price(out: &mut Vec<u8>, scaled: i64) {
    if scaled < 0 {
        out.push(b'-');
    }
    let (whole, mut fraction) = (
        scaled.unsigned_abs() / PRICE_SCALE.unsigned_abs(),
        scaled.unsigned_abs() % PRICE_SCALE.unsigned_abs(),
    );
    push_integer(out, whole);
    out.push(b'.');
    if fraction == 0 {
        out.push(b'0');
        return;
    }
    let mut weight = PRICE_SCALE.unsigned_abs() / 10;
    while fraction != 0 {
        out.push(digit(fraction / weight));
        fraction %= weight;
        weight /= 10;
    }
}

/// Appends an instant as `2024-01-15T10:30:00.123+05:30`, the clock of the Indian exchanges. Years after 9999 do not
/// occur: the nanoseconds it comes from end in 2554.
pub(super) fn push_ist_time(out: &mut Vec<u8>, unix_ms: u64) {
    const IST_OFFSET_MS: u64 = (5 * 60 + 30) * 60 * 1_000;
    const MS_PER_DAY: u64 = 24 * 60 * 60 * 1_000;
    let local_ms = unix_ms.saturating_add(IST_OFFSET_MS);
    let (year, month, day) = civil_date(local_ms / MS_PER_DAY);
    let ms = local_ms % MS_PER_DAY;

    push_digits(out, year, 1_000);
    out.push(b'-');
    push_digits(out, month, 10);
    out.push(b'-');
    push_digits(out, day, 10);
    out.push(b'T');
    push_digits(out, ms / 3_600_000, 10);
    out.push(b':');
    push_digits(out, ms / 60_000 % 60, 10);
    out.push(b':');
    push_digits(out, ms / 1_000 % 60, 10);
    out.push(b'.');
    push_digits(out, ms % 1_000, 100);
    out.extend_from_slice(b"+05:30");
}

/// Year, month and day of a day counted from 1970-01-01.
///
/// Counted in years that begin in March, so that the leap day is the last of its year: month lengths then follow one
/// linear rule, and the Gregorian cycle of 400 years has no special case.
fn civil_date(days_since_1970: u64) -> (u64, u64, u64) {
    const DAYS_PER_400_YEARS: u64 = 146_097;
    let days = days_since_1970 + 719_468; // since 0000-03-01
    let cycle = days / DAYS_PER_400_YEARS;
    let day_of_cycle = days % DAYS_PER_400_YEARS;
    let year_of_cycle =
        (day_of_cycle - day_of_cycle / 1_460 + day_of_cycle / 36_524 - day_of_cycle / 146_096) / 365;
    let day_of_year = day_of_cycle - (365 * year_of_cycle + year_of_cycle / 4 - year_of_cycle / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    (400 * cycle + year_of_cycle + u64::from(month <= 2), month, day)
}

/// Appends a number with leading zeros; `weight` is that of its first digit.
fn push_digits(out: &mut Vec<u8>, number: u64, mut weight: u64) {
    while weight != 0 {
        out.push(digit(number / weight % 10));
        weight /= 10;
    }
}

fn digit(value: u64) -> u8 {
    b'0' + (value % 10) as u8
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn price(scaled: i64) -> String {
        let mut out = Vec::new();
        push_price(&mut out, scaled);
        String::from_utf8(out).unwrap()
    }

    fn ist(unix_ms: u64) -> String {
        let mut out = Vec::new();
        push_ist_time(&mut out, unix_ms);
        String::from_utf8(out).unwrap()
    }

    /// The same by walking the calendar year by year and month by month.
    fn naive_ist(unix_ms: u64) -> String {
        let local = unix_ms + 19_800_000;
        let mut days = local / 86_400_000;
        let is_leap =
            |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
        let mut year = 1970;
        while days >= 365 + u64::from(is_leap(year)) {
            days -= 365 + u64::from(is_leap(year));
            year += 1;
        }
        let mut month = 1;
        for length in [31, 28 + u64::from(is_leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
            if days < length {
                break;
            }
            days -= length;
            month += 1;
        }
        let (h, m, s) = (local / 3_600_000 % 24, local / 60_000 % 60, local / 1_000 % 60);
        format!("{year:04}-{month:02}-{:02}T{h:02}:{m:02}:{s:02}.{:03}+05:30", days + 1, local % 1_000)
    }

    #[test]
    fn prices_are_shortest_decimals_with_a_point() {
        for (scaled, text) in [
            (0, "0.0"),
            (1, "0.000000001"),
            (-1, "-0.000000001"),
            (620 * PRICE_SCALE, "620.0"),
            (625_500_000_000, "625.5"),
            (-50_000_000, "-0.05"),
            (83_012_500_000, "83.0125"),
            (i64::MAX, "9223372036.854775807"),
            (i64::MIN, "-9223372036.854775808"),
        ] {
            assert_eq!(price(scaled), text);
        }
    }

    #[test]
    fn times_are_those_of_india() {
        assert_eq!(ist(0), "1970-01-01T05:30:00.000+05:30");
        assert_eq!(ist(1_705_294_800_123), "2024-01-15T10:30:00.123+05:30");
        assert_eq!(ist(1_709_231_399_999), "2024-02-29T23:59:59.999+05:30");
        assert_eq!(ist(1_709_231_400_000), "2024-03-01T00:00:00.000+05:30");
        assert_eq!(ist(u64::MAX / 1_000_000), naive_ist(u64::MAX / 1_000_000));
    }

    #[test]
    fn every_day_until_2200_is_the_one_of_the_calendar() {
        for day in 0..84_000 {
            let ms = day * 86_400_000 + day * 997 % 86_400_000;
            assert_eq!(ist(ms), naive_ist(ms));
        }
    }

    proptest! {
        #[test]
        fn a_price_reads_back_to_the_same_integer(scaled: i64) {
            let text = price(scaled);
            let (whole, fraction) = text.split_once('.').unwrap();
            let digits: i128 = format!("{whole}{fraction:0<9}").parse().unwrap();
            prop_assert_eq!(digits, i128::from(scaled));
            prop_assert!(fraction.len() == 1 || !fraction.ends_with('0'));
        }

        #[test]
        fn any_instant_is_formatted_as_the_calendar_says(ms in 0..u64::MAX / 1_000_000) {
            prop_assert_eq!(ist(ms), naive_ist(ms));
        }
    }
}
