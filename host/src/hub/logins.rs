//! Who is logged in, by key and by user.

use std::sync::Arc;

use parking_lot::Mutex;
use rustc_hash::FxHashMap;

use crate::accounts::{KeyId, UserName};

/// Sessions that are logged in. Bounded by the connections that the host admits.
#[derive(Debug, Default)]
pub(super) struct Logins(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    keys: FxHashMap<KeyId, (UserName, usize)>,
    people: FxHashMap<UserName, Person>,
}

#[derive(Debug)]
struct Person {
    sessions: usize,
    broker: Arc<str>,
}

impl Logins {
    /// One more session with this key; false when it has as many as it may.
    pub(super) fn add(&self, key: &KeyId, user: &UserName, broker: Option<&Arc<str>>, limit: usize) -> bool {
        let mut state = self.0.lock();
        let (_, sessions) = state.keys.entry(key.clone()).or_insert_with(|| (user.clone(), 0));
        if *sessions >= limit {
            return false;
        }
        *sessions += 1;
        let person = state.people.entry(user.clone());
        let person = person.or_insert_with(|| Person { sessions: 0, broker: Arc::default() });
        person.sessions += 1;
        if let Some(broker) = broker {
            person.broker = Arc::clone(broker);
        }
        true
    }

    /// One less.
    pub(super) fn remove(&self, key: &KeyId, user: &UserName) {
        let mut state = self.0.lock();
        if let Some((_, sessions)) = state.keys.get_mut(key) {
            *sessions -= 1;
            if *sessions == 0 {
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

    /// The user of this name and the broker of the account, if a session is logged in.
    pub(super) fn find(&self, name: &str) -> Option<(UserName, Arc<str>)> {
        let state = self.0.lock();
        state.people.get_key_value(name).map(|(user, person)| (user.clone(), Arc::clone(&person.broker)))
    }

    /// Keys in use: those of some users, or all.
    pub(super) fn keys(&self, is_asked_for: impl Fn(&UserName) -> bool) -> Vec<KeyId> {
        let state = self.0.lock();
        let asked_for = state.keys.iter().filter(|(_, (user, _))| is_asked_for(user));
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
        assert!(logins.add(&one, &alice, None, 2));
        assert!(logins.add(&one, &alice, Some(&"sim".into()), 2));
        assert!(!logins.add(&one, &alice, None, 2), "the key has no place left");
        assert!(logins.add(&two, &alice, None, 2));
        assert_eq!(logins.find("alice"), Some((alice.clone(), "sim".into())));
        assert_eq!(logins.find("alic"), None);
        logins.move_to(&alice, &"bus".into());
        logins.move_to(&"bob".into(), &"bus".into());
        assert_eq!(logins.find("alice").map(|(_, broker)| broker), Some("bus".into()));
        assert_eq!(logins.keys(|user| user.as_str() == "bob").len(), 0);
        for key in [&one, &one, &two] {
            assert!(logins.find("alice").is_some());
            logins.remove(key, &alice);
        }
        assert_eq!((logins.find("alice"), logins.keys(|_| true)), (None, vec![]));
        assert!(logins.0.lock().people.is_empty() && logins.0.lock().keys.is_empty());
    }
}
