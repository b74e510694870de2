//! Puts the layers together, and takes them apart in order.

pub mod host;
pub(crate) mod plan;
pub mod reload;
