//! What the operator sees and asks: status pages, metrics, the console, logs and traces.

pub mod admin;
pub mod service;
pub mod status;
pub mod telemetry;
