//! Days as brokers write them into lists and names.

use super::{digits, month_of};
use crate::ist::Day;

/// A day in any of the forms that brokers write, of which none can be taken for another: `2026-12-29`, with a
/// time behind it or none, `29-DEC-2026`, `29-12-2026`, `29DEC2026`, `29DEC26`, and `29122026`, whose first
/// zero may be lost. Months in any case.
///
/// ```
/// use adapter_sdk::{ist::Day, symbol};
///
/// let day = Day::new(2026, 12, 5);
/// for text in ["2026-12-05 14:30:00", "05-DEC-2026", "05-12-2026", "05Dec2026", "05DEC26", "05122026", "5122026"] {
///     assert_eq!(symbol::day(text), day, "{text}");
/// }
/// ```
pub fn day(text: &str) -> Option<Day> {
    if let Some(day) = text.get(..10).and_then(|day| day.parse().ok()) {
        return Some(day);
    }
    let of = |day: &str, month: Option<u8>, year: &str| {
        let century = if year.len() == 2 { 2_000 } else { 0 };
        Day::new(century + digits::<i32>(year)?, month?, digits(day)?)
    };
    let (first, rest) = text.split_at_checked(text.len().checked_sub(4)?)?;
    if (3..=4).contains(&first.len()) && digits::<u32>(text).is_some() {
        let (day, month) = first.split_at_checked(first.len() - 2)?;
        return of(day, digits(month), rest);
    }
    if let Some((day, rest)) = text.split_once('-') {
        let (month, year) = rest.split_once('-')?;
        let is_written = year.len() == 4;
        return of(day, month_of(month).or_else(|| digits(month)), year).filter(|_| is_written);
    }
    let (day, rest) = text.split_at_checked(2)?;
    let (month, year) = rest.split_at_checked(3)?;
    of(day, month_of(month), year).filter(|_| matches!(year.len(), 2 | 4))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_no_day_is_none() {
        for text in [
            "",
            "0",
            "2026",
            "26",
            "31-FEB-2026",
            "5-2026",
            "99999999",
            "DEC-05-2026",
            "-5-DEC-2026",
            "5-DEC-26",
            "é5-DEC-2026",
            "2026-13-01",
            "29DEC",
            "29DEC266",
            "29XXX26",
            "NIFTY",
            "2912",
            "é122026",
            "29-DEC-2026 10:00",
        ] {
            assert_eq!(day(text), None, "{text}");
        }
        assert_eq!(day("5-DEC-2026"), Day::new(2026, 12, 5));
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(text in "\\PC{0,14}", number in "[0-9]{0,12}") {
            let _any = (day(&text), day(&number));
        }
    }
}
