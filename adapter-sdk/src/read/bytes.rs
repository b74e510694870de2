//! Binary messages, number by number.

/// A message ends within something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a message that is cut off")]
pub struct CutOff;

/// What is left of a binary message.
///
/// ```
/// use adapter_sdk::read::{Bytes, CutOff};
///
/// let mut bytes = Bytes::of(&[0, 7, 2, b'o', b'k', 9]);
/// assert_eq!(bytes.u16_be(), Ok(7));
/// let length = bytes.u8().unwrap();
/// assert_eq!(bytes.take(length.into()), Ok(&b"ok"[..]));
/// assert_eq!((bytes.u16_be(), bytes.rest()), (Err(CutOff), &[9][..]));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bytes<'a>(&'a [u8]);

macro_rules! numbers {
    ($($name:ident: $type:ty = $read:ident;)+) => {
        $(
            /// The next number, of this type and order.
            ///
            /// # Errors
            /// When the message ends before it does.
            #[inline]
            pub fn $name(&mut self) -> Result<$type, CutOff> {
                self.array().map(<$type>::$read)
            }
        )+
    };
}

impl<'a> Bytes<'a> {
    /// Begins to read a message.
    pub const fn of(message: &'a [u8]) -> Self {
        Self(message)
    }

    /// What is not read yet.
    pub const fn rest(&self) -> &'a [u8] {
        self.0
    }

    /// So many bytes.
    ///
    /// # Errors
    /// When there are fewer; then none is taken.
    #[inline]
    pub fn take(&mut self, length: usize) -> Result<&'a [u8], CutOff> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(CutOff)?;
        self.0 = rest;
        Ok(taken)
    }

    /// As many bytes as the array has.
    ///
    /// # Errors
    /// As [`Self::take`].
    #[inline]
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], CutOff> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(CutOff)?;
        self.0 = rest;
        Ok(*taken)
    }

    numbers! {
        u8: u8 = from_be_bytes;
        u16_be: u16 = from_be_bytes;
        u32_be: u32 = from_be_bytes;
        i32_be: i32 = from_be_bytes;
        u64_be: u64 = from_be_bytes;
        i64_be: i64 = from_be_bytes;
        u16_le: u16 = from_le_bytes;
        u32_le: u32 = from_le_bytes;
        i32_le: i32 = from_le_bytes;
        u64_le: u64 = from_le_bytes;
        i64_le: i64 = from_le_bytes;
        f32_le: f32 = from_le_bytes;
        f64_le: f64 = from_le_bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_their_order_and_what_is_cut_off_takes_nothing() {
        let mut bytes = Bytes::of(&[1, 2, 3, 4, 5, 6, 7]);
        assert_eq!((bytes.u16_be(), bytes.u16_le(), bytes.u8()), (Ok(0x0102), Ok(0x0403), Ok(5)));
        assert_eq!(
            (bytes.u32_be(), bytes.take(3), bytes.array::<9>()),
            (Err(CutOff), Err(CutOff), Err(CutOff))
        );
        assert_eq!((bytes.rest(), bytes.take(2), bytes.u8()), (&[6, 7][..], Ok(&[6, 7][..]), Err(CutOff)));
        assert_eq!(Bytes::of(&[0xff, 0xff, 0xff, 0xfe]).i32_be(), Ok(-2));
        assert_eq!(Bytes::of(&1.5_f64.to_le_bytes()).f64_le(), Ok(1.5));
    }
}
