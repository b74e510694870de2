//! Which connection to the broker carries which instrument: fill the first, open the next when it is full.
//!
//! Many brokers count large books apart: twenty or fifty levels of a few instruments on a connection that
//! carries thousands. A *deep* book takes a place of its own beside that of its instrument. Where there is
//! none left on any connection, the instrument is carried all the same, and the broker is asked for no more
//! levels than all books have.

use rustc_hash::FxHashSet;

use crate::model::InstrumentId;

/// What one account may open at its broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolLimits {
    /// Instruments that one connection carries.
    pub symbols_per_connection: usize,
    /// Connections.
    pub connections: usize,
    /// Deep books among them; none where the broker does not count them apart.
    pub books: Option<BookLimit>,
}

/// How many deep books a broker gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BookLimit {
    /// Deep books on one connection; 0 where the account has none.
    pub per_connection: usize,
    /// Levels that any book may have; more make it deep.
    pub above_levels: u16,
}

impl PoolLimits {
    /// Limits without one on deep books.
    pub const fn new(symbols_per_connection: usize, connections: usize) -> Self {
        Self { symbols_per_connection, connections, books: None }
    }

    /// Instruments in all.
    pub const fn capacity(self) -> usize {
        self.symbols_per_connection.saturating_mul(self.connections)
    }

    /// Whether a book of so many levels is a deep one, of which the broker gives some.
    fn counts(self, levels: u16) -> bool {
        self.books.is_some_and(|books| levels > books.above_levels && books.per_connection > 0)
    }
}

/// Every connection is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "Maximum capacity reached: {connections} connections × {per_connection} symbols = {capacity} symbols. \
     Currently subscribed to {used} symbols."
)]
pub struct MaxCapacityReached {
    connections: usize,
    per_connection: usize,
    capacity: usize,
    used: usize,
}

/// Instruments on each connection of one feed.
#[derive(Debug)]
pub struct Pool {
    limits: PoolLimits,
    used: Vec<usize>,
    /// Of them, those that have a place for a deep book. As long as `used`.
    deep: Vec<FxHashSet<InstrumentId>>,
}

impl Pool {
    /// A pool without connections. Limits below one count as one.
    pub fn new(limits: PoolLimits) -> Self {
        let mut pool = Self { limits, used: Vec::new(), deep: Vec::new() };
        pool.set_limits(limits);
        pool
    }

    /// Changes the limits. What is placed stays where it is until its owner moves it, even if there are too
    /// many of them.
    pub fn set_limits(&mut self, limits: PoolLimits) {
        self.limits = PoolLimits {
            symbols_per_connection: limits.symbols_per_connection.max(1),
            connections: limits.connections.max(1),
            books: limits.books,
        };
    }

    /// Takes a place for an instrument that is wanted with so many levels, and one for its book where that is
    /// deep; returns the number of its connection, which may be a new one. Connections without room for a
    /// deep book are taken when no other may be opened, and those that are not usable when nothing else has
    /// room.
    ///
    /// # Errors
    /// [`MaxCapacityReached`].
    pub fn place(
        &mut self,
        instrument: InstrumentId,
        levels: u16,
        is_usable: impl Fn(usize) -> bool,
    ) -> Result<usize, MaxCapacityReached> {
        let PoolLimits { symbols_per_connection, connections, .. } = self.limits;
        let has_room = |(number, used): (usize, &usize)| {
            (number < connections && *used < symbols_per_connection).then_some(number)
        };
        let with_room = self.used.iter().enumerate().filter_map(has_room);
        let mut usable = with_room.clone().filter(|number| is_usable(*number));
        let fits = |number: &usize| !self.limits.counts(levels) || self.has_book_room(*number);
        let may_open = self.used.len() < connections;
        let found = usable.clone().find(fits);
        let found = found.or_else(|| if may_open { None } else { usable.next().or(with_room.min()) });
        if found.is_none() && !may_open {
            return Err(MaxCapacityReached {
                connections,
                per_connection: symbols_per_connection,
                capacity: self.limits.capacity(),
                used: self.total(),
            });
        }
        let number = found.unwrap_or(self.used.len());
        if number == self.used.len() {
            self.used.push(0);
            self.deep.push(FxHashSet::default());
        }
        if let Some(used) = self.used.get_mut(number) {
            *used += 1;
        }
        self.levels(number, instrument, levels);
        Ok(number)
    }

    /// The levels to ask a broker for, of an instrument on a connection that is wanted with so many: all of
    /// them if it has, or gets, a place for a deep book. One that is not deep any more gives its place back.
    pub fn levels(&mut self, connection: usize, instrument: InstrumentId, wanted: u16) -> u16 {
        let Some(books) = self.limits.books else { return wanted };
        if wanted <= books.above_levels {
            self.give_back_book(connection, instrument);
            return wanted;
        }
        let has_room = self.has_book_room(connection);
        let Some(deep) = self.deep.get_mut(connection) else { return books.above_levels };
        let has_place = deep.contains(&instrument) || (has_room && deep.insert(instrument));
        if has_place { wanted } else { books.above_levels }
    }

