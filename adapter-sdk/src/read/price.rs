//! Prices and quantities.

use crate::Price;

/// In rupees: nothing that is traded costs as much, bonds of a crore included. What brokers write into 32
/// bits for "none" is beyond it, when it is read as paise.
const LIMIT: i64 = 20_000_000 * adapter_abi::PRICE_SCALE;

/// The same below zero, where the lowest that ever was is some thousands.
const LOWEST: i64 = -100_000 * adapter_abi::PRICE_SCALE;

/// Whether an instrument can have prices below zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sign {
    /// Shares, options, currencies, indices: it cannot.
    Positive,
    /// Futures of commodities: that of crude oil once had.
    Either,
}

/// Whether an integer of a broker's is one of those that mean "none" whatever is counted: the ends of 32 and
/// of 64 bits, -1, and -2,000,000,000, with which the running highest and lowest price of a contract begin;
/// all of them as signed and as unsigned numbers.
pub const fn is_word(raw: i64) -> bool {
    const I32_MIN: i64 = i32::MIN as i64;
    const I32_MAX: i64 = i32::MAX as i64;
    const I32_MIN_UNSIGNED: i64 = 0x8000_0000;
    const U32_MAX: i64 = u32::MAX as i64;
    const BEGINNING: i64 = -2_000_000_000;
    const BEGINNING_UNSIGNED: i64 = 0x88ca_6c00;
    matches!(
        raw,
        i64::MIN
            | I32_MIN
            | BEGINNING
            | -1
            | I32_MAX
            | I32_MIN_UNSIGNED
            | BEGINNING_UNSIGNED
            | U32_MAX
            | i64::MAX
    )
}

/// A price from an integer with so many decimal places. None for zero, by which brokers mean that there is
/// none, for words that mean it ([`is_word`]), and for what no price can be ([`plausible`]).
#[inline]
pub const fn scaled(raw: i64, decimals: u32, sign: Sign) -> Option<Price> {
    // Nearly all are in here, where there is no word.
    let is_usual = raw > 0 && raw < i32::MAX as i64;
    if !is_usual && is_word(raw) {
        return None;
    }
    match Price::from_scaled(raw, decimals) {
        Some(price) => plausible(price, sign),
        None => None,
    }
}

/// A price from a number that is in rupees already. None for what [`scaled`] gives none for, in rupees: not a
/// number, infinite, zero, -1, the ends of 32 bits by ten thousand.
pub fn float(value: f64, sign: Sign) -> Option<Price> {
    /// The words of 32 bits, read as prices of four decimal places. With two they are beyond the limit.
    const WORDS: [f64; 3] = [214_748.364_7, 429_496.729_5, 229_496.729_6];
    const SUSPICIOUS_FROM: f64 = 200_000.0;
    const MINUS_ONE: [i64; 2] = [-adapter_abi::PRICE_SCALE, -adapter_abi::PRICE_SCALE / 100];
    // Brokers send it in 32 bits, or exactly.
    #[expect(clippy::cast_possible_truncation, reason = "to the float that the broker would send")]
    let bits = |value: f64| (value as f32).to_bits();
    if value >= SUSPICIOUS_FROM && WORDS.iter().any(|word| bits(*word) == bits(value)) {
        return None;
    }
    let price = Price::from_f64(value)?;
    if MINUS_ONE.contains(&price.as_nanos()) { None } else { plausible(price, sign) }
}

/// A price that can be one: not zero, below 20 million rupees, and where prices below zero happen above
/// -100,000.
#[inline]
pub const fn plausible(price: Price, sign: Sign) -> Option<Price> {
    let nanos = price.as_nanos();
    let is_positive = nanos > 0 && nanos < LIMIT;
    let is_negative = nanos < 0 && nanos > LOWEST && matches!(sign, Sign::Either);
    if is_positive || is_negative { Some(price) } else { None }
}

/// A quantity out of a floating-point field, see [`quantity`]. None for what is not whole, or too large to be
/// exact: it is never rounded.
pub fn whole(value: f64) -> Option<i64> {
    /// 2^53: whole numbers above are not exact any more.
    const LIMIT: f64 = 9_007_199_254_740_992.0;
    #[expect(clippy::cast_possible_truncation, reason = "it is whole and in the range, or not taken")]
    let whole = value as i64;
    // Not by its fraction, for which many processors that are built for need a call.
    #[expect(clippy::cast_precision_loss, clippy::float_cmp, reason = "exactly the same, or not whole")]
    let is_whole = whole as f64 == value;
    if is_whole && (0.0..=LIMIT).contains(&value) { quantity(whole) } else { None }
}

