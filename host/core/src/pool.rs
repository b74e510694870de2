//! Which connection to the broker carries which instrument: fill the first, open the next when it is full.

/// What one account may open at its broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolLimits {
    /// Instruments that one connection carries.
    pub symbols_per_connection: usize,
    /// Connections.
    pub connections: usize,
}

impl PoolLimits {
    /// Instruments in all.
    pub const fn capacity(self) -> usize {
        self.symbols_per_connection.saturating_mul(self.connections)
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
}

impl Pool {
    /// A pool without connections. Limits below one count as one.
    pub fn new(limits: PoolLimits) -> Self {
        let mut pool = Self { limits, used: Vec::new() };
        pool.set_limits(limits);
        pool
    }

    /// Changes the limits. What is placed stays where it is until its owner moves it, even if there are too many of them.
    pub fn set_limits(&mut self, limits: PoolLimits) {
        self.limits = PoolLimits {
            symbols_per_connection: limits.symbols_per_connection.max(1),
            connections: limits.connections.max(1),
        };
    }

    /// Takes a place for one instrument; returns the number of its connection, which may be a new one. Connections that
    /// are not usable are taken when nothing else has room.
    ///
    /// # Errors
    /// [`MaxCapacityReached`].
    pub fn place(&mut self, is_usable: impl Fn(usize) -> bool) -> Result<usize, MaxCapacityReached> {
        let PoolLimits { symbols_per_connection, connections } = self.limits;
        let has_room = |(number, used): (usize, &usize)| {
            (number < connections && *used < symbols_per_connection).then_some(number)
        };
        let mut with_room = self.used.iter().enumerate().filter_map(has_room);
        let usable = with_room.clone().find(|number| is_usable(*number));
        let may_open = self.used.len() < connections;
        if let Some(found) = usable.or_else(|| if may_open { None } else { with_room.next() }) {
            if let Some(used) = self.used.get_mut(found) {
                *used += 1;
            }
            return Ok(found);
        }
        if self.used.len() >= connections {
            return Err(MaxCapacityReached {
                connections,
                per_connection: symbols_per_connection,
                capacity: self.limits.capacity(),
                used: self.total(),
            });
        }
        self.used.push(1);
        Ok(self.used.len() - 1)
    }

    /// Forgets the connections from this number on, which carry nothing any more.
    pub fn close_beyond(&mut self, number: usize) {
        self.used.truncate(number);
    }

    /// Gives a place back.
    pub fn release(&mut self, connection: usize) {
        if let Some(used) = self.used.get_mut(connection) {
            *used = used.saturating_sub(1);
        }
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

    #[test]
    fn the_first_connection_fills_before_the_next_opens() {
        let mut pool = Pool::new(PoolLimits { symbols_per_connection: 2, connections: 2 });
        let placed: Vec<usize> = (0..4).map(|_| pool.place(|_| true).unwrap()).collect();
        assert_eq!(placed, [0, 0, 1, 1]);
        pool.release(0);
        assert_eq!(pool.place(|_| true), Ok(0));
    }

    #[test]
    fn a_full_pool_says_so_in_the_words_that_clients_know() {
        let mut pool = Pool::new(PoolLimits { symbols_per_connection: 1_000, connections: 3 });
        (0..3_000).for_each(|_| assert!(pool.place(|_| true).is_ok()));
        assert_eq!(
            pool.place(|_| true).unwrap_err().to_string(),
            "Maximum capacity reached: 3 connections × 1000 symbols = 3000 symbols. \
             Currently subscribed to 3000 symbols."
        );
    }

    #[test]
    fn connections_that_stay_down_are_taken_last() {
        let mut pool = Pool::new(PoolLimits { symbols_per_connection: 2, connections: 3 });
        assert_eq!(pool.place(|_| true), Ok(0));
        // A new one rather than the first, which is down; the first when nothing else is left.
        let placed: Vec<usize> = (0..5).map(|_| pool.place(|number| number != 0).unwrap()).collect();
        assert_eq!(placed, [1, 1, 2, 2, 0]);
        assert!(pool.place(|number| number != 0).is_err());
    }

    #[test]
    fn with_smaller_limits_nothing_is_placed_beyond_them() {
        let mut pool = Pool::new(PoolLimits { symbols_per_connection: 3, connections: 3 });
        (0..9).for_each(|_| assert!(pool.place(|_| true).is_ok()));
        pool.set_limits(PoolLimits { symbols_per_connection: 2, connections: 2 });
        (0..3).for_each(|_| pool.release(2));
        assert!(pool.place(|_| true).is_err(), "the third connection is one too many");
        pool.close_beyond(2);
        assert!(pool.place(|_| true).is_err());
        (0..2).for_each(|_| pool.release(1));
        assert_eq!((pool.place(|_| true), pool.used()), (Ok(1), [3, 2].as_slice()));
    }

    #[test]
    fn limits_below_one_count_as_one() {
        let mut pool = Pool::new(PoolLimits { symbols_per_connection: 0, connections: 0 });
        assert_eq!((pool.limits().capacity(), pool.place(|_| true)), (1, Ok(0)));
        assert!(pool.place(|_| true).is_err());
    }

    proptest! {
        #[test]
        fn no_connection_ever_exceeds_its_limit(
            per_connection in 1_usize..5,
            connections in 1_usize..4,
            steps in proptest::collection::vec(any::<Option<u8>>(), 0..100),
        ) {
            let mut pool = Pool::new(PoolLimits { symbols_per_connection: per_connection, connections });
            let mut held = Vec::new();
            for step in steps {
                match step {
                    Some(_) => if let Ok(connection) = pool.place(|_| true) { held.push(connection) } else { prop_assert_eq!(held.len(), per_connection * connections) },
                    None => if let Some(connection) = held.pop() { pool.release(connection) },
                }
                prop_assert_eq!(pool.total(), held.len());
                prop_assert!(pool.used().len() <= connections);
                prop_assert!(pool.used().iter().all(|used| *used <= per_connection));
            }
        }
    }
}
