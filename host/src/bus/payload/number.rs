//! Values as publishers write them: numbers, numbers in quotes, nulls, and what is none of these.

use std::{borrow::Cow, fmt};

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::model::PRICE_SCALE;

/// Below this a time is in seconds, from here on in milliseconds.
const FIRST_MILLISECONDS: f64 = 1e11;

/// The year 2200, in milliseconds: no time of a tick is later.
const LAST_MILLISECONDS: f64 = 7_258_118_400_000.0;

/// Digits after the point that a price is taken to, by its size. A double and its product with a power of ten are each
/// off by up to 2^-53 of their value; within these bounds that is less than half a unit, so decimals are exact.
const DIGITS: [(f64, f64, i64); 3] = [(1e6, 1e9, 1), (1e9, 1e6, 1_000), (f64::INFINITY, 1e4, 100_000)];

/// A value that is there but means nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unreadable;

/// A value, by how it is written.
#[derive(Debug)]
pub(super) enum Number<'a> {
    Absent,
    Whole(i64),
    Fraction(f64),
    Text(Cow<'a, str>),
    Other,
}

impl Number<'_> {
    fn resolved(&self) -> Result<Option<Plain>, Unreadable> {
        match self {
            Self::Absent => Ok(None),
            Self::Whole(number) => Ok(Some(Plain::Whole(*number))),
            Self::Fraction(number) => Ok(Some(Plain::Fraction(*number))),
            Self::Text(text) => {
                let text = text.trim();
                if text.is_empty() {
                    return Ok(None);
                }
                let whole = text.parse().map(Plain::Whole);
                let number = whole.or_else(|_| text.parse().map(Plain::Fraction)).map_err(|_| Unreadable)?;
                Ok(Some(number))
            }
            Self::Other => Err(Unreadable),
        }
    }

    /// Scaled by [`PRICE_SCALE`].
    pub(super) fn price(&self) -> Result<Option<i64>, Unreadable> {
        match self.resolved()? {
            None => Ok(None),
            Some(Plain::Whole(number)) => number.checked_mul(PRICE_SCALE).map(Some).ok_or(Unreadable),
            Some(Plain::Fraction(number)) => {
                let digits = DIGITS.iter().find(|(below, ..)| number.abs() < *below);
                let (_, factor, rest) = digits.ok_or(Unreadable)?;
                whole(number * factor)?.checked_mul(*rest).map(Some).ok_or(Unreadable)
            }
        }
    }

    /// A whole number; a fraction is rounded. What is negative stands for unknown.
    pub(super) fn quantity(&self) -> Result<Option<i64>, Unreadable> {
        let number = match self.resolved()? {
            None => return Ok(None),
            Some(Plain::Whole(number)) => number,
            Some(Plain::Fraction(number)) => whole(number)?,
        };
        Ok((number >= 0).then_some(number))
    }

    /// Nanoseconds since the Unix epoch, from seconds or milliseconds. What is not positive stands for unknown.
    pub(super) fn time_ns(&self) -> Result<Option<u64>, Unreadable> {
        let number = match self.resolved() {
            Ok(None) => return Ok(None),
            #[expect(clippy::cast_precision_loss, reason = "times of this millennium are exact")]
            Ok(Some(Plain::Whole(number))) => number as f64,
            Ok(Some(Plain::Fraction(number))) => number,
            // Some publishers write the time of day; it says nothing without its date and harms nobody.
            Err(Unreadable) if matches!(self, Self::Text(_)) => return Ok(None),
            Err(Unreadable) => return Err(Unreadable),
        };
        if number <= 0.0 {
            return Ok(None);
        }
        let milliseconds = if number < FIRST_MILLISECONDS { number * 1e3 } else { number };
        if !milliseconds.is_finite() || milliseconds > LAST_MILLISECONDS {
            return Err(Unreadable);
        }
        // Micros: what a double has exactly at this size.
        let micros = whole(milliseconds * 1e3)?;
        Ok(u64::try_from(micros).ok().and_then(|micros| micros.checked_mul(1_000)))
    }
}

#[derive(Clone, Copy)]
enum Plain {
    Whole(i64),
    Fraction(f64),
}

fn whole(number: f64) -> Result<i64, Unreadable> {
    let rounded = number.round();
    // 2^63 itself is a double and does not fit.
    if !(-9.2e18..=9.2e18).contains(&rounded) {
        return Err(Unreadable);
    }
    #[expect(clippy::cast_possible_truncation, reason = "it is whole and its range was looked at")]
    let whole = rounded as i64;
    Ok(whole)
}

/// Reads any value; lists and objects are passed over.
pub(super) struct NumberSeed;

