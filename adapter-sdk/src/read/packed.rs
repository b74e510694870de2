//! Packets whose fields have fixed places.

/// Something of fixed length in a packet: a number, little-endian; some of the same, one after the other; or
/// a layout that [`packed!`](crate::packed!) made.
///
/// The length is looked at once for each layout and each array, not once for each number.
pub trait Packed: Sized {
    /// How long it is.
    const BYTES: usize;

    /// Takes it off the front. None when there are not enough bytes; then none is taken.
    fn take(bytes: &mut &[u8]) -> Option<Self>;

    /// Writes it at the end, so that [`Self::take`] gives it again.
    fn put(&self, bytes: &mut Vec<u8>);

    /// Takes some of them, one after the other. None when there are not enough bytes; then none is taken.
    #[inline]
    fn take_array<const N: usize>(bytes: &mut &[u8]) -> Option<[Self; N]>
    where
        Self: Copy + Default,
    {
        let (mut taken, rest) = bytes.split_at_checked(Self::BYTES * N)?;
        let mut all = [Self::default(); N];
        for one in &mut all {
            *one = Self::take(&mut taken)?;
        }
        *bytes = rest;
        Some(all)
    }
}

impl Packed for u8 {
    const BYTES: usize = 1;

    #[inline]
    fn take(bytes: &mut &[u8]) -> Option<Self> {
        let (taken, rest) = bytes.split_first()?;
        *bytes = rest;
        Some(*taken)
    }

    #[inline]
    fn put(&self, bytes: &mut Vec<u8>) {
        bytes.push(*self);
    }

    /// One copy: names and tokens are padded to a fixed length.
    #[inline]
    fn take_array<const N: usize>(bytes: &mut &[u8]) -> Option<[Self; N]> {
        let (taken, rest) = bytes.split_first_chunk()?;
        *bytes = rest;
        Some(*taken)
    }
}

macro_rules! numbers {
    ($($number:ty)+) => {$(
        impl Packed for $number {
            const BYTES: usize = size_of::<Self>();

            #[inline]
            fn take(bytes: &mut &[u8]) -> Option<Self> {
                let (taken, rest) = bytes.split_first_chunk()?;
                *bytes = rest;
                Some(Self::from_le_bytes(*taken))
            }

            #[inline]
            fn put(&self, bytes: &mut Vec<u8>) {
                bytes.extend_from_slice(&self.to_le_bytes());
            }
        }
    )+};
}

numbers! { u16 u32 u64 i16 i32 i64 f32 f64 }

impl<T: Packed + Copy + Default, const N: usize> Packed for [T; N] {
    const BYTES: usize = T::BYTES * N;

    #[inline]
    fn take(bytes: &mut &[u8]) -> Option<Self> {
        T::take_array(bytes)
    }

    #[inline]
    fn put(&self, bytes: &mut Vec<u8>) {
        self.iter().for_each(|one| one.put(bytes));
    }
}

/// Two of them, one after the other.
impl<A: Packed, B: Packed> Packed for (A, B) {
    const BYTES: usize = A::BYTES + B::BYTES;

    #[inline]
    fn take(bytes: &mut &[u8]) -> Option<Self> {
        let (mut taken, rest) = bytes.split_at_checked(Self::BYTES)?;
        let both = (A::take(&mut taken)?, B::take(&mut taken)?);
        *bytes = rest;
        Some(both)
    }

    #[inline]
    fn put(&self, bytes: &mut Vec<u8>) {
        self.0.put(bytes);
        self.1.put(bytes);
    }
}

