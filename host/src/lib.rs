//! Tickhost: a daemon that streams live market data from many brokers to many WebSocket clients.
//!
//! Ticks flow through the modules in this order:
//!
//! ```text
//! plugins / bus -> intake -> router (book, throttle, encode) -> mailbox -> shard (index) -> session (outbox) -> client
//! ```
//!
//! Requests flow the other way: session -> hub -> feed (pool) -> plugins. `ARCHITECTURE.md` has the stages, their tasks,
//! queues and bounds; `PROTOCOL.md` what a client sees.

pub mod bus;
pub mod bus_feed;
pub mod plugins;

pub mod routing;

pub mod shard;

pub mod admissions;
pub mod listener;
pub mod session;
pub mod tls;
pub mod upgrade;

pub mod feed;
pub mod hub;

pub mod admin;
pub mod catalog;
pub mod host;
pub mod status;

pub mod accounts;
pub mod cli;
pub mod config;

mod address;
pub mod blocking;
pub mod cause;
pub mod clock;
pub mod descriptors;
mod files;
mod locks;
pub mod log_rate;
pub mod reload;
pub mod run_dir;
pub mod service;
pub mod telemetry;
