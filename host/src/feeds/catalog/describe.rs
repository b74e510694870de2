//! What is shown of an entry: what the file says, and what its library says of itself.

use tickhost_core::pool::BookLimit;

use crate::{
    adapters::{BrandInfo, LibraryInfo},
    config::{AdapterEntry, Settings},
    feeds::catalog::report::{AdapterState, AdapterStatus, BookStatus, BrokerStatus, capability_names},
};

/// What the file says of an entry.
pub fn listed(settings: &Settings, entry: &AdapterEntry) -> AdapterStatus {
    let status = AdapterStatus {
        name: entry.name.clone(),
        library: match &entry.library_path {
            Ok(path) => path.display().to_string(),
            Err(_) => entry.library.clone(),
        },
        isolation: entry.isolation.label(),
        brokers: entry.brokers.clone(),
        ..AdapterStatus::default()
    };
    with_brokers(status, settings, entry, None)
}

/// Adds what the library says of itself.
pub fn described(
    status: AdapterStatus,
    settings: &Settings,
    entry: &AdapterEntry,
    info: &LibraryInfo,
) -> AdapterStatus {
    let capabilities = entry.brokers.iter().filter_map(|broker| info.brand(broker).ok());
    let status = AdapterStatus {
        state: AdapterState::Loaded,
        version: Some(info.version.clone()),
        abi_version: Some(info.abi_version.clone()),
        sdk_version: Some(info.sdk_version.clone()),
        capabilities: capability_names(capabilities.fold(0, |bits, brand| bits | brand.capabilities)),
        ..status
    };
    with_brokers(status, settings, entry, Some(info))
}

/// Adds the brokers one by one, with what is known of each.
fn with_brokers(
    status: AdapterStatus,
    settings: &Settings,
    entry: &AdapterEntry,
    info: Option<&LibraryInfo>,
) -> AdapterStatus {
    let broker = |name: &String| {
        let brand = info.and_then(|info| info.brand(name).ok());
        let known = brand.as_ref().map(BrandInfo::limits).unwrap_or_default();
        let limits = settings.limits_for(entry, name, known);
        BrokerStatus {
            name: name.clone(),
            title: brand.as_ref().and_then(|brand| brand.title.clone()),
            capabilities: brand.map(|brand| capability_names(brand.capabilities)).unwrap_or_default(),
            symbols_per_connection: limits.symbols_per_connection,
            connections: limits.connections,
            deep_books: limits.books.map(|BookLimit { per_connection, above_levels }| BookStatus {
                per_connection,
                above_levels,
            }),
        }
    };
    let by_broker: Vec<BrokerStatus> = entry.brokers.iter().map(broker).collect();
    let first = by_broker.first().cloned().unwrap_or_default();
    let BrokerStatus { symbols_per_connection, connections, deep_books, .. } = first;
    AdapterStatus { symbols_per_connection, connections, deep_books, by_broker, ..status }
}
