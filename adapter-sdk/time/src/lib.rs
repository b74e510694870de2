//! What the host, adapters and tests share of time. No clock is read and no chance drawn in here: both are
//! arguments.

mod backoff;
pub mod ist;

pub use self::backoff::Backoff;
