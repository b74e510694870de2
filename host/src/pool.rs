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

    /// Changes the limits. What is placed stays where it is, even if there are too many of them.
    pub fn set_limits(&mut self, limits: PoolLimits) {
        self.limits = PoolLimits {
            symbols_per_connection: limits.symbols_per_connection.max(1),
            connections: limits.connections.max(1),
        };
    }

    /// Takes a place for one instrument; returns the number of its connection, which may be a new one.
    ///
    /// # Errors
    /// [`MaxCapacityReached`].
    pub fn place(&mut self) -> Result<usize, MaxCapacityReached> {
        let PoolLimits { symbols_per_connection, connections } = self.limits;
        if let Some(found) = self.used.iter().position(|used| *used < symbols_per_connection) {
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
        let placed: Vec<usize> = (0..4).map(|_| pool.place().unwrap()).collect();
        assert_eq!(placed, [0, 0, 1, 1]);
        pool.release(0);
        assert_eq!(pool.place(), Ok(0));
    }

    #[test]
    fn a_full_pool_says_so_in_the_words_that_clients_know() {
        let mut pool = Pool::new(PoolLimits { symbols_per_connection: 1_000, connections: 3 });
        (0..3_000).for_each(|_| assert!(pool.place().is_ok()));
        assert_eq!(
            pool.place().unwrap_err().to_string(),
            "Maximum capacity reached: 3 connections × 1000 symbols = 3000 symbols. \
             Currently subscribed to 3000 symbols."
        );
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
                    Some(_) => if let Ok(connection) = pool.place() { held.push(connection) } else { prop_assert_eq!(held.len(), per_connection * connections) },
                    None => if let Some(connection) = held.pop() { pool.release(connection) },
                }
                prop_assert_eq!(pool.total(), held.len());
                prop_assert!(pool.used().len() <= connections);
                prop_assert!(pool.used().iter().all(|used| *used <= per_connection));
            }
        }
    }
}
