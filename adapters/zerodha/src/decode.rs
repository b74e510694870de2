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

use adapter_sdk::{
    Level, Price, Tick,
    read::{self, Sign},
};

/// Levels on each side of a book.
pub const LEVELS: usize = 5;

/// A book of the broker's.
pub type Book = adapter_sdk::Book<LEVELS>;

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
        Some(Packet::of(bytes).ok_or(DecodeError::UnknownLength { bytes: bytes.len() }))
    }
}

/// A packet, still in the broker's bytes, whose length fits its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    kind: Kind,
    scale: Option<Scale>,
    bytes: &'a [u8],
}

impl<'a> Packet<'a> {
    fn of(bytes: &'a [u8]) -> Option<Self> {
        let packet = Self { kind: Kind::of_length(bytes.len())?, scale: None, bytes };
        Some(Self { scale: Scale::of_token(packet.token()), ..packet })
    }

    /// What its prices are worth. None for a token of a segment that nobody knows: without [`Self::scaled`] the packet has
    /// no prices.
    pub const fn scale(&self) -> Option<Scale> {
        self.scale
    }

    /// The same packet with prices that are worth this.
    #[must_use]
    pub const fn scaled(self, scale: Scale) -> Self {
        Self { scale: Some(scale), ..self }
    }

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
        self.price(4)
    }

    /// Its values under the number that the instrument is subscribed with. What the kind has no place for is absent, and
    /// so is what the broker has only a word for: a price, a time or a last quantity of 0, and the numbers that
    /// [`adapter_sdk::read`] takes for "none". A volume or a total of 0 is one, before the opening too. Open interest of 0
    /// is none where the broker knows no highest of the day either: it has not come yet, or the instrument is a share.
    pub fn tick(&self, instrument: u32) -> Tick {
        let tick = self.with(Tick::new(instrument), 4, Tick::ltp);
        match self.kind {
            Kind::Ltp => tick,
            // The change at 24 is left to those who know whether it is absolute: the broker's package ignores it too.
            Kind::IndexQuote => self.index(tick),
            Kind::IndexFull => self.time(self.index(tick), 28, Tick::exchange_ts_ns),
            Kind::Quote => self.quote(tick),
            Kind::Full => {
                let tick = self.interest(self.quote(tick));
                self.time(self.time(tick, 44, Tick::last_trade_ts_ns), 60, Tick::exchange_ts_ns)
            }
        }
    }

    /// The book, without the rows of zeros that the broker fills it up with, and without those of orders at the market,
    /// which have no price before the opening; None when the kind has none.
    pub fn book(&self) -> Option<Book> {
        if self.kind != Kind::Full {
            return None;
        }
        let mut book = Book::new();
        let [buy, sell] = SIDES;
        self.levels(buy).for_each(|level| book.push_buy(level));
        self.levels(sell).for_each(|level| book.push_sell(level));
        Some(book)
    }

    /// Indices have high and low before open and close.
    fn index(&self, tick: Tick) -> Tick {
        self.prices(tick, [(8, Tick::high), (12, Tick::low), (16, Tick::open), (20, Tick::close)])
    }

    fn quote(&self, tick: Tick) -> Tick {
        let tick = self.prices(
            tick,
            [
                (12, Tick::average_price),
                (28, Tick::open),
                (32, Tick::high),
                (36, Tick::low),
                (40, Tick::close),
            ],
        );
        let tick = if self.word(8) == 0 { tick } else { self.count(tick, 8, Tick::last_quantity) };
        let tick = self.count(tick, 16, Tick::volume);
        let tick = self.count(tick, 20, Tick::total_buy_quantity);
        self.count(tick, 24, Tick::total_sell_quantity)
    }

    fn interest(&self, tick: Tick) -> Tick {
        if self.word(48) == 0 && self.word(52) == 0 {
            return tick;
        }
        let tick = self.count(tick, 48, Tick::oi);
        self.count(self.count(tick, 52, Tick::oi_high), 56, Tick::oi_low)
    }

    fn levels(&self, start: usize) -> impl Iterator<Item = Level> {
        (start..).step_by(LEVEL_BYTES).take(LEVELS).filter_map(|place| {
            Some(Level {
                price: self.price(place + 4)?,
                quantity: read::quantity(self.word(place).into())?,
                orders: Some(u16::from_be_bytes(self.at(place + 8)).into()),
            })
        })
    }

    fn prices<const N: usize>(&self, tick: Tick, prices: [(usize, fn(Tick, Price) -> Tick); N]) -> Tick {
        prices.into_iter().fold(tick, |tick, (place, set)| self.with(tick, place, set))
    }

    #[inline]
    fn with(&self, tick: Tick, place: usize, set: fn(Tick, Price) -> Tick) -> Tick {
        self.price(place).map_or(tick, |price| set(tick, price))
    }

    #[inline]
    fn count(&self, tick: Tick, place: usize, set: fn(Tick, i64) -> Tick) -> Tick {
        read::quantity(self.word(place).into()).map_or(tick, |count| set(tick, count))
    }

    #[inline]
    fn time(&self, tick: Tick, place: usize, set: fn(Tick, u64) -> Tick) -> Tick {
        read::seconds(self.word(place).into()).map_or(tick, |at| set(tick, at))
    }

    #[inline]
    fn price(&self, place: usize) -> Option<Price> {
        self.scale.and_then(|scale| scale.price(self.word(place)))
    }

    fn word(&self, place: usize) -> u32 {
        u32::from_be_bytes(self.at(place))
    }

    fn at<const N: usize>(&self, place: usize) -> [u8; N] {
        // Places are those of the kind, whose length was checked.
        self.bytes.get(place..).and_then(|bytes| bytes.first_chunk()).copied().unwrap_or([0; N])
    }
}