impl<'de> DeserializeSeed<'de> for NumberSeed {
    type Value = Number<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Number<'de>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for NumberSeed {
    type Value = Number<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Number<'de>, E> {
        Ok(Number::Other)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Number<'de>, E> {
        Ok(Number::Whole(number))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Number<'de>, E> {
        Ok(i64::try_from(number).map_or(Number::Other, Number::Whole))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Number<'de>, E> {
        Ok(Number::Fraction(number))
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Number<'de>, E> {
        Ok(Number::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Number<'de>, E> {
        Ok(Number::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_unit<E: Error>(self) -> Result<Number<'de>, E> {
        Ok(Number::Absent)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Number<'de>, A::Error> {
        IgnoredAny.visit_seq(seq)?;
        Ok(Number::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Number<'de>, A::Error> {
        IgnoredAny.visit_map(map)?;
        Ok(Number::Other)
    }
}

/// What expects a list or an object, and is told when something else stands there.
pub(super) trait Container<'de>: Sized {
    /// An object.
    fn map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        IgnoredAny.visit_map(map)?;
        self.other(false);
        Ok(())
    }

    /// A list.
    fn seq<A: SeqAccess<'de>>(self, seq: A) -> Result<(), A::Error> {
        IgnoredAny.visit_seq(seq)?;
        self.other(false);
        Ok(())
    }

    /// Anything else.
    fn other(self, is_null: bool);
}

/// Lets a [`Container`] visit any value.
pub(super) struct Lenient<C>(pub(super) C);

impl<'de, C: Container<'de>> Visitor<'de> for Lenient<C> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        self.0.other(false);
        Ok(())
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        self.0.other(false);
        Ok(())
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        self.0.other(false);
        Ok(())
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        self.0.other(false);
        Ok(())
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        self.0.other(false);
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.0.other(true);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<(), A::Error> {
        self.0.seq(seq)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        self.0.map(map)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn decimal_prices_are_exact() {
        for (written, scaled) in [
            (0.05, 50_000_000),
            (625.55, 625_550_000_000),
            (-3.5, -3_500_000_000),
            (999_999.987_654_321, 999_999_987_654_321),
            (9_123_456.785, 9_123_456_785_000_000),
            (9e9, 9_000_000_000_000_000_000),
        ] {
            assert_eq!(Number::Fraction(written).price(), Ok(Some(scaled)), "{written}");
        }
        assert_eq!(Number::Whole(620).price(), Ok(Some(620_000_000_000)));
        assert_eq!(Number::Text("625.55".into()).price(), Ok(Some(625_550_000_000)));
    }

    #[test]
    fn what_does_not_fit_is_unreadable() {
        for number in [
            Number::Fraction(1e11),
            Number::Whole(10_000_000_000),
            Number::Text("1e400".into()),
            Number::Text("NaN".into()),
            Number::Other,
        ] {
            assert_eq!(number.price(), Err(Unreadable), "{number:?}");
        }
        assert_eq!(Number::Fraction(1e19).quantity(), Err(Unreadable));
        assert_eq!(Number::Text("x".into()).quantity(), Err(Unreadable));
    }

    #[test]
    fn times_are_seconds_or_milliseconds() {
        let expected = Ok(Some(1_705_294_800_000_000_000));
        assert_eq!(Number::Whole(1_705_294_800).time_ns(), expected);
        assert_eq!(Number::Whole(1_705_294_800_000).time_ns(), expected);
        assert_eq!(Number::Fraction(1_705_294_800.0).time_ns(), expected);
        assert_eq!(Number::Text("1705294800".into()).time_ns(), expected);
        assert_eq!(Number::Whole(1_705_294_800_123).time_ns(), Ok(Some(1_705_294_800_123_000_000)));
        for unknown in [Number::Whole(0), Number::Whole(-5), Number::Absent, Number::Text("10:15:30".into())]
        {
            assert_eq!(unknown.time_ns(), Ok(None), "{unknown:?}");
        }
        assert_eq!(Number::Fraction(1e300).time_ns(), Err(Unreadable));
        assert_eq!(Number::Whole(i64::MAX).time_ns(), Err(Unreadable));
    }

    proptest! {
        #[test]
        fn no_number_makes_it_panic(whole: i64, bits: u64) {
            for number in [Number::Whole(whole), Number::Fraction(f64::from_bits(bits))] {
                let _price = number.price();
                let _quantity = number.quantity();
                let _time = number.time_ns();
            }
        }

        #[test]
        fn prices_of_two_digits_come_back(paise in -900_000_000_i64..900_000_000) {
            let written: f64 = format!("{}.{:02}", paise / 100, paise.abs() % 100).parse().unwrap();
            let sign = if paise < 0 && written > 0.0 { -1 } else { 1 };
            prop_assert_eq!(Number::Fraction(written).price(), Ok(Some(sign * paise * 10_000_000)));
        }
    }
}
