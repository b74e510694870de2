//! Whose key is checked next. Pure: it starts nothing and waits for nothing.
//!
//! One check for each key, however many wait for it. Addresses take turns, and within an address the first to ask is the
//! first to be served, so that a flood from one address makes itself wait. In an address under suspicion the last to ask is
//! the first: who has a good key there does not wait for the flood that was there before. When all places are taken, the address with
//! the most of them gives up its last one.

use std::{collections::VecDeque, hash::Hash};

use rustc_hash::FxHashMap;

/// Keys `K` that addresses `A` want checked with what is in `J`, and who (`W`) waits for each.
#[derive(Debug)]
pub(super) struct Queue<K, A, J, W> {
    places: usize,
    checks: FxHashMap<K, Check<A, J, W>>,
    /// Addresses by turn, each with its keys that wait. None is empty.
    lanes: VecDeque<(A, VecDeque<K>)>,
}

#[derive(Debug)]
struct Check<A, J, W> {
    waiters: Vec<W>,
    /// In whose lanes it waits.
    wanted_by: Vec<A>,
    /// None once it runs.
    job: Option<J>,
}

/// What became of a question.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Asked<W> {
    /// It waits for a check of its own. Those whose place it took are sent away.
    Queued {
        /// Who.
        displaced: Vec<W>,
    },
    /// It waits for the check that others wait for.
    Joined,
    /// There is no place.
    Full(W),
}

impl<K: Clone + Eq + Hash, A: Clone + Eq, J, W> Queue<K, A, J, W> {
    /// A queue in which so many checks may wait.
    pub(super) fn new(places: usize) -> Self {
        Self { places, checks: FxHashMap::default(), lanes: VecDeque::new() }
    }

    /// Checks that wait for their turn.
    pub(super) fn waiting(&self) -> usize {
        self.checks.values().filter(|check| check.job.is_some()).count()
    }

    /// `waiter` wants to know of this key.
    pub(super) fn ask(&mut self, key: K, from: &A, job: impl FnOnce() -> J, waiter: W) -> Asked<W> {
        if let Some(check) = self.checks.get_mut(&key) {
            check.waiters.push(waiter);
            if check.job.is_some() && !check.wanted_by.contains(from) {
                check.wanted_by.push(from.clone());
                self.enter(from, key);
            }
            return Asked::Joined;
        }
        let mut displaced = Vec::new();
        if self.waiting() >= self.places {
            match self.displace(from) {
                Some(waiters) => displaced = waiters,
                None => return Asked::Full(waiter),
            }
        }
        let check = Check { waiters: vec![waiter], wanted_by: vec![from.clone()], job: Some(job()) };
        self.checks.insert(key.clone(), check);
        self.enter(from, key);
        Asked::Queued { displaced }
    }

    /// The next check to run; those for which nobody waits any more are dropped.
    pub(super) fn next(
        &mut self,
        is_there: impl Fn(&W) -> bool,
        is_suspect: impl Fn(&A) -> bool,
    ) -> Option<(K, J)> {
        while let Some((address, mut keys)) = self.lanes.pop_front() {
            let key = if is_suspect(&address) { keys.pop_back() } else { keys.pop_front() };
            if !keys.is_empty() {
                self.lanes.push_back((address.clone(), keys));
            }
            let Some(key) = key else { continue };
            self.leave(&key);
            let Some(check) = self.checks.get_mut(&key) else { continue };
            check.waiters.retain(&is_there);
            if check.waiters.is_empty() {
                self.checks.remove(&key);
                continue;
            }
            if let Some(job) = check.job.take() {
                return Some((key, job));
            }
        }
        None
    }

    /// A check is done. Gives those that waited for it.
    pub(super) fn finish(&mut self, key: &K) -> Vec<W> {
        self.leave(key);
        self.checks.remove(key).map(|check| check.waiters).unwrap_or_default()
    }

    fn enter(&mut self, address: &A, key: K) {
        match self.lanes.iter_mut().find(|(known, _)| known == address) {
            Some((_, keys)) => keys.push_back(key),
            None => self.lanes.push_back((address.clone(), VecDeque::from([key]))),
        }
    }

    /// Takes a key out of all lanes.
    fn leave(&mut self, key: &K) {
        let Some(check) = self.checks.get_mut(key) else { return };
        for address in std::mem::take(&mut check.wanted_by) {
            if let Some(place) = self.lanes.iter().position(|(known, _)| *known == address)
                && let Some((_, keys)) = self.lanes.get_mut(place)
            {
                keys.retain(|known| known != key);
                if keys.is_empty() {
                    self.lanes.remove(place);
                }
            }
        }
    }

    /// Makes room for an address that has fewer places than another.
    fn displace(&mut self, newcomer: &A) -> Option<Vec<W>> {
        let length = |address: &A| {
            self.lanes.iter().find(|(known, _)| known == address).map_or(0, |(_, keys)| keys.len())
        };
        let own = length(newcomer);
        let (_, keys) = self.lanes.iter().max_by_key(|(_, keys)| keys.len())?;
        if keys.len() <= own + 1 {
            return None;
        }
        // What others wait for too is not that address's to give up.
        let is_its_own = |key: &&K| self.checks.get(key).is_some_and(|check| check.wanted_by.len() == 1);
        let last = keys.iter().rev().find(is_its_own)?.clone();
        Some(self.finish(&last))
    }
}

#[cfg(test)]
mod tests;
