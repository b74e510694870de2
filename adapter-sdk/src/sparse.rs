//! What a broker has said of its instruments, where each message has only what has changed since the last
//! one.
//!
//! Brokers of the Noren family, among others, send an image when an instrument is subscribed, and from then
//! on the members that changed. The host wants the whole of it, as an image: then a value that the broker
//! takes back is gone for the clients too. [`State`] keeps it, for one connection and one day.
//!
//! What a member means is left to the broker's decoder. Set in a [`Tick`] what has a value; take back with
//! [`Known::clear`] what the broker says is none, such as an opening price of zero before the market opens.
//!
//! ```
//! use adapter_sdk::{Price, Tick, abi::field, sparse::State};
//!
//! let mut state = State::<u32, 5>::new();
//! let price = |paise| Price::from_scaled(paise, 2).unwrap();
//! // Before its image an instrument has updates, and they are published as such.
//! assert!(!state.update(3045, Tick::new(0).volume(7)).is_image());
//! let known = state.image(3045, Tick::new(0).ltp(price(62_500)).open(price(62_000)));
//! assert!(known.is_image());
//! assert_eq!(known.tick(1), Tick::new(1).ltp(price(62_500)).open(price(62_000)).image());
//! let known = state.update(3045, Tick::new(0).ltp(price(62_505)));
//! known.clear(field::OPEN);
//! assert_eq!(known.tick(1), Tick::new(1).ltp(price(62_505)).image());
//! ```

use std::{fmt, hash::Hash, time::SystemTime};

use rustc_hash::FxHashMap;

use crate::{Book, Level, Packet, Price, Subscription, Tick, TickSink, ist::Day};

/// What is known by key, with books of at most `N` levels on a side. It has a place for each key that is
/// subscribed: call [`Self::forget`] with `Protocol::release` of the feature `net`.
pub struct State<K, const N: usize> {
    known: FxHashMap<K, Known<N>>,
    day: Option<Day>,
    /// What was known of another day was dropped, and nobody has been told.
    lacks_images: bool,
}

/// What is known of one key.
#[derive(Clone, Copy, Debug)]
pub struct Known<const N: usize> {
    values: Tick,
    is_image: bool,
    rows: [[Row; N]; 2],
    /// Whether the broker has said anything of the book, be it that it is empty.
    has_book: bool,
    book: Book<N>,
}

/// A row of a book of which the broker has said so much.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Row {
    /// Price; a row without one, or of zero, is no level.
    pub price: Option<Price>,
    /// Quantity; a row without one, or of zero, is no level.
    pub quantity: Option<i64>,
    /// Number of orders.
    pub orders: Option<u32>,
}

impl Row {
    const EMPTY: Self = Self { price: None, quantity: None, orders: None };

    /// Takes over what a message says of the row.
    fn merge(&mut self, newer: Self) {
        self.price = newer.price.or(self.price);
        self.quantity = newer.quantity.or(self.quantity);
        self.orders = newer.orders.or(self.orders);
    }

    fn level(&self) -> Option<Level> {
        let quantity = self.quantity.filter(|quantity| *quantity != 0)?;
        let price = self.price.filter(|price| price.as_nanos() != 0)?;
        Some(Level { price, quantity, orders: self.orders })
    }
}

/// A side of a book.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Bids.
    Buy,
    /// Asks.
    Sell,
}

impl<const N: usize> Known<N> {
    fn new(values: Tick, is_image: bool) -> Self {
        Self { values, is_image, rows: [[Row::EMPTY; N]; 2], has_book: false, book: Book::new() }
    }

    /// Whether the broker has sent an image, without which nobody knows what is missing.
    pub const fn is_image(&self) -> bool {
        self.is_image
    }

    /// All values, under a number; an image if the broker has sent one.
    pub fn tick(&self, instrument: u32) -> Tick {
        let tick = self.values.numbered(instrument);
        if self.is_image { tick.image() } else { tick.update() }
    }

    /// The same with the best row of each side of the book, for who is told of no more of it.
    pub fn touchline(&self, instrument: u32) -> Tick {
        let tick = self.tick(instrument);
        let tick = tick
            .with(self.book.buy().first(), |tick, best| tick.bid_price(best.price).bid_size(best.quantity));
        tick.with(self.book.sell().first(), |tick, best| tick.ask_price(best.price).ask_size(best.quantity))
    }

    /// Takes values back: bits of [`abi::field`](crate::abi::field).
    pub fn clear(&mut self, fields: u32) {
        self.values = self.values.without(fields);
    }

    /// Takes over what a message says of a row of the book, the best being row 0. Members that it does not
    /// have stay. Rows from `N` on are left out.
    pub fn row(&mut self, side: Side, place: usize, newer: Row) {
        self.rows([(side, place, newer)]);
    }

