//! What an instrument is called at the broker: an exchange type and a token. Tokens repeat between exchange
//! types.

use adapter_sdk::read::Sign;

adapter_sdk::segments! {
    /// The broker's exchange type. One that it does not know gets silence instead of an error, so there is no
    /// other way to make a value than by its name, which is OpenAlgo's code of the exchange. The list of
    /// instruments has the same in `exch_seg`; `NCO` has no exchange type in the streaming API.
    pub enum Segment {
        /// `nse_cm`: shares and indices of NSE.
        NseCash = 1, "NSE";
        /// `nse_fo`: derivatives of NSE.
        NseDerivatives = 2, "NFO";
        /// `bse_cm`: shares and indices of BSE.
        BseCash = 3, "BSE";
        /// `bse_fo`: derivatives of BSE.
        BseDerivatives = 4, "BFO";
        /// `mcx_fo`: commodities of MCX, and its indices.
        Mcx = 5, "MCX";
        /// `ncx_fo`: commodities of NCDEX.
        Ncdex = 7, "NCDEX";
        /// `cde_fo`: currencies of NSE.
        Currency = 13, "CDS";
    }
}

impl Segment {
    /// Decimal places of its prices: paise, but 10^-7 of a rupee for currencies. Only the broker's documents
    /// say so; its SDKs give the integers as they come.
    pub const fn decimals(self) -> u32 {
        match self {
            Self::Currency => 7,
            _ => 2,
        }
    }

    /// Whether its prices may be below zero.
    pub const fn sign(self) -> Sign {
        match self {
            Self::Mcx | Self::Ncdex => Sign::Either,
            _ => Sign::Positive,
        }
    }

    /// Whether shares are traded there, which have no open interest.
    pub const fn is_cash(self) -> bool {
        matches!(self, Self::NseCash | Self::BseCash)
    }
}

/// A token, 1 to 25 visible characters of ASCII. Nearly all are numbers, but nothing says that they must be.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token([u8; Token::BYTES]);

impl Token {
    /// Most bytes of a token.
    pub const BYTES: usize = 25;

    /// From its text.
    pub fn new(text: &str) -> Option<Self> {
        let mut bytes = [0; Self::BYTES];
        bytes.get_mut(..text.len())?.copy_from_slice(text.as_bytes());
        Self::from_padded(bytes)
    }

    /// From a packet: what follows the first NUL is undefined. The broker's JavaScript SDK takes those bytes
    /// for part of the token; its documents and its Python SDK stop at the NUL.
    pub fn from_padded(mut bytes: [u8; Self::BYTES]) -> Option<Self> {
        let length = bytes.iter().position(|byte| *byte == 0).unwrap_or(Self::BYTES);
        let (text, rest) = bytes.split_at_mut_checked(length)?;
        if text.is_empty() || !text.iter().all(u8::is_ascii_graphic) {
            return None;
        }
        rest.fill(0);
        Some(Self(bytes))
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        let length = self.0.iter().position(|byte| *byte == 0).unwrap_or(Self::BYTES);
        self.0.get(..length).and_then(|text| str::from_utf8(text).ok()).unwrap_or_default()
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What the broker calls an instrument.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Exchange type.
    pub segment: Segment,
    /// Token, unique within the exchange type.
    pub token: Token,
}

impl adapter_sdk::instruments::Key for Key {
    type Parts = (u8, [u8; Token::BYTES]);

    fn parts(self) -> Self::Parts {
        (self.segment.code(), self.token.0)
    }

    fn of_parts((segment, token): Self::Parts) -> Option<Self> {
        Some(Self { segment: Segment::from_code(segment)?, token: Token::from_padded(token)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_end_at_the_first_nul() {
        let mut bytes = [b'x'; 25];
        bytes[..5].copy_from_slice(b"1594\0");
        assert_eq!(Token::from_padded(bytes), Token::new("1594"));
        assert_eq!(Token::new(&"7".repeat(25)).unwrap().as_str().len(), 25);
        for nonsense in ["", "a b", "1\u{e9}", &"7".repeat(26)] {
            assert_eq!(Token::new(nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn only_known_exchange_types_exist() {
        let known: Vec<u8> = (0..=255).filter(|code| Segment::from_code(*code).is_some()).collect();
        assert_eq!(known, [1, 2, 3, 4, 5, 7, 13]);
        assert_eq!((Segment::from_name("NCO"), Segment::from_name("nse")), (None, None));
    }
}
