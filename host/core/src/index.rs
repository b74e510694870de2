//! Who wants what: the part of the subscription index that belongs to one shard.

mod roster;

use std::hash::Hash;

use rustc_hash::FxHashMap;

pub use self::roster::Roster;
use crate::model::Key;

/// Keys for which room is kept.
const SPARE_KEYS: usize = 4_096;

/// Subscribers of each key, with what belongs to the key beside them.
#[derive(Debug)]
pub struct Index<S, C> {
    keys: FxHashMap<Key, Subscribers<S, C>>,
}

/// Subscribers of one key. Two thirds of all keys of a desk have one or two.
#[derive(Debug)]
pub struct Subscribers<S, C> {
    sessions: Roster<S>,
    companion: C,
}

/// What an insertion did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inserted {
    /// The key is new to this shard.
    FirstOfKey,
    /// The key had other subscribers.
    Another,
    /// The session held the key already.
    Already,
}

/// What a removal did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removed {
    /// Nobody on this shard wants the key any more.
    LastOfKey,
    /// Others still want it.
    OthersRemain,
    /// The session did not hold the key.
    Absent,
}

impl<S, C> Default for Index<S, C> {
    fn default() -> Self {
        Self { keys: FxHashMap::default() }
    }
}

impl<S: Clone + Eq + Hash, C> Index<S, C> {
    /// Adds a subscriber; `companion` is made when the key is new.
    pub fn insert(&mut self, key: Key, session: S, companion: impl FnOnce() -> C) -> Inserted {
        let mut inserted = Inserted::Another;
        let subscribers = self.keys.entry(key).or_insert_with(|| {
            inserted = Inserted::FirstOfKey;
            Subscribers { sessions: Roster::default(), companion: companion() }
        });
        if subscribers.sessions.insert(session) { inserted } else { Inserted::Already }
    }

    /// Removes a subscriber.
    pub fn remove(&mut self, key: Key, session: &S) -> Removed {
        let Some(subscribers) = self.keys.get_mut(&key) else { return Removed::Absent };
        if !subscribers.sessions.remove(session) {
            return Removed::Absent;
        }
        if !subscribers.sessions.is_empty() {
            return Removed::OthersRemain;
        }
        self.keys.remove(&key);
        // A peak must not keep its memory for ever. Rare enough that a removal costs no more than an
        // insertion, on average.
        if self.keys.capacity() > SPARE_KEYS && self.keys.len() < self.keys.capacity() / 8 {
            self.keys.shrink_to(self.keys.len() * 2);
        }
        Removed::LastOfKey
    }

    /// Whether a session is one of the subscribers of a key.
    pub fn contains(&self, key: Key, session: &S) -> bool {
        self.keys.get(&key).is_some_and(|subscribers| subscribers.sessions.contains(session))
    }

    /// Subscribers of a key, and what belongs to it.
    pub fn subscribers(&self, key: Key) -> Option<(&[S], &C)> {
        self.keys.get(&key).map(|subscribers| (subscribers.sessions.as_slice(), &subscribers.companion))
    }

    /// Keys that somebody wants.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether nobody wants anything.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;
    use crate::model::{DepthClass, InstrumentId, Mode, Variant};

    fn key(instrument: u32, mode: Mode) -> Key {
        Key { instrument: InstrumentId(instrument), variant: Variant::new(mode, DepthClass::Five, false) }
    }

    #[test]
    fn a_peak_leaves_no_memory_behind() {
        let mut index: Index<u64, u32> = Index::default();
        for instrument in 0..100_000 {
            index.insert(key(instrument, Mode::Ltp), 1, || instrument);
        }
        for instrument in 0..100_000 {
            assert_eq!(index.remove(key(instrument, Mode::Ltp), &1), Removed::LastOfKey);
        }
        assert!(index.keys.capacity() <= 2 * SPARE_KEYS, "{}", index.keys.capacity());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn it_agrees_with_a_naive_model_under_random_operations(
            steps in proptest::collection::vec((any::<bool>(), 0_u32..5, 0_usize..3, 0_u64..6), 1..300),
        ) {
            let mut index: Index<u64, u32> = Index::default();
            let mut model: BTreeMap<Key, BTreeSet<u64>> = BTreeMap::new();
            for (is_insert, instrument, mode, session) in steps {
                let key = key(instrument, Mode::ALL[mode]);
                let held = model.entry(key).or_default();
                if is_insert {
                    let expected = match (held.is_empty(), held.insert(session)) {
                        (true, _) => Inserted::FirstOfKey,
                        (false, true) => Inserted::Another,
                        (false, false) => Inserted::Already,
                    };
                    prop_assert_eq!(index.insert(key, session, || instrument), expected);
                } else {
                    let expected = match (held.remove(&session), held.is_empty()) {
                        (false, _) => Removed::Absent,
                        (true, true) => Removed::LastOfKey,
                        (true, false) => Removed::OthersRemain,
                    };
                    prop_assert_eq!(index.remove(key, &session), expected);
                }
                let is_held = model.get(&key).is_some_and(|held| held.contains(&session));
                prop_assert_eq!(index.contains(key, &session), is_held);
                model.retain(|_, held| !held.is_empty());
                prop_assert_eq!((index.len(), index.is_empty()), (model.len(), model.is_empty()));
                for (key, held) in &model {
                    let (sessions, companion) = index.subscribers(*key).unwrap();
                    prop_assert_eq!(sessions.iter().copied().collect::<BTreeSet<_>>(), held.clone());
                    prop_assert_eq!(sessions.len(), held.len());
                    prop_assert_eq!(*companion, key.instrument.0);
                }
            }
        }
    }
}
