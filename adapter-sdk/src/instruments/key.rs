//! What brokers call instruments.

use std::{fmt, hash::Hash};

use crate::read::Packed;

/// What a broker's packets call an instrument.
///
/// In memory and on disk a list has it as its parts, which are of fixed length. A number is a key as it is; a
/// key of several parts says which:
///
/// ```
/// use adapter_sdk::instruments;
///
/// #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
/// enum Market {
///     Cash,
///     Futures,
/// }
///
/// #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
/// struct Key {
///     market: Market,
///     token: u32,
/// }
///
/// impl instruments::Key for Key {
///     type Parts = (u8, u32);
///
///     fn parts(self) -> (u8, u32) {
///         (self.market as u8, self.token)
///     }
///
///     fn of_parts((market, token): (u8, u32)) -> Option<Self> {
///         let market = [Market::Cash, Market::Futures].into_iter().find(|known| *known as u8 == market)?;
///         Some(Self { market, token })
///     }
/// }
/// ```
pub trait Key: Copy + Ord + Hash + fmt::Debug + Send + Sync + 'static {
    /// Numbers and bytes that it is made of.
    type Parts: Packed;

    /// Its parts.
    fn parts(self) -> Self::Parts;

    /// The key that has these parts. None when there is none.
    fn of_parts(parts: Self::Parts) -> Option<Self>;
}

macro_rules! numbers {
    ($($number:ty)+) => {$(
        impl Key for $number {
            type Parts = Self;

            fn parts(self) -> Self {
                self
            }

            fn of_parts(parts: Self) -> Option<Self> {
                Some(parts)
            }
        }
    )+};
}

numbers! { u16 u32 u64 }
