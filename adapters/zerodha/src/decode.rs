//! From the broker's bytes to ticks. Pure: no clock, no connection, no allocation, and no input that makes it panic.
//!
//! Facts are those of the broker's documents ("WebSocket streaming", packet structure) and of the decoder in its Python
//! package (`kiteconnect` 5.2.2, `KiteTicker._parse_binary`), which wins where they differ: numbers are unsigned, and
//! three segments have more decimal places than two. A message is big-endian:
//!
//! ```text
//! u16 packets, then for each: u16 length, and so many bytes
//! ```
//!
//! The length alone says what a packet is.

use adapter_sdk::{Level, Price, Tick};

/// Nanoseconds in a second: the broker's times are in seconds since the Unix epoch, UTC.
const NANOS: u64 = 1_000_000_000;

/// Levels on each side of a book.
pub const LEVELS: usize = 5;

/// Bytes of a level: quantity, price, orders, and two that mean nothing.
const LEVEL_BYTES: usize = 12;

/// Where the bids begin, and where the asks do.
const SIDES: [usize; 2] = [64, 124];

/// What a packet is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// 8 bytes: last price, of anything.
    Ltp,
    /// 28 bytes: an index in mode quote.
    IndexQuote,
    /// 32 bytes: an index in mode full, which adds the time.
    IndexFull,
    /// 44 bytes: what can be traded, in mode quote. It has neither a time nor open interest.
    Quote,
    /// 184 bytes: what can be traded, in mode full.
    Full,
}

impl Kind {
    const fn of_length(bytes: usize) -> Option<Self> {
        Some(match bytes {
            8 => Self::Ltp,
            28 => Self::IndexQuote,
            32 => Self::IndexFull,
            44 => Self::Quote,
            184 => Self::Full,
            _ => return None,
        })
    }
}

/// What is wrong with a part of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The message ends within a packet, or before as many packets as it announced.
    #[error("the message is cut off")]
    Truncated,
    /// A packet of a length that no kind has. What follows it is fine.
    #[error("a packet of {bytes} bytes, which is no kind that is known")]
    UnknownLength {
        /// Its length.
        bytes: usize,
    },
}

/// The packets of a binary message, in order. Bytes after the last one are ignored, as the broker's own package does. A
/// message that is cut off gives what was whole, one error, and then ends.
#[derive(Clone, Debug)]
pub struct Packets<'a> {
    rest: &'a [u8],
    left: u16,
    is_cut: bool,
}

impl<'a> Packets<'a> {
    /// Begins to read. A message of one byte is a heartbeat, and has no packets; neither has an empty one.
    pub fn new(message: &'a [u8]) -> Self {
        match message.split_first_chunk() {
            Some((count, rest)) => Self { rest, left: u16::from_be_bytes(*count), is_cut: false },
            None => Self { rest: &[], left: 0, is_cut: false },
        }
    }

    fn split(&mut self) -> Option<&'a [u8]> {
        let (length, rest) = self.rest.split_first_chunk()?;
        let (packet, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        self.rest = rest;
        Some(packet)
    }
}

impl<'a> Iterator for Packets<'a> {
    type Item = Result<Packet<'a>, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 || self.is_cut {
            return None;
        }
        self.left -= 1;
        let Some(bytes) = self.split() else {
            self.is_cut = true;
            return Some(Err(DecodeError::Truncated));
        };
        let packet = Kind::of_length(bytes.len()).map(|kind| Packet { kind, bytes });
        Some(packet.ok_or(DecodeError::UnknownLength { bytes: bytes.len() }))
    }
}

/// A packet, still in the broker's bytes, whose length fits its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    kind: Kind,
    bytes: &'a [u8],
}

