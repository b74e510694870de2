//! What an instrument is called at the broker: a segment and a name within it, `NSE_FO|43885`.

use std::fmt;

use adapter_sdk::read::Sign;

adapter_sdk::segments! {
    /// The broker's segments. They have no numbers there; these are for the list on disk.
    pub enum Segment {
        /// Shares, funds and bonds of NSE.
        NseCash = 1, "NSE_EQ";
        /// Derivatives of NSE.
        NseDerivatives = 2, "NSE_FO";
        /// Currency derivatives of NSE.
        NseCurrency = 3, "NCD_FO";
        /// Indices of NSE.
        NseIndex = 4, "NSE_INDEX";
        /// Commodity derivatives of NSE.
        NseCommodities = 5, "NSE_COM";
        /// Shares, funds and bonds of BSE.
        BseCash = 6, "BSE_EQ";
        /// Derivatives of BSE.
        BseDerivatives = 7, "BSE_FO";
        /// Currency derivatives of BSE.
        BseCurrency = 8, "BCD_FO";
        /// Indices of BSE.
        BseIndex = 9, "BSE_INDEX";
        /// Commodities of MCX.
        Mcx = 10, "MCX_FO";
    }
}

impl Segment {
    /// OpenAlgo's code of the exchange.
    pub const fn exchange(self) -> &'static str {
        match self {
            Self::NseCash => "NSE",
            Self::NseDerivatives => "NFO",
            Self::NseCurrency => "CDS",
            Self::NseIndex => "NSE_INDEX",
            Self::NseCommodities => "NCO",
            Self::BseCash => "BSE",
            Self::BseDerivatives => "BFO",
            Self::BseCurrency => "BCD",
            Self::BseIndex => "BSE_INDEX",
            Self::Mcx => "MCX",
        }
    }

    /// Whether its prices can be below zero: those of commodities can.
    pub const fn sign(self) -> Sign {
        match self {
            Self::Mcx | Self::NseCommodities => Sign::Either,
            _ => Sign::Positive,
        }
    }

    /// Whether it is of indices, which have neither volume nor book.
    pub const fn is_of_indices(self) -> bool {
        matches!(self, Self::NseIndex | Self::BseIndex)
    }

    /// Whether shares are traded there, which have no open interest.
    pub const fn is_cash(self) -> bool {
        matches!(self, Self::NseCash | Self::BseCash)
    }
}

/// The name of an instrument within its segment: an ISIN, a number of the exchange, or what an index is
/// called. 1 to 32 characters of ASCII that can be seen, and spaces between them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name([u8; Name::BYTES]);

impl Name {
    /// Longest name. Those of indices have up to 26 characters.
    pub const BYTES: usize = 32;

    /// From its text.
    pub fn new(text: &str) -> Option<Self> {
        let mut bytes = [0; Self::BYTES];
        bytes.get_mut(..text.len())?.copy_from_slice(text.as_bytes());
        // Padding is no part of a text.
        Self::from_padded(bytes).filter(|name| name.as_str() == text)
    }

    fn from_padded(bytes: [u8; Self::BYTES]) -> Option<Self> {
        let name = Self(bytes);
        let text = name.as_str();
        let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
        let is_padded = bytes.iter().skip(text.len()).all(|byte| *byte == 0);
        let is_trimmed = !text.starts_with(' ') && !text.ends_with(' ');
        (!text.is_empty() && is_plain && is_padded && is_trimmed).then_some(name)
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        let length = self.0.iter().position(|byte| *byte == 0).unwrap_or(Self::BYTES);
        self.0.get(..length).and_then(|text| str::from_utf8(text).ok()).unwrap_or_default()
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What the broker calls an instrument. It is used as the list has it: what is before the bar need not be
/// what the exchange is called anywhere else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Segment.
    pub segment: Segment,
    /// Name within the segment.
    pub name: Name,
}

impl Key {
    /// From the broker's text. None for what is no key, or of a segment that is not served.
    pub fn parse(text: &str) -> Option<Self> {
        let (segment, name) = text.split_once('|')?;
        Some(Self { segment: Segment::from_name(segment)?, name: Name::new(name)? })
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}|{}", self.segment.name(), self.name.as_str())
    }
}

impl adapter_sdk::instruments::Key for Key {
    type Parts = (u8, [u8; Name::BYTES]);

    fn parts(self) -> Self::Parts {
        (self.segment.code(), self.name.0)
    }

    fn of_parts((segment, name): Self::Parts) -> Option<Self> {
        Some(Self { segment: Segment::from_code(segment)?, name: Name::from_padded(name)? })
    }
}

#[cfg(test)]
mod tests {
    use adapter_sdk::instruments::Key as _;

    use super::*;

    #[test]
    fn a_key_is_the_text_that_it_was_read_from() {
        for text in [
            "NSE_EQ|INE002A01018",
            "NSE_FO|43885",
            "NSE_INDEX|Nifty 50",
            "NSE_INDEX|Nifty500 Multicap 50:25:25",
            "MCX_FO|00000000000000000000000000000001",
        ] {
            let key = Key::parse(text).unwrap();
            assert_eq!(key.to_string(), text);
            assert_eq!(Key::of_parts(key.parts()), Some(key));
        }
        let (nul, end) = ("NSE_EQ|A\0B", "NSE_EQ|A\0");
        let long = format!("NSE_EQ|{}", "A".repeat(33));
        for nonsense in [
            "",
            "NSE_EQ",
            "NSE_EQ|",
            "NYSE|1",
            "nse_eq|1",
            "NSE_EQ| 1",
            "NSE_EQ|1 ",
            "NSE_EQ|é",
            nul,
            end,
            &long,
        ] {
            assert_eq!(Key::parse(nonsense), None, "{nonsense}");
        }
        let (segment, mut name) = Key::parse("NSE_EQ|A").unwrap().parts();
        assert_eq!(Key::of_parts((0, name)), None);
        name[5] = b'B';
        assert_eq!(Key::of_parts((segment, name)), None);
    }
}
