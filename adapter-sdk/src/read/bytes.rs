//! Binary messages, number by number.

use super::Packed;

/// A message ends within something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a message that is cut off")]
pub struct CutOff;

/// What is left of a binary message whose parts have lengths that the message itself says, or numbers that
/// are big-endian. A part whose fields all have fixed places and are little-endian is a layout of
/// [`packed!`](crate::packed!), which [`Self::packed`] takes; a message that is nothing else needs no
/// `Bytes`.
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

macro_rules! big_endian {
    ($($name:ident: $type:ty;)+) => {
        $(
            /// The next number, of this type, big-endian.
            ///
            /// # Errors
            /// When the message ends before it does.
            #[inline]
            pub fn $name(&mut self) -> Result<$type, CutOff> {
                self.array().map(<$type>::from_be_bytes)
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

    /// A layout of [`packed!`](crate::packed!), or a number, little-endian.
    ///
    /// # Errors
    /// As [`Self::take`].
    #[inline]
    pub fn packed<T: Packed>(&mut self) -> Result<T, CutOff> {
        T::take(&mut self.0).ok_or(CutOff)
    }

    /// As many bytes as the array has.
    ///
    /// # Errors
    /// As [`Self::take`].
    #[inline]
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], CutOff> {
        self.packed()
    }

    /// The next byte.
    ///
    /// # Errors
    /// When there is none.
    #[inline]
    pub fn u8(&mut self) -> Result<u8, CutOff> {
        self.packed()
    }

    big_endian! {
        u16_be: u16;
        u32_be: u32;
        i32_be: i32;
        u64_be: u64;
        i64_be: i64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_their_order_and_what_is_cut_off_takes_nothing() {
        let mut bytes = Bytes::of(&[1, 2, 3, 4, 5, 6, 7]);
        assert_eq!((bytes.u16_be(), bytes.packed::<u16>(), bytes.u8()), (Ok(0x0102), Ok(0x0403), Ok(5)));
        assert_eq!(
            (bytes.u32_be(), bytes.take(3), bytes.array::<9>()),
            (Err(CutOff), Err(CutOff), Err(CutOff))
        );
        assert_eq!((bytes.rest(), bytes.take(2), bytes.u8()), (&[6, 7][..], Ok(&[6, 7][..]), Err(CutOff)));
        assert_eq!(Bytes::of(&[0xff, 0xff, 0xff, 0xfe]).i32_be(), Ok(-2));
        assert_eq!(Bytes::of(&1.5_f64.to_le_bytes()).packed::<f64>(), Ok(1.5));
    }
}