    /// The same of all rows that a message has something of, at once: several may be of one row.
    pub fn rows(&mut self, newer: impl IntoIterator<Item = (Side, usize, Row)>) {
        let mut is_changed = false;
        for (side, place, newer) in newer {
            let [buy, sell] = &mut self.rows;
            let rows = match side {
                Side::Buy => buy,
                Side::Sell => sell,
            };
            if let Some(row) = rows.get_mut(place) {
                row.merge(newer);
                is_changed = true;
            }
        }
        if is_changed {
            self.has_book = true;
            let [buy, sell] = &self.rows;
            self.book = Book::new();
            buy.iter().filter_map(Row::level).for_each(|level| self.book.push_buy(level));
            sell.iter().filter_map(Row::level).for_each(|level| self.book.push_sell(level));
        }
    }

    /// The book is empty.
    pub fn empty_book(&mut self) {
        self.rows = [[Row::EMPTY; N]; 2];
        self.book = Book::new();
        self.has_book = true;
    }

    /// The book as far as it is known.
    pub const fn book(&self) -> &Book<N> {
        &self.book
    }

    /// All of it, to be published: with the book where the broker has said anything of it, or else as values
    /// beside one.
    pub fn packet(&self, instrument: u32) -> Packet<'_> {
        let tick = self.tick(instrument);
        if self.has_book {
            Packet::Depth(tick, self.book.buy(), self.book.sell())
        } else {
            Packet::Values(tick)
        }
    }
}

impl<const N: usize> Known<N> {
    /// Publishes what is known for who holds an instrument: all of it with its book, where what was said just
    /// now is of the book (`is_book`); else the values with the best row of each side. Of an index the
    /// values, which have no book beside them.
    pub fn publish(&self, wanted: &Subscription, is_book: bool, sink: &mut TickSink) {
        let packet = match (wanted.is_index(), is_book) {
            (true, _) => Packet::Values(self.touchline(wanted.instrument)),
            (false, true) => self.packet(wanted.instrument),
            (false, false) => Packet::Quote(self.touchline(wanted.instrument)),
        };
        sink.publish(wanted.mode, &packet);
    }
}

impl<K: Copy + Eq + Hash, const N: usize> State<K, N> {
    /// Nothing is known yet.
    pub fn new() -> Self {
        Self { known: FxHashMap::default(), day: None, lacks_images: false }
    }

    /// The broker's image of a key: nothing of what was known before counts any more, the book included.
    pub fn image(&mut self, key: K, values: Tick) -> &mut Known<N> {
        let known = self.known.entry(key).or_insert_with(|| Known::new(values, true));
        *known = Known::new(values, true);
        known
    }

    /// The broker's image of one of several channels of a key, such as its prices beside its book: what other
    /// channels said stays, and so does what this one leaves out.
    pub fn image_of_channel(&mut self, key: K, values: Tick) -> &mut Known<N> {
        let known = self.update(key, values);
        known.is_image = true;
        known
    }

    /// What has changed of a key.
    pub fn update(&mut self, key: K, values: Tick) -> &mut Known<N> {
        let known = self.known.entry(key).or_insert_with(|| Known::new(Tick::new(0), false));
        known.values = known.values.overlaid(&values);
        known
    }

    /// What is known of a key.
    pub fn get(&self, key: &K) -> Option<&Known<N>> {
        self.known.get(key)
    }

    /// The broker tells of the book of a key no more, or is about to tell of it again: there is none until
    /// then.
    pub fn empty_book(&mut self, key: &K) {
        if let Some(known) = self.known.get_mut(key) {
            known.empty_book();
        }
    }

    /// Nobody wants a key any more.
    pub fn forget(&mut self, key: &K) {
        self.known.remove(key);
    }

    /// Notes what day it is in India. Nothing of the day before is shown beside what is said today: true when
    /// that was dropped, and the broker is to be asked for images.
    pub fn begin_day(&mut self, now: SystemTime) -> bool {
        let today = Day::at(now);
        let is_another = self.day.replace(today).is_some_and(|day| day != today);
        if is_another {
            self.known.clear();
            self.lacks_images = true;
        }
        is_another
    }

    /// Whether another day has begun since this was asked last, whoever noticed it: the broker is to be asked
    /// for the images of all keys, of which nothing is known any more.
    pub const fn lacks_images(&mut self) -> bool {
        std::mem::replace(&mut self.lacks_images, false)
    }
}

impl<K: Copy + Eq + Hash, const N: usize> Default for State<K, N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K, const N: usize> fmt::Debug for State<K, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State").field("known", &self.known.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
