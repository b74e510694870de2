//! Messages in protocol buffers, read in place: no schema, no allocation, and no input that makes it panic.
//! Nesting is what the caller makes of it: a message within another is a field of bytes.
//!
//! ```
//! use adapter_sdk::read::protobuf::{Fields, Error};
//!
//! /// `message Quote { string symbol = 1; uint64 volume = 2; }`
//! fn read(message: &[u8]) -> Result<(&str, u64), Error> {
//!     let (mut fields, mut quote) = (Fields::of(message), ("", 0));
//!     while let Some((number, value)) = fields.next()? {
//!         match number {
//!             1 => quote.0 = value.text(number)?,
//!             2 => quote.1 = value.number(number)?,
//!             _ => {}
//!         }
//!     }
//!     Ok(quote)
//! }
//! assert_eq!(read(b"\x0a\x04SBIN\x10\x96\x01"), Ok(("SBIN", 150)));
//! assert_eq!(read(b"\x0a\x05SBIN"), Err(Error::CutOff));
//! ```

use super::Packed;

/// Why a message makes no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
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

/// What a field has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Value<'a> {
    /// A number of variable length.
    Number(u64),
    /// Bytes, a text, or a message.
    Bytes(&'a [u8]),
    /// Eight bytes, little-endian: a `double`, or a number of fixed length.
    Fixed64(u64),
    /// Four of them.
    Fixed32(u32),
}

impl<'a> Value<'a> {
    /// The number, of the field with this number.
    ///
    /// # Errors
    /// [`Error::Kind`] when it is something else.
    pub const fn number(self, field: u32) -> Result<u64, Error> {
        match self {
            Self::Number(number) => Ok(number),
            _ => Err(Error::Kind(field)),
        }
    }

    /// The bytes, of the field with this number.
    ///
    /// # Errors
    /// [`Error::Kind`] when it is something else.
    pub const fn bytes(self, field: u32) -> Result<&'a [u8], Error> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            _ => Err(Error::Kind(field)),
        }
    }

    /// The text, of the field with this number.
    ///
    /// # Errors
    /// [`Error::Kind`] when it is something else, and [`Error::Text`].
    pub fn text(self, field: u32) -> Result<&'a str, Error> {
        std::str::from_utf8(self.bytes(field)?).map_err(|_| Error::Text)
    }

    /// The number in a message of its own (`google.protobuf.UInt64Value` and its like), by which brokers tell
    /// zero from nothing.
    ///
    /// # Errors
    /// As [`Self::bytes`], and when that message makes no sense.
    pub fn wrapped(self, field: u32) -> Result<u64, Error> {
        let (mut fields, mut wrapped) = (Fields::of(self.bytes(field)?), 0);
        while let Some((number, value)) = fields.next()? {
            if number == 1 {
                wrapped = value.number(number)?;
            }
        }
        Ok(wrapped)
    }

    /// The same, of a number of 32 bits.
    ///
    /// # Errors
    /// As [`Self::wrapped`], and [`Error::TooLarge`].
    pub fn wrapped_small(self, field: u32) -> Result<u32, Error> {
        u32::try_from(self.wrapped(field)?).map_err(|_| Error::TooLarge)
    }
}

/// Fields of a message that are not read yet.
#[derive(Clone, Copy, Debug)]
pub struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    /// Begins to read a message.
    pub const fn of(message: &'a [u8]) -> Self {
        Self(message)
    }

    /// Number and value of the next field; none at the end. After an error nobody knows where the next one
    /// begins: do not go on.
    ///
    /// # Errors
    /// When it makes no sense.
    #[expect(clippy::should_implement_trait, reason = "an iterator would go on after an error")]
    pub fn next(&mut self) -> Result<Option<(u32, Value<'a>)>, Error> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let tag = self.varint()?;
        let number = u32::try_from(tag >> 3).map_err(|_| Error::TooLarge)?;
        let value = match tag & 7 {
            0 => Value::Number(self.varint()?),
            1 => Value::Fixed64(self.packed()?),
            2 => {
                let length = usize::try_from(self.varint()?).map_err(|_| Error::CutOff)?;
                let (bytes, rest) = self.0.split_at_checked(length).ok_or(Error::CutOff)?;
                self.0 = rest;
                Value::Bytes(bytes)
            }
            5 => Value::Fixed32(self.packed()?),
            _ => return Err(Error::Kind(number)),
        };
        if number == 0 { Err(Error::Kind(0)) } else { Ok(Some((number, value))) }
    }

    fn varint(&mut self) -> Result<u64, Error> {
        let mut number = 0;
        for place in 0..10 {
            let byte: u8 = self.packed()?;
            let part = u64::from(byte & 0x7f);
            if place == 9 && part > 1 {
                return Err(Error::TooLarge);
            }
            number |= part << (7 * place);
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(Error::TooLarge)
    }

    #[inline]
    fn packed<T: Packed>(&mut self) -> Result<T, Error> {
        T::take(&mut self.0).ok_or(Error::CutOff)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(message: &[u8]) -> Result<Vec<(u32, Value<'_>)>, Error> {
        let (mut fields, mut all) = (Fields::of(message), Vec::new());
        while let Some(field) = fields.next()? {
            all.push(field);
        }
        Ok(all)
    }

    #[test]
    fn fields_of_every_kind_are_read() {
        let message = b"\x08\x96\x01\x12\x02ab\x19\x01\0\0\0\0\0\0\0\x25\x02\0\0\0";
        let wanted = [
            (1, Value::Number(150)),
            (2, Value::Bytes(b"ab")),
            (3, Value::Fixed64(1)),
            (4, Value::Fixed32(2)),
        ];
        assert_eq!(all(message).unwrap(), wanted);
        for cut in 1..message.len() {
            let rest = all(message.get(..cut).unwrap());
            assert!(matches!(&rest, Err(Error::CutOff)) || rest.unwrap().len() < 4, "{cut}");
        }
        assert_eq!(Value::Bytes(b"\x08\x07").wrapped(9), Ok(7));
        assert_eq!((Value::Bytes(b"").wrapped(9), Value::Number(1).wrapped(9)), (Ok(0), Err(Error::Kind(9))));
        assert_eq!(Value::Bytes(b"\x08\xff\xff\xff\xff\x1f").wrapped_small(1), Err(Error::TooLarge));
        assert_eq!(Value::Bytes(b"\xff").text(3), Err(Error::Text));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let ends = [b"\xff\xff\xff\xff\xff\xff\xff\xff\xff".as_slice(); 2];
        let largest = [b"\x08", ends[0], b"\x01"].concat();
        assert_eq!(all(&largest).unwrap(), [(1, Value::Number(u64::MAX))]);
        for (message, error) in [
            ([b"\x08", ends[1], b"\x02"].concat(), Error::TooLarge),
            (b"\x00\x01".to_vec(), Error::Kind(0)),
            (b"\x0b".to_vec(), Error::Kind(1)),
            (b"\x0a\xff\xff\xff\xff\x7f".to_vec(), Error::CutOff),
        ] {
            assert_eq!(all(&message), Err(error), "{message:?}");
        }
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            _ = all(&bytes);
        }
    }
}
