//! Where ticks come from: the adapters that `plugins.toml` lists, the accounts that are connected through
//! them, and which feed serves whom.

pub mod bulletin;
pub mod bus_feed;
pub mod catalog;
pub mod feed;
pub mod hub;
pub mod routing;
