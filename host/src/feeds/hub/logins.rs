//! Who is logged in, by key and by user.

use std::{sync::Arc, time::Instant};

use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use tickhost_core::allowance::Allowance;

use crate::accounts::{KeyId, UserName, key_share::KeyTotal};

/// Order updates of one user that the bus passes on in a second, and at once. A basket of 500 orders makes
/// some thousand within seconds.
const ORDERS_PER_SECOND: u32 = 500;
const ORDER_BURST: u32 = 5_000;

/// Bytes of them.
const ORDER_BYTES_PER_SECOND: u32 = 256 * 1_024;
const ORDER_BYTES_BURST: u32 = 4 * 1_024 * 1_024;

/// Sessions that are logged in. Bounded by the connections that the host admits.
#[derive(Debug, Default)]
pub(super) struct Logins(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    keys: FxHashMap<KeyId, KeyUse>,
    people: FxHashMap<UserName, Person>,
}

#[derive(Debug)]
struct KeyUse {
    user: UserName,
    sessions: usize,
    held: KeyTotal,
}

#[derive(Debug)]
struct Person {
    sessions: usize,
    broker: Arc<str>,
    /// What the bus may still pass on of the user's order updates.
    orders: Allowance,
    order_bytes: Allowance,
}

/// There are more order updates of a user than anybody could read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooManyOrders;

impl Logins {
    /// One more session with this key; gives what those of the key hold together. None when it has as many as
    /// it may.
    pub(super) fn add(
        &self,
        key: &KeyId,
        user: &UserName,
        broker: Option<&Arc<str>>,
        limit: usize,
    ) -> Option<KeyTotal> {
        let mut state = self.0.lock();
        let of_key = state.keys.entry(key.clone());
        let of_key =
            of_key.or_insert_with(|| KeyUse { user: user.clone(), sessions: 0, held: KeyTotal::default() });
        if of_key.sessions >= limit {
            return None;
        }
        of_key.sessions += 1;
        let held = of_key.held.clone();
        let person = state.people.entry(user.clone());
        let person = person.or_insert_with(|| Person {
            sessions: 0,
            broker: Arc::default(),
            orders: Allowance::new(ORDERS_PER_SECOND, ORDER_BURST),
            order_bytes: Allowance::new(ORDER_BYTES_PER_SECOND, ORDER_BYTES_BURST),
        });
        person.sessions += 1;
        if let Some(broker) = broker {
            person.broker = Arc::clone(broker);
        }
        Some(held)
    }

    /// One less.
    pub(super) fn remove(&self, key: &KeyId, user: &UserName) {
        let mut state = self.0.lock();
        if let Some(of_key) = state.keys.get_mut(key) {
            of_key.sessions -= 1;
            if of_key.sessions == 0 {
                state.keys.remove(key);
            }
        }
        if let Some(person) = state.people.get_mut(user) {
            person.sessions -= 1;
            if person.sessions == 0 {
                state.people.remove(user);
            }
        }
    }

    /// A user's account is at this broker now.
    pub(super) fn move_to(&self, user: &UserName, broker: &Arc<str>) {
        if let Some(person) = self.0.lock().people.get_mut(user) {
            person.broker = Arc::clone(broker);
        }
    }

    /// The user of this name, if a session is logged in.
    pub(super) fn find(&self, name: &str) -> Option<UserName> {
        self.0.lock().people.get_key_value(name).map(|(user, _)| user.clone())
    }

    /// The user of this name and the broker of the account, for an order update of so many bytes; none when
    /// nobody of this name is logged in.
    pub(super) fn admit_order(
        &self,
        name: &str,
        bytes: usize,
        now: Instant,
    ) -> Option<Result<(UserName, Arc<str>), TooManyOrders>> {
        let mut state = self.0.lock();
        let user = state.people.get_key_value(name)?.0.clone();
        let person = state.people.get_mut(name)?;
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        let has_room = person.orders.has(1, now) && person.order_bytes.has(bytes, now);
        if !has_room {
            return Some(Err(TooManyOrders));
        }
        person.orders.spend(1, now);
        person.order_bytes.spend(bytes, now);
        Some(Ok((user, Arc::clone(&person.broker))))
    }

    /// Keys in use: those of some users, or all.
    pub(super) fn keys(&self, is_asked_for: impl Fn(&UserName) -> bool) -> Vec<KeyId> {
        let state = self.0.lock();
        let asked_for = state.keys.iter().filter(|(_, of_key)| is_asked_for(&of_key.user));
        asked_for.map(|(key, _)| key.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_there_while_a_session_of_any_key_is() {
        let logins = Logins::default();
        let (alice, one, two) = (UserName::from("alice"), KeyId::from("1"), KeyId::from("2"));
        assert!(logins.add(&one, &alice, None, 2).is_some());
        assert!(logins.add(&one, &alice, Some(&"sim".into()), 2).is_some());
        assert!(logins.add(&one, &alice, None, 2).is_none(), "the key has no place left");
        assert!(logins.add(&two, &alice, None, 2).is_some());
        let now = Instant::now();
        let broker = || logins.admit_order("alice", 1, now).map(|admitted| admitted.unwrap().1);
        assert_eq!((logins.find("alice"), broker()), (Some(alice.clone()), Some("sim".into())));
        assert_eq!(logins.find("alic"), None);
        logins.move_to(&alice, &"bus".into());
        logins.move_to(&"bob".into(), &"bus".into());
        assert_eq!(broker(), Some("bus".into()));
        assert_eq!(logins.keys(|user| user.as_str() == "bob").len(), 0);
        for key in [&one, &one, &two] {
            assert!(logins.find("alice").is_some());
            logins.remove(key, &alice);
        }
        assert_eq!((logins.find("alice"), logins.keys(|_| true)), (None, vec![]));
        assert!(logins.0.lock().people.is_empty() && logins.0.lock().keys.is_empty());
    }

    #[test]
    fn a_flood_of_order_updates_is_cut_for_its_user_alone() {
        let logins = Logins::default();
        let now = Instant::now();
        for name in ["alice", "bob"] {
            assert!(logins.add(&name.into(), &name.into(), None, 1).is_some());
        }
        let admitted = |name: &str, bytes: usize, at: Instant| {
            (0..20_000)
                .filter(|_| logins.admit_order(name, bytes, at).is_some_and(|admitted| admitted.is_ok()))
                .count()
        };
        assert_eq!(admitted("alice", 400, now), ORDER_BURST as usize);
        assert_eq!(admitted("bob", 400, now), ORDER_BURST as usize);
        let later = now + std::time::Duration::from_mins(1);
        assert_eq!(admitted("alice", 16 * 1_024, later), ORDER_BYTES_BURST as usize / (16 * 1_024));
        assert_eq!(logins.admit_order("carol", 1, now), None);
    }
}
