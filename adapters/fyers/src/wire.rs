//! Frames of the data socket as the broker sends them: big-endian, the broker's integers. Pure: nothing is
//! remembered between two frames, and a frame that is cut off anywhere is an error, never a panic.

use adapter_sdk::read::{Bytes, CutOff};

/// No value: unchanged in an update, unknown in a snapshot. Zero is a value.
pub const ABSENT: i32 = i32::MIN;

/// Values in a lite update: the last price.
pub const LITE_VALUES: u8 = 1;

/// Why a frame makes no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// It ends within something.
    #[error("a frame that is cut off")]
    CutOff,
    /// A record that is no snapshot and no update. Where the next one begins is not known then.
    #[error("a record of unknown kind {0}")]
    UnknownRecord(u8),
    /// There is more than the frame says.
    #[error("{0} bytes too many in a frame")]
    TooLong(usize),
    /// An answer without what it is to say.
    #[error("an answer without its field {0}")]
    MissingField(u8),
}

impl From<CutOff> for WireError {
    fn from(_: CutOff) -> Self {
        Self::CutOff
    }
}

/// What an answer is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// The log-in.
    Authenticate,
    /// Topics to send.
    Subscribe,
    /// Topics to send no more.
    Unsubscribe,
    /// Channels to be silent.
    Pause,
    /// Channels to speak again.
    Resume,
    /// Lite or full.
    Mode,
}

impl Request {
    /// By the broker's number.
    pub const fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            1 => Self::Authenticate,
            4 => Self::Subscribe,
            5 => Self::Unsubscribe,
            7 => Self::Pause,
            8 => Self::Resume,
            12 => Self::Mode,
            _ => return None,
        })
    }
}

/// A frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// Whether the log-in worked.
    Verdict(Verdict<'a>),
    /// Whether a request worked, as a whole.
    Answer {
        /// The request.
        request: Request,
        /// Whether it worked.
        is_accepted: bool,
    },
    /// A message in words, about a request or about nothing.
    Custom {
        /// The broker's code; 51001 is the plan's limit.
        code: i32,
        /// The words.
        text: &'a [u8],
        /// What it is about.
        request: Option<Request>,
    },
    /// Records of topics.
    Data(Data<'a>),
    /// Something that nobody needs, such as the broker's own list of instruments.
    Other,
}

/// The answer to a log-in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict<'a> {
    /// Whether it worked.
    pub is_accepted: bool,
    /// Every so many frames of data one is to be acknowledged; 0 for never.
    pub acknowledge_every: u32,
    /// JSON that says what values records have, if it is there.
    pub description: Option<&'a [u8]>,
}

/// A frame of data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Data<'a> {
    /// The broker's number of the frame.
    pub number: u32,
    /// What it holds.
    pub records: Records<'a>,
}

/// Records of a frame, in order. After an error there are no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Records<'a> {
    bytes: Bytes<'a>,
    left: u16,
    lite_values: u8,
}

/// A record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Record<'a> {
    /// Everything of a topic, and the number that stands for it from now on.
    Snapshot {
        /// The broker's number on this connection.
        id: u16,
        /// Name of the topic.
        topic: &'a [u8],
        /// What it is worth.
        values: Values<'a>,
        /// Prices are the integer divided by this and by 10 to the power of `precision`; 0 means 1.
        multiplier: u16,
        /// Decimal places.
        precision: u8,
    },
    /// What has changed; on a lite channel the last price alone.
    Update {
        /// The number of the snapshot.
        id: u16,
        /// One for each place, from the first on.
        values: Values<'a>,
    },
}

/// Integers of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Values<'a>(&'a [u8]);

impl Values<'_> {
    /// One after the other; [`ABSENT`] where there is none.
    pub fn iter(&self) -> impl Iterator<Item = i32> {
        self.0.as_chunks().0.iter().map(|bytes| i32::from_be_bytes(*bytes))
    }
}

impl<'a> Frame<'a> {
    /// Reads a message, of whose lite updates each has so many values.
    ///
    /// # Errors
    /// When it is cut off. Of data only the head is read here.
    pub fn parse(message: &'a [u8], lite_values: u8) -> Result<Self, WireError> {
        let mut bytes = Bytes::of(message);
        // The length says nothing that the message's own length does not.
        bytes.u16_be()?;
        let kind = bytes.u8()?;
        Ok(match kind {
            6 => {
                let (number, left) = (bytes.u32_be()?, bytes.u16_be()?);
                Self::Data(Data { number, records: Records { bytes, left, lite_values } })
            }
            1 => {
                let [letter, every, description] = fields(bytes)?;
                let acknowledge_every = every.map_or(0, number);
                Self::Verdict(Verdict { is_accepted: is_good(letter)?, acknowledge_every, description })
            }
            51 => {
                let [code, text, request] = fields(bytes)?;
                Self::Custom {
                    code: code.map_or(0, number).cast_signed(),
                    text: text.unwrap_or_default(),
                    request: request.and_then(<[u8]>::first).and_then(|code| Request::from_code(*code)),
                }
            }
            _ => match Request::from_code(kind) {
                Some(request) => {
                    let [letter, ..] = fields(bytes)?;
                    Self::Answer { request, is_accepted: is_good(letter)? }
                }
                None => Self::Other,
            },
        })
    }
}