/// A quantity, volume or open interest. Zero is one. None for what is below zero, and for the highest number
/// of 32 and of 64 bits, which are -1.
#[inline]
pub const fn quantity(raw: i64) -> Option<i64> {
    if raw < 0 || raw == u32::MAX as i64 || raw == i64::MAX { None } else { Some(raw) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nanos(raw: i64, decimals: u32, sign: Sign) -> Option<i64> {
        scaled(raw, decimals, sign).map(Price::as_nanos)
    }

    #[test]
    fn no_word_for_none_is_a_price() {
        let words = [
            0,
            -1,
            i64::from(i32::MIN),
            i64::from(i32::MAX),
            i64::from(u32::MAX),
            0x8000_0000,
            -2_000_000_000,
            0x88ca_6c00,
            i64::MIN,
            i64::MAX,
        ];
        for raw in words {
            for (decimals, sign) in
                [(2, Sign::Positive), (2, Sign::Either), (4, Sign::Either), (7, Sign::Either)]
            {
                assert_eq!(nanos(raw, decimals, sign), None, "{raw:#x} with {decimals} decimals");
            }
        }
        // With two decimals their neighbours are none either: nobody knows all words.
        for raw in [2_000_000_000, -2_000_000_001, -1_999_999_999, 0x7fff_fffe, 0x8000_0001, 0xffff_fffe] {
            assert_eq!(nanos(raw, 2, Sign::Either), None, "{raw:#x}");
        }
    }

    #[test]
    fn honest_prices_are_kept() {
        for (raw, decimals, expected) in [
            (1, 2, 10_000_000),
            (15_000_000, 2, 150_000_000_000_000),
            (1_999_999_999, 2, 19_999_999_990_000_000),
            // Silver of NSE's commodities may have four decimals and cost more than fits into 31 bits.
            (2_500_000_000, 4, 250_000_000_000_000),
            (1_152_500_000, 7, 115_250_000_000),
            (2_300_000_000, 7, 230_000_000_000),
        ] {
            assert_eq!(nanos(raw, decimals, Sign::Positive), Some(expected), "{raw}");
        }
        assert_eq!(nanos(-288_400, 2, Sign::Either), Some(-2_884_000_000_000));
        assert_eq!(nanos(-100, 2, Sign::Either), Some(-1_000_000_000));
        assert_eq!(nanos(-288_400, 2, Sign::Positive), None);
    }

    #[test]
    fn floats_follow_the_same_rule() {
        assert_eq!(float(150_000.05, Sign::Positive), Price::from_scaled(15_000_005, 2));
        assert_eq!(float(-37.63, Sign::Either), Price::from_scaled(-3_763, 2));
        let words = [
            0.0,
            -0.0,
            f64::NAN,
            f64::INFINITY,
            f64::NEG_INFINITY,
            f64::MAX,
            f64::from(f32::MAX),
            f64::MIN_POSITIVE,
            -1.0,
            -0.01,
            -20_000_000.0,
            -214_748.364_8,
            22_949_672.96,
            21_474_836.47,
            -21_474_836.48,
            42_949_672.95,
            214_748.364_7,
            f64::from(214_748.36_f32),
            -2e9,
        ];
        for value in words {
            assert_eq!(float(value, Sign::Either), None, "{value}");
        }
        assert_eq!(float(-37.63, Sign::Positive), None);
    }

    #[test]
    fn a_quantity_is_never_rounded() {
        assert_eq!((whole(0.0), whole(-0.0), whole(186_243_127.0)), (Some(0), Some(0), Some(186_243_127)));
        assert_eq!(whole(9_007_199_254_740_992.0), Some(1 << 53));
        for nonsense in [0.5, 1e17, f64::NAN, f64::INFINITY, -1.0, -1e300, 4_294_967_295.0] {
            assert_eq!(whole(nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn a_quantity_of_zero_is_one_and_minus_one_is_none() {
        assert_eq!([0, 1, 3_000_000_000, 5_000_000_000].map(quantity).into_iter().flatten().count(), 4);
        for word in [-1, i64::MIN, i64::MAX, i64::from(u32::MAX), i64::from(i32::MIN)] {
            assert_eq!(quantity(word), None, "{word}");
        }
    }
}
