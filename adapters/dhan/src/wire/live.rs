//! Messages of the live feed.

use adapter_sdk::read::Packed;

use super::WireError;
use crate::segment::{Key, Segment};

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
    /// A kind that is not documented, or whose layout is not: 0 keeps the connection alive, 1 is said to be
    /// of indices.
    Other(u8),
}

adapter_sdk::packed! {
    /// What a packet begins with: kind, length of the whole packet, segment, security id.
    struct Head {
        code: u8,
        _length: u16,
        segment: u8,
        id: u32,
    }

    /// The part that quotes and full packets begin with.
    #[derive(Clone, Copy, Debug, PartialEq)]
    pub struct Trade {
        /// Last price, in rupees, as all prices here.
        pub last_price: f32,
        /// Quantity of the last trade. A larger one than 65,535 cannot be written.
        pub last_quantity: u16,
        /// Time of the last trade in seconds; of which zone is not documented, see [`crate::clock`]. Zero
        /// when there was none.
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

    /// Prices of the day, in the broker's order, which is not the usual one.
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
}

/// The packets of a message, in order. The broker's own package reads the first one only. A message that is
/// cut off gives what was whole, one error, and then ends.
#[derive(Clone, Debug)]
pub struct Packets<'a>(&'a [u8]);

impl<'a> Packets<'a> {
    /// Begins to read.
    pub const fn new(message: &'a [u8]) -> Self {
        Self(message)
    }
}

impl Iterator for Packets<'_> {
    type Item = Result<Packet, WireError>;

    fn next(&mut self) -> Option<Self::Item> {
        match super::next(&mut self.0, 1, Head::BYTES)? {
            Ok(packet) => Some(read(packet)),
            Err(error) => Some(Err(error)),
        }
    }
}

fn read(packet: &[u8]) -> Result<Packet, WireError> {
    let rest = &mut &*packet;
    let Head { code, segment, id, .. } = Head::take(rest).ok_or(WireError::Truncated)?;
    let segment = match Segment::from_code(segment) {
        Some(segment) => segment,
        None if matches!(code, 2 | 4 | 5 | 6 | 8) => return Err(WireError::UnknownSegment(segment)),
        // What says nothing of an instrument need not be of one.
        None => Segment::Index,
    };
    let short = WireError::TooShort { code, bytes: packet.len() };
    // Made where it stays: it is large.
    Ok(Packet {
        key: Key { segment, id },
        body: match code {
            2 => Body::Ticker { last_price: take(rest, short)?, time: take(rest, short)? },
            4 => Body::Quote(take(rest, short)?, take(rest, short)?),
            5 => Body::OpenInterest(take(rest, short)?),
            6 => Body::PreviousClose { close: take(rest, short)?, oi: take(rest, short)? },
            7 => Body::MarketStatus,
            8 => Body::Full(take(rest, short)?, take(rest, short)?, take(rest, short)?, take(rest, short)?),
            50 => Body::Disconnect(take(rest, short)?),
            _ => Body::Other(code),
        },
    })
}

fn take<T: Packed>(rest: &mut &[u8], short: WireError) -> Result<T, WireError> {
    T::take(rest).ok_or(short)
}
