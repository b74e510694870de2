//! The adapter against a broker on this machine that speaks `DhanHQ`: what the conformance suite does not
//! ask.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod books;
mod broker;
mod lists;
mod live;
mod login;
