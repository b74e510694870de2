//! The socket of fifty levels.

pub mod book;
pub mod wire;
