//! Messages of the socket of fifty levels: protocol buffers, read in place. Pure, without allocation; nesting is that of
//! the messages and no deeper, and every message is read to its end before any of it counts.

use std::fmt;

/// A key and a value of a message.
type Field<'a> = (u32, Value<'a>);

/// Why a message makes no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TbtError {
    /// It ends within something.
    #[error("a message that is cut off")]
    CutOff,
    /// A number of more than 64 bits, or of more than its field can have.
    #[error("a number that is too large")]
    TooLarge,
    /// A field of a kind that its number does not have, or that does not exist.
    #[error("field {0} is of another kind")]
    Kind(u32),
    /// Text that is none.
    #[error("a text that is no UTF-8")]
    Text,
}

/// A message.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SocketMessage<'a> {
    /// Whether its feeds are whole books.
    pub is_snapshot: bool,
    /// Whether it is an error; then `message` says what is wrong, and there are no feeds to be taken.
    pub is_error: bool,
    /// Words.
    pub message: &'a str,
    bytes: &'a [u8],
}

impl fmt::Debug for SocketMessage<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SocketMessage")
            .field("is_snapshot", &self.is_snapshot)
            .field("is_error", &self.is_error)
            .finish_non_exhaustive()
    }
}

impl<'a> SocketMessage<'a> {
    /// Reads a message to its end.
    ///
    /// # Errors
    /// When anything in it makes no sense.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, TbtError> {
        let mut message = Self { is_snapshot: false, is_error: false, message: "", bytes };
        let mut fields = Fields(bytes);
        while let Some((number, value)) = fields.next()? {
            match number {
                1 => drop(value.number(number)?),
                2 => {
                    if let Some(feed) = entry(value.bytes(number)?)? {
                        feed.levels().try_for_each(|level| level.map(drop))?;
                    }
                }
                3 => message.is_snapshot = value.number(number)? != 0,
                4 => message.message = value.text(number)?,
                5 => message.is_error = value.number(number)? != 0,
                _ => {}
            }
        }
        Ok(message)
    }

    /// Its feeds, in the order in which they stand there.
    pub fn feeds(&self) -> impl Iterator<Item = MarketFeed<'a>> {
        let mut fields = Fields(self.bytes);
        // The message was read to its end before.
        std::iter::from_fn(move || {
            loop {
                match fields.next() {
                    Ok(Some((2, Value::Bytes(bytes)))) => {
                        if let Ok(Some(feed)) = entry(bytes) {
                            return Some(feed);
                        }
                    }
                    Ok(Some(_)) => {}
                    Ok(None) | Err(_) => return None,
                }
            }
        })
    }
}

/// An entry of a map: 1 is the key, a token that nobody needs, and 2 the feed.
fn entry(bytes: &[u8]) -> Result<Option<MarketFeed<'_>>, TbtError> {
    let (mut fields, mut feed) = (Fields(bytes), None);
    while let Some((number, value)) = fields.next()? {
        match number {
            1 => drop(value.text(number)?),
            2 => feed = Some(MarketFeed::parse(value.bytes(number)?)?),
            _ => {}
        }
    }
    Ok(feed)
}

/// What is new of a symbol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct MarketFeed<'a> {
    /// The broker's symbol, such as `NSE:NIFTY26SEPFUT`.
    pub ticker: &'a str,
    /// Number of the change. The next one of the symbol is one more.
    pub sequence: u64,
    /// The exchange's time, as the broker writes it.
    pub feed_time: Option<u64>,
    /// When the broker sent it, as it writes it.
    pub send_time: Option<u64>,
    /// Whether there is something of a book.
    pub has_depth: bool,
    /// Quantity of all bids.
    pub total_buy: Option<u64>,
    /// Quantity of all asks.
    pub total_sell: Option<u64>,
    depth: &'a [u8],
}

impl<'a> MarketFeed<'a> {
    fn parse(bytes: &'a [u8]) -> Result<Self, TbtError> {
        let (mut fields, mut feed) = (Fields(bytes), Self::default());
        while let Some((number, value)) = fields.next()? {
            match number {
                5 => {
                    feed.has_depth = true;
                    feed.depth = value.bytes(number)?;
                }
                6 => feed.feed_time = Some(wrapped(value.bytes(number)?)?),
                7 => feed.send_time = Some(wrapped(value.bytes(number)?)?),
                9 => feed.sequence = value.number(number)?,
                11 => feed.ticker = value.text(number)?,
                // Quotes, which this adapter has from the other socket, a token, and a flag that the message has too.
                1..=4 | 8 | 12 => drop(value.bytes(number)?),
                10 => drop(value.number(number)?),
                _ => {}
            }
        }
        let mut fields = Fields(feed.depth);
        while let Some((number, value)) = fields.next()? {
            match number {
                1 => feed.total_buy = Some(wrapped(value.bytes(number)?)?),
                2 => feed.total_sell = Some(wrapped(value.bytes(number)?)?),
                _ => {}
            }
        }
        Ok(feed)
    }

