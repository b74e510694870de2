//! Names of instruments as OpenAlgo's clients write them. Derivatives: underlying, `DDMMMYY`, strike and
//! kind, as in `NIFTY30JAN25FUT` and `NIFTY30JAN2523500CE`. Shares, funds and bonds: see [`write_cash`].
//!
//! ```
//! use adapter_sdk::{ist::Day, symbol::{self, Contract}};
//!
//! let (mut name, expiry) = (String::new(), Day::new(2025, 1, 30).unwrap());
//! assert!(symbol::write(&mut name, "NIFTY", expiry, Contract::Call { strike: "23500.00" }));
//! assert_eq!(name, "NIFTY30JAN2523500CE");
//! assert_eq!(symbol::expiry("NFO", &name), Some(expiry));
//! ```

mod cash;
mod days;
mod exchange;
mod indices;
mod segments;
mod trading;

use std::time::SystemTime;

pub use self::{
    cash::{find, split_cash, write_cash},
    days::day,
    exchange::Exchange,
    indices::{index, write_index},
    trading::of_trading_symbol,
};
use crate::ist::Day;

/// Exchanges of derivatives. `CRYPTO` has some besides what never expires: spot pairs and perpetual futures,
/// whose names have no day.
pub const DERIVATIVES: [&str; 8] = ["NFO", "BFO", "CDS", "BCD", "MCX", "NCO", "NCDEX", "CRYPTO"];

/// Months as symbols have them.
pub const MONTHS: [&str; 12] =
    ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];

/// What a derivative is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Contract<'a> {
    /// A future.
    Future,
    /// An option to buy, with its strike as a decimal.
    Call {
        /// Any number of zeros may end its fraction.
        strike: &'a str,
    },
    /// An option to sell, with its strike as a decimal.
    Put {
        /// The same.
        strike: &'a str,
    },
}

impl<'a> Contract<'a> {
    /// That of the broker's `CE` or `PE`; none for anything else.
    pub fn option(kind: &str, strike: &'a str) -> Option<Self> {
        match kind {
            "CE" => Some(Self::Call { strike }),
            "PE" => Some(Self::Put { strike }),
            _ => None,
        }
    }
}

/// Appends the name of a derivative; false, and nothing is appended, when there is no underlying or the
/// strike is no decimal above zero.
pub fn write(symbol: &mut String, underlying: &str, expiry: Day, contract: Contract<'_>) -> bool {
    let (strike, kind) = match contract {
        Contract::Future => ("", "FUT"),
        Contract::Call { strike } => (strike, "CE"),
        Contract::Put { strike } => (strike, "PE"),
    };
    let strike = if contract == Contract::Future { Some("") } else { short_strike(strike) };
    let (Some(strike), false) = (strike, underlying.is_empty()) else { return false };
    symbol.push_str(underlying);
    push_day(symbol, expiry);
    symbol.push_str(strike);
    symbol.push_str(kind);
    true
}

/// When a derivative expires, by its name. None for what does not.
pub fn expiry(exchange: &str, symbol: &str) -> Option<Day> {
    if !DERIVATIVES.contains(&exchange) {
        return None;
    }
    let body = ["FUT", "CE", "PE"].into_iter().find_map(|kind| symbol.strip_suffix(kind))?;
    // The last one: a strike has no letters, an underlying may have some that look like a month.
    let starts = (0..=body.len().checked_sub(7)?).rev();
    starts.filter_map(|start| body.get(start..start + 7)).find_map(|text| {
        let (day, rest) = text.split_at_checked(2)?;
        let (month, year) = rest.split_at_checked(3)?;
        Day::new(2000 + digits::<i32>(year)?, month_of(month)?, digits(day)?)
    })
}

/// Whether a derivative has expired on an earlier day of India. Its number at the broker may mean something
/// else by then.
pub fn has_expired(exchange: &str, symbol: &str, now: SystemTime) -> bool {
    expiry(exchange, symbol).is_some_and(|expiry| expiry < Day::at(now))
}

/// The number of a month, 1 to 12, by its three letters in any case.
pub fn month_of(name: &str) -> Option<u8> {
    let place = MONTHS.iter().position(|month| month.eq_ignore_ascii_case(name))?;
    u8::try_from(place + 1).ok()
}

/// A number without a sign, of digits alone.
pub fn digits<T: std::str::FromStr>(text: &str) -> Option<T> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// A strike as names have it: without zeros at the end of its fraction, `24500.00000` as `24500`. None for
/// what is no decimal above zero.
pub fn short_strike(text: &str) -> Option<&str> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
        && text.bytes().filter(|byte| *byte == b'.').count() <= 1;
    let short = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text };
    let is_some = short.bytes().any(|byte| (b'1'..=b'9').contains(&byte)) && !short.starts_with('.');
    (is_number && is_some).then_some(short)
}

