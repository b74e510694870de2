//! Books of a fixed number of levels, without allocation.

use crate::{Level, Price};

/// Not shown: rows from the length of a side on.
const NO_LEVEL: Level = Level { price: Price::from_nanos(0), quantity: 0, orders: None };

/// A book of at most `N` levels on each side, which needs no memory of its own: for decoders that make no
/// allocation per packet.
///
/// ```
/// use adapter_sdk::{Book, Level, Price};
///
/// let mut book = Book::<5>::new();
/// book.push_buy(Level { price: Price::from_nanos(5), quantity: 1, orders: None });
/// assert_eq!((book.buy().len(), book.sell().len()), (1, 0));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Book<const N: usize> {
    buy: Side<N>,
    sell: Side<N>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Side<const N: usize> {
    rows: [Level; N],
    length: usize,
}

impl<const N: usize> Side<N> {
    const EMPTY: Self = Self { rows: [NO_LEVEL; N], length: 0 };

    #[inline]
    fn push(&mut self, level: Level) {
        if let Some(row) = self.rows.get_mut(self.length) {
            *row = level;
            self.length += 1;
        }
    }

    fn levels(&self) -> &[Level] {
        self.rows.get(..self.length).unwrap_or_default()
    }
}

impl<const N: usize> Default for Book<N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const N: usize> Book<N> {
    /// An empty one.
    pub const fn new() -> Self {
        Self { buy: Side::EMPTY, sell: Side::EMPTY }
    }

    /// Adds a bid behind those that are there: best first. More than `N` are left out. Leave out the rows of
    /// zeros that brokers fill a book up with, and orders without a price.
    #[inline]
    pub fn push_buy(&mut self, level: Level) {
        self.buy.push(level);
    }

    /// Adds an ask, as [`Self::push_buy`].
    #[inline]
    pub fn push_sell(&mut self, level: Level) {
        self.sell.push(level);
    }

    /// Bids, best first.
    pub fn buy(&self) -> &[Level] {
        self.buy.levels()
    }

    /// Asks, best first.
    pub fn sell(&self) -> &[Level] {
        self.sell.levels()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_keep_their_order_and_those_beyond_the_last_are_left_out() {
        let level = |quantity| Level { price: Price::from_nanos(7), quantity, orders: Some(1) };
        let mut book = Book::<2>::new();
        (1..=3).for_each(|quantity| book.push_buy(level(quantity)));
        book.push_sell(level(9));
        assert_eq!(book.buy(), [level(1), level(2)]);
        assert_eq!(book.sell(), [level(9)]);
        assert_eq!(Book::<0>::new().buy(), []);
    }
}
