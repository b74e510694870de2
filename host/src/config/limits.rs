//! How much one account may open at its broker.

/// What is taken where nobody says anything: what most brokers allow.
const OTHERS: BrokerLimits = BrokerLimits { symbols_per_connection: 1_000, connections: 3 };

/// What one account may open at its broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BrokerLimits {
    /// Symbols on one connection, 1 to 100,000; a symbol counts once whatever its modes.
    pub symbols_per_connection: usize,
    /// Connections, 1 to 100.
    pub connections: usize,
}

/// Limits that somebody gave instead of the usual ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LimitOverrides {
    /// Symbols on one connection.
    pub symbols_per_connection: Option<usize>,
    /// Connections.
    pub connections: Option<usize>,
}

impl LimitOverrides {
    /// These, and the others where these say nothing.
    #[must_use]
    pub fn or(self, others: Self) -> Self {
        Self {
            symbols_per_connection: self.symbols_per_connection.or(others.symbols_per_connection),
            connections: self.connections.or(others.connections),
        }
    }
}

impl BrokerLimits {
    /// The limits at a broker: what `plugins.toml` says, else what the adapter knows of the broker, else what the settings of
    /// the host say for all. Each of the two numbers is decided by itself.
    pub fn decide(by_file: LimitOverrides, by_adapter: LimitOverrides, by_settings: LimitOverrides) -> Self {
        let said = by_file.or(by_adapter).or(by_settings);
        Self {
            symbols_per_connection: said.symbols_per_connection.unwrap_or(OTHERS.symbols_per_connection),
            connections: said.connections.unwrap_or(OTHERS.connections),
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
}
