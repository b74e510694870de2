//! The socket of fifty levels.

pub mod book;
pub(crate) mod socket;
pub mod wire;
