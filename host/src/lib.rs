//! Tickhost: a daemon that streams live market data from many brokers to many WebSocket clients.
//!
//! The crate is built in layers; each uses those before it in this list and none after it, which
//! `tests/layers.rs` holds. Below all of them is the crate `tickhost_core`: the way of a tick, without
//! sockets, files or clocks.
//!
//! Ticks flow `adapters` or `bus` -> `tickhost_core` (intake, router, mailbox) -> `clients` (shard, session).
//! Requests flow the other way: `clients` -> `feeds` (hub, feed) -> `adapters`. `ARCHITECTURE.md` has the
//! stages, their tasks, queues and bounds; `PROTOCOL.md` what a client sees.

pub mod base;
pub mod config;

pub mod accounts;
pub mod bus;

pub mod adapters;
pub mod feeds;

pub mod clients;

pub mod operator;

pub mod assembly;
pub mod command;