impl Packet<'_> {
    /// What it is.
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// The broker's number of the instrument.
    pub fn token(&self) -> u32 {
        self.word(0)
    }

    /// Its last price, if there is one yet.
    pub fn last_price(&self) -> Option<Price> {
        (self.word(4) > 0).then(|| self.price(4))
    }

    /// Its values under the number that the instrument is subscribed with. What the kind has no place for is absent, and
    /// so are a last price and times of 0, by which the broker means that there is none yet. Other zeros are the
    /// broker's word: before the first trade of a day its open is 0.
    pub fn tick(&self, instrument: u32) -> Tick {
        let tick = Tick::new(instrument);
        let tick = self.last_price().map_or(tick, |price| tick.ltp(price));
        match self.kind {
            Kind::Ltp => tick,
            // The change at 24 is left to those who know whether it is absolute: the broker's package ignores it too.
            Kind::IndexQuote => self.index(tick),
            Kind::IndexFull => self.exchange_time(self.index(tick), 28),
            Kind::Quote => self.quote(tick),
            Kind::Full => {
                let tick = self.quote(tick).oi(self.count(48)).oi_high(self.count(52)).oi_low(self.count(56));
                let tick = match self.word(44) {
                    0 => tick,
                    seconds => tick.last_trade_ts_ns(u64::from(seconds) * NANOS),
                };
                self.exchange_time(tick, 60)
            }
        }
    }

    /// The book, without the rows of zeros that the broker fills it up with; None when the kind has none.
    pub fn book(&self) -> Option<Book> {
        if self.kind != Kind::Full {
            return None;
        }
        let [buy, sell] = SIDES.map(|start| self.side(start));
        Some(Book { buy, sell })
    }

    /// Indices have high and low before open and close.
    fn index(&self, tick: Tick) -> Tick {
        tick.high(self.price(8)).low(self.price(12)).open(self.price(16)).close(self.price(20))
    }

    fn quote(&self, tick: Tick) -> Tick {
        tick.last_quantity(self.count(8))
            .average_price(self.price(12))
            .volume(self.count(16))
            .total_buy_quantity(self.count(20))
            .total_sell_quantity(self.count(24))
            .open(self.price(28))
            .high(self.price(32))
            .low(self.price(36))
            .close(self.price(40))
    }

    fn exchange_time(&self, tick: Tick, place: usize) -> Tick {
        match self.word(place) {
            0 => tick,
            seconds => tick.exchange_ts_ns(u64::from(seconds) * NANOS),
        }
    }

    fn side(&self, start: usize) -> Side {
        let mut side = Side { rows: [NO_LEVEL; LEVELS], length: 0 };
        for place in (start..).step_by(LEVEL_BYTES).take(LEVELS) {
            // A row with a quantity and no price is an order at the market, before the opening.
            if self.word(place) == 0 && self.word(place + 4) == 0 {
                continue;
            }
            if let Some(row) = side.rows.get_mut(side.length) {
                *row = Level {
                    price: self.price(place + 4),
                    quantity: self.count(place),
                    orders: Some(u32::from(u16::from_be_bytes(self.at(place + 8)))),
                };
                side.length += 1;
            }
        }
        side
    }

    fn price(&self, place: usize) -> Price {
        // Ten digits and seven more fit into a price.
        Price::from_scaled(i64::from(self.word(place)), decimals(self.token())).unwrap_or_default()
    }

    fn count(&self, place: usize) -> i64 {
        i64::from(self.word(place))
    }

    fn word(&self, place: usize) -> u32 {
        u32::from_be_bytes(self.at(place))
    }

    fn at<const N: usize>(&self, place: usize) -> [u8; N] {
        // Places are those of the kind, whose length was checked.
        self.bytes.get(place..).and_then(|bytes| bytes.first_chunk()).copied().unwrap_or([0; N])
    }
}

/// A book of at most [`LEVELS`] levels on each side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Book {
    buy: Side,
    sell: Side,
}

impl Book {
    /// Bids, best first.
    pub fn buy(&self) -> &[Level] {
        self.buy.levels()
    }

    /// Asks, best first.
    pub fn sell(&self) -> &[Level] {
        self.sell.levels()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Side {
    rows: [Level; LEVELS],
    length: usize,
}

const NO_LEVEL: Level = Level { price: Price::from_nanos(0), quantity: 0, orders: None };

impl Side {
    fn levels(&self) -> &[Level] {
        self.rows.get(..self.length).unwrap_or_default()
    }
}

/// Whether a token is an index: it is not traded, and has no book.
pub const fn is_index(token: u32) -> bool {
    segment(token) == 9
}

/// Decimal places of an instrument's prices, by its segment. Those of the exchanges' currencies and of NSE's commodities
/// are from the broker's Python package 5.2.2; the documents know 7 for NSE's currencies and 2 for the rest.
pub const fn decimals(token: u32) -> u32 {
    match segment(token) {
        // CDS.
        3 => 7,
        // BCD, NCO.
        6 | 12 => 4,
        // NSE, NFO, BSE, BFO, MCX, indices.
        _ => 2,
    }
}

const fn segment(token: u32) -> u32 {
    token & 0xff
}
