//! Who may log in: accounts, the tokens that log-ins give, and what becomes of both in the night.

use std::collections::{BTreeMap, BTreeSet};

use adapter_conformance::CredentialSet;

/// Accounts and tokens of a venue. An account is a set of credentials by name, as the adapter stores them.
#[derive(Clone, Debug, Default)]
pub struct Accounts {
    sets: Vec<CredentialSet>,
    /// Tokens that a log-in gave, with what they are good for.
    issued: BTreeMap<String, String>,
    /// What is good for one log-in, such as what a page gives to a browser.
    tickets: BTreeMap<String, String>,
    expired: BTreeSet<String>,
    /// Secrets of the day in accounts, which end with it.
    tokens: &'static [&'static str],
    made: u64,
}

impl Accounts {
    pub(crate) fn new(tokens: &'static [&'static str]) -> Self {
        Self { tokens, ..Self::default() }
    }

    /// Accepts these accounts and no others from now on. Tokens that were issued are void.
    pub fn accept(&mut self, sets: Vec<CredentialSet>) {
        self.expire();
        self.tickets.clear();
        self.sets = sets;
    }

    /// All tokens end, those of accounts too; another log-in is needed.
    pub fn expire(&mut self) {
        self.expired.extend(std::mem::take(&mut self.issued).into_keys());
        for set in &mut self.sets {
            self.expired.extend(self.tokens.iter().filter_map(|name| set.remove(*name)));
        }
    }

    /// The account that has all of these values.
    pub fn with(&self, values: &[(&str, &str)]) -> Option<&CredentialSet> {
        let has = |set: &CredentialSet, (name, value): &(&str, &str)| {
            !value.is_empty() && set.get(*name).is_some_and(|known| known == value)
        };
        self.sets.iter().find(|set| values.iter().all(|pair| has(set, pair)))
    }

    /// Whether a token is good: one that an account has under this name, or one that was issued.
    pub fn is_token(&self, name: &str, token: &str) -> bool {
        self.owner_of(token).is_some() || self.with(&[(name, token)]).is_some()
    }

    /// A new token for somebody.
    pub fn issue(&mut self, owner: &str) -> String {
        let token = self.made_up("token");
        self.issued.insert(token.clone(), owner.to_owned());
        token
    }

    /// Whose a token is that was issued and is good.
    pub fn owner_of(&self, token: &str) -> Option<&str> {
        self.issued.get(token).map(String::as_str)
    }

    /// Whether a token was good once, which some brokers tell from one that never was.
    pub fn is_expired(&self, token: &str) -> bool {
        self.expired.contains(token)
    }

    /// What is good for one log-in of somebody.
    pub fn ticket(&mut self, owner: &str) -> String {
        let ticket = self.made_up("ticket");
        self.tickets.insert(ticket.clone(), owner.to_owned());
        ticket
    }

    /// Takes a ticket: whose it was, if it was good.
    pub fn redeem(&mut self, ticket: &str) -> Option<String> {
        self.tickets.remove(ticket)
    }

    /// A word that no other is.
    fn made_up(&mut self, kind: &str) -> String {
        self.made += 1;
        format!("{kind}-{:016x}", self.made.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(pairs: &[(&str, &str)]) -> CredentialSet {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn tokens_end_with_the_day_and_keys_do_not() {
        let mut accounts = Accounts::new(&["access_token"]);
        accounts.accept(vec![set(&[("key", "k"), ("access_token", "t")])]);
        let issued = accounts.issue("k");
        assert!(accounts.is_token("access_token", "t") && accounts.is_token("access_token", &issued));
        assert!(!accounts.is_token("access_token", ""));
        accounts.expire();
        assert!(!accounts.is_token("access_token", "t") && !accounts.is_token("access_token", &issued));
        assert!(accounts.is_expired("t") && accounts.is_expired(&issued) && !accounts.is_expired("k"));
        assert!(accounts.with(&[("key", "k")]).is_some());
    }

    #[test]
    fn a_ticket_is_good_once() {
        let mut accounts = Accounts::default();
        let ticket = accounts.ticket("k");
        assert_ne!(ticket, accounts.ticket("k"));
        assert_eq!((accounts.redeem(&ticket).as_deref(), accounts.redeem(&ticket)), (Some("k"), None));
    }
}
