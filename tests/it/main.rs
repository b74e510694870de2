//! Integration tests: the real binary, the real library of the synthetic exchange, real sockets.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::float_cmp,
    reason = "a test reports by panicking, and counters are whole"
)]
#![allow(missing_docs, reason = "the names of the tests say what they are")]

mod abi;
mod accounts;
#[cfg(target_os = "linux")]
mod adapter_dev;
mod adapter_kit;
mod balance;
mod brands;
mod brokers;
mod bus;
mod bus_abuse;
mod canary;
mod clients;
mod closing;
mod console;
mod costs;
#[cfg(unix)]
mod data_folder;
mod delivery;
mod documented;
#[cfg(target_os = "linux")]
mod doors;
mod encryption;
mod faults;
mod feed_status;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod first_run;
mod greeks;
mod hostile;
mod hours;
mod integrity;
mod isolation;
mod keys;
mod lifecycle;
mod limits;
mod lists;
#[cfg(target_os = "linux")]
mod live_update;
mod logins;
#[cfg(target_os = "linux")]
mod mistakes;
#[cfg(not(feature = "otel"))]
mod no_otel;
#[cfg(feature = "otel")]
mod otel;
mod promises;
mod protocol;
mod reload;
mod slow_client;
mod strangers;
mod subscriptions;
mod unread_log;
mod upgrades;