    /// The broker gives a book of so many levels, which may be fewer than were asked for: then it needs no
    /// place.
    pub fn granted(&mut self, connection: usize, instrument: InstrumentId, levels: u16) {
        if !self.limits.counts(levels) {
            self.give_back_book(connection, instrument);
        }
    }

    /// Forgets the connections from this number on, which carry nothing any more.
    pub fn close_beyond(&mut self, number: usize) {
        self.used.truncate(number);
        self.deep.truncate(number);
    }

    /// Gives the places of an instrument back.
    pub fn release(&mut self, connection: usize, instrument: InstrumentId) {
        if let Some(used) = self.used.get_mut(connection) {
            *used = used.saturating_sub(1);
        }
        self.give_back_book(connection, instrument);
    }

    fn give_back_book(&mut self, connection: usize, instrument: InstrumentId) {
        if let Some(deep) = self.deep.get_mut(connection) {
            deep.remove(&instrument);
        }
    }

    fn has_book_room(&self, connection: usize) -> bool {
        let taken = self.deep.get(connection).map_or(0, FxHashSet::len);
        self.limits.books.is_none_or(|books| taken < books.per_connection)
    }

    /// Instruments on each connection.
    pub fn used(&self) -> &[usize] {
        &self.used
    }

    /// Instruments in all.
    pub fn total(&self) -> usize {
        self.used.iter().sum()
    }

