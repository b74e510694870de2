//! Messages of the socket of fifty levels: protocol buffers, read in place. Pure, without allocation; nesting
//! is that of the messages and no deeper, and every message is read to its end before any of it counts.

/// Why a message makes no sense.
pub use adapter_sdk::read::protobuf::Error as TbtError;
use adapter_sdk::read::protobuf::{Fields, Value};

/// A message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocketMessage<'a> {
    /// Whether its feeds are whole books.
    pub is_snapshot: bool,
    /// Whether it is an error; then `message` says what is wrong, and there are no feeds to be taken.
    pub is_error: bool,
    /// Words.
    pub message: &'a str,
    bytes: &'a [u8],
}

impl<'a> SocketMessage<'a> {
    /// Reads a message to its end.
    ///
    /// # Errors
    /// When anything in it makes no sense.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, TbtError> {
        let mut message = Self { is_snapshot: false, is_error: false, message: "", bytes };
        let mut fields = Fields::of(bytes);
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
        // The message was read to its end before.
        fields(self.bytes).filter_map(|field| match field {
            Ok((2, value)) => entry(value.bytes(2).ok()?).ok()?,
            _ => None,
        })
    }
}

/// The fields of a message, until one makes no sense: nobody knows where the next one begins then.
fn fields(bytes: &[u8]) -> impl Iterator<Item = Result<(u32, Value<'_>), TbtError>> {
    let mut fields = Fields::of(bytes);
    std::iter::from_fn(move || {
        let field = fields.next().transpose()?;
        if field.is_err() {
            fields = Fields::of(&[]);
        }
        Some(field)
    })
}

/// An entry of a map: 1 is the key, a token that nobody needs, and 2 the feed.
fn entry(bytes: &[u8]) -> Result<Option<MarketFeed<'_>>, TbtError> {
    let (mut fields, mut feed) = (Fields::of(bytes), None);
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
        let (mut fields, mut feed) = (Fields::of(bytes), Self::default());
        while let Some((number, value)) = fields.next()? {
            match number {
                5 => {
                    feed.has_depth = true;
                    feed.depth = value.bytes(number)?;
                }
                6 => feed.feed_time = Some(value.wrapped(number)?),
                7 => feed.send_time = Some(value.wrapped(number)?),
                9 => feed.sequence = value.number(number)?,
                11 => feed.ticker = value.text(number)?,
                // Quotes, which this adapter has from the other socket, a token, and a flag that the message
                // has too.
                1..=4 | 8 | 12 => drop(value.bytes(number)?),
                10 => drop(value.number(number)?),
                _ => {}
            }
        }
        let mut fields = Fields::of(feed.depth);
        while let Some((number, value)) = fields.next()? {
            match number {
                1 => feed.total_buy = Some(value.wrapped(number)?),
                2 => feed.total_sell = Some(value.wrapped(number)?),
                _ => {}
            }
        }
        Ok(feed)
    }

    /// Rows of its book that have changed, each with whether it is a bid.
    pub fn levels(&self) -> impl Iterator<Item = Result<(bool, MarketLevel), TbtError>> + use<'a> {
        fields(self.depth).filter_map(|field| match field {
            Ok((side @ (3 | 4), value)) => {
                Some(value.bytes(side).and_then(MarketLevel::parse).map(|level| (side == 4, level)))
            }
            Ok(_) => None,
            Err(error) => Some(Err(error)),
        })
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
        let (mut fields, mut level) = (Fields::of(bytes), Self::default());
        while let Some((number, value)) = fields.next()? {
            match number {
                1 => level.price = Some(value.wrapped(number)?.cast_signed()),
                2 => level.quantity = Some(value.wrapped_small(number)?),
                3 => level.orders = Some(value.wrapped_small(number)?),
                4 => level.row = Some(value.wrapped_small(number)?),
                _ => {}
            }
        }
        Ok(level)
    }
}