    /// Rows of its book that have changed.
    pub const fn levels(&self) -> Levels<'a> {
        Levels(Fields(self.depth))
    }
}

/// Rows that have changed.
#[derive(Clone, Debug)]
pub struct Levels<'a>(Fields<'a>);

impl Iterator for Levels<'_> {
    /// Whether it is a bid, and the row.
    type Item = Result<(bool, MarketLevel), TbtError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (number, value) = match self.0.next() {
                Ok(field) => field?,
                Err(error) => return Some(self.end(error)),
            };
            if matches!(number, 3 | 4) {
                let level = value.bytes(number).and_then(MarketLevel::parse);
                return Some(level.map(|level| (number == 4, level)).or_else(|error| self.end(error)));
            }
        }
    }
}

impl Levels<'_> {
    /// After an error nobody knows where the next row begins.
    const fn end<T>(&mut self, error: TbtError) -> Result<T, TbtError> {
        self.0 = Fields(&[]);
        Err(error)
    }
}

/// A row: what is not there has not changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct MarketLevel {
    /// In hundredths.
    pub price: Option<i64>,
    /// Quantity.
    pub quantity: Option<u32>,
    /// Orders.
    pub orders: Option<u32>,
    /// Which row, 0 for the best.
    pub row: Option<u32>,
}

impl MarketLevel {
    fn parse(bytes: &[u8]) -> Result<Self, TbtError> {
        let (mut fields, mut level) = (Fields(bytes), Self::default());
        let small = |bytes| u32::try_from(wrapped(bytes)?).map_err(|_| TbtError::TooLarge);
        while let Some((number, value)) = fields.next()? {
            match number {
                1 => level.price = Some(wrapped(value.bytes(number)?)?.cast_signed()),
                2 => level.quantity = Some(small(value.bytes(number)?)?),
                3 => level.orders = Some(small(value.bytes(number)?)?),
                4 => level.row = Some(small(value.bytes(number)?)?),
                _ => {}
            }
        }
        Ok(level)
    }
}

/// A number in a message of its own, so that zero differs from nothing.
fn wrapped(bytes: &[u8]) -> Result<u64, TbtError> {
    let (mut fields, mut wrapped) = (Fields(bytes), 0);
    while let Some((number, value)) = fields.next()? {
        if number == 1 {
            wrapped = value.number(number)?;
        }
    }
    Ok(wrapped)
}

/// What a field has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    /// Numbers of a fixed length, which these messages do not have.
    Fixed,
}

impl<'a> Value<'a> {
    const fn number(self, field: u32) -> Result<u64, TbtError> {
        match self {
            Self::Number(number) => Ok(number),
            Self::Bytes(_) | Self::Fixed => Err(TbtError::Kind(field)),
        }
    }

    const fn bytes(self, field: u32) -> Result<&'a [u8], TbtError> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            Self::Number(_) | Self::Fixed => Err(TbtError::Kind(field)),
        }
    }

    fn text(self, field: u32) -> Result<&'a str, TbtError> {
        std::str::from_utf8(self.bytes(field)?).map_err(|_| TbtError::Text)
    }
}

/// What is left of a message.
#[derive(Clone, Copy, Debug)]
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn next(&mut self) -> Result<Option<Field<'a>>, TbtError> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let tag = self.varint()?;
        let number = u32::try_from(tag >> 3).map_err(|_| TbtError::TooLarge)?;
        let value = match tag & 7 {
            0 => Value::Number(self.varint()?),
            1 => self.take(8).map(|_| Value::Fixed)?,
            2 => {
                let length = self.varint()?;
                Value::Bytes(self.take(usize::try_from(length).map_err(|_| TbtError::CutOff)?)?)
            }
            5 => self.take(4).map(|_| Value::Fixed)?,
            _ => return Err(TbtError::Kind(number)),
        };
        if number == 0 {
            return Err(TbtError::Kind(0));
        }
        Ok(Some((number, value)))
    }

    fn varint(&mut self) -> Result<u64, TbtError> {
        let mut number = 0;
        for place in 0..10 {
            let (byte, rest) = self.0.split_first().ok_or(TbtError::CutOff)?;
            self.0 = rest;
            let part = u64::from(byte & 0x7f);
            if place == 9 && part > 1 {
                return Err(TbtError::TooLarge);
            }
            number |= part << (7 * place);
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(TbtError::TooLarge)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], TbtError> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(TbtError::CutOff)?;
        self.0 = rest;
        Ok(taken)
    }
}
