//! What a library says of itself, bounded and fit to be shown.

use std::collections::BTreeMap;

use adapter_abi::{AdapterMetadata, abi_stable::std_types::RString};
use serde::{Deserialize, Serialize};

use super::{BrandInfo, deep_books::DeepBooks};

/// What a library says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LibraryInfo {
    /// Short name.
    pub name: String,
    /// Version of the adapter.
    pub version: String,
    /// ABI that it was built with.
    pub abi_version: String,
    /// SDK that it was built with.
    pub sdk_version: String,
    /// Compiler that it was built with.
    pub rustc: String,
    /// Bits of `adapter_abi::capability`.
    pub capabilities: u64,
    /// Instruments on one connection, if it knows a limit.
    pub symbols_per_connection: Option<u32>,
    /// Connections of one account, if it knows a limit.
    pub connections: Option<u32>,
    /// JSON Schema of its settings.
    pub config_schema: String,
    /// JSON Schema of its credentials; empty when it needs none.
    pub credentials_schema: String,
    /// The brokers that it serves; empty when it is one of a single brand. See [`LibraryInfo::brand`].
    pub brands: Vec<BrandInfo>,
    /// How many deep books a connection carries, by broker, with the settings that the operator has for it:
    /// where the library says so.
    pub deep_books: BTreeMap<String, DeepBooks>,
}

/// Longest name, version or compiler that is shown of a library.
const MAX_LABEL_CHARS: usize = 64;

/// Longest schema of settings or credentials.
pub(super) const MAX_SCHEMA_BYTES: usize = 256 * 1_024;

pub(super) fn info_of(metadata: AdapterMetadata) -> LibraryInfo {
    let limit = |value: u32| (value > 0).then_some(value);
    LibraryInfo {
        name: label(&metadata.name),
        version: label(&metadata.version),
        abi_version: label(&metadata.abi_version),
        sdk_version: label(&metadata.sdk_version),
        rustc: label(&metadata.rustc),
        capabilities: metadata.capabilities,
        symbols_per_connection: limit(metadata.symbols_per_connection),
        connections: limit(metadata.connections),
        config_schema: schema(metadata.config_schema_json),
        credentials_schema: schema(metadata.credentials_schema_json),
        brands: Vec::new(),
        deep_books: BTreeMap::new(),
    }
}

/// A text of the library as it may be shown anywhere: short, and of letters that do nothing to a terminal.
pub(super) fn label(text: &str) -> String {
    text.chars()
        .take(MAX_LABEL_CHARS)
        .map(|letter| if letter.is_ascii_graphic() || letter == ' ' { letter } else { '?' })
        .collect()
}

/// A schema, none when it is longer than any that a person wrote.
fn schema(text: RString) -> String {
    if text.len() > MAX_SCHEMA_BYTES { String::new() } else { text.into() }
}
