//! Exchanges, and what an instrument is called on the wire: `NSE|22`.

use std::fmt;

use adapter_sdk::{read::Sign, symbol::digits};

macro_rules! exchanges {
    ($($name:ident $code:literal),+) => {
        /// An exchange.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[expect(missing_docs, reason = "they are called what they are")]
        pub enum Exchange { $($name),+ }

        impl Exchange {
            const ALL: &[Self] = &[$(Self::$name),+];

            /// That of a code.
            pub fn of(code: &str) -> Option<Self> {
                match code {
                    $($code => Some(Self::$name),)+
                    _ => None,
                }
            }

            /// Its code, which is OpenAlgo's too.
            pub const fn code(self) -> &'static str {
                match self {
                    $(Self::$name => $code),+
                }
            }
        }
    };
}

exchanges! { Nse "NSE", Bse "BSE", Nfo "NFO", Bfo "BFO", Cds "CDS", Bcd "BCD", Mcx "MCX" }

impl Exchange {
    /// Where its indices are for clients.
    pub const fn of_indices(self) -> Option<&'static str> {
        match self {
            Self::Nse => Some("NSE_INDEX"),
            Self::Bse => Some("BSE_INDEX"),
            _ => None,
        }
    }

    /// Whether its prices can be below zero.
    pub const fn sign(self) -> Sign {
        match self {
            Self::Mcx => Sign::Either,
            _ => Sign::Positive,
        }
    }
}

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
        (self.exchange as u8, self.token)
    }

    fn of_parts((exchange, token): (u8, u32)) -> Option<Self> {
        Some(Self { exchange: *Exchange::ALL.get(usize::from(exchange))?, token })
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
