//! Dhan, by way of `DhanHQ` version 2, as a Tickhost adapter.
//!
//! In the order of the data: [`wire`] (the broker's numbers) → [`clock`] (what time it means) → [`decode`] (to ticks, pure).
#![forbid(unsafe_code)]

pub mod clock;
pub mod decode;
pub mod list;
pub mod names;
pub mod segment;
pub mod wire;
