//! What earlier checks of keys have shown. Pure: time is handed in, and nothing here waits for a database.
//!
//! That a key belongs to a stored hash stays true while the hash stands there. What else is known of it (that
//! it does, and the user's account) is as old as the *epoch* of the database in which it was read; the
//! watcher of changes ends an epoch.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use rustc_hash::FxHashMap;

use super::{KeyId, Verified, fingerprint::Fingerprint};

/// How long a good key is remembered.
const VALID_FOR: Duration = Duration::from_hours(10);
/// Good keys remembered.
pub(super) const VALID_LIMIT: usize = 1_024;
/// How long a bad key is remembered.
const INVALID_FOR: Duration = Duration::from_mins(5);
/// Bad keys remembered.
const INVALID_LIMIT: usize = 1_024;

/// Results of earlier checks.
#[derive(Debug, Default)]
pub(super) struct Memory {
    valid: FxHashMap<Fingerprint, (Instant, Verified)>,
    invalid: FxHashMap<Fingerprint, Instant>,
}

/// What is remembered of a key.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Recalled {
    /// Whose it is.
    Good(Verified),
    /// Whose it was; the database has changed since, so that has to be read again. No hash is needed.
    Outdated(Verified),
    /// It was refused.
    Bad,
    /// Nothing.
    Nothing,
}

impl Memory {
    pub(super) fn recall(&mut self, key: &Fingerprint, epoch: u64, now: Instant) -> Recalled {
        if let Some((at, verified)) = self.valid.get(key) {
            if now.duration_since(*at) >= VALID_FOR {
                self.valid.remove(key);
            } else if verified.seen == epoch {
                return Recalled::Good(verified.clone());
            } else {
                return Recalled::Outdated(verified.clone());
            }
        }
        if let Some(at) = self.invalid.get(key) {
            if now.duration_since(*at) < INVALID_FOR {
                return Recalled::Bad;
            }
            self.invalid.remove(key);
        }
        Recalled::Nothing
    }

    /// A hash was found that belongs to the key.
    pub(super) fn learn(&mut self, key: Fingerprint, verified: Verified, now: Instant) {
        self.invalid.remove(&key);
        make_room(&mut self.valid, VALID_LIMIT, |(at, _)| *at);
        self.valid.insert(key, (now, verified));
    }

    /// It was read again whose key it is.
    pub(super) fn renew(&mut self, key: &Fingerprint, verified: Verified) {
        if let Some((_, known)) = self.valid.get_mut(key) {
            *known = verified;
        }
    }

    /// No hash belongs to the key.
    pub(super) fn refuse(&mut self, key: Fingerprint, now: Instant) {
        make_room(&mut self.invalid, INVALID_LIMIT, |at| *at);
        self.invalid.insert(key, now);
    }

    /// The hash of this key is gone.
    pub(super) fn forget(&mut self, key: &Fingerprint) {
        self.valid.remove(key);
    }

    /// A key that was refused may be one of those that are there now.
    pub(super) fn forget_refused(&mut self) {
        self.invalid.clear();
    }

    /// Hashes whose key is known. They belong to no other key.
    pub(super) fn claimed(&self) -> HashSet<KeyId> {
        self.valid.values().map(|(_, verified)| verified.key.clone()).collect()
    }
}

/// Forgets the oldest entry when there is no room for another.
fn make_room<V>(entries: &mut FxHashMap<Fingerprint, V>, limit: usize, at: impl Fn(&V) -> Instant) {
    if entries.len() < limit {
        return;
    }
    let oldest = entries.iter().min_by_key(|(_, value)| at(value)).map(|(key, _)| key.clone());
    if let Some(oldest) = oldest {
        entries.remove(&oldest);
    }
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;

    use super::*;

    fn print(key: &str) -> Fingerprint {
        Fingerprint::of(&SecretString::from(key))
    }

    fn alice(seen: u64) -> Verified {
        Verified { user: "alice".into(), key: "alice#1".into(), account: None, seen }
    }

    #[test]
    fn a_good_key_is_known_until_the_database_changes_and_its_hash_for_ten_hours() {
        let (mut memory, start) = (Memory::default(), Instant::now());
        memory.learn(print("k"), alice(1), start);
        let late = start + VALID_FOR / 2;
        assert_eq!(memory.recall(&print("k"), 1, late), Recalled::Good(alice(1)));
        assert_eq!(memory.recall(&print("k"), 2, late), Recalled::Outdated(alice(1)));
        memory.renew(&print("k"), alice(2));
        assert_eq!(memory.recall(&print("k"), 2, late), Recalled::Good(alice(2)));
        // What was only read again is not known for longer.
        assert_eq!(memory.recall(&print("k"), 2, start + VALID_FOR), Recalled::Nothing);
    }

    #[test]
    fn a_bad_key_is_refused_for_five_minutes_or_until_the_database_changes() {
        let (mut memory, start) = (Memory::default(), Instant::now());
        memory.refuse(print("k"), start);
        assert_eq!(memory.recall(&print("k"), 1, start + INVALID_FOR / 2), Recalled::Bad);
        assert_eq!(memory.recall(&print("k"), 1, start + INVALID_FOR), Recalled::Nothing);
        memory.refuse(print("k"), start);
        memory.forget_refused();
        assert_eq!(memory.recall(&print("k"), 1, start), Recalled::Nothing);
    }

    #[test]
    fn a_flood_of_bad_keys_costs_bounded_memory_and_no_good_key() {
        let (mut memory, start) = (Memory::default(), Instant::now());
        memory.learn(print("k"), alice(1), start);
        for number in 0..INVALID_LIMIT as u64 + 10 {
            memory.refuse(print(&number.to_string()), start + Duration::from_millis(number));
        }
        assert_eq!(memory.invalid.len(), INVALID_LIMIT);
        assert_eq!(memory.recall(&print("0"), 1, start), Recalled::Nothing);
        assert_eq!(memory.recall(&print("k"), 1, start), Recalled::Good(alice(1)));
        assert_eq!(memory.claimed(), HashSet::from(["alice#1".into()]));
    }
}
