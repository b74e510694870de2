//! Messages of the depth feeds of 20 and of 200 levels. Their head is not that of the live feed.

use adapter_sdk::read::Packed;

use super::WireError;
use crate::segment::{Key, Segment};

/// Reasons of a disconnect.
const REASONS: std::ops::RangeInclusive<u16> = 800..=899;

/// Which of the two feeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u16)]
pub enum Tier {
    /// 20 levels: 50 instruments on a connection.
    Twenty = 20,
    /// 200 levels: one instrument on a connection.
    TwoHundred = 200,
}

impl Tier {
    /// Both, the smaller one first.
    pub const ALL: [Self; 2] = [Self::Twenty, Self::TwoHundred];

    /// Most levels on a side.
    pub const fn levels(self) -> u16 {
        self as u16
    }

    /// Instruments that the broker takes on one connection.
    pub const fn instruments(self) -> usize {
        match self {
            Self::Twenty => 50,
            Self::TwoHundred => 1,
        }
    }
}

/// A side of a book.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Bids: kind 41.
    Bid,
    /// Asks: kind 51.
    Ask,
}

adapter_sdk::packed! {
    /// What a packet begins with: length of the whole packet, kind, segment, security id, and a number whose
    /// meaning depends.
    struct Head {
        _length: u16,
        code: u8,
        segment: u8,
        id: u32,
        number: u32,
    }

    /// A row, best price first.
    #[derive(Clone, Copy, Debug, PartialEq)]
    pub struct Row {
        /// Price in rupees.
        pub price: f64,
        /// Quantity.
        pub quantity: u32,
        /// Orders.
        pub orders: u32,
    }
}

/// A packet.
#[derive(Clone, Debug, PartialEq)]
pub enum Packet<'a> {
    /// One side of a book, the whole of it.
    Side(Key, Side, Rows<'a>),
    /// The broker is about to hang up.
    Disconnect(u16),
    /// A kind that is not documented.
    Other(u8),
}

/// The rows of a side, still in the broker's bytes. With 20 levels those that do not exist are zeros.
#[derive(Clone, Debug, PartialEq)]
pub struct Rows<'a>(&'a [u8]);

impl Iterator for Rows<'_> {
    type Item = Row;

    #[inline]
    fn next(&mut self) -> Option<Row> {
        Row::take(&mut self.0)
    }
}

/// The packets of a message, in order. A message that is cut off gives what was whole, one error, and then
/// ends.
#[derive(Clone, Debug)]
pub struct Packets<'a> {
    tier: Tier,
    rest: &'a [u8],
}

impl<'a> Packets<'a> {
    /// Begins to read a message of a feed.
    pub const fn new(tier: Tier, message: &'a [u8]) -> Self {
        Self { tier, rest: message }
    }
}

impl<'a> Iterator for Packets<'a> {
    type Item = Result<Packet<'a>, WireError>;

    fn next(&mut self) -> Option<Self::Item> {
        let packet = super::next(&mut self.rest, 0, Head::BYTES)?;
        Some(packet.and_then(|packet| read(self.tier, packet)))
    }
}

fn read(tier: Tier, packet: &[u8]) -> Result<Packet<'_>, WireError> {
    let mut rest = packet;
    let Head { code, segment, id, number, .. } = Head::take(&mut rest).ok_or(WireError::Truncated)?;
    let side = match code {
        41 => Side::Bid,
        51 => Side::Ask,
        50 => return Ok(Packet::Disconnect(reason(number, rest))),
        _ => return Ok(Packet::Other(code)),
    };
    let (levels, whole) = (usize::from(tier.levels()), rest.len() / Row::BYTES);
    let rows = match tier {
        // The number only counts packets.
        Tier::Twenty if whole < levels => return Err(WireError::TooShort { code, bytes: packet.len() }),
        Tier::Twenty => levels,
        // Whether the rest is filled up is not documented.
        Tier::TwoHundred => usize::try_from(number).unwrap_or(usize::MAX).min(levels).min(whole),
    };
    let segment = Segment::from_code(segment).ok_or(WireError::UnknownSegment(segment))?;
    let rows = rest.get(..rows * Row::BYTES).unwrap_or_default();
    Ok(Packet::Side(Key { segment, id }, side, Rows(rows)))
}

/// The documents have it behind the head, in two bytes; the package reads the head's number.
fn reason(number: u32, behind: &[u8]) -> u16 {
    let documented = behind.first_chunk().map(|bytes| u16::from_le_bytes(*bytes));
    let by_package = u16::try_from(number).unwrap_or(u16::MAX);
    documented.filter(|reason| REASONS.contains(reason)).unwrap_or(by_package)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only(message: &[u8]) -> Packet<'_> {
        Packets::new(Tier::Twenty, message).next().unwrap().unwrap()
    }

    #[test]
    fn a_reason_is_found_in_either_place() {
        let packet = |length: u8, number: u32, behind: &[u8]| {
            let mut message = vec![length, 0, 50, 0, 0, 0, 0, 0];
            message.extend(number.to_le_bytes());
            message.extend(behind);
            message
        };
        assert_eq!(only(&packet(14, 805, &807_u16.to_le_bytes())), Packet::Disconnect(807));
        assert_eq!(only(&packet(14, 805, &[0, 0])), Packet::Disconnect(805));
        assert_eq!(only(&packet(12, 806, &[])), Packet::Disconnect(806));
        assert_eq!(only(&packet(12, u32::MAX, &[])), Packet::Disconnect(u16::MAX));
    }
}
