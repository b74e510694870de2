//! A broker in this process, and an adapter for it.

pub mod adapter;
pub mod blocking;
pub mod session;
pub mod venue;

use std::time::{Duration, Instant};

/// Keeps a thread for as long as is said, whoever wakes it for something else in the meantime.
pub fn hold(time: Duration) {
    let until = Instant::now() + time;
    while let Some(left) = until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
        std::thread::park_timeout(left);
    }
}