/// Whether a token is an index: it is not traded, and has no book.
pub const fn is_index(token: u32) -> bool {
    segment(token) == 9
}

/// What the integers of an instrument's prices are worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Scale {
    decimals: u32,
    sign: Sign,
}

impl Scale {
    const PAISE: Self = Self { decimals: 2, sign: Sign::Positive };
    const COMMODITIES: Self = Self { decimals: 2, sign: Sign::Either };
    const NSE_CURRENCIES: Self = Self { decimals: 7, sign: Sign::Positive };
    const FINE: Self = Self { decimals: 4, sign: Sign::Positive };

    /// By the segment that a token has in its last byte. The decimal places of the exchanges' currencies and of NSE's
    /// commodities are from the broker's Python package 5.2.2; the documents know 7 for NSE's currencies and 2 for the
    /// rest. None for a segment that neither knows: to guess two would show prices a hundred times too high.
    pub const fn of_token(token: u32) -> Option<Self> {
        Some(match segment(token) {
            // NSE, NFO, BSE, BFO, indices.
            1 | 2 | 4 | 5 | 9 => Self::PAISE,
            // MCX, and the exchange that was called MCX-SX.
            7 | 8 => Self::COMMODITIES,
            // CDS.
            3 => Self::NSE_CURRENCIES,
            // BCD, NCO.
            6 | 12 => Self::FINE,
            _ => return None,
        })
    }

    /// By the exchange that the list of instruments has for it, in OpenAlgo's words.
    pub fn of_exchange(exchange: &str) -> Option<Self> {
        Some(match exchange {
            "NSE" | "NFO" | "BSE" | "BFO" => Self::PAISE,
            index if index.ends_with("_INDEX") => Self::PAISE,
            "MCX" => Self::COMMODITIES,
            "CDS" => Self::NSE_CURRENCIES,
            "BCD" | "NCO" => Self::FINE,
            _ => return None,
        })
    }

    /// The documents call prices signed, the packages read them as unsigned. With two decimals none that is honest is in
    /// the upper half but those below zero. With more some are: silver of NSE's commodities may cost 2,50,000.
    #[inline]
    const fn price(self, raw: u32) -> Option<Price> {
        /// From here on it may be either, and is left out.
        const AMBIGUOUS_FROM: u32 = 0xf000_0000;
        let raw = match self.decimals {
            2 => raw.cast_signed() as i64,
            _ if raw >= AMBIGUOUS_FROM => return None,
            _ => raw as i64,
        };
        read::scaled(raw, self.decimals, self.sign)
    }
}

const fn segment(token: u32) -> u32 {
    token & 0xff
}

#[cfg(test)]
mod tests;
