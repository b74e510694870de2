//! Upstox.
#![forbid(unsafe_code)]

pub mod decode;
pub mod key;
pub mod request;
pub mod wire;
