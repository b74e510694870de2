//! Times as publishers write them.

use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::number::{Fault, Number, Plain};

/// 2000-01-01 UTC, in seconds since the Unix epoch. What is earlier is no time of a tick: it is a clock that
/// was never set, or a date that a broker writes for "none".
const FIRST_SECOND: i64 = 946_684_800;

/// 2100-01-01 UTC. What is not earlier is none either, such as the 2106 of a field that is all ones.
const END_SECOND: i64 = 4_102_444_800;

const NANOS_PER_SECOND: i64 = 1_000_000_000;

/// Units by how many of them are a second. A time of these hundred years is below the first of the next unit
/// in each.
const UNITS: [i64; 4] = [1, 1_000, 1_000_000, NANOS_PER_SECOND];

impl Number<'_> {
    /// Nanoseconds since the Unix epoch, from a number of seconds, milliseconds, microseconds or nanoseconds
    /// since then, which tell each other apart by their size, or from a text such as
    /// `2024-01-15T10:30:00.123+05:30`. What is not positive stands for unknown.
    pub(super) fn time_ns(&self) -> Result<Option<u64>, Fault> {
        match self.resolved() {
            Ok(None) => Ok(None),
            Ok(Some(Plain::Whole(number))) => from_whole(number),
            Ok(Some(Plain::Fraction(number))) => from_fraction(number),
            Err(fault) => match (fault, self) {
                (Fault::Unreadable, Self::Text(text)) => from_text(text.trim()),
                _ => Err(fault),
            },
        }
    }
}

fn from_whole(number: i64) -> Result<Option<u64>, Fault> {
    if number <= 0 {
        return Ok(None);
    }
    let unit = UNITS.into_iter().find(|unit| (FIRST_SECOND..END_SECOND).contains(&(number / unit)));
    let nanos = unit.and_then(|unit| number.checked_mul(NANOS_PER_SECOND / unit));
    nanos.and_then(|nanos| u64::try_from(nanos).ok()).map(Some).ok_or(Fault::Unreadable)
}

fn from_fraction(number: f64) -> Result<Option<u64>, Fault> {
    if number <= 0.0 {
        return Ok(None);
    }
    #[expect(clippy::cast_precision_loss, reason = "both are small")]
    let seconds = UNITS
        .map(|unit| (unit, number / unit as f64))
        .into_iter()
        .find(|(_, seconds)| (FIRST_SECOND as f64..END_SECOND as f64).contains(seconds));
    let (unit, seconds) = seconds.ok_or(Fault::Unreadable)?;
    // A double has microseconds of such a time and little more; finer units are whole numbers in it.
    let scaled = if unit > 1_000 { number.round() } else { (seconds * 1e6).round() };
    #[expect(clippy::cast_possible_truncation, reason = "its range was looked at")]
    let scaled = scaled as i64;
    from_whole(scaled)
}

/// A date and time with its offset. Without a date, as in `10:30:00`, or without an offset it says no time,
/// and harms nobody.
fn from_text(text: &str) -> Result<Option<u64>, Fault> {
    let Ok(time) = OffsetDateTime::parse(text, &Rfc3339) else { return Ok(None) };
    if !(FIRST_SECOND..END_SECOND).contains(&time.unix_timestamp()) {
        return Err(Fault::Unreadable);
    }
    u64::try_from(time.unix_timestamp_nanos()).map(Some).map_err(|_| Fault::Unreadable)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_size_of_a_time_tells_its_unit() {
        for number in [
            Number::Whole(1_705_294_800),
            Number::Whole(1_705_294_800_000),
            Number::Whole(1_705_294_800_000_000),
            Number::Whole(1_705_294_800_000_000_000),
            Number::Fraction(1_705_294_800.0),
            Number::Fraction(1_705_294_800e3),
            Number::Fraction(1_705_294_800e6),
            Number::Fraction(1_705_294_800e9),
            Number::Text("1705294800".into()),
            Number::Text(" 1705294800000.0 ".into()),
            Number::Text("2024-01-15T10:30:00+05:30".into()),
            Number::Text("2024-01-15 05:00:00.000Z".into()),
        ] {
            assert_eq!(number.time_ns(), Ok(Some(1_705_294_800_000_000_000)), "{number:?}");
        }
        for (number, expected) in [
            (Number::Whole(1_705_294_800_123), 1_705_294_800_123_000_000),
            (Number::Whole(1_705_294_800_123_456_789), 1_705_294_800_123_456_789),
            (Number::Fraction(1_705_294_800.123_456), 1_705_294_800_123_456_000),
            (Number::Fraction(1_705_294_800_123.5), 1_705_294_800_123_500_000),
            (Number::Text("2024-01-15T10:30:00.123456+05:30".into()), 1_705_294_800_123_456_000),
        ] {
            assert_eq!(number.time_ns(), Ok(Some(expected)), "{number:?}");
        }
    }

    #[test]
    fn what_is_no_time_of_these_hundred_years_is_none() {
        for unknown in [
            Number::Whole(0),
            Number::Whole(-5),
            Number::Fraction(-0.5),
            Number::Absent,
            Number::Text("10:15:30".into()),
            Number::Text("2024-01-15 10:30:00".into()),
            Number::Text("15 Jan 2024".into()),
            Number::Text("today".into()),
        ] {
            assert_eq!(unknown.time_ns(), Ok(None), "{unknown:?}");
        }
        for absurd in [
            Number::Whole(1),
            Number::Whole(315_532_800),
            Number::Whole(315_532_800_000),
            Number::Whole(946_684_799),
            Number::Whole(4_102_444_800),
            Number::Whole(i64::from(u32::MAX)),
            Number::Whole(20_240_115_103_000),
            Number::Whole(i64::MAX),
            Number::Fraction(315_532_800.5),
            Number::Fraction(f64::INFINITY),
            Number::Fraction(1e300),
            Number::Text("1980-01-01T00:00:00+05:30".into()),
            Number::Text("9999-12-31T23:59:59Z".into()),
            Number::Other,
        ] {
            assert_eq!(absurd.time_ns(), Err(Fault::Unreadable), "{absurd:?}");
        }
        assert_eq!(Number::Fraction(f64::NAN).time_ns(), Err(Fault::Unreadable));
        assert_eq!(Number::Text("NaN".into()).time_ns(), Err(Fault::NotFinite));
    }

    proptest! {
        #[test]
        fn every_time_comes_back_in_every_unit(second in FIRST_SECOND..END_SECOND) {
            let expected = Ok(u64::try_from(second * NANOS_PER_SECOND).ok());
            for unit in UNITS {
                prop_assert_eq!(Number::Whole(second * unit).time_ns(), expected);
                prop_assert_eq!(Number::Text((second * unit).to_string().into()).time_ns(), expected);
            }
        }
    }
}
