//! The values of a tick by name, as exact decimals: what a venue is told to send, and what the adapter made
//! of it.

use adapter_abi::{Quote, field};

/// Decimal places of the ABI's prices.
const PLACES: usize = 9;

/// What the number of a value means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    /// A price, in units of 10^-9.
    Price,
    /// A whole number.
    Count,
    /// Nanoseconds since the Unix epoch.
    Time,
}

/// A value that a record may carry.
pub(crate) struct Value {
    /// Its name in profiles, in the control protocol and in `adapter_abi::Quote`.
    pub(crate) name: &'static str,
    /// Its bit in `fields`.
    pub(crate) bit: u32,
    pub(crate) unit: Unit,
    get: fn(&Quote) -> i64,
}

macro_rules! values {
    ($($name:ident $unit:ident $bit:ident;)+) => {
        /// All values, in the order of their bits.
        pub(crate) const VALUES: &[Value] = &[
            $(Value {
                name: stringify!($name),
                bit: field::$bit,
                unit: Unit::$unit,
                get: |quote| values!(@get $unit quote.$name),
            }),+
        ];
    };
    (@get Time $value:expr) => { i64::try_from($value).unwrap_or(i64::MAX) };
    (@get $unit:ident $value:expr) => { $value };
}

values! {
    ltp Price LTP;
    last_trade_ts_ns Time LAST_TRADE_TS;
    volume Count VOLUME;
    last_quantity Count LAST_QUANTITY;
    exchange_ts_ns Time EXCHANGE_TS;
    open Price OPEN;
    high Price HIGH;
    low Price LOW;
    close Price CLOSE;
    average_price Price AVERAGE_PRICE;
    total_buy_quantity Count TOTAL_BUY_QUANTITY;
    total_sell_quantity Count TOTAL_SELL_QUANTITY;
    change Price CHANGE;
    change_percent Price CHANGE_PERCENT;
    oi Count OI;
    bid_price Price BID_PRICE;
    ask_price Price ASK_PRICE;
    bid_size Count BID_SIZE;
    ask_size Count ASK_SIZE;
    upper_circuit Price UPPER_CIRCUIT;
    lower_circuit Price LOWER_CIRCUIT;
    prev_close Price PREV_CLOSE;
    oi_high Count OI_HIGH;
    oi_low Count OI_LOW;
}

impl Value {
    /// The value with this name.
    pub(crate) fn named(name: &str) -> Option<&'static Self> {
        VALUES.iter().find(|value| value.name == name)
    }

    /// What the record says, if it says anything.
    pub(crate) fn of(&self, quote: &Quote) -> Option<i64> {
        (quote.fields & self.bit != 0).then(|| (self.get)(quote))
    }

    /// The number that a record must carry for a decimal.
    pub(crate) fn parse(&self, decimal: &str) -> Option<i64> {
        match self.unit {
            Unit::Price => nanos(decimal),
            Unit::Count | Unit::Time => decimal.parse().ok(),
        }
    }

    /// The number of a record, for people.
    pub(crate) fn show(&self, number: i64) -> String {
        match self.unit {
            Unit::Price => decimal(number),
            Unit::Count | Unit::Time => number.to_string(),
        }
    }
}

/// Names of the values that `fields` says are present.
pub(crate) fn present(fields: u32) -> Vec<&'static str> {
    VALUES.iter().filter(|value| fields & value.bit != 0).map(|value| value.name).collect()
}

/// An exact decimal in units of 10^-9; none when it has more places, or does not fit.
pub(crate) fn nanos(decimal: &str) -> Option<i64> {
    let (sign, digits) = decimal.strip_prefix('-').map_or((1, decimal), |digits| (-1, digits));
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || part.len() > PLACES || !is_number(whole) || !is_number(part) {
        return None;
    }
    let padded = format!("{whole}{part:0<PLACES$}");
    padded.parse::<i64>().ok()?.checked_mul(sign)
}

/// Units of 10^-9 as the shortest decimal.
pub(crate) fn decimal(nanos: i64) -> String {
    let sign = if nanos < 0 { "-" } else { "" };
    let size = nanos.unsigned_abs();
    let text = format!("{sign}{}.{:09}", size / 1_000_000_000, size % 1_000_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_exact_both_ways() {
        for (text, expected) in [
            ("625.05", 625_050_000_000),
            ("0", 0),
            ("-0.0025", -2_500_000),
            ("8500000", 8_500_000_000_000_000),
        ] {
            assert_eq!(nanos(text), Some(expected));
            assert_eq!(decimal(expected), text);
        }
        for nonsense in ["", ".5", "1e3", "1.0000000001", "--1", "99999999999999999999"] {
            assert_eq!(nanos(nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn every_bit_of_a_quote_has_a_name() {
        let bits = VALUES.iter().fold(0, |bits, value| bits | value.bit);
        assert_eq!(bits, field::IN_QUOTE);
        let quote = Quote { fields: field::OI, oi: 7, volume: 9, ..Quote::default() };
        assert_eq!(Value::named("oi").unwrap().of(&quote), Some(7));
        assert_eq!(Value::named("volume").unwrap().of(&quote), None);
    }
}
