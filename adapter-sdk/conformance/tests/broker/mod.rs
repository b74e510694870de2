//! A broker in this process, and an adapter for it.

pub mod adapter;
pub mod blocking;
pub mod venue;