    /// The limits.
    pub const fn limits(&self) -> PoolLimits {
        self.limits
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A place for an instrument without a deep book, of which only its connection matters.
    fn place(pool: &mut Pool, is_usable: impl Fn(usize) -> bool) -> Result<usize, MaxCapacityReached> {
        let number = u32::try_from(pool.total()).unwrap();
        pool.place(InstrumentId(number), 5, is_usable)
    }

    fn release(pool: &mut Pool, connection: usize) {
        pool.release(connection, InstrumentId(u32::MAX));
    }

    /// Connections of four instruments, one of them with a book of more than five levels.
    fn with_books(connections: usize) -> Pool {
        let books = Some(BookLimit { per_connection: 1, above_levels: 5 });
        Pool::new(PoolLimits { books, ..PoolLimits::new(4, connections) })
    }

    fn place_deep(pool: &mut Pool, number: u32) -> Result<usize, MaxCapacityReached> {
        pool.place(InstrumentId(number), 20, |_| true)
    }

    #[test]
    fn the_first_connection_fills_before_the_next_opens() {
        let mut pool = Pool::new(PoolLimits::new(2, 2));
        let placed: Vec<usize> = (0..4).map(|_| place(&mut pool, |_| true).unwrap()).collect();
        assert_eq!(placed, [0, 0, 1, 1]);
        release(&mut pool, 0);
        assert_eq!(place(&mut pool, |_| true), Ok(0));
    }

    #[test]
    fn a_full_pool_says_so_in_the_words_that_clients_know() {
        let mut pool = Pool::new(PoolLimits::new(1_000, 3));
        (0..3_000).for_each(|_| assert!(place(&mut pool, |_| true).is_ok()));
        assert_eq!(
            place(&mut pool, |_| true).unwrap_err().to_string(),
            "Maximum capacity reached: 3 connections × 1000 symbols = 3000 symbols. \
             Currently subscribed to 3000 symbols."
        );
    }

    #[test]
    fn connections_that_stay_down_are_taken_last() {
        let mut pool = Pool::new(PoolLimits::new(2, 3));
        assert_eq!(place(&mut pool, |_| true), Ok(0));
        // A new one rather than the first, which is down; the first when nothing else is left.
        let placed: Vec<usize> = (0..5).map(|_| place(&mut pool, |number| number != 0).unwrap()).collect();
        assert_eq!(placed, [1, 1, 2, 2, 0]);
        assert!(place(&mut pool, |number| number != 0).is_err());
    }

    #[test]
    fn with_smaller_limits_nothing_is_placed_beyond_them() {
        let mut pool = Pool::new(PoolLimits::new(3, 3));
        (0..9).for_each(|_| assert!(place(&mut pool, |_| true).is_ok()));
        pool.set_limits(PoolLimits::new(2, 2));
        (0..3).for_each(|_| release(&mut pool, 2));
        assert!(place(&mut pool, |_| true).is_err(), "the third connection is one too many");
        pool.close_beyond(2);
        assert!(place(&mut pool, |_| true).is_err());
        (0..2).for_each(|_| release(&mut pool, 1));
        assert_eq!((place(&mut pool, |_| true), pool.used()), (Ok(1), [3, 2].as_slice()));
    }

    #[test]
    fn limits_below_one_count_as_one() {
        let mut pool = Pool::new(PoolLimits::new(0, 0));
        assert_eq!((pool.limits().capacity(), place(&mut pool, |_| true)), (1, Ok(0)));
        assert!(place(&mut pool, |_| true).is_err());
    }

    #[test]
    fn a_deep_book_opens_the_next_connection_when_the_first_has_no_place_for_it() {
        let mut pool = with_books(2);
        assert_eq!((place_deep(&mut pool, 1), place_deep(&mut pool, 2)), (Ok(0), Ok(1)));
        assert_eq!(place(&mut pool, |_| true), Ok(0), "what has no deep book fills the first");
        assert_eq!(pool.levels(0, InstrumentId(1), 20), 20);
        // There is no third connection: it comes with the levels that any book has.
        assert_eq!((place_deep(&mut pool, 3), pool.levels(0, InstrumentId(3), 20)), (Ok(0), 5));
        pool.release(1, InstrumentId(2));
        assert_eq!((place_deep(&mut pool, 4), pool.levels(1, InstrumentId(4), 50)), (Ok(1), 50));
    }

    #[test]
    fn a_connection_that_is_down_is_no_place_for_a_deep_book_while_another_can_be_opened() {
        let mut pool = with_books(3);
        let place = |pool: &mut Pool, number, down: usize| {
            pool.place(InstrumentId(number), 20, |connection| connection != down)
        };
        assert_eq!((place(&mut pool, 1, 9), place(&mut pool, 2, 9)), (Ok(0), Ok(1)));
        pool.release(0, InstrumentId(1));
        assert_eq!(place(&mut pool, 3, 0), Ok(2));
        // One that is up and has no place for the book, rather than one that has and is down.
        assert_eq!(place(&mut pool, 4, 0), Ok(1));
    }

    #[test]
    fn an_instrument_takes_and_gives_back_the_place_of_its_book_as_its_levels_change() {
        let mut pool = with_books(1);
        let [first, second] = [1, 2].map(InstrumentId);
        (0..2).for_each(|_| assert!(place(&mut pool, |_| true).is_ok()));
        assert_eq!((pool.levels(0, first, 20), pool.levels(0, second, 20)), (20, 5));
        assert_eq!(pool.levels(0, first, 200), 200, "it has the place already");
        assert_eq!((pool.levels(0, first, 0), pool.levels(0, second, 20)), (0, 20));
        pool.granted(0, second, 20);
        assert_eq!(pool.levels(0, first, 20), 5);
        pool.granted(0, second, 5);
        assert_eq!(pool.levels(0, first, 20), 20, "the broker has no deep book of the other");
        pool.close_beyond(0);
        assert_eq!(pool.levels(0, second, 20), 5, "there is no such connection");
    }

    #[test]
    fn an_account_without_deep_books_opens_no_connection_for_them() {
        let mut pool = with_books(2);
        let books = Some(BookLimit { per_connection: 0, above_levels: 5 });
        pool.set_limits(PoolLimits { books, ..pool.limits() });
        assert_eq!((place_deep(&mut pool, 1), place_deep(&mut pool, 2)), (Ok(0), Ok(0)));
        assert_eq!(pool.levels(0, InstrumentId(1), 20), 5);
        pool.set_limits(PoolLimits::new(4, 2));
        assert_eq!(pool.levels(0, InstrumentId(1), 200), 200, "they are not counted apart any more");
    }

    proptest! {
        #[test]
        fn no_connection_ever_exceeds_its_limit(
            per_connection in 1_usize..5,
            connections in 1_usize..4,
            books in 0_usize..3,
            steps in proptest::collection::vec(any::<Option<bool>>(), 0..100),
        ) {
            let books = BookLimit { per_connection: books, above_levels: 5 };
            let mut pool = Pool::new(PoolLimits { books: Some(books), ..PoolLimits::new(per_connection, connections) });
            let mut held = Vec::new();
            for (number, step) in (0..).map(InstrumentId).zip(steps) {
                match step {
                    Some(is_deep) => {
                        let levels = if is_deep { 20 } else { 5 };
                        if let Ok(connection) = pool.place(number, levels, |_| true) {
                            held.push((connection, number));
                        } else {
                            prop_assert_eq!(held.len(), per_connection * connections);
                        }
                    }
                    None => if let Some((connection, number)) = held.pop() { pool.release(connection, number) },
                }
                prop_assert_eq!(pool.total(), held.len());
                prop_assert!(pool.used().len() <= connections);
                prop_assert!(pool.used().iter().all(|used| *used <= per_connection));
                let mut deep = vec![0; connections];
                for (connection, number) in &held {
                    deep[*connection] += usize::from(pool.deep[*connection].contains(number));
                }
                let taken: Vec<usize> = pool.deep.iter().map(FxHashSet::len).collect();
                prop_assert_eq!(&taken, &deep[..taken.len()], "nobody has a place who holds nothing");
                prop_assert!(deep.iter().all(|count| *count <= books.per_connection));
            }
        }
    }
}
