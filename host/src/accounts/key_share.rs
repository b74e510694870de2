//! What all clients of one key hold together: a client may open many connections with its key, each with a
//! limit of its own.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// Subscriptions of all clients of one key.
#[derive(Clone, Debug, Default)]
pub struct KeyTotal(Arc<AtomicUsize>);

/// The part of one client in it, given back when dropped.
#[derive(Debug, Default)]
pub(crate) struct KeyShare {
    total: KeyTotal,
    own: usize,
}

impl KeyTotal {
    /// Subscriptions, with those that are being asked for.
    #[cfg(test)]
    pub(crate) fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl KeyShare {
    /// The part of a client that holds so many.
    pub(crate) fn new(total: KeyTotal, own: usize) -> Self {
        total.0.fetch_add(own, Ordering::Relaxed);
        Self { total, own }
    }

    /// The client holds so many, or has places for them.
    pub(crate) fn set(&mut self, own: usize) {
        let before = std::mem::replace(&mut self.own, own);
        if own >= before {
            self.total.0.fetch_add(own - before, Ordering::Relaxed);
        } else {
            self.total.0.fetch_sub(before - own, Ordering::Relaxed);
        }
    }

    /// Takes places for as many more as the limit on all of them leaves, until [`Self::set`] says what became
    /// of them. What the clients of the key ask for at one time fits together.
    pub(crate) fn reserve(&mut self, wanted: usize, limit: usize) -> usize {
        let mut taken = 0;
        let take = |all: usize| {
            taken = wanted.min(limit.saturating_sub(all));
            Some(all + taken)
        };
        _ = self.total.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take);
        self.own += taken;
        taken
    }
}

impl Drop for KeyShare {
    fn drop(&mut self) {
        self.total.0.fetch_sub(self.own, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_of_a_key_share_its_limit_and_give_back_what_they_have() {
        let total = KeyTotal::default();
        let mut one = KeyShare::new(total.clone(), 3);
        let mut other = KeyShare::new(total.clone(), 0);
        assert_eq!((one.reserve(4, 10), total.get()), (4, 7));
        assert_eq!((other.reserve(5, 10), other.reserve(1, 10), total.get()), (3, 0, 10));
        // Two of four were granted.
        one.set(5);
        assert_eq!((total.get(), other.reserve(5, 10)), (8, 2));
        // The limit was lowered: what is held stays.
        assert_eq!(other.reserve(1, 4), 0);
        drop(other);
        assert_eq!(total.get(), 5);
        one.set(0);
        drop(one);
        assert_eq!(total.get(), 0);
    }
}
