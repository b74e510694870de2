//! What an instrument is called at the broker: a segment and a security id. Ids repeat between segments.

use adapter_sdk::read::Sign;

adapter_sdk::segments! {
    /// The broker's segment, with the name that requests have. There is no 6.
    pub enum Segment {
        /// `IDX_I`: indices of NSE and of BSE. Their ids do not repeat between the two.
        Index = 0, "IDX_I";
        /// `NSE_EQ`: shares of NSE.
        NseEquity = 1, "NSE_EQ";
        /// `NSE_FNO`: derivatives of NSE.
        NseDerivatives = 2, "NSE_FNO";
        /// `NSE_CURRENCY`: currencies of NSE.
        NseCurrency = 3, "NSE_CURRENCY";
        /// `BSE_EQ`: shares of BSE.
        BseEquity = 4, "BSE_EQ";
        /// `MCX_COMM`: commodities of MCX.
        Mcx = 5, "MCX_COMM";
        /// `BSE_CURRENCY`: currencies of BSE.
        BseCurrency = 7, "BSE_CURRENCY";
        /// `BSE_FNO`: derivatives of BSE.
        BseDerivatives = 8, "BSE_FNO";
    }
}

impl Segment {
    /// Decimal places of its prices.
    pub const fn decimals(self) -> u32 {
        match self {
            Self::NseCurrency | Self::BseCurrency => 4,
            _ => 2,
        }
    }

    /// Whether its prices may be below zero.
    pub const fn sign(self) -> Sign {
        if matches!(self, Self::Mcx) { Sign::Either } else { Sign::Positive }
    }

    /// Whether what trades there has open interest.
    pub const fn has_open_interest(self) -> bool {
        !matches!(self, Self::Index | Self::NseEquity | Self::BseEquity)
    }

    /// Whether the broker has books of more than five levels of it.
    pub const fn has_deep_books(self) -> bool {
        matches!(self, Self::NseEquity | Self::NseDerivatives)
    }
}

/// What the broker calls an instrument.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Segment.
    pub segment: Segment,
    /// Security id, unique within the segment. Requests have it as text, packets as a number.
    pub id: u32,
}

impl adapter_sdk::instruments::Key for Key {
    type Parts = (u8, u32);

    fn parts(self) -> (u8, u32) {
        (self.segment.code(), self.id)
    }

    fn of_parts((segment, id): (u8, u32)) -> Option<Self> {
        Some(Self { segment: Segment::from_code(segment)?, id })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_that_of_one_segment() {
        for code in 0..=u8::MAX {
            let found = Segment::from_code(code);
            assert_eq!(found.map(Segment::code), found.map(|_| code));
            assert_eq!(found.is_some(), Segment::ALL.iter().any(|segment| segment.code() == code), "{code}");
        }
    }
}
