//! The broker's binary packets, field by field, with the broker's integers. One packet is one message;
//! little-endian.
//!
//! Layouts are those of the document "`WebSocket` Streaming 2.0" of Angel One's `SmartAPI` and of its
//! official Python SDK (`smartapi-python` 1.5.5, `SmartWebSocketV2._parse_binary_data`). Where the two
//! differ, the field says so.

use adapter_sdk::read::Packed;

use crate::segment::{Key, Segment, Token};

/// Bytes of a packet of mode 1. Longer ones have bytes at the end that mean nothing.
pub const LTP_BYTES: usize = 51;
/// Bytes of a packet of mode 2.
pub const QUOTE_BYTES: usize = 123;
/// Bytes of a packet of mode 3.
pub const SNAP_BYTES: usize = 379;
/// Bytes of a packet of mode 4.
pub const DEPTH_BYTES: usize = 443;

/// Why a message is no packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// It ends before its mode's packet does.
    #[error("the packet is too short for its mode")]
    Truncated,
    /// Its mode is none of 1 to 4.
    #[error("the packet has an unknown mode")]
    UnknownMode,
    /// The broker has no such exchange type.
    #[error("the packet has an unknown exchange type")]
    UnknownSegment,
    /// Its token is empty or no text.
    #[error("the packet has no token")]
    NoToken,
}

/// A packet.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Packet {
    /// Whose it is.
    pub key: Key,
    /// What it holds.
    pub body: Body,
}

/// What a packet holds. Each mode has all of the ones before it, but not the fourth.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Body {
    /// Mode 1.
    Ltp(Trade),
    /// Mode 2.
    Quote(Trade, Quote),
    /// Mode 3, called `SnapQuote`.
    Snap(Trade, Quote, Snap),
    /// Mode 4. Announced as withdrawn in 2025; decoded if it comes.
    Depth(Depth),
}

adapter_sdk::packed! {
    /// Bytes 27 to 51.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Trade {
        /// Number in the feed; not contiguous for one instrument, and meaningless for indices.
        pub sequence: i64,
        /// Milliseconds since the Unix epoch.
        pub exchange_time_ms: i64,
        /// Scaled by [`Segment::decimals`], as all prices here. Documented as four bytes in a field of eight;
        /// the Python SDK reads eight.
        pub last_price: i64,
    }

    /// Bytes 51 to 123.
    #[derive(Clone, Copy, Debug, PartialEq)]
    pub struct Quote {
        /// Quantity of the last trade.
        pub last_quantity: i64,
        /// Average price of the day.
        pub average_price: i64,
        /// Volume of the day.
        pub volume: i64,
        /// Resting buy quantity, a whole number in a floating-point field.
        pub total_buy_quantity: f64,
        /// Resting sell quantity.
        pub total_sell_quantity: f64,
        /// First price of the day.
        pub open: i64,
        /// Highest price of the day.
        pub high: i64,
        /// Lowest price of the day.
        pub low: i64,
        /// Close of the previous day.
        pub close: i64,
    }

    /// Bytes 123 to 379.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Snap {
        /// Seconds since the Unix epoch on the live feed; the documents do not name the unit.
        pub last_trade_time: i64,
        /// Open interest.
        pub oi: i64,
        /// Documented as a dummy: garbage. Here as the integer that the Python SDK makes of it.
        pub oi_change: i64,
        /// Documented as five buys and five sells, best first. The flag of each decides, not its place.
        pub best_five: [Record; 10],
        /// Highest price allowed today.
        pub upper_circuit: i64,
        /// Lowest price allowed today.
        pub lower_circuit: i64,
        /// Highest price of 52 weeks.
        pub year_high: i64,
        /// Lowest price of 52 weeks; 0 for young derivatives.
        pub year_low: i64,
    }

    /// A level of [`Snap`], 20 bytes.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Record {
        /// 1 is buy, 0 is sell: documents, Java SDK, and live packets agree. An issue against the Python SDK
        /// that says the contrary is wrong.
        pub flag: u16,
        /// Quantity.
        pub quantity: i64,
        /// Price.
        pub price: i64,
        /// Number of orders.
        pub orders: u16,
    }

    /// Bytes 27 to 443 of mode 4.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Depth {
        /// Milliseconds since the Unix epoch. The Python SDK reads the next field instead.
        pub exchange_time_ms: i64,
        /// Documented as a dummy.
        pub received_time_ms: i64,
        /// Bids, best first.
        pub buy: [Row; 20],
        /// Asks, best first.
        pub sell: [Row; 20],
    }

    /// A level of [`Depth`], 10 bytes.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Row {
        /// Quantity.
        pub quantity: i32,
        /// Price.
        pub price: i32,
        /// Number of orders.
        pub orders: i16,
    }
}

impl Packet {
    /// Reads a message.
    ///
    /// # Errors
    /// [`WireError`]. Nothing of a damaged packet is kept.
    pub fn parse(message: &[u8]) -> Result<Self, WireError> {
        let ([mode, segment], rest) = message.split_first_chunk().ok_or(WireError::Truncated)?;
        let length = match mode {
            1 => LTP_BYTES,
            2 => QUOTE_BYTES,
            3 => SNAP_BYTES,
            4 => DEPTH_BYTES,
            _ => return Err(WireError::UnknownMode),
        };
        if message.len() < length {
            return Err(WireError::Truncated);
        }
        let segment = Segment::from_code(*segment).ok_or(WireError::UnknownSegment)?;
        let (token, mut rest) = rest.split_first_chunk().ok_or(WireError::Truncated)?;
        let token = Token::from_padded(*token).ok_or(WireError::NoToken)?;
        let (key, bytes) = (Key { segment, token }, &mut rest);
        // Each is written once, where it stays: the longest body would be copied of all of them.
        match mode {
            1 => Ok(Self { key, body: Body::Ltp(take(bytes)?) }),
            2 => Ok(Self { key, body: Body::Quote(take(bytes)?, take(bytes)?) }),
            3 => Ok(Self { key, body: Body::Snap(take(bytes)?, take(bytes)?, take(bytes)?) }),
            _ => Ok(Self { key, body: Body::Depth(take(bytes)?) }),
        }
    }
}

#[inline]
fn take<T: Packed>(bytes: &mut &[u8]) -> Result<T, WireError> {
    T::take(bytes).ok_or(WireError::Truncated)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layouts_are_as_long_as_the_packets_that_they_fill() {
        const HEAD: usize = 2 + Token::BYTES;
        let [ltp, quote, snap] = [Trade::BYTES, Quote::BYTES, Snap::BYTES];
        assert_eq!(
            [HEAD + ltp, HEAD + ltp + quote, HEAD + ltp + quote + snap, HEAD + Depth::BYTES],
            [LTP_BYTES, QUOTE_BYTES, SNAP_BYTES, DEPTH_BYTES]
        );
    }
}
