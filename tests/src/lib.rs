//! What the integration tests stand on: the real binary as a child process, a WebSocket client that speaks
//! JSON, a publisher for the bus, and waits with a deadline. Nothing in here knows the inside of the host.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    reason = "a test harness reports by panicking"
)]

pub mod abi;
pub mod asyncapi;
pub mod binary;
pub mod bus;
pub mod chain;
pub mod client;
#[cfg(feature = "otel")]
pub mod collector;
pub mod host;
pub mod http;
pub mod numbered;
pub mod openalgo;
pub mod process;
pub mod python;
pub mod secrets;
pub mod swaps;
pub mod tls;
pub mod venue;

use std::time::{Duration, Instant};

pub use self::{
    binary::{library, sim_library},
    client::Client,
    host::{Host, HostBuilder, PLUGINS},
};

/// Longest wait for anything that should happen at once. Generous: the machine may be busy with other tests.
pub const SOON: Duration = Duration::from_secs(20);

/// Waits until `condition` holds.
pub async fn wait_until<F: Future<Output = bool>>(what: &str, condition: impl Fn() -> F) {
    let deadline = Instant::now() + SOON;
    while !condition().await {
        assert!(Instant::now() < deadline, "waited {SOON:?} for: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
