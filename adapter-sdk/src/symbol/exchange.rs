//! Exchanges by the codes that OpenAlgo and most brokers have for them.

use crate::read::Sign;

macro_rules! exchanges {
    ($($name:ident $code:literal),+) => {
        /// An exchange, or a part of one, by the code that OpenAlgo has for it. Its indices have a code of
        /// their own, [`Self::of_indices`].
        ///
        /// ```
        /// use adapter_sdk::symbol::Exchange;
        ///
        /// let exchange = Exchange::of("BSE").unwrap();
        /// assert_eq!((exchange.code(), exchange.of_indices()), ("BSE", Some("BSE_INDEX")));
        /// assert_eq!(Exchange::of("BSE_INDEX"), None);
        /// ```
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        #[expect(missing_docs, reason = "they are called what they are")]
        pub enum Exchange { $($name),+ }

        impl Exchange {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// That of a code.
            pub fn of(code: &str) -> Option<Self> {
                match code {
                    $($code => Some(Self::$name),)+
                    _ => None,
                }
            }

            /// Its code.
            pub const fn code(self) -> &'static str {
                match self {
                    $(Self::$name => $code),+
                }
            }
        }
    };
}

exchanges! {
    Nse "NSE", Bse "BSE", Nfo "NFO", Bfo "BFO", Cds "CDS", Bcd "BCD", Mcx "MCX", Ncdex "NCDEX", Nco "NCO"
}

impl Exchange {
    /// Its place in [`Self::ALL`], which stays what it is: others are appended.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// That of a place in [`Self::ALL`].
    pub fn of_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }

    /// The code of its indices, where those have one.
    pub const fn of_indices(self) -> Option<&'static str> {
        match self {
            Self::Nse => Some("NSE_INDEX"),
            Self::Bse => Some("BSE_INDEX"),
            _ => None,
        }
    }

    /// Whether shares, funds and bonds are traded there, and no derivatives.
    pub const fn is_cash(self) -> bool {
        matches!(self, Self::Nse | Self::Bse)
    }

    /// Whether its prices can be below zero: those of commodities can.
    pub const fn sign(self) -> Sign {
        match self {
            Self::Mcx | Self::Ncdex | Self::Nco => Sign::Either,
            _ => Sign::Positive,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::symbol::DERIVATIVES;

    #[test]
    fn every_exchange_has_its_code_and_those_without_shares_have_derivatives() {
        for exchange in Exchange::ALL {
            assert_eq!(Exchange::of(exchange.code()), Some(*exchange));
            assert_eq!(Exchange::of_number(exchange.number()), Some(*exchange));
            assert_ne!(exchange.is_cash(), DERIVATIVES.contains(&exchange.code()));
        }
        for code in ["", "nse", "NSE_INDEX", "NYSE"] {
            assert_eq!(Exchange::of(code), None, "{code}");
        }
        assert_eq!((Exchange::Mcx.sign(), Exchange::Nfo.sign()), (Sign::Either, Sign::Positive));
    }
}
