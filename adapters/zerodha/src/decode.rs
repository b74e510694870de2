//! From the broker's bytes to ticks. Pure: no clock, no connection, no allocation, and no input that makes it
//! panic.
//!
//! Facts are those of the broker's documents ("WebSocket streaming", packet structure) and of the decoder in
//! its Python package (`kiteconnect` 5.2.2, `KiteTicker._parse_binary`), which wins where they differ:
//! numbers are unsigned, and three segments have more decimal places than two. A message is big-endian:
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

/// What a packet is, by its length in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// Last price, of anything.
    Ltp = 8,
    /// An index in mode quote.
    IndexQuote = 28,
    /// An index in mode full, which adds the time.
    IndexFull = 32,
    /// What can be traded, in mode quote. It has neither a time nor open interest.
    Quote = 44,
    /// What can be traded, in mode full.
    Full = 184,
}

impl Kind {
    const ALL: [Self; 5] = [Self::Ltp, Self::IndexQuote, Self::IndexFull, Self::Quote, Self::Full];

    fn of_length(bytes: usize) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as usize == bytes)
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

/// The packets of a binary message, in order. Bytes after the last one are ignored, as the broker's own
/// package does. A message that is cut off gives what was whole, one error, and then ends.
#[derive(Clone, Debug)]
pub struct Packets<'a> {
    rest: &'a [u8],
    left: u16,
}

impl<'a> Packets<'a> {
    /// Begins to read. A message of one byte is a heartbeat, and has no packets; neither has an empty one.
    pub fn new(message: &'a [u8]) -> Self {
        let (count, rest) = message.split_first_chunk().unwrap_or((&[0; 2], &[]));
        Self { rest, left: u16::from_be_bytes(*count) }
    }
}

impl<'a> Iterator for Packets<'a> {
    type Item = Result<Packet<'a>, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let length = self.rest.split_first_chunk().map(|(length, rest)| (u16::from_be_bytes(*length), rest));
        let Some((bytes, rest)) = length.and_then(|(length, rest)| rest.split_at_checked(length.into()))
        else {
            self.left = 0;
            return Some(Err(DecodeError::Truncated));
        };
        self.rest = rest;
        Some(Packet::of(bytes).ok_or(DecodeError::UnknownLength { bytes: bytes.len() }))
    }
}

/// A packet, still in the broker's bytes, whose length fits its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// What it is.
    pub kind: Kind,
    /// What its prices are worth. None for a token of a segment that nobody knows: such a packet has no
    /// prices.
    pub scale: Option<Scale>,
    bytes: &'a [u8],
}

impl<'a> Packet<'a> {
    fn of(bytes: &'a [u8]) -> Option<Self> {
        let packet = Self { kind: Kind::of_length(bytes.len())?, scale: None, bytes };
        Some(Self { scale: Scale::of_token(packet.token()), ..packet })
    }

    /// The broker's number of the instrument.
    pub fn token(&self) -> u32 {
        self.word(0)
    }

    /// Its last price, if there is one yet.
    pub fn last_price(&self) -> Option<Price> {
        self.price(4)
    }

    /// Its values under the number that the instrument is subscribed with. What the kind has no place for is
    /// absent, and so is what the broker has only a word for: a price, a time or a last quantity of 0, and
    /// the numbers that [`adapter_sdk::read`] takes for "none". A volume or a total of 0 is one, before the
    /// opening too. Open interest of 0 is none where the broker knows no highest of the day either: it has
    /// not come yet, or the instrument is a share.
    pub fn tick(&self, instrument: u32) -> Tick {
        let tick = Tick::new(instrument).with(self.price(4), Tick::ltp);
        match self.kind {
            Kind::Ltp => tick,
            // The change at 24 is left to those who know whether it is absolute: the broker's package ignores
            // it too.
            Kind::IndexQuote => self.index(tick),
            Kind::IndexFull => self.index(tick).with(self.time(28), Tick::exchange_ts_ns),
            Kind::Quote => self.quote(tick),
            Kind::Full => self
                .interest(self.quote(tick))
                .with(self.time(44), Tick::last_trade_ts_ns)
                .with(self.time(60), Tick::exchange_ts_ns),
        }
    }

    /// The book, without the rows of zeros that the broker fills it up with, and without those of orders at
    /// the market, which have no price before the opening; None when the kind has none.
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
        tick.with(self.price(8), Tick::high)
            .with(self.price(12), Tick::low)
            .with(self.price(16), Tick::open)
            .with(self.price(20), Tick::close)
    }

    fn quote(&self, tick: Tick) -> Tick {
        tick.with(self.count(8).filter(|quantity| *quantity > 0), Tick::last_quantity)
            .with(self.price(12), Tick::average_price)
            .with(self.count(16), Tick::volume)
            .with(self.count(20), Tick::total_buy_quantity)
            .with(self.count(24), Tick::total_sell_quantity)
            .with(self.price(28), Tick::open)
            .with(self.price(32), Tick::high)
            .with(self.price(36), Tick::low)
            .with(self.price(40), Tick::close)
    }

    fn interest(&self, tick: Tick) -> Tick {
        if self.word(48) == 0 && self.word(52) == 0 {
            return tick;
        }
        tick.with(self.count(48), Tick::oi)
            .with(self.count(52), Tick::oi_high)
            .with(self.count(56), Tick::oi_low)
    }

    fn levels(&self, start: usize) -> impl Iterator<Item = Level> {
        (start..).step_by(LEVEL_BYTES).take(LEVELS).filter_map(|place| {
            Some(Level {
                price: self.price(place + 4)?,
                quantity: self.count(place)?,
                orders: Some(u16::from_be_bytes(self.at(place + 8)).into()),
            })
        })
    }

    #[inline]
    fn count(&self, place: usize) -> Option<i64> {
        read::quantity(self.word(place).into())
    }

    #[inline]
    fn time(&self, place: usize) -> Option<u64> {
        read::seconds(self.word(place).into())
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

    /// By the segment that a token has in its last byte. The decimal places of the exchanges' currencies and
    /// of NSE's commodities are from the broker's Python package 5.2.2; the documents know 7 for NSE's
    /// currencies and 2 for the rest. None for a segment that neither knows: to guess two would show prices a
    /// hundred times too high.
    pub const fn of_token(token: u32) -> Option<Self> {
        Some(match token & 0xff {
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

    /// The documents call prices signed, the packages read them as unsigned. With two decimals none that is
    /// honest is in the upper half but those below zero. With more some are: silver of NSE's commodities may
    /// cost 2,50,000.
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

#[cfg(test)]
mod tests;
