//! What an adapter says of itself.

use std::time::Duration;

use adapter_time::Backoff;

use adapter_abi::{ABI_VERSION, AdapterMetadata};
use serde_json::json;

use crate::brand::{Brand, bits};

/// What an adapter can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Capability {
    /// Last prices.
    Ltp,
    /// Quotes.
    Quote,
    /// Books.
    Depth,
    /// Order updates.
    Orders,
    /// The broker allows one session for an account.
    SingleSession,
    /// The broker counts (symbol, mode) pairs against its limit.
    CountsModes,
    /// [`Adapter::login`](crate::Adapter::login) logs in.
    Login,
}

/// A broker's limit on books that are larger than usual: see
/// [`Adapter::deep_books`](crate::Adapter::deep_books).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeepBooks {
    /// Books on one connection, counted by instruments; 0 where the account has none.
    pub per_connection: u32,
    /// Levels that every book may have; more make it deep.
    pub above_levels: u16,
}

impl DeepBooks {
    /// So many books of more than so many levels on one connection.
    pub const fn of(per_connection: u32, above_levels: u16) -> Self {
        Self { per_connection, above_levels }
    }

    /// As the host reads it.
    pub(crate) fn described(limit: Option<Self>) -> String {
        let limit = limit
            .map(|Self { per_connection, above_levels }| json!({ "per_connection": per_connection, "above_levels": above_levels }));
        json!({ "deep_books": limit }).to_string()
    }
}

/// What an adapter says of itself. Make it with [`Manifest::new`] and the methods that follow.
#[derive(Clone, Debug)]
pub struct Manifest {
    pub(crate) name: &'static str,
    pub(crate) version: &'static str,
    pub(crate) capabilities: u64,
    pub(crate) symbols_per_connection: u32,
    pub(crate) connections: u32,
    pub(crate) config_schema: &'static str,
    pub(crate) credentials_schema: &'static str,
    pub(crate) backoff: Backoff,
    pub(crate) brands: Vec<Brand>,
}

impl Manifest {
    /// A short lower-case name, and the adapter's version:
    /// `Manifest::new("acme", env!("CARGO_PKG_VERSION"))`.
    pub const fn new(name: &'static str, version: &'static str) -> Self {
        Self {
            name,
            version,
            capabilities: 0,
            symbols_per_connection: 0,
            connections: 0,
            config_schema: "{}",
            credentials_schema: "",
            backoff: Backoff::new(Duration::from_millis(250), Duration::from_mins(1)),
            brands: Vec::new(),
        }
    }

    /// What the adapter can do.
    #[must_use]
    pub fn capabilities(mut self, capabilities: &[Capability]) -> Self {
        self.capabilities |= bits(capabilities);
        self
    }

    /// The broker's limits: instruments on one connection, and connections of one account; 0 where none is
    /// known. The host keeps to them unless the operator's `plugins.toml` says otherwise.
    #[must_use]
    pub const fn limits(mut self, symbols_per_connection: u32, connections: u32) -> Self {
        self.symbols_per_connection = symbols_per_connection;
        self.connections = connections;
        self
    }

    /// JSON Schema of the settings.
    #[must_use]
    pub const fn config_schema(mut self, json: &'static str) -> Self {
        self.config_schema = json;
        self
    }

    /// JSON Schema of the credentials.
    #[must_use]
    pub const fn credentials_schema(mut self, json: &'static str) -> Self {
        self.credentials_schema = json;
        self
    }

    /// Pauses between attempts to connect, when the usual ones do not fit.
    #[must_use]
    pub const fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    pub(crate) fn metadata(&self) -> AdapterMetadata {
        AdapterMetadata {
            name: self.name.into(),
            version: self.version.into(),
            abi_version: ABI_VERSION.into(),
            sdk_version: crate::SDK_VERSION.into(),
            rustc: env!("ADAPTER_SDK_RUSTC").into(),
            capabilities: self.capabilities,
            symbols_per_connection: self.symbols_per_connection,
            connections: self.connections,
            config_schema_json: self.config_schema.into(),
            credentials_schema_json: self.credentials_schema.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deep_books_are_described_as_the_host_reads_them() {
        let said = |limit| serde_json::from_str::<serde_json::Value>(&DeepBooks::described(limit)).unwrap();
        assert_eq!(
            said(Some(DeepBooks::of(50, 5))),
            json!({ "deep_books": { "per_connection": 50, "above_levels": 5 } })
        );
        assert_eq!(said(None), json!({ "deep_books": null }));
    }
}
