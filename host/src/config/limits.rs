//! How much one account may open at its broker.

/// What brokers allow, for those that allow something else than [`OTHERS`].
const BY_BROKER: [(&str, BrokerLimits); 4] = [
    ("zerodha", BrokerLimits { symbols_per_connection: 3_000, connections: 1 }),
    ("angel", BrokerLimits { symbols_per_connection: 1_000, connections: 3 }),
    ("dhan", BrokerLimits { symbols_per_connection: 1_000, connections: 3 }),
    ("fyers", BrokerLimits { symbols_per_connection: 2_000, connections: 2 }),
];
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

impl BrokerLimits {
    /// The limits at a broker: what `plugins.toml` says for its adapter, else what the environment says for all, else
    /// what the broker is known for. Each of the two numbers is decided by itself.
    pub fn for_broker(broker: &str, by_adapter: LimitOverrides, by_environment: LimitOverrides) -> Self {
        let known = BY_BROKER.iter().find(|(name, _)| *name == broker).map_or(OTHERS, |(_, limits)| *limits);
        Self {
            symbols_per_connection: by_adapter
                .symbols_per_connection
                .or(by_environment.symbols_per_connection)
                .unwrap_or(known.symbols_per_connection),
            connections: by_adapter.connections.or(by_environment.connections).unwrap_or(known.connections),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_comes_from_the_nearest_that_says_one() {
        let limits = |broker,
                      by_adapter: (Option<usize>, Option<usize>),
                      by_environment: (Option<usize>, Option<usize>)| {
            let overrides = |(symbols_per_connection, connections)| LimitOverrides {
                symbols_per_connection,
                connections,
            };
            let limits = BrokerLimits::for_broker(broker, overrides(by_adapter), overrides(by_environment));
            (limits.symbols_per_connection, limits.connections)
        };
        let none = (None, None);
        assert_eq!(limits("zerodha", none, none), (3_000, 1));
        assert_eq!(limits("angel", none, none), (1_000, 3));
        assert_eq!(limits("dhan", none, none), (1_000, 3));
        assert_eq!(limits("fyers", none, none), (2_000, 2));
        assert_eq!(limits("anybody", none, none), (1_000, 3));
        assert_eq!(limits("zerodha", none, (Some(500), None)), (500, 1));
        assert_eq!(limits("zerodha", (None, Some(2)), (Some(500), Some(9))), (500, 2));
    }
}
