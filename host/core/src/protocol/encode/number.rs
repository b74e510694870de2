//! Prices and times as text, without the general formatting machinery.

use adapter_time::ist;

use super::push_integer;
use crate::model::PRICE_SCALE;

/// Appends a scaled price as the shortest decimal that means the same, with at least one digit behind the
/// point.
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

/// Appends an instant as `2024-01-15T10:30:00.123+05:30`, the clock of the Indian exchanges. Years after 9999
/// do not occur: the nanoseconds it comes from end in 2554.
pub(super) fn push_ist_time(out: &mut Vec<u8>, unix_ms: u64) {
    let (day, second) = ist::day_and_second((unix_ms / 1_000).cast_signed());
    let (year, month, day) = ist::named(day);
    let second = u64::from(second);

    push_digits(out, year.unsigned_abs(), 1_000);
    out.push(b'-');
    push_digits(out, month.into(), 10);
    out.push(b'-');
    push_digits(out, day.into(), 10);
    out.push(b'T');
    push_digits(out, second / 3_600, 10);
    out.push(b':');
    push_digits(out, second / 60 % 60, 10);
    out.push(b':');
    push_digits(out, second % 60, 10);
    out.push(b'.');
    push_digits(out, unix_ms % 1_000, 100);
    out.extend_from_slice(b"+05:30");
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
