//! Values as publishers write them: numbers, numbers in quotes, nulls, and what is none of these.

use std::{borrow::Cow, fmt};

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use tickhost_core::model::{ORDERS_ABSENT, PRICE_SCALE};

/// 2^53: from here on a double has whole numbers only, so it does not tell whether there was a fraction.
const FIRST_UNCERTAIN: f64 = 9_007_199_254_740_992.0;

/// Digits after the point that a price is taken to, by its size. A double and its product with a power of ten
/// are each off by up to 2^-53 of their value; within these bounds that is less than half a unit, so decimals
/// are exact.
const DIGITS: [(f64, f64, i64); 3] = [(1e6, 1e9, 1), (1e9, 1e6, 1_000), (f64::INFINITY, 1e4, 100_000)];

/// Why a value that is there is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// It is not what its member should be, or out of range.
    Unreadable,
    /// A word for what is no finite number, in quotes.
    NotFinite,
    /// A count that is not whole.
    Fraction,
}

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
    pub(super) fn resolved(&self) -> Result<Option<Plain>, Fault> {
        match self {
            Self::Absent => Ok(None),
            Self::Whole(number) => Ok(Some(Plain::Whole(*number))),
            Self::Fraction(number) => Ok(Some(Plain::Fraction(*number))),
            Self::Text(text) => in_text(text.trim()),
            Self::Other => Err(Fault::Unreadable),
        }
    }

    /// Scaled by [`PRICE_SCALE`].
    pub(super) fn price(&self) -> Result<Option<i64>, Fault> {
        match self.resolved()? {
            None => Ok(None),
            Some(Plain::Whole(number)) => number.checked_mul(PRICE_SCALE).map(Some).ok_or(Fault::Unreadable),
            Some(Plain::Fraction(number)) => {
                let digits = DIGITS.iter().find(|(below, ..)| number.abs() < *below);
                let (_, factor, rest) = digits.ok_or(Fault::Unreadable)?;
                whole(number * factor)?.checked_mul(*rest).map(Some).ok_or(Fault::Unreadable)
            }
        }
    }

    /// A whole number, however it is written. What is negative stands for unknown.
    pub(super) fn quantity(&self) -> Result<Option<i64>, Fault> {
        let number = match self.resolved()? {
            None => return Ok(None),
            Some(Plain::Whole(number)) => number,
            Some(Plain::Fraction(number)) if number < 0.0 => return Ok(None),
            Some(Plain::Fraction(number)) if number.fract() != 0.0 || self.is_fraction_in_text() => {
                return Err(Fault::Fraction);
            }
            Some(Plain::Fraction(number)) if number >= FIRST_UNCERTAIN => return Err(Fault::Unreadable),
            Some(Plain::Fraction(number)) => whole(number)?,
        };
        Ok((number >= 0).then_some(number))
    }

    /// The number of orders at a level. What is negative stands for unknown.
    pub(super) fn orders(&self) -> Result<Option<u32>, Fault> {
        // The largest is what a level has where nobody says.
        let known = |number: i64| u32::try_from(number).ok().filter(|orders| *orders != ORDERS_ABSENT);
        self.quantity()?.map(|number| known(number).ok_or(Fault::Unreadable)).transpose()
    }

    pub(super) const fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }

    /// Whether a decimal in quotes has a fraction, perhaps a smaller one than a double would notice.
    fn is_fraction_in_text(&self) -> bool {
        let Self::Text(text) = self else { return false };
        let Some((_, behind)) = text.trim().split_once('.') else { return false };
        behind.bytes().all(|byte| byte.is_ascii_digit()) && behind.bytes().any(|digit| digit != b'0')
    }
}

/// A number as it stands, not yet of any unit.
#[derive(Clone, Copy)]
pub(super) enum Plain {
    Whole(i64),
    Fraction(f64),
}

fn in_text(text: &str) -> Result<Option<Plain>, Fault> {
    if text.is_empty() {
        return Ok(None);
    }
    // `5.000` is whole, also where a double could not tell.
    let whole = match text.split_once('.') {
        Some((whole, zeros)) if zeros.bytes().all(|digit| digit == b'0') => whole,
        _ => text,
    };
    if let Ok(number) = whole.parse() {
        return Ok(Some(Plain::Whole(number)));
    }
    let number: f64 = text.parse().map_err(|_| Fault::Unreadable)?;
    if number.is_finite() {
        return Ok(Some(Plain::Fraction(number)));
    }
    let is_word = !text.bytes().any(|byte| byte.is_ascii_digit());
    Err(if is_word { Fault::NotFinite } else { Fault::Unreadable })
}

fn whole(number: f64) -> Result<i64, Fault> {
    let rounded = number.round();
    // 2^63 itself is a double and does not fit.
    if !(-9.2e18..=9.2e18).contains(&rounded) {
        return Err(Fault::Unreadable);
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
            Number::Other,
        ] {
            assert_eq!(number.price(), Err(Fault::Unreadable), "{number:?}");
        }
        assert_eq!(Number::Fraction(1e19).quantity(), Err(Fault::Unreadable));
        assert_eq!(Number::Text("x".into()).quantity(), Err(Fault::Unreadable));
        for word in ["NaN", "-inf", "Infinity"] {
            assert_eq!(Number::Text(word.into()).price(), Err(Fault::NotFinite), "{word}");
        }
    }

    #[test]
    fn a_count_is_whole_or_left_out() {
        for number in [
            Number::Whole(5),
            Number::Fraction(5.0),
            Number::Text("5".into()),
            Number::Text("5.00".into()),
            Number::Text("0.5e1".into()),
        ] {
            assert_eq!(number.quantity(), Ok(Some(5)), "{number:?}");
        }
        for number in [
            Number::Fraction(0.350_151_76),
            Number::Fraction(4_503_599_627_370_495.5),
            Number::Text("1.9".into()),
            Number::Text("9007199254740993.5".into()),
            Number::Text("5.000000000000000000001".into()),
            Number::Text("5e-1".into()),
        ] {
            assert_eq!(number.quantity(), Err(Fault::Fraction), "{number:?}");
        }
        assert_eq!(Number::Text("9007199254740993.0".into()).quantity(), Ok(Some(9_007_199_254_740_993)));
        assert_eq!(Number::Fraction(FIRST_UNCERTAIN).quantity(), Err(Fault::Unreadable));
        for unknown in [Number::Absent, Number::Whole(-1), Number::Fraction(-0.5), Number::Fraction(-1e300)] {
            assert_eq!(unknown.quantity(), Ok(None), "{unknown:?}");
        }
        assert_eq!(Number::Fraction(-0.0).quantity(), Ok(Some(0)));
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
