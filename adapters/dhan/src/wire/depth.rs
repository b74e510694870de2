//! Messages of the depth feeds of 20 and of 200 levels. Their head is not that of the live feed.

use super::{Reader, WireError};
use crate::segment::{Key, Segment};

/// Bytes of a packet's head: length of the whole packet, kind, segment, security id, and a number whose meaning
/// depends.
const HEAD_BYTES: usize = 12;

/// Bytes of a row.
const ROW_BYTES: usize = 16;

/// Reasons of a disconnect.
const REASONS: std::ops::RangeInclusive<u16> = 800..=899;

/// Which of the two feeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tier {
    /// 20 levels: 50 instruments on a connection.
    Twenty,
    /// 200 levels: one instrument on a connection.
    TwoHundred,
}

impl Tier {
    /// Most levels on a side.
    pub const fn levels(self) -> u16 {
        match self {
            Self::Twenty => 20,
            Self::TwoHundred => 200,
        }
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

    fn next(&mut self) -> Option<Row> {
        let (row, rest) = self.0.split_at_checked(ROW_BYTES)?;
        self.0 = rest;
        let mut reader = Reader(row);
        Some(Row { price: reader.double(), quantity: reader.word(), orders: reader.word() })
    }
}

/// The packets of a message, in order. A message that is cut off gives what was whole, one error, and then ends.
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

    fn split(&mut self) -> Option<&'a [u8]> {
        let length = usize::from(u16::from_le_bytes(*self.rest.first_chunk()?));
        let length = Some(length).filter(|length| *length >= HEAD_BYTES)?;
        let (packet, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(packet)
    }
}

impl<'a> Iterator for Packets<'a> {
    type Item = Result<Packet<'a>, WireError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let Some(packet) = self.split() else {
            self.rest = &[];
            return Some(Err(WireError::Truncated));
        };
        Some(read(self.tier, packet))
    }
}

fn read(tier: Tier, packet: &[u8]) -> Result<Packet<'_>, WireError> {
    let mut reader = Reader(packet);
    let [_, _, code, segment] = reader.take();
    let (id, number) = (reader.word(), reader.word());
    let side = match code {
        41 => Side::Bid,
        51 => Side::Ask,
        50 => return Ok(Packet::Disconnect(reason(number, reader.0))),
        _ => return Ok(Packet::Other(code)),
    };
    if tier == Tier::Twenty && reader.0.len() < usize::from(Tier::Twenty.levels()) * ROW_BYTES {
        return Err(WireError::TooShort { code, bytes: packet.len() });
    }
    let segment = Segment::from_code(segment).ok_or(WireError::UnknownSegment(segment))?;
    let most = match tier {
        // The number only counts packets.
        Tier::Twenty => Tier::Twenty.levels().into(),
        // Whether the rest is filled up is not documented.
        Tier::TwoHundred => {
            usize::try_from(number).unwrap_or(usize::MAX).min(Tier::TwoHundred.levels().into())
        }
    };
    let rows = most.min(reader.0.len() / ROW_BYTES);
    let rows = reader.0.get(..rows * ROW_BYTES).unwrap_or_default();
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
