//! Where the ticks of a broker come from.

use std::{sync::Arc, time::Duration};

use tickhost_core::{calendar::Hours, pool::PoolLimits};

use crate::{adapters::connector::Connector, feeds::feed::Serving};

/// A source of ticks for some brokers: an adapter of `plugins.toml`, or the bus.
#[derive(Clone, Debug)]
pub struct Source {
    /// Name of the adapter, or `bus`.
    pub name: Arc<str>,
    /// Makes connections; or why there are none.
    pub connector: Result<Arc<dyn Connector>, Arc<str>>,
    /// Limits of one account at each broker.
    pub limits: PoolLimits,
    /// Spacing of updates.
    pub throttle: Duration,
    /// Whether all accounts share one feed, and publishers repeat a tick under several modes: the bus.
    pub is_bus: bool,
    /// Sessions that the broker allows an account at once. Where there is no room for one more, an old
    /// instance must end before a new one begins.
    pub sessions: usize,
    /// When it may not be silent.
    pub hours: Hours,
    /// Whether its adapter logs in at the broker.
    pub logs_in: bool,
}

impl Serving {
    pub(super) fn new(source: &Source, connector: Arc<dyn Connector>) -> Self {
        Self {
            connector,
            limits: source.limits,
            throttle: source.throttle,
            sessions: source.sessions,
            hours: source.hours,
            logs_in: source.logs_in,
        }
    }
}

impl Source {
    /// The bus, not connected yet.
    pub fn bus(throttle: Duration, hours: Hours, symbols: usize) -> Self {
        Self {
            name: "bus".into(),
            connector: Err("the host is not running".into()),
            // Publishers decide what there is; only the host's own memory is bounded.
            limits: PoolLimits::new(symbols, 1),
            throttle,
            is_bus: true,
            sessions: usize::MAX,
            hours,
            logs_in: false,
        }
    }
}