fn push_day(symbol: &mut String, day: Day) {
    let two = |number: i32| [number / 10, number % 10].map(|digit| u8::try_from(digit).unwrap_or(0) + b'0');
    symbol.extend(two(day.day.into()).map(char::from));
    symbol.push_str(MONTHS.get(usize::from(day.month).wrapping_sub(1)).copied().unwrap_or_default());
    symbol.extend(two(day.year % 100).map(char::from));
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use proptest::prelude::*;

    use super::*;

    fn named(underlying: &str, contract: Contract<'_>) -> Option<String> {
        let mut symbol = String::new();
        write(&mut symbol, underlying, Day::new(2026, 7, 8).unwrap(), contract).then_some(symbol)
    }

    #[test]
    fn strikes_have_no_zeros_at_the_end() {
        for (strike, wanted) in
            [("23500.00", "23500"), ("83.0500", "83.05"), ("100", "100"), ("0.5", "0.5"), ("7.", "7")]
        {
            let name = format!("X08JUL26{wanted}PE");
            assert_eq!(named("X", Contract::Put { strike }), Some(name));
        }
        for strike in ["", ".", "0", "0.00", "-1.0", "1e5", "1.2.3", ".5", "NaN", "٣"] {
            assert_eq!(named("X", Contract::Call { strike }), None, "{strike}");
        }
        assert_eq!(named("M&M", Contract::Future).as_deref(), Some("M&M08JUL26FUT"));
        assert_eq!(named("", Contract::Future), None);
        assert_eq!(Contract::option("XX", "1"), None);
    }

    #[test]
    fn the_last_date_of_a_name_counts_and_only_where_there_are_derivatives() {
        let day = |symbol| expiry("NFO", symbol).map(|day| (day.year, day.month, day.day));
        assert_eq!(day("NIFTY30JAN2523500CE"), Some((2025, 1, 30)));
        assert_eq!(day("01JAN2530JAN25FUT"), Some((2025, 1, 30)));
        for symbol in ["NIFTY", "FUT", "NIFTY31FEB25FUT", "NIFTY30JAN25", "é0JAN25FUT", "30JAN2é5FUT"] {
            assert_eq!(day(symbol), None, "{symbol}");
        }
        assert_eq!(expiry("NSE", "NIFTY30JAN25FUT"), None);
    }

    #[test]
    fn of_crypto_only_what_is_dated_expires() {
        let day = |symbol| expiry("CRYPTO", symbol).map(|day| (day.year, day.month, day.day));
        for symbol in ["BTC28FEB27FUT", "BTC28FEB2780000CE", "XRP28FEB272.5PE", "1000SHIB28FEB27FUT"] {
            assert_eq!(day(symbol), Some((2027, 2, 28)), "{symbol}");
        }
        for symbol in ["BTCUSDFUT", "1000SHIBUSDFUT", "BTC_INR", "PEPE_INR", "PEPEUSDFUT", "MAY25USDFUT"] {
            assert_eq!(day(symbol), None, "{symbol}");
        }
        // 1 March 2027 in India.
        let now = UNIX_EPOCH + Duration::from_mins(30_063_990);
        assert!(has_expired("CRYPTO", "BTC28FEB27FUT", now) && !has_expired("CRYPTO", "BTCUSDFUT", now));
    }

    #[test]
    fn what_expires_today_has_not_expired() {
        // 30 January 2025, 00:00 and 24:00 in India.
        let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        assert!(!has_expired("MCX", "GOLD30JAN25FUT", at(1_738_261_799)));
        assert!(has_expired("MCX", "GOLD30JAN25FUT", at(1_738_261_800)));
        assert!(!has_expired("NSE", "SBIN", at(1_738_261_800)));
    }

    proptest! {
        #[test]
        fn a_name_tells_its_expiry(
            underlying in "[A-Z&0-9-]{1,12}", day in 0_u64..20_000, strike in 1_u32..10_000_000, cents in 0_u32..100,
        ) {
            let expires = Day::at(UNIX_EPOCH + Duration::from_hours(day * 24));
            prop_assume!((2000..2100).contains(&expires.year));
            let strike = format!("{strike}.{cents:02}");
            let mut symbol = String::new();
            let is_written = write(&mut symbol, &underlying, expires, Contract::Call { strike: &strike });
            prop_assert!(is_written);
            prop_assert_eq!(expiry("BFO", &symbol), Some(expires));
        }

        #[test]
        fn nothing_makes_it_panic(text in "\\PC{0,40}") {
            let _any = (expiry("NFO", &text), short_strike(&text), month_of(&text), digits::<u8>(&text));
        }
    }
}
