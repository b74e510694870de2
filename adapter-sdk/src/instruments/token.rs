//! What most brokers of India call an instrument.

use std::fmt;

use super::Key;
use crate::symbol::{Exchange, digits};

/// An instrument by its exchange and its number there, as exchanges number them and most brokers pass them
/// on. Numbers repeat among exchanges: one alone says nothing.
///
/// ```
/// use adapter_sdk::{instruments::ExchangeToken, symbol::Exchange};
///
/// let key = ExchangeToken::of("NFO", "54957").unwrap();
/// assert_eq!(key, ExchangeToken { exchange: Exchange::Nfo, token: 54_957 });
/// assert_eq!(key.to_string(), "NFO|54957");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(clippy::exhaustive_structs, reason = "it is these two and nothing else")]
pub struct ExchangeToken {
    /// Where it trades.
    pub exchange: Exchange,
    /// Its number there.
    pub token: u32,
}

impl ExchangeToken {
    /// From its two parts as a broker writes them that has OpenAlgo's codes; None for what is no such thing.
    pub fn of(exchange: &str, token: &str) -> Option<Self> {
        Some(Self { exchange: Exchange::of(exchange)?, token: digits(token)? })
    }
}

impl Key for ExchangeToken {
    type Parts = (u8, u32);

    fn parts(self) -> (u8, u32) {
        (self.exchange.number(), self.token)
    }

    fn of_parts((exchange, token): (u8, u32)) -> Option<Self> {
        Some(Self { exchange: Exchange::of_number(exchange)?, token })
    }
}

impl fmt::Display for ExchangeToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}|{}", self.exchange.code(), self.token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_has_both_its_parts_or_none() {
        for exchange in Exchange::ALL {
            let key = ExchangeToken::of(exchange.code(), "4294967295").unwrap();
            assert_eq!(ExchangeToken::of_parts(key.parts()), Some(key));
        }
        assert_eq!(ExchangeToken::of_parts((u8::MAX, 1)), None);
        for (exchange, token) in
            [("NYSE", "22"), ("NSE", ""), ("NSE", "22x"), ("NSE", "-22"), ("NSE", "4294967296")]
        {
            assert_eq!(ExchangeToken::of(exchange, token), None, "{exchange}|{token}");
        }
    }
}
