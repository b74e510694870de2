//! Zerodha, by way of Kite Connect version 3, as a Tickhost adapter.
#![forbid(unsafe_code)]

pub mod decode;
pub mod instruments;
pub mod names;
pub mod wire;
