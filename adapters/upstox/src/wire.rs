//! The broker's messages in protocol buffers, read in place: nothing is allocated, and what is damaged costs
//! itself. The format leaves out what is zero, so zero and nothing are the same here.

mod feed;

use adapter_sdk::read::protobuf::{Error, Fields, Value};

pub use self::feed::{Branch, Day, Feed, Greeks, LEVELS, Ltpc, Quote};

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// What is known of instruments that were subscribed just now.
    Initial,
    /// What has changed.
    Live,
    /// What the segments of the market are doing.
    Market,
    /// A kind that is not known.
    Other,
}

/// A message, of which nothing is read yet but where its parts begin and end.
#[derive(Clone, Copy, Debug)]
pub struct Response<'a> {
    /// What it is.
    pub kind: Kind,
    /// The broker's clock, in milliseconds since the Unix epoch; 0 where it does not say.
    pub at: i64,
    message: &'a [u8],
}

impl<'a> Response<'a> {
    /// Reads a message.
    ///
    /// # Errors
    /// When it is none. Nothing of it counts then.
    pub fn read(message: &'a [u8]) -> Result<Self, Error> {
        let (mut fields, mut kind, mut at) = (Fields::of(message), 0, 0);
        while let Some((number, value)) = fields.next()? {
            match number {
                1 => kind = value.number(number)?,
                2 | 4 => _ = value.bytes(number)?,
                3 => at = value.number(number)?.cast_signed(),
                _ => {}
            }
        }
        let kind = match kind {
            0 => Kind::Initial,
            1 => Kind::Live,
            2 => Kind::Market,
            _ => Kind::Other,
        };
        Ok(Self { kind, at, message })
    }

    /// Reads the instruments of the message one after the other into `feed`, and gives each with its key to
    /// `take`. One that makes no sense costs itself.
    pub fn feeds(&self, feed: &mut Feed, mut take: impl FnMut(Result<(&'a str, &Feed), Error>)) {
        let mut fields = Fields::of(self.message);
        // It was read to its end before.
        while let Ok(Some((number, value))) = fields.next() {
            if number == 2 {
                take(value.bytes(number).and_then(|entry| {
                    let (key, value) = entry_of(entry)?;
                    feed.read(value.map_or(Ok(&[][..]), |value| value.bytes(2))?)?;
                    Ok((key, &*feed))
                }));
            }
        }
    }

    /// What the segments of the market are doing: each with the number of its status, [`STATUSES`].
    pub fn segments(&self, mut take: impl FnMut(Result<(&'a str, u64), Error>)) {
        let mut fields = Fields::of(self.message);
        while let Ok(Some((number, value))) = fields.next() {
            if number == 4
                && let Err(error) = value.bytes(number).and_then(|info| segments_of(info, &mut take))
            {
                take(Err(error));
            }
        }
    }
}

/// What a segment of the market can be doing, by number.
pub const STATUSES: [&str; 6] =
    ["PRE_OPEN_START", "PRE_OPEN_END", "NORMAL_OPEN", "NORMAL_CLOSE", "CLOSING_START", "CLOSING_END"];

fn segments_of<'a>(
    info: &'a [u8],
    take: &mut impl FnMut(Result<(&'a str, u64), Error>),
) -> Result<(), Error> {
    let mut fields = Fields::of(info);
    while let Some((number, value)) = fields.next()? {
        if number == 1 {
            let (segment, status) = entry_of(value.bytes(number)?)?;
            take(Ok((segment, status.map_or(Ok(0), |status| status.number(2))?)));
        }
    }
    Ok(())
}

/// Key and value of an entry of a map.
fn entry_of(entry: &[u8]) -> Result<(&str, Option<Value<'_>>), Error> {
    let (mut fields, mut key, mut of_key) = (Fields::of(entry), "", None);
    while let Some((number, value)) = fields.next()? {
        match number {
            1 => key = value.text(number)?,
            2 => of_key = Some(value),
            _ => {}
        }
    }
    Ok((key, of_key))
}
