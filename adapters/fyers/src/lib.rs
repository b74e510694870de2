//! Fyers, by way of its API version 3, as a Tickhost adapter.
#![forbid(unsafe_code)]

pub mod decode;
pub mod request;
pub mod state;
pub mod tbt;
pub mod topic;
pub mod wire;