/// The fields 1 to 3 of an answer; the last of each number counts.
fn fields(mut bytes: Bytes<'_>) -> Result<[Option<&[u8]>; 3], CutOff> {
    let mut fields = [None; 3];
    for _ in 0..bytes.u8()? {
        let (id, length) = (bytes.u8()?, bytes.u16_be()?);
        let value = bytes.take(length.into())?;
        if let Some(field) = usize::from(id).checked_sub(1).and_then(|place| fields.get_mut(place)) {
            *field = Some(value);
        }
    }
    Ok(fields)
}

fn is_good(letter: Option<&[u8]>) -> Result<bool, WireError> {
    letter.and_then(<[u8]>::first).map(|letter| *letter == b'K').ok_or(WireError::MissingField(1))
}

/// A number of as many bytes as there are; of more than four the last four.
fn number(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |number, byte| number << 8 | u32::from(*byte))
}

impl<'a> Records<'a> {
    fn read(&mut self) -> Result<Record<'a>, WireError> {
        let bytes = &mut self.bytes;
        let kind = bytes.u8()?;
        if !matches!(kind, b'S' | b'U' | b'L') {
            return Err(WireError::UnknownRecord(kind));
        }
        let id = bytes.u16_be()?;
        if kind != b'S' {
            let count = if kind == b'L' { self.lite_values } else { bytes.u8()? };
            return Ok(Record::Update { id, values: values(bytes, count)? });
        }
        let topic = text(bytes)?;
        let count = bytes.u8()?;
        let values = values(bytes, count)?;
        bytes.take(2)?;
        let (multiplier, precision) = (bytes.u16_be()?, bytes.u8()?);
        // Segment, number and symbol, which a topic's name says better.
        for _ in 0..3 {
            text(bytes)?;
        }
        Ok(Record::Snapshot { id, topic, values, multiplier, precision })
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>, WireError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 {
            let rest = std::mem::replace(&mut self.bytes, Bytes::of(&[])).rest();
            return (!rest.is_empty()).then_some(Err(WireError::TooLong(rest.len())));
        }
        let record = self.read();
        self.left -= 1;
        if record.is_err() {
            (self.bytes, self.left) = (Bytes::of(&[]), 0);
        }
        Some(record)
    }
}

/// Text behind its length in one byte.
fn text<'a>(bytes: &mut Bytes<'a>) -> Result<&'a [u8], CutOff> {
    let length = bytes.u8()?;
    bytes.take(length.into())
}

fn values<'a>(bytes: &mut Bytes<'a>, count: u8) -> Result<Values<'a>, CutOff> {
    bytes.take(usize::from(count) * 4).map(Values)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(hex: &str) -> Result<Vec<u8>, hex::FromHexError> {
        hex::decode(hex.replace(' ', ""))
    }

    #[test]
    fn a_verdict_is_read_whatever_the_length_of_its_number() {
        for (hex, every) in [
            ("0000 01 02 01 0001 4b 02 0004 00000005", 5),
            ("0000 01 02 02 0002 0007 01 0001 4b", 7),
            ("0000 01 01 01 0001 4b", 0),
        ] {
            let message = parse(hex).unwrap();
            let verdict = Verdict { is_accepted: true, acknowledge_every: every, description: None };
            assert_eq!(Frame::parse(&message, 1), Ok(Frame::Verdict(verdict)), "{hex}");
        }
        let message = parse("0000 01 01 02 0001 05").unwrap();
        assert_eq!(Frame::parse(&message, 1), Err(WireError::MissingField(1)));
    }

    #[test]
    fn a_custom_message_says_what_it_is_about() {
        let message = parse("0000 33 04 01 0004 0000c739 02 0002 6f6b 03 0001 04 09 0001 00").unwrap();
        let wanted = Frame::Custom { code: 51_001, text: b"ok", request: Some(Request::Subscribe) };
        assert_eq!(Frame::parse(&message, 1), Ok(wanted));
        assert_eq!(Frame::parse(message.get(..12).unwrap(), 1), Err(WireError::CutOff));
    }

    #[test]
    fn records_come_until_one_makes_no_sense() {
        let message = parse("0000 06 00000009 0003 4c 0001 00000005 58 4c 0001 00000006").unwrap();
        let Ok(Frame::Data(data)) = Frame::parse(&message, 1) else { panic!("no data") };
        assert_eq!(data.number, 9);
        let records: Vec<_> = data.records.collect();
        let first = Record::Update { id: 1, values: Values(&[0, 0, 0, 5]) };
        assert_eq!(records, [Ok(first), Err(WireError::UnknownRecord(b'X'))]);
        let message = parse("0000 06 00000009 0001 4c 0001 00000005 00").unwrap();
        let Ok(Frame::Data(data)) = Frame::parse(&message, 1) else { panic!("no data") };
        assert_eq!(data.records.last(), Some(Err(WireError::TooLong(1))));
    }

    #[test]
    fn frames_that_nobody_needs_are_none_of_the_others() {
        for hex in ["0001 0b", "0009 0d ffffff", "0001 ff", "0003 09 00"] {
            assert_eq!(Frame::parse(&parse(hex).unwrap(), 1), Ok(Frame::Other), "{hex}");
        }
        assert_eq!(Frame::parse(&[0, 1], 1), Err(WireError::CutOff));
    }
}
