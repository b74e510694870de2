//! How long a thread had nothing to do, as its runtime reports it.

use std::{
    cell::Cell,
    time::{Duration, Instant},
};

use tickhost_core::throttle::Nanos;

thread_local! {
    static PARKED_AT: Cell<Option<Instant>> = const { Cell::new(None) };
    static IDLE: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

/// The thread has nothing to do. For the runtime to call.
pub fn on_park() {
    PARKED_AT.set(Some(Instant::now()));
}

/// The thread has something to do again. For the runtime to call.
pub fn on_unpark() {
    if let Some(parked_at) = PARKED_AT.take() {
        IDLE.set(IDLE.get() + parked_at.elapsed());
    }
}

/// How long this thread had nothing to do, since it began.
pub(super) fn idle_nanos() -> Nanos {
    u64::try_from(IDLE.get().as_nanos()).unwrap_or(u64::MAX)
}
