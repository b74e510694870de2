//! What was promised to clients, and may not come.

use std::{collections::BTreeMap, fmt::Debug, time::Duration};

use tokio::time::Instant;

/// What clients were promised and a second channel may not bring, such as deep books: each has to begin
/// within a time, or something lesser is shown until it does. It may end at any time, too, and begin again.
///
/// ```
/// use std::time::Duration;
///
/// use adapter_sdk::session::Promised;
/// use tokio::time::Instant;
///
/// let (mut books, now) = (Promised::new(Duration::from_secs(10)), Instant::now());
/// books.want("SBIN", now);
/// assert!(books.is_coming(&"SBIN"));
/// assert_eq!(books.expire(now + Duration::from_secs(10)), ["SBIN"]);
/// // It comes after all, which is news.
/// assert!(!books.is_coming(&"SBIN") && books.came(&"SBIN"));
/// assert!(books.is_coming(&"SBIN") && !books.came(&"SBIN"));
/// ```
#[derive(Clone, Debug)]
pub struct Promised<K> {
    within: Duration,
    states: BTreeMap<K, State>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// It is to begin until then.
    Awaited(Instant),
    Coming,
    Missing,
}

impl<K: Copy + Ord> Promised<K> {
    /// Each has so much time to begin.
    pub const fn new(within: Duration) -> Self {
        Self { within, states: BTreeMap::new() }
    }

    /// One is promised from now on, unless it was before.
    pub fn want(&mut self, key: K, now: Instant) {
        self.states.entry(key).or_insert(State::Awaited(now + self.within));
    }

    /// One is not promised any more.
    pub fn drop(&mut self, key: &K) {
        self.states.remove(key);
    }

    /// Whether one comes, or may still begin in time.
    pub fn is_coming(&self, key: &K) -> bool {
        self.states.get(key).is_some_and(|state| *state != State::Missing)
    }

    /// One has come. True when it was missing before: then clients are to be told.
    pub fn came(&mut self, key: &K) -> bool {
        let state = self.states.get_mut(key);
        state.is_some_and(|state| std::mem::replace(state, State::Coming) == State::Missing)
    }

    /// These do not come. Gives those of which that is news.
    pub fn miss(&mut self, mut keys: Vec<K>) -> Vec<K> {
        keys.retain(|key| {
            let state = self.states.get_mut(key);
            state.is_some_and(|state| std::mem::replace(state, State::Missing) != State::Missing)
        });
        keys
    }

    /// Gives those up that have not begun in time.
    pub fn expire(&mut self, now: Instant) -> Vec<K> {
        let is_late = |state: &State| matches!(state, State::Awaited(until) if *until <= now);
        let late = self.states.iter().filter(|(_, state)| is_late(state));
        self.miss(late.map(|(key, _)| *key).collect())
    }

    /// When to look again whether they have begun.
    pub fn due(&self) -> Option<Instant> {
        let awaited = |state: &State| if let State::Awaited(until) = state { Some(*until) } else { None };
        self.states.values().filter_map(awaited).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_begin_in_time_is_missing_until_it_comes() {
        let (now, limit) = (Instant::now(), Duration::from_secs(10));
        let mut promised = Promised::new(limit);
        assert!(promised.due().is_none() && !promised.is_coming(&1));
        promised.want(1, now);
        promised.want(2, now + Duration::from_secs(1));
        // Who wants it once more does not make it wait for longer.
        promised.want(1, now + limit);
        assert_eq!(promised.due(), Some(now + limit));
        assert!(!promised.came(&2) && promised.expire(now).is_empty());
        assert_eq!((promised.expire(now + limit), promised.due()), (vec![1], None));
        assert!(promised.expire(now + limit).is_empty() && !promised.is_coming(&1));
        assert!(promised.came(&1) && promised.is_coming(&1));
    }

    #[test]
    fn what_ends_is_news_once_and_what_is_not_promised_is_none() {
        let mut promised = Promised::new(Duration::ZERO);
        promised.want(1, Instant::now());
        assert_eq!(promised.miss(vec![1, 2]), [1]);
        assert!(promised.miss(vec![1]).is_empty());
        promised.drop(&1);
        assert!(!promised.came(&1) && !promised.is_coming(&1));
        promised.want(1, Instant::now());
        assert!(promised.is_coming(&1));
    }
}
