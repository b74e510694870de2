//! Packets whose fields have fixed places.

/// Something of fixed length in a packet: a number, little-endian; some of the same, one after the other; or a layout that
/// [`packed!`](crate::packed!) made.
pub trait Packed: Sized {
    /// How long it is.
    const BYTES: usize;

    /// Takes it off the front. None when there are not enough bytes.
    fn take(bytes: &mut &[u8]) -> Option<Self>;
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
        }
    )+};
}

numbers! { u8 u16 u32 u64 i16 i32 i64 f32 f64 }

impl<T: Packed + Copy + Default, const N: usize> Packed for [T; N] {
    const BYTES: usize = T::BYTES * N;

    #[inline]
    fn take(bytes: &mut &[u8]) -> Option<Self> {
        let mut all = [T::default(); N];
        for one in &mut all {
            *one = T::take(bytes)?;
        }
        Some(all)
    }
}

/// Layouts of packets: structures whose fields stand one after the other, little-endian and without gaps. Each is
/// [`Packed`](crate::read::Packed), so that a layout may be a field of another.
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
                // In the order in which they are written here.
                ::std::option::Option::Some(Self {
                    $($field: $crate::read::Packed::take(bytes)?,)+
                })
            }
        }
    )+};
}
