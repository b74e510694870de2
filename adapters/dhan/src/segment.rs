//! What an instrument is called at the broker: a segment and a security id. Ids repeat between segments.

use adapter_sdk::read::Sign;

/// The broker's segment. There is no 6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Segment {
    /// `IDX_I`: indices of NSE and of BSE. Their ids do not repeat between the two.
    Index = 0,
    /// `NSE_EQ`: shares of NSE.
    NseEquity = 1,
    /// `NSE_FNO`: derivatives of NSE.
    NseDerivatives = 2,
    /// `NSE_CURRENCY`: currencies of NSE.
    NseCurrency = 3,
    /// `BSE_EQ`: shares of BSE.
    BseEquity = 4,
    /// `MCX_COMM`: commodities of MCX.
    Mcx = 5,
    /// `BSE_CURRENCY`: currencies of BSE.
    BseCurrency = 7,
    /// `BSE_FNO`: derivatives of BSE.
    BseDerivatives = 8,
}

impl Segment {
    /// All of them, with the names that requests have.
    pub const ALL: [(Self, &'static str); 8] = [
        (Self::Index, "IDX_I"),
        (Self::NseEquity, "NSE_EQ"),
        (Self::NseDerivatives, "NSE_FNO"),
        (Self::NseCurrency, "NSE_CURRENCY"),
        (Self::BseEquity, "BSE_EQ"),
        (Self::Mcx, "MCX_COMM"),
        (Self::BseCurrency, "BSE_CURRENCY"),
        (Self::BseDerivatives, "BSE_FNO"),
    ];

    /// By the number that packets have.
    #[inline]
    pub fn from_code(code: u8) -> Option<Self> {
        // They stand in this order.
        let (segment, _) = Self::ALL.get(usize::from(code) - usize::from(code > 6))?;
        (segment.code() == code).then_some(*segment)
    }

    /// The number that packets have.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The name that requests have.
    pub fn name(self) -> &'static str {
        Self::ALL
            .into_iter()
            .find_map(|(segment, name)| (segment == self).then_some(name))
            .unwrap_or_default()
    }

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
            assert_eq!(
                found.is_some(),
                Segment::ALL.iter().any(|(segment, _)| segment.code() == code),
                "{code}"
            );
        }
    }
}
