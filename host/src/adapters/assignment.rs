//! What an instance is for: one connection of one account at one broker.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::accounts::Account;

/// Digits of an account's opaque name.
const ACCOUNT_DIGITS: usize = 32;

/// What a library is asked to serve, as `adapter_abi` has it in JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assignment {
    /// The broker, as `plugins.toml` and accounts name it.
    pub broker: String,
    /// An opaque name of the account; none while settings are checked.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub account: Option<String>,
    /// Number of the connection within the account, from 0; none while settings are checked and while
    /// somebody logs in.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub connection: Option<u32>,
}

impl Assignment {
    /// A broker, without an account.
    pub fn at(broker: impl Into<String>) -> Self {
        Self { broker: broker.into(), account: None, connection: None }
    }

    /// An account.
    #[must_use]
    pub fn of(mut self, account: &Account) -> Self {
        self.account = Some(opaque(account));
        self
    }

    /// One of the account's connections.
    #[must_use]
    pub fn with_connection(mut self, number: usize) -> Self {
        self.connection = Some(u32::try_from(number).unwrap_or(u32::MAX));
        self
    }

    /// As it crosses the boundary.
    pub(super) fn json(&self) -> String {
        // Strings and numbers always serialise.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// A name of the account that says nothing of the person, is the same at each start, and another at each
/// broker.
fn opaque(account: &Account) -> String {
    let mut hash = Sha256::new();
    for part in ["tickhost account", account.id.as_str(), &account.broker] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hex::encode(hash.finalize()).chars().take(ACCOUNT_DIGITS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(id: &str, broker: &str) -> Account {
        Account { id: id.into(), user: "alice".into(), broker: broker.into() }
    }

    #[test]
    fn accounts_have_names_that_differ_stay_and_say_nothing() {
        let name = |id, broker| opaque(&account(id, broker));
        assert_eq!(name("alice", "zebu"), name("alice", "zebu"));
        let different =
            [name("alice", "zebu"), name("alice", "noren"), name("bob", "zebu"), name("alicez", "ebu")];
        assert!(
            (1..4).all(|n| different[n..].iter().all(|other| *other != different[n - 1])),
            "{different:?}"
        );
        assert!(different.iter().all(|name| name.len() == ACCOUNT_DIGITS && !name.contains("alice")));
    }

    #[test]
    fn what_is_not_meant_is_left_out() {
        assert_eq!(Assignment::at("zebu").json(), r#"{"broker":"zebu"}"#);
        let whole = Assignment::at("zebu").of(&account("alice", "zebu")).with_connection(2);
        assert!(whole.json().ends_with(r#","connection":2}"#), "{}", whole.json());
        assert_eq!(serde_json::from_str::<Assignment>(&whole.json()).unwrap(), whole);
    }
}
