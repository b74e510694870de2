//! A running host follows `plugins.toml` and the libraries of its adapters, and no client notices.

mod bad_file;
mod brokers;
mod clients;
mod library;
mod place;
mod reload;
mod saves;
mod sequence;
mod single;
mod venue;
