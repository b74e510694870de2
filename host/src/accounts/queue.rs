//! Whose key is checked next. Pure: it starts nothing and waits for nothing.
//!
//! One check for each key, however many wait for it. Lanes take turns, and within a lane the first to ask is
//! the first to be served, so that a flood from one address makes itself wait. Against some lanes more speaks
//! than against others: those have one turn in eight, as long as anybody else waits. In a lane under
//! suspicion the last to ask is the next, but for one turn in eight: who has a good key there does not wait
//! for the flood that was there before. When all places are taken, the lane with the most of them, among
//! those against which most speaks, gives up its last one.

use std::{collections::VecDeque, hash::Hash};

use rustc_hash::FxHashMap;

use super::strikes::Doubt;

/// One turn in so many goes to whoever has waited longest for one, whatever speaks against it.
const FAIR_TURN: u32 = 8;

/// Keys in one lane that are a flood, whatever is known of it: more than the users whom an address has.
const CROWD: usize = 64;

/// Keys `K` that callers `A` want checked with what is in `J`, and who (`W`) waits for each.
#[derive(Debug)]
pub(super) struct Queue<K, A, J, W> {
    places: usize,
    checks: FxHashMap<K, Check<A, J, W>>,
    /// Checks that do not run yet.
    waiting: usize,
    /// By turn, each with the keys that wait in it. None is empty.
    lanes: VecDeque<(A, VecDeque<K>)>,
    turns: u32,
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
        Self { places, checks: FxHashMap::default(), waiting: 0, lanes: VecDeque::new(), turns: 0 }
    }

    /// Checks that wait for their turn.
    pub(super) const fn waiting(&self) -> usize {
        self.waiting
    }

    /// `waiter` wants to know of this key. When there is no place, those of `is_there` that have gone give up
    /// theirs first, then those against whom more speaks by `doubt`.
    pub(super) fn ask(
        &mut self,
        key: K,
        from: &A,
        job: impl FnOnce() -> J,
        waiter: W,
        is_there: impl Fn(&W) -> bool,
        doubt: impl Fn(&A) -> Doubt,
    ) -> Asked<W> {
        if let Some(check) = self.checks.get_mut(&key) {
            check.waiters.push(waiter);
            if check.job.is_some() && !check.wanted_by.contains(from) {
                check.wanted_by.push(from.clone());
                self.enter(from, key);
            }
            return Asked::Joined;
        }
        let mut displaced = Vec::new();
        if self.waiting >= self.places {
            self.forget_gone(is_there);
        }
        if self.waiting >= self.places {
            match self.displace(from, doubt) {
                Some(waiters) => displaced = waiters,
                None => return Asked::Full(waiter),
            }
        }
        let check = Check { waiters: vec![waiter], wanted_by: vec![from.clone()], job: Some(job()) };
        self.checks.insert(key.clone(), check);
        self.waiting += 1;
        self.enter(from, key);
        Asked::Queued { displaced }
    }

    /// The next check to run; those for which nobody waits any more are dropped.
    pub(super) fn next(
        &mut self,
        is_there: impl Fn(&W) -> bool,
        doubt: impl Fn(&A) -> Doubt,
    ) -> Option<(K, J)> {
        loop {
            let is_fair_turn = self.turns % FAIR_TURN == FAIR_TURN - 1;
            let doubt_of = |(from, keys): &(A, VecDeque<K>)| {
                doubt(from).max(if keys.len() > CROWD { Doubt::Place } else { Doubt::None })
            };
            let least = || self.lanes.iter().enumerate().min_by_key(|(_, lane)| doubt_of(lane));
            // Of lanes that are alike, the first.
            let place = if is_fair_turn { 0 } else { least()?.0 };
            let lane = self.lanes.remove(place)?;
            let takes_last = doubt_of(&lane) > Doubt::None && !is_fair_turn;
            let (from, mut keys) = lane;
            let key = if takes_last { keys.pop_back() } else { keys.pop_front() };
            if !keys.is_empty() {
                self.lanes.push_back((from, keys));
            }
            let Some(key) = key else { continue };
            self.leave(&key);
            let Some(check) = self.checks.get_mut(&key) else { continue };
            check.waiters.retain(&is_there);
            if check.waiters.is_empty() {
                self.finish(&key);
                continue;
            }
            if let Some(job) = check.job.take() {
                self.waiting -= 1;
                self.turns = self.turns.wrapping_add(1);
                return Some((key, job));
            }
        }
    }

    /// A check is done. Gives those that waited for it.
    pub(super) fn finish(&mut self, key: &K) -> Vec<W> {
        self.leave(key);
        let Some(check) = self.checks.remove(key) else { return Vec::new() };
        self.waiting -= usize::from(check.job.is_some());
        check.waiters
    }

    fn enter(&mut self, from: &A, key: K) {
        match self.lanes.iter_mut().find(|(known, _)| known == from) {
            Some((_, keys)) => keys.push_back(key),
            None => self.lanes.push_back((from.clone(), VecDeque::from([key]))),
        }
    }

    /// Takes a key out of all lanes.
    fn leave(&mut self, key: &K) {
        let Some(check) = self.checks.get_mut(key) else { return };
        for from in std::mem::take(&mut check.wanted_by) {
            if let Some(place) = self.lanes.iter().position(|(known, _)| *known == from)
                && let Some((_, keys)) = self.lanes.get_mut(place)
            {
                keys.retain(|known| known != key);
                if keys.is_empty() {
                    self.lanes.remove(place);
                }
            }
        }
    }

    /// Drops the checks for which nobody waits any more.
    fn forget_gone(&mut self, is_there: impl Fn(&W) -> bool) {
        let is_gone = |check: &Check<A, J, W>| check.job.is_some() && !check.waiters.iter().any(&is_there);
        let gone: Vec<K> =
            self.checks.iter().filter(|(_, check)| is_gone(check)).map(|(key, _)| key.clone()).collect();
        for key in gone {
            self.finish(&key);
        }
    }

    /// Makes room for a newcomer: at the cost of a lane against which more speaks, or that has more places.
    fn displace(&mut self, newcomer: &A, doubt: impl Fn(&A) -> Doubt) -> Option<Vec<W>> {
        let own = self.lanes.iter().find(|(known, _)| known == newcomer).map_or(0, |(_, keys)| keys.len());
        let (from, keys) = self.lanes.iter().max_by_key(|(from, keys)| (doubt(from), keys.len()))?;
        let is_worse = doubt(from) > doubt(newcomer);
        let is_greedier = doubt(from) == doubt(newcomer) && keys.len() > own + 1;
        if !is_worse && !is_greedier {
            return None;
        }
        // What others wait for too is not that lane's to give up.
        let is_its_own = |key: &&K| self.checks.get(key).is_some_and(|check| check.wanted_by.len() == 1);
        let last = keys.iter().rev().find(is_its_own)?.clone();
        Some(self.finish(&last))
    }
}

#[cfg(test)]
mod tests;
