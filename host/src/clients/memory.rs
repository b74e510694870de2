//! What waits for all clients together, and who has to go when it is too much.
//!
//! A session says how much it holds each time that this has changed by `STEP_BYTES`; what is less than that
//! is not counted. When all of it is more than the limit, whoever holds most is told to go, as often as that
//! takes. Then the lock is held for a few instructions; otherwise there is none.

use std::{
    cell::Cell,
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use parking_lot::Mutex;
use tickhost_core::{metrics::ServerCounters, protocol::codes::CloseReason};

use crate::clients::admissions::Signal;

/// Change in what a session holds that is told.
const STEP_BYTES: usize = 16 * 1_024;

/// What all sessions hold.
#[derive(Debug)]
pub struct WaitingMemory {
    limit: AtomicUsize,
    held: Mutex<Held>,
    counters: Arc<ServerCounters>,
}

#[derive(Debug, Default)]
struct Held {
    bytes: usize,
    /// Who holds how much. The last one goes first.
    by_size: BTreeMap<(usize, u64), Arc<Signal>>,
    next: u64,
}

/// The part of one session, given back when dropped.
#[derive(Debug)]
pub(crate) struct Share {
    memory: Arc<WaitingMemory>,
    signal: Arc<Signal>,
    number: u64,
    /// What was told last.
    told: Cell<usize>,
    /// Whether it was told to go, and counts no more.
    is_gone: Cell<bool>,
}

impl WaitingMemory {
    /// Nobody holds anything. At most `limit` bytes may be held.
    pub fn new(limit: usize, counters: Arc<ServerCounters>) -> Arc<Self> {
        Arc::new(Self { limit: AtomicUsize::new(limit), held: Mutex::default(), counters })
    }

    /// Another limit from now on. It is looked at when somebody holds more.
    pub fn limit(&self, bytes: usize) {
        self.limit.store(bytes, Ordering::Relaxed);
    }

    /// A session begins, which ends when `signal` says so.
    pub(crate) fn share(self: &Arc<Self>, signal: Arc<Signal>) -> Share {
        let number = {
            let mut held = self.held.lock();
            held.next += 1;
            held.next
        };
        Share { memory: Arc::clone(self), signal, number, told: Cell::new(0), is_gone: Cell::new(false) }
    }
}

impl Share {
    /// The session holds so many bytes now.
    #[inline]
    pub(crate) fn note(&self, bytes: usize) {
        if bytes.abs_diff(self.told.get()) >= STEP_BYTES {
            self.report(bytes);
        }
    }

    #[cold]
    fn report(&self, bytes: usize) {
        if self.is_gone.get() {
            return;
        }
        let before = self.told.replace(bytes);
        let limit = self.memory.limit.load(Ordering::Relaxed);
        let mut gone = 0;
        {
            let mut held = self.memory.held.lock();
            let is_known = before == 0 || held.by_size.remove(&(before, self.number)).is_some();
            if !is_known {
                self.is_gone.set(true);
                return;
            }
            held.bytes = held.bytes - before + bytes;
            if bytes > 0 {
                held.by_size.insert((bytes, self.number), Arc::clone(&self.signal));
            }
            while held.bytes > limit
                && let Some(((bytes, _), signal)) = held.by_size.pop_last()
            {
                held.bytes -= bytes;
                gone += u64::from(signal.raise(CloseReason::SlowClient));
            }
            self.memory.counters.waiting_bytes.set(held.bytes as u64);
        }
        self.memory.counters.memory_displaced.add(gone);
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        if self.told.get() > 0 {
            self.report(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory(limit: usize) -> (Arc<WaitingMemory>, Arc<ServerCounters>) {
        let counters = Arc::<ServerCounters>::default();
        (WaitingMemory::new(limit, Arc::clone(&counters)), counters)
    }

    #[test]
    fn whoever_holds_most_goes_first() {
        let (memory, counters) = memory(1_000_000);
        let shares: Vec<Share> = (0..4).map(|_| memory.share(Arc::default())).collect();
        let gone = || {
            let raised = shares.iter().enumerate().filter(|(_, share)| share.signal.raised().is_some());
            raised.map(|(number, _)| number).collect::<Vec<_>>()
        };
        shares[0].note(200_000);
        shares[1].note(500_000);
        shares[2].note(250_000);
        assert_eq!((gone(), counters.waiting_bytes.get()), (vec![], 950_000));
        // The last one to ask for more is not the one that goes.
        shares[3].note(100_000);
        assert_eq!((gone(), counters.waiting_bytes.get()), (vec![1], 550_000));
        // One that is going counts no more, whatever it holds until then.
        shares[1].note(900_000);
        shares[1].note(0);
        assert_eq!((gone(), counters.waiting_bytes.get()), (vec![1], 550_000));
        shares[3].note(700_000);
        assert_eq!((gone(), counters.memory_displaced.get()), (vec![1, 3], 2));
        drop(shares);
        assert_eq!(memory.held.lock().bytes, 0);
        assert!(memory.held.lock().by_size.is_empty());
    }

    #[test]
    fn little_is_not_counted_and_what_is_given_back_is() {
        let (memory, counters) = memory(100_000);
        let share = memory.share(Arc::default());
        share.note(STEP_BYTES - 1);
        assert_eq!(counters.waiting_bytes.get(), 0);
        share.note(50_000);
        share.note(50_000 + STEP_BYTES - 1);
        assert_eq!(counters.waiting_bytes.get(), 50_000);
        share.note(10);
        assert_eq!(counters.waiting_bytes.get(), 10);
        drop(share);
        assert_eq!(counters.waiting_bytes.get(), 0);
    }

    #[test]
    fn a_smaller_limit_counts_from_the_next_change() {
        let (memory, _) = memory(1_000_000);
        let (large, small) = (memory.share(Arc::default()), memory.share(Arc::default()));
        large.note(600_000);
        memory.limit(300_000);
        assert_eq!(large.signal.raised(), None);
        small.note(20_000);
        assert_eq!(large.signal.raised(), Some(CloseReason::SlowClient));
        assert_eq!(small.signal.raised(), None);
    }
}
