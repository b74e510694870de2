//! Messages of the live feed.

use super::{Reader, WireError};
use crate::segment::{Key, Segment};

/// Bytes of a packet's head: kind, length of the whole packet, segment, security id.
const HEAD_BYTES: usize = 8;

/// Levels on each side of a full packet's book.
pub const LEVELS: usize = 5;

/// A packet.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Packet {
    /// Whose it is.
    pub key: Key,
    /// What it holds.
    pub body: Body,
}

/// What a packet holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Body {
    /// Kind 2, 16 bytes: what a ticker subscription brings.
    Ticker {
        /// Last price.
        last_price: f32,
        /// Time of the last trade; see [`Trade::time`].
        time: u32,
    },
    /// Kind 4, 50 bytes: what a quote subscription brings.
    Quote(Trade, Day),
    /// Kind 5, 12 bytes: open interest, which comes beside quotes.
    OpenInterest(u32),
    /// Kind 6, 16 bytes: comes once after each subscription.
    PreviousClose {
        /// Close of the day before.
        close: f32,
        /// Open interest of the day before.
        oi: u32,
    },
    /// Kind 7, 8 bytes: a head and nothing else.
    MarketStatus,
    /// Kind 8, 162 bytes: what a full subscription brings. A table in the documents adds up to 163.
    Full(Trade, Interest, Day, [Level; LEVELS]),
    /// Kind 50, 10 bytes: the broker is about to hang up.
    Disconnect(u16),
    /// A kind that is not documented, or whose layout is not: 0 keeps the connection alive, 1 is said to be of indices.
    Other(u8),
}

/// The part that quotes and full packets begin with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trade {
    /// Last price, in rupees, as all prices here.
    pub last_price: f32,
    /// Quantity of the last trade. A larger one than 65,535 cannot be written.
    pub last_quantity: u16,
    /// Time of the last trade in seconds; of which zone is not documented, see [`crate::clock`]. Zero when there was
    /// none.
    pub time: u32,
    /// Average price of the day.
    pub average_price: f32,
    /// Volume of the day.
    pub volume: u32,
    /// Resting sell quantity. It comes before that of buyers, whatever some write.
    pub total_sell_quantity: u32,
    /// Resting buy quantity.
    pub total_buy_quantity: u32,
}

/// Open interest of a full packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interest {
    /// Open interest.
    pub oi: u32,
    /// Its highest of the day; of derivatives of NSE only.
    pub high: u32,
    /// Its lowest of the day; the same.
    pub low: u32,
}

/// Prices of the day.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Day {
    /// First price of the day.
    pub open: f32,
    /// Close of this day, documented as filled in after it only.
    pub close: f32,
    /// Highest price of the day.
    pub high: f32,
    /// Lowest price of the day.
    pub low: f32,
}

/// A row of a full packet's book: both sides in one. Rows that do not exist are zeros.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Level {
    pub bid_quantity: u32,
    pub ask_quantity: u32,
    pub bid_orders: u16,
    pub ask_orders: u16,
    pub bid_price: f32,
    pub ask_price: f32,
}

/// The packets of a message, in order. The broker's own package reads the first one only. A message that is cut off
/// gives what was whole, one error, and then ends.
#[derive(Clone, Debug)]
pub struct Packets<'a>(&'a [u8]);

impl<'a> Packets<'a> {
    /// Begins to read.
    pub const fn new(message: &'a [u8]) -> Self {
        Self(message)
    }

    fn split(&mut self) -> Option<&'a [u8]> {
        let length = u16::from_le_bytes(*self.0.get(1..)?.first_chunk()?);
        let length = Some(usize::from(length)).filter(|length| *length >= HEAD_BYTES)?;
        let (packet, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(packet)
    }
}

impl Iterator for Packets<'_> {
    type Item = Result<Packet, WireError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let Some(packet) = self.split() else {
            self.0 = &[];
            return Some(Err(WireError::Truncated));
        };
        Some(read(packet))
    }
}

fn read(packet: &[u8]) -> Result<Packet, WireError> {
    let bytes = packet.len();
    let mut reader = Reader(packet);
    let [code, _, _, segment] = reader.take();
    let id = reader.word();
    let least = match code {
        2 | 6 => 16,
        4 => 50,
        5 => 12,
        8 => 162,
        50 => 10,
        _ => HEAD_BYTES,
    };
    if bytes < least {
        return Err(WireError::TooShort { code, bytes });
    }
    let body = match code {
        2 => Body::Ticker { last_price: reader.float(), time: reader.word() },
        4 => {
            let trade = reader.trade();
            Body::Quote(trade, reader.day())
        }
        5 => Body::OpenInterest(reader.word()),
        6 => Body::PreviousClose { close: reader.float(), oi: reader.word() },
        7 => Body::MarketStatus,
        8 => {
            let trade = reader.trade();
            let interest = Interest { oi: reader.word(), high: reader.word(), low: reader.word() };
            let day = reader.day();
            let mut levels = [Level::default(); LEVELS];
            for level in &mut levels {
                *level = reader.level();
            }
            Body::Full(trade, interest, day, levels)
        }
        50 => Body::Disconnect(reader.short()),
        _ => Body::Other(code),
    };
    // What says nothing of an instrument need not be of one.
    let is_of_nobody = matches!(body, Body::Other(_) | Body::Disconnect(_) | Body::MarketStatus);
    let segment = match Segment::from_code(segment) {
        Some(segment) => segment,
        None if is_of_nobody => Segment::Index,
        None => return Err(WireError::UnknownSegment(segment)),
    };
    Ok(Packet { key: Key { segment, id }, body })
}

impl Reader<'_> {
    fn trade(&mut self) -> Trade {
        Trade {
            last_price: self.float(),
            last_quantity: self.short(),
            time: self.word(),
            average_price: self.float(),
            volume: self.word(),
            total_sell_quantity: self.word(),
            total_buy_quantity: self.word(),
        }
    }

    /// Open, close, high, low: not the usual order.
    fn day(&mut self) -> Day {
        Day { open: self.float(), close: self.float(), high: self.float(), low: self.float() }
    }

    fn level(&mut self) -> Level {
        Level {
            bid_quantity: self.word(),
            ask_quantity: self.word(),
            bid_orders: self.short(),
            ask_orders: self.short(),
            bid_price: self.float(),
            ask_price: self.float(),
        }
    }
}
