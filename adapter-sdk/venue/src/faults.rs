//! What goes wrong on purpose.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;

/// Refusals that are still to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// HTTP status.
    pub status: u16,
    /// How often.
    pub times: u64,
    /// Whether of the broker's REST interface; of WebSocket handshakes otherwise.
    pub is_rest: bool,
}

#[derive(Debug, Default)]
struct Set {
    is_half_open: bool,
    refusals: Vec<Refusal>,
    storm: Option<Duration>,
    split_bytes: usize,
    is_fragmented: bool,
}

/// What goes wrong at a server on purpose, to be changed while it runs. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Faults(Arc<Mutex<Set>>);

impl Faults {
    /// Whether new connections are taken and then left without an answer.
    pub fn set_half_open(&self, is_half_open: bool) {
        self.0.lock().is_half_open = is_half_open;
    }

    /// Refuses requests that are still to come, in the place of what was to be refused of that kind before.
    pub fn refuse(&self, refusal: Refusal) {
        let mut set = self.0.lock();
        set.refusals.retain(|one| one.is_rest != refusal.is_rest);
        set.refusals.push(refusal);
    }

    /// Cuts each new connection after a while; none ends this.
    pub fn set_storm(&self, after: Option<Duration>) {
        self.0.lock().storm = after;
    }

    /// Writes new connections in pieces of so many bytes; 0 ends this.
    pub fn set_split(&self, bytes: usize) {
        self.0.lock().split_bytes = bytes;
    }

    /// Whether each message is sent in two frames.
    pub fn set_fragmented(&self, is_fragmented: bool) {
        self.0.lock().is_fragmented = is_fragmented;
    }

    pub(crate) fn is_half_open(&self) -> bool {
        self.0.lock().is_half_open
    }

    pub(crate) fn storm(&self) -> Option<Duration> {
        self.0.lock().storm
    }

    pub(crate) fn split_bytes(&self) -> usize {
        self.0.lock().split_bytes
    }

    pub(crate) fn is_fragmented(&self) -> bool {
        self.0.lock().is_fragmented
    }

    /// The status with which a request is to be refused, if it is.
    pub(crate) fn refusal(&self, is_rest: bool) -> Option<u16> {
        let mut set = self.0.lock();
        let found = set.refusals.iter_mut().find(|one| one.is_rest == is_rest && one.times > 0)?;
        found.times -= 1;
        Some(found.status)
    }
}
