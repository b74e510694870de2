//! What an instrument is called on the wire: `NSE|22`.

use std::fmt;

pub use adapter_sdk::symbol::Exchange;
use adapter_sdk::symbol::digits;

/// An instrument. Tokens repeat among exchanges: one alone says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Where it trades.
    pub exchange: Exchange,
    /// Its number there.
    pub token: u32,
}

impl adapter_sdk::instruments::Key for Key {
    type Parts = (u8, u32);

    fn parts(self) -> (u8, u32) {
        (self.exchange.number(), self.token)
    }

    fn of_parts((exchange, token): (u8, u32)) -> Option<Self> {
        Some(Self { exchange: Exchange::of_number(exchange)?, token })
    }
}

impl Key {
    /// From its two parts as the broker writes them; None for what is no such thing.
    pub fn of(exchange: &str, token: &str) -> Option<Self> {
        Some(Self { exchange: Exchange::of(exchange)?, token: digits(token)? })
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}|{}", self.exchange.code(), self.token)
    }
}
