//! A synthetic exchange as a Tickhost adapter.
#![forbid(unsafe_code)]

pub mod config;
pub mod feed;
pub mod market;
pub mod universe;
