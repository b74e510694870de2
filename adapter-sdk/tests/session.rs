//! The session that the SDK runs, around a broker whose messages are words.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests fail by panicking")]

#[path = "session/acme.rs"]
mod acme;
#[path = "session/cases.rs"]
mod cases;
#[path = "session/venue.rs"]
mod venue;
