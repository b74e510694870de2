//! Tickhost: a daemon that streams live market data from many brokers to many WebSocket clients.
//!
//! Ticks flow through the modules in this order:
//!
//! ```text
//! plugins / bus -> intake -> router (book, throttle, encode) -> shard (index) -> session (outbox) -> client
//! ```
//!
//! Requests flow the other way: session -> feed -> pool -> plugins. `ARCHITECTURE.md` has the stages, their tasks,
//! queues and bounds; `PROTOCOL.md` what a client sees.

pub mod model;

pub mod accounts;
pub mod bus;
pub mod cli;
pub mod config;
pub mod plugins;
pub mod protocol;
pub mod telemetry;
