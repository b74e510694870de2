//! How much one account may open at its broker.

/// What is taken where nobody says anything: what most brokers allow.
const OTHERS: BrokerLimits = BrokerLimits { symbols_per_connection: 1_000, connections: 3, books: None };

use tickhost_core::pool::BookLimit;

/// Levels that any book has, where nobody says which books are counted apart.
const USUAL_LEVELS: u16 = 5;

/// What one account may open at its broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BrokerLimits {
    /// Symbols on one connection, 1 to 100,000; a symbol counts once whatever its modes.
    pub symbols_per_connection: usize,
    /// Connections, 1 to 100.
    pub connections: usize,
    /// Deep books on one connection; none where they are not counted apart.
    pub books: Option<BookLimit>,
}

/// Limits that somebody gave instead of the usual ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LimitOverrides {
    /// Symbols on one connection.
    pub symbols_per_connection: Option<usize>,
    /// Connections.
    pub connections: Option<usize>,
    /// Deep books on one connection, 0 to 100,000.
    pub deep_books_per_connection: Option<usize>,
    /// Levels above which a book is deep. Only adapters know.
    pub deep_above_levels: Option<u16>,
}

impl LimitOverrides {
    /// These, and the others where these say nothing.
    #[must_use]
    pub fn or(self, others: Self) -> Self {
        Self {
            symbols_per_connection: self.symbols_per_connection.or(others.symbols_per_connection),
            connections: self.connections.or(others.connections),
            deep_books_per_connection: self.deep_books_per_connection.or(others.deep_books_per_connection),
            deep_above_levels: self.deep_above_levels.or(others.deep_above_levels),
        }
    }
}

impl BrokerLimits {
    /// The limits at a broker: what `plugins.toml` says, else what the adapter knows of the broker, else what
    /// the settings of the host say for all. Each number is decided by itself.
    pub fn decide(by_file: LimitOverrides, by_adapter: LimitOverrides, by_settings: LimitOverrides) -> Self {
        let said = by_file.or(by_adapter).or(by_settings);
        Self {
            symbols_per_connection: said.symbols_per_connection.unwrap_or(OTHERS.symbols_per_connection),
            connections: said.connections.unwrap_or(OTHERS.connections),
            books: said.deep_books_per_connection.map(|per_connection| BookLimit {
                per_connection,
                above_levels: said.deep_above_levels.unwrap_or(USUAL_LEVELS),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_comes_from_the_nearest_that_says_one() {
        type Pair = (Option<usize>, Option<usize>);
        let limits = |by_file: Pair, by_adapter: Pair, by_settings: Pair| {
            let overrides = |(symbols_per_connection, connections)| LimitOverrides {
                symbols_per_connection,
                connections,
                ..LimitOverrides::default()
            };
            let limits =
                BrokerLimits::decide(overrides(by_file), overrides(by_adapter), overrides(by_settings));
            (limits.symbols_per_connection, limits.connections)
        };
        let none = (None, None);
        let zerodha = (Some(3_000), Some(1));
        assert_eq!(limits(none, none, none), (1_000, 3));
        assert_eq!(limits(none, zerodha, none), (3_000, 1));
        assert_eq!(limits(none, zerodha, (Some(500), Some(9))), (3_000, 1), "the adapter knows its broker");
        assert_eq!(limits(none, (None, Some(1)), (Some(500), Some(9))), (500, 1));
        assert_eq!(limits(none, none, (Some(500), None)), (500, 3));
        assert_eq!(limits((None, Some(2)), zerodha, (Some(500), Some(9))), (3_000, 2));
        assert_eq!(limits((Some(7), Some(2)), zerodha, none), (7, 2));
    }

    #[test]
    fn deep_books_are_counted_where_anybody_says_how_many_there_may_be() {
        let books = |by_file, by_adapter: (Option<usize>, Option<u16>), by_settings| {
            let of = |(count, levels)| LimitOverrides {
                deep_books_per_connection: count,
                deep_above_levels: levels,
                ..LimitOverrides::default()
            };
            let limits = BrokerLimits::decide(of((by_file, None)), of(by_adapter), of((by_settings, None)));
            limits.books.map(|books| (books.per_connection, books.above_levels))
        };
        assert_eq!(books(None, (None, None), None), None);
        assert_eq!(books(None, (None, None), Some(40)), Some((40, 5)));
        assert_eq!(books(None, (Some(50), Some(10)), Some(40)), Some((50, 10)));
        assert_eq!(books(Some(0), (Some(50), Some(10)), Some(40)), Some((0, 10)));
        assert_eq!(books(Some(7), (None, None), None), Some((7, 5)));
    }
}
