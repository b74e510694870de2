//! The host under attack, and who has a key to it.

use std::path::PathBuf;

use integration_tests::{
    Host,
    openalgo::{self, Stored, key_of},
};
use rusqlite::Connection;

/// Users of the database: the two healthy ones, the attacker, and others for log-ins.
const USERS: usize = 48;

/// A host with a database of OpenAlgo's.
pub(crate) struct Target {
    /// The host.
    pub(crate) host: Host,
    /// The file of the database.
    pub(crate) database: PathBuf,
}

impl Target {
    /// Starts a host as an operator would, but that it sends each tick and serves the simulated exchange.
    pub(crate) fn start(stored: Stored) -> Self {
        let (host, database) = openalgo::host(USERS, "bus", stored);
        Connection::open(&database)
            .and_then(|open| open.execute("UPDATE auth SET broker = 'sim' WHERE name = 'user1'", []))
            .expect("a user of the simulated exchange");
        // Here the healthy and the attackers with a key have one address.
        let host = host.env("TICKHOST_MAX_CONNECTIONS_PER_ADDRESS", 20_000);
        let host = host.env("TICKHOST_THROTTLE_MS", 0).env("TICKHOST_LOG", "info").start();
        Self { host, database }
    }

    /// Bytes that the host has logged.
    pub(crate) fn log_bytes(&self) -> usize {
        self.host.log().len()
    }
}

/// Key of the healthy clients of the bus.
pub(crate) fn bus_key() -> String {
    key_of(0)
}

/// Key of the healthy clients of the simulated exchange.
pub(crate) fn other_key() -> String {
    key_of(1)
}

/// Key of the attacker, where the attacker has one.
pub(crate) fn attackers_key() -> String {
    key_of(2)
}

/// Keys that nobody has used yet.
pub(crate) fn fresh_keys() -> impl Iterator<Item = String> {
    (3..USERS).map(key_of)
}
