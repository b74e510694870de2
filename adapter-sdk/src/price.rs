//! Prices, exact.

use adapter_abi::PRICE_SCALE;

/// A price, exact to 10^-9, up to 9.22 × 10^9.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Price(pub(crate) i64);

impl Price {
    /// From units of 10^-9.
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// From an integer with `decimals` decimal places, as most brokers send it: paise are `(62_550, 2)`. None
    /// when it does not fit; `decimals` is at most 9.
    pub const fn from_scaled(value: i64, decimals: u32) -> Option<Self> {
        // A table: this is done for every price of every packet.
        let units = match decimals {
            0 => 1_000_000_000,
            1 => 100_000_000,
            2 => 10_000_000,
            3 => 1_000_000,
            4 => 100_000,
            5 => 10_000,
            6 => 1_000,
            7 => 100,
            8 => 10,
            9 => 1,
            _ => return None,
        };
        match value.checked_mul(units) {
            Some(nanos) => Some(Self(nanos)),
            None => None,
        }
    }

    /// From a floating-point number, rounded to 10^-4 when it is too large for more to be meant. None for
    /// what is no number, or does not fit.
    pub fn from_f64(value: f64) -> Option<Self> {
        // Beyond 2^53 / 10^9 the ninth place is noise of the conversion.
        const EXACT_BELOW: f64 = 9.0e6;
        const LIMIT: f64 = 9.2e9;
        if !value.is_finite() || value.abs() >= LIMIT {
            return None;
        }
        let (scale, factor) = if value.abs() < EXACT_BELOW { (1e9, 1) } else { (1e4, 100_000) };
        #[expect(clippy::cast_possible_truncation, reason = "the range was checked above")]
        let scaled = (value * scale).round() as i64;
        scaled.checked_mul(factor).map(Self)
    }

    /// From a decimal number as text, exactly: `625.05`, `-0.5`, `1500`, and with spaces around it. Digits
    /// beyond the ninth decimal place must be zeros. None for anything else, such as an exponent, a comma, an
    /// empty text, and what does not fit.
    ///
    /// What a broker's text means by zero is for [`read::plausible`](crate::read::plausible) to say.
    pub fn parse(text: &str) -> Option<Self> {
        const PLACES: usize = 9;
        let text = text.trim();
        let (is_negative, digits) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let digit = |byte: u8| byte.is_ascii_digit().then(|| i64::from(byte - b'0'));
        let (kept, rest) = fraction.split_at_checked(fraction.len().min(PLACES))?;
        if rest.bytes().any(|byte| byte != b'0') {
            return None;
        }
        let zeros = std::iter::repeat_n(b'0', PLACES - kept.len());
        // Below zero there is room for one more.
        let sign = if is_negative { -1 } else { 1 };
        whole
            .bytes()
            .chain(kept.bytes())
            .chain(zeros)
            .try_fold(0_i64, |sum, byte| sum.checked_mul(10)?.checked_add(sign * digit(byte)?))
            .map(Self)
    }

    /// In units of 10^-9.
    pub const fn as_nanos(self) -> i64 {
        self.0
    }

    /// As a floating-point number, for arithmetic that need not be exact.
    #[expect(clippy::cast_precision_loss, reason = "says so")]
    pub fn as_f64(self) -> f64 {
        self.0 as f64 / PRICE_SCALE as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_are_exact() {
        assert_eq!(Price::from_f64(625.05), Price::from_scaled(62_505, 2));
        assert_eq!(Price::from_f64(0.1 + 0.2).unwrap().as_nanos(), 300_000_000);
        assert_eq!(Price::from_f64(8_500_000.25), Price::from_scaled(850_000_025, 2));
        assert_eq!(Price::from_f64(-12.5), Price::from_scaled(-125, 1));
        assert_eq!(Price::from_f64(9_100_000.05), Price::from_scaled(910_000_005, 2));
        for nonsense in [f64::NAN, f64::INFINITY, 1e10, -1e300] {
            assert_eq!(Price::from_f64(nonsense), None);
        }
        assert_eq!(Price::from_scaled(i64::MAX, 0), None);
        assert_eq!(Price::from_scaled(1, 10), None);
    }

    #[test]
    fn prices_are_read_from_text_exactly_or_not_at_all() {
        for (text, nanos) in [
            ("625.05", 625_050_000_000),
            (" 1500 ", 1_500_000_000_000),
            ("-0.5", -500_000_000),
            ("+1", 1_000_000_000),
            (".25", 250_000_000),
            ("7.", 7_000_000_000),
            ("0.0000000010000", 1),
            ("9223372036.854775807", i64::MAX),
            ("-9223372036.854775808", i64::MIN),
            ("0", 0),
        ] {
            assert_eq!(Price::parse(text), Some(Price::from_nanos(nanos)), "{text}");
        }
        for text in [
            "",
            " ",
            ".",
            "-",
            "+",
            "--1",
            "1e3",
            "1,500",
            "1.2.3",
            "NaN",
            "inf",
            "1 2",
            "0.0000000001",
            "\u{661}",
            "9223372036.854775808",
            "99999999999999999999",
            "1é",
            "0.é00000000",
            "1.00000000é",
        ] {
            assert_eq!(Price::parse(text), None, "{text}");
        }
    }
}
