//! What is said of the entries of `plugins.toml`, on status pages and in commands.

use adapter_abi::capability;
use serde::Serialize;

/// One entry of `plugins.toml`, and what became of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct AdapterStatus {
    /// Name in `plugins.toml`.
    pub name: String,
    /// The library as the file names it, or where it was found.
    pub library: String,
    /// What became of it.
    pub state: AdapterState,
    /// Where it runs: `process` or `in-process`.
    pub isolation: &'static str,
    /// SHA-256 of the library that is loaded.
    pub sha256: Option<String>,
    /// Builds that were loaded under this name since the start.
    pub generation: u32,
    /// Why it does not work, and what to do.
    pub error: Option<String>,
    /// Something that works, but not as `plugins.toml` wants it.
    pub note: Option<String>,
    /// Version of the adapter.
    pub version: Option<String>,
    /// ABI that it was built with.
    pub abi_version: Option<String>,
    /// SDK that it was built with.
    pub sdk_version: Option<String>,
    /// What it can do: see [`capability_names`].
    pub capabilities: Vec<&'static str>,
    /// Brokers that it serves.
    pub brokers: Vec<String>,
    /// Instruments on one connection to the first of them.
    pub symbols_per_connection: usize,
    /// Connections of one account there.
    pub connections: usize,
    /// Deep books on one connection there; missing where they are not counted apart.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deep_books: Option<BookStatus>,
    /// The brokers one by one, in the same order.
    pub by_broker: Vec<BrokerStatus>,
}

/// A broker that an adapter serves.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct BrokerStatus {
    /// Its name, as accounts have it.
    pub name: String,
    /// What people call it, if the library says so.
    pub title: Option<String>,
    /// What the library can do there, see [`capability_names`]; empty when it is not loaded.
    pub capabilities: Vec<&'static str>,
    /// Instruments on one connection.
    pub symbols_per_connection: usize,
    /// Connections of one account.
    pub connections: usize,
    /// Deep books on one connection; missing where they are not counted apart.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deep_books: Option<BookStatus>,
}

/// How many deep books a connection carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct BookStatus {
    /// Books on one connection.
    pub per_connection: usize,
    /// Levels above which a book is deep.
    pub above_levels: u16,
}

/// What became of an entry of `plugins.toml`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AdapterState {
    /// Loaded, and its settings are valid.
    Loaded,
    /// Switched off in the file.
    #[default]
    Disabled,
    /// Does not work: `error` says why.
    Failed,
}

impl AdapterState {
    /// The spelling in tables and JSON.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Loaded => "loaded",
            Self::Disabled => "disabled",
            Self::Failed => "failed",
        }
    }
}

/// Names of the bits of an adapter's capabilities; bits that this host does not know are left out.
pub fn capability_names(bits: u64) -> Vec<&'static str> {
    let known = [
        (capability::LTP, "ltp"),
        (capability::QUOTE, "quote"),
        (capability::DEPTH, "depth"),
        (capability::ORDERS, "orders"),
        (capability::SINGLE_SESSION, "single_session"),
        (capability::COUNTS_MODES, "counts_modes"),
        (capability::LOGIN, "login"),
    ];
    known.into_iter().filter(|(bit, _)| bits & bit != 0).map(|(_, name)| name).collect()
}
