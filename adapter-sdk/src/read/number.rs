//! Numbers of brokers that write some as numbers of JSON and others as texts.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Sign, float, of_any_unit, plausible, quantity, whole};
use crate::Price;

/// A member that is a number, or a text that is one, or missing, null or anything else, which are none. It is
/// read when it is asked for, exactly as it is written: one that makes no sense spoils no other. For messages
/// that are read from a text or bytes in memory, in structures that are not tagged or flattened.
///
/// ```
/// use adapter_sdk::{Price, read::{Number, Sign}};
///
/// #[derive(serde::Deserialize)]
/// struct Ticker<'a> {
///     #[serde(borrow, default)]
///     close: Number<'a>,
///     #[serde(borrow, default)]
///     size: Number<'a>,
///     #[serde(borrow, default)]
///     timestamp: Number<'a>,
/// }
///
/// let ticker: Ticker = serde_json::from_str(r#"{"close": "0.00001327", "size": 75, "timestamp": 1595242187705121}"#).unwrap();
/// assert_eq!(ticker.close.price(Sign::Positive), Price::parse("0.00001327"));
/// assert_eq!(ticker.size.quantity(), Some(75));
/// assert_eq!(ticker.timestamp.time(), Some(1_595_242_187_705_121_000));
/// ```
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(transparent)]
pub struct Number<'a>(#[serde(borrow)] Option<&'a RawValue>);

impl<'a> Number<'a> {
    /// The number as it is written, without the quotes and spaces around it. None when it is missing, null,
    /// an empty text, or neither number nor text.
    pub fn as_written(&self) -> Option<&'a str> {
        let text = self.0?.get();
        let within = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
        let text = within.map_or(text, str::trim);
        let is_one = |first: u8| first.is_ascii_digit() || matches!(first, b'-' | b'.');
        text.bytes().next().is_some_and(is_one).then_some(text)
    }

    /// A price. None where there is none, and for what no price can be ([`plausible`]).
    pub fn price(&self, sign: Sign) -> Option<Price> {
        price(self.as_written()?, sign)
    }

    /// A quantity, see [`quantity`]. None where there is none, and for what is not whole: it is never
    /// rounded.
    pub fn quantity(&self) -> Option<i64> {
        let text = self.as_written()?;
        quantity(text.parse().ok().or_else(|| whole(text.parse().ok()?))?)
    }

    /// A time as a whole number of any unit, in nanoseconds since the Unix epoch, see [`of_any_unit`].
    pub fn time(&self) -> Option<u64> {
        time(self.as_written()?)
    }
}

/// A price as it is written. One with more decimal places than prices have, or an exponent, is the nearest.
pub(super) fn price(text: &str, sign: Sign) -> Option<Price> {
    match Price::parse(text) {
        Some(price) => plausible(price, sign),
        None => float(text.parse().ok()?, sign),
    }
}

/// A time as a whole number of any unit.
pub(super) fn time(text: &str) -> Option<u64> {
    of_any_unit(text.parse().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read::{Members, Odd};

    fn with<T>(json: &str, read: impl FnOnce(Number<'_>) -> T) -> T {
        read(serde_json::from_str(json).unwrap())
    }

    #[test]
    fn a_number_is_the_same_as_the_text_that_is_one() {
        let price = |json| with(json, |number| number.price(Sign::Positive));
        for json in ["63.05", r#""63.05""#, r#"" 63.050 ""#, "63.0500", "6.305e1", "63.05000000000000001"] {
            assert_eq!(price(json), Price::parse("63.05"), "{json}");
        }
        for none in
            ["null", "0", "-1", r#""""#, r#""NaN""#, "[7]", "{}", "1e300", "true", r#""inf""#, r#""\u0037""#]
        {
            assert_eq!(price(none), None, "{none}");
            assert_eq!(with(none, |number| number.time()), None, "{none}");
        }
        assert_eq!(with("-36.98", |number| number.price(Sign::Either)), Price::parse("-36.98"));
    }

    #[test]
    fn quantities_are_whole_and_times_of_any_unit() {
        let quantity = |json| with(json, |number| number.quantity());
        for json in ["75", r#""75""#, "75.0", r#""75.00""#, "7.5e1"] {
            assert_eq!(quantity(json), Some(75), "{json}");
        }
        for none in ["75.5", "-1", "null", r#""""#, "9223372036854775807", "4294967295", "1e30"] {
            assert_eq!(quantity(none), None, "{none}");
        }
        assert_eq!(quantity("0"), Some(0));
        for (json, nanos) in
            [("1595242187", 1_595_242_187_000_000_000), (r#""1595242187705""#, 1_595_242_187_705_000_000)]
        {
            assert_eq!(with(json, |number| number.time()), Some(nanos));
        }
    }

    #[test]
    fn members_of_orders_are_read_alike() {
        let odd = Odd::new();
        let members =
            Members::read(r#"{"p":"63.05","q":63.05,"t":1595242187705121,"n":"x","z":null}"#, &odd).unwrap();
        for name in ["p", "q"] {
            assert_eq!(members.price(name, Sign::Positive), Price::parse("63.05"));
        }
        assert_eq!(members.time("t"), Some(1_595_242_187_705_121_000));
        assert_eq!((members.price("n", Sign::Positive), members.time("z")), (None, None));
        assert_eq!(odd.names(), ["n"]);
    }
}