/// Layouts of packets: structures whose fields stand one after the other, little-endian and without gaps.
/// Each is [`Packed`](crate::read::Packed), so that a layout may be a field of another. Where a message has
/// parts of fixed places among others, [`Bytes`](crate::read::Bytes) reads the others and takes layouts
/// ([`Bytes::packed`](crate::read::Bytes::packed)).
///
/// ```
/// use adapter_sdk::read::Packed as _;
///
/// adapter_sdk::packed! {
///     /// A level of a book.
///     #[derive(Clone, Copy, Debug, Default, PartialEq)]
///     pub struct Level {
///         /// Price in paise.
///         pub price: i32,
///         /// Quantity.
///         pub quantity: i16,
///     }
///
///     /// Both sides.
///     #[derive(Clone, Copy, Debug, PartialEq)]
///     pub struct Book {
///         /// Bids.
///         pub buy: [Level; 2],
///     }
/// }
///
/// let mut bytes: &[u8] = &[1, 0, 0, 0, 5, 0, 2, 0, 0, 0, 0xff, 0xff, 9];
/// assert_eq!((Level::BYTES, Book::BYTES), (6, 12));
/// let book = Book::take(&mut bytes).unwrap();
/// assert_eq!(book.buy[1], Level { price: 2, quantity: -1 });
/// assert_eq!(bytes, [9]);
/// assert_eq!(Level::take(&mut bytes), None);
/// ```
#[macro_export]
macro_rules! packed {
    ($(
        $(#[$meta:meta])*
        $vis:vis struct $name:ident {
            $($(#[$field_meta:meta])* $field_vis:vis $field:ident: $kind:ty,)+
        }
    )+) => {$(
        $(#[$meta])*
        $vis struct $name {
            $($(#[$field_meta])* $field_vis $field: $kind,)+
        }

        impl $crate::read::Packed for $name {
            const BYTES: usize = 0 $(+ <$kind as $crate::read::Packed>::BYTES)+;

            #[inline]
            fn take(bytes: &mut &[u8]) -> ::std::option::Option<Self> {
                let (mut taken, rest) = bytes.split_at_checked(<Self as $crate::read::Packed>::BYTES)?;
                // In the order in which they are written here.
                let layout = Self {
                    $($field: $crate::read::Packed::take(&mut taken)?,)+
                };
                *bytes = rest;
                ::std::option::Option::Some(layout)
            }

            #[inline]
            fn put(&self, bytes: &mut ::std::vec::Vec<u8>) {
                $($crate::read::Packed::put(&self.$field, bytes);)+
            }
        }
    )+};
}

#[cfg(test)]
mod tests {
    use super::Packed;

    crate::packed! {
        #[derive(Clone, Copy, Debug, Default, PartialEq)]
        struct Row {
            code: [u8; 3],
            price: i16,
        }

        #[derive(Debug, PartialEq)]
        struct Page {
            rows: [Row; 2],
            last: u8,
        }
    }

    #[test]
    fn layouts_arrays_and_bytes_are_taken_whole_or_not_at_all() {
        let message = *b"abc\x01\x00def\xfe\xffz!";
        let mut bytes = &message[..];
        let page = Page::take(&mut bytes).unwrap();
        let rows = [Row { code: *b"abc", price: 1 }, Row { code: *b"def", price: -2 }];
        let mut written = Vec::new();
        page.put(&mut written);
        assert_eq!(written, message[..Page::BYTES]);
        assert_eq!((page, bytes), (Page { rows, last: b'z' }, &b"!"[..]));
        for length in 0..Page::BYTES {
            let cut = &message[..length];
            let mut bytes = cut;
            assert_eq!((Page::take(&mut bytes), bytes), (None, cut), "{length}");
            if length < 2 * Row::BYTES {
                assert_eq!((<[Row; 2]>::take(&mut bytes), bytes), (None, cut), "{length}");
            }
            if length < 3 {
                assert_eq!((<[u8; 3]>::take(&mut bytes), bytes), (None, cut), "{length}");
            }
        }
        assert_eq!(<(u8, u16)>::take(&mut &message[2..]), Some((b'c', 1)));
        assert_eq!(<(u8, u16)>::take(&mut &message[..2]), None);
        assert_eq!(
            (<[u16; 2]>::take(&mut &message[3..5]), <[u16; 1]>::take(&mut &message[3..5])),
            (None, Some([1]))
        );
    }
}
