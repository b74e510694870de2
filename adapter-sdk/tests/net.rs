//! The clients for brokers, against servers that behave as brokers do on their worse days.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests fail by panicking")]

#[path = "net/asked.rs"]
mod asked;
#[path = "net/beside.rs"]
mod beside;
#[path = "net/http.rs"]
mod http;
#[path = "net/incomplete.rs"]
mod incomplete;
#[path = "net/instruments.rs"]
mod instruments;
#[path = "net/master.rs"]
mod master;
#[path = "net/outdated.rs"]
mod outdated;
#[path = "net/pages.rs"]
mod pages;
#[path = "net/proxy.rs"]
mod proxy;
#[path = "net/server.rs"]
mod server;
#[path = "net/websocket.rs"]
mod websocket;
