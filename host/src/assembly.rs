//! Puts the layers together, and takes them apart in order.

pub mod host;
pub mod reload;
