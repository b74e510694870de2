//! What an account logs in with.

mod claims;

use std::{collections::BTreeMap, fmt};

use secrecy::{ExposeSecret as _, SecretString};
use serde::de::DeserializeOwned;

use crate::AdapterError;

/// Credentials of the account at this moment, by name. Wiped from memory when dropped, and never shown.
#[derive(Clone, Default)]
pub struct Credentials(BTreeMap<String, SecretString>);

impl Credentials {
    /// A credential, such as `access_token`.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(SecretString::expose_secret)
    }

    /// A credential that is there and not empty, without the spaces around it: people copy them.
    pub fn filled(&self, name: &str) -> Option<&str> {
        self.get(name).map(str::trim).filter(|value| !value.is_empty())
    }

    /// The names of all of them, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// A credential that the adapter cannot do without.
    ///
    /// # Errors
    /// An authentication error that names what is missing.
    pub fn require(&self, name: &str) -> Result<&str, AdapterError> {
        self.get(name).ok_or_else(|| {
            AdapterError::auth(format!("the account has no {name}: set it with `tickhost account set`"))
        })
    }

    /// The credential that is filled under the first of these names: accounts of an OpenAlgo database have
    /// other names than the broker.
    ///
    /// # Errors
    /// An authentication error that names the first name, when there is none.
    pub fn any_of(&self, names: &[&str]) -> Result<&str, AdapterError> {
        names.iter().find_map(|name| self.filled(name)).ok_or_else(|| {
            let name = names.first().copied().unwrap_or_default();
            AdapterError::auth(format!(
                "the account has no {name}: log in with `tickhost account login`, or set it with `tickhost account set`"
            ))
        })
    }

    /// A credential that may have something before it, with three colons between, as OpenAlgo keeps two in
    /// one: what stands before it, such as the number of a client, and the credential itself. Either may be
    /// empty there.
    ///
    /// ```
    /// use adapter_sdk::testing::credentials;
    ///
    /// let stored = credentials(r#"{"api_key": "FA1:::key", "api_secret": "secret"}"#);
    /// assert_eq!(stored.joined("api_key"), Some((Some("FA1"), "key")));
    /// assert_eq!(stored.joined("api_secret"), Some((None, "secret")));
    /// ```
    pub fn joined(&self, name: &str) -> Option<(Option<&str>, &str)> {
        let value = self.filled(name)?;
        Some(value.split_once(":::").map_or((None, value), |(before, value)| (Some(before), value)))
    }

    /// The token of the day, under the first of these names that is filled. It may stand there as
    /// `owner:token`, as accounts of an OpenAlgo database have it, or alone, with its owner (an API key, a
    /// client number) under one of the other names. The owner beside the token counts: a token belongs to the
    /// key that it was made for.
    ///
    /// ```
    /// use adapter_sdk::testing::credentials;
    ///
    /// let stored = credentials(r#"{"auth_token": "key:abc", "api_key": "other"}"#);
    /// let token = stored.token(&["access_token", "auth_token"], &["api_key"]).unwrap();
    /// assert_eq!((token.owner(), token.token()), (Some("key"), "abc"));
    /// ```
    ///
    /// # Errors
    /// An authentication error that names the first name, when there is no token.
    pub fn token(&self, names: &[&str], owners: &[&str]) -> Result<Token, AdapterError> {
        let filled = |names: &[&str]| names.iter().find_map(|name| self.filled(name));
        let name = names.first().copied().unwrap_or("access_token");
        let stored = filled(names).ok_or_else(|| {
            AdapterError::auth(format!("the account has no {name}: get one with `tickhost account login`"))
        })?;
        let (owner, token) = match stored.split_once(':') {
            Some((owner, token)) if !owners.is_empty() => (Some(owner.trim()), token.trim()),
            _ => (None, stored),
        };
        let owner = owner.filter(|owner| !owner.is_empty()).or_else(|| filled(owners));
        if token.is_empty() {
            return Err(AdapterError::auth(format!(
                "the account's {name} ends with its colon: get one with `tickhost account login`"
            )));
        }
        Ok(Token { owner: owner.map(SecretString::from), token: token.into() })
    }

    /// Reads a JSON object; values that are no strings are left out.
    pub(crate) fn from_json(json: &str) -> Self {
        let object: BTreeMap<String, serde_json::Value> = serde_json::from_str(json).unwrap_or_default();
        let strings = object.into_iter().filter_map(|(name, value)| match value {
            serde_json::Value::String(text) => Some((name, text.into())),
            _ => None,
        });
        Self(strings.collect())
    }

    pub(crate) fn is_same(&self, other: &Self) -> bool {
        let is_same = |(one, other): ((&String, &SecretString), (&String, &SecretString))| {
            one.0 == other.0 && one.1.expose_secret() == other.1.expose_secret()
        };
        self.0.len() == other.0.len() && self.0.iter().zip(&other.0).all(is_same)
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// A token of the day with the key that it was made for: see [`Credentials::token`]. Wiped from memory when
/// dropped, and never shown.
#[derive(Clone)]
#[non_exhaustive]
pub struct Token {
    owner: Option<SecretString>,
    token: SecretString,
}

impl Token {
    /// The API key or client number that the token was made for, if the account has it.
    pub fn owner(&self) -> Option<&str> {
        self.owner.as_ref().map(SecretString::expose_secret)
    }

    /// The same, when the broker cannot do without.
    ///
    /// # Errors
    /// An authentication error that names the field.
    pub fn require_owner(&self, name: &str) -> Result<&str, AdapterError> {
        self.owner().ok_or_else(|| {
            AdapterError::auth(format!("the account has no {name}: set it with `tickhost account set`"))
        })
    }

    /// The token.
    pub fn token(&self) -> &str {
        self.token.expose_secret()
    }

    /// What the token says of itself, if it is one of three parts (JWT) with these members: when it ends, for
    /// one. Whether its signature is right is the broker's business.
    ///
    /// ```
    /// #[derive(serde::Deserialize)]
    /// struct Claims {
    ///     /// Seconds since the Unix epoch.
    ///     exp: u64,
    /// }
    /// // {"exp":2000000000}
    /// let stored = adapter_sdk::testing::credentials(r#"{"access_token": "eyJ9.eyJleHAiOjIwMDAwMDAwMDB9.c2ln"}"#);
    /// let token = stored.token(&["access_token"], &[]).unwrap();
    /// assert_eq!(token.claims::<Claims>().map(|claims| claims.exp), Some(2_000_000_000));
    /// ```
    pub fn claims<T: DeserializeOwned>(&self) -> Option<T> {
        claims::of(self.token())
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(json: &str) -> Result<(Option<String>, String), String> {
        let token = Credentials::from_json(json)
            .token(&["access_token", "auth_token"], &["api_key", "client_id"])
            .map_err(|error| error.to_string())?;
        assert_eq!(format!("{token:?}"), "Token(..)");
        Ok((token.owner().map(str::to_owned), token.token().to_owned()))
    }

    #[test]
    fn a_token_is_found_in_every_form() {
        for (json, owner) in [
            (r#"{"access_token":" t\n","api_key":"k"}"#, Some("k")),
            (r#"{"access_token":"","auth_token":"k:t"}"#, Some("k")),
            (r#"{"access_token":"k:t","api_key":"other"}"#, Some("k")),
            (r#"{"access_token":" : t","client_id":"k"}"#, Some("k")),
            (r#"{"access_token":"t"}"#, None),
        ] {
            assert_eq!(token(json).unwrap(), (owner.map(str::to_owned), "t".to_owned()), "{json}");
        }
        // Of a broker whose tokens have no owner, a colon is a part of it.
        let whole =
            Credentials::from_json(r#"{"access_token":"a:b"}"#).token(&["access_token"], &[]).unwrap();
        assert_eq!((whole.owner(), whole.token()), (None, "a:b"));
    }

    #[test]
    fn what_an_account_has_is_known_by_its_names_alone() {
        let stored = Credentials::from_json(r#"{"pin":"canary","totp_secret":"canary"}"#);
        assert_eq!(format!("{stored:?}"), r#"{"pin", "totp_secret"}"#);
        assert!(!format!("{:?}", SecretString::from("canary")).contains("canary"));
        let other = |json| stored.is_same(&Credentials::from_json(json));
        assert!(other(r#"{"totp_secret":"canary","pin":"canary"}"#));
        assert!(!other(r#"{"totp_secret":"canary","pin":"canaries"}"#) && !other(r#"{"pin":"canary"}"#));
        assert!(!other(r#"{"totp_secret":"canary","otp":"canary"}"#));
    }

    #[test]
    fn a_credential_is_found_under_any_of_its_names() {
        let stored = Credentials::from_json(r#"{"client_code":" ","user_id":" A1\n"}"#);
        assert_eq!(stored.any_of(&["client_code", "user_id"]), Ok("A1"));
        let missing = stored.any_of(&["feed_token", "client_code"]).unwrap_err();
        assert!(missing.to_string().starts_with("the account has no feed_token: log in"), "{missing}");
    }

    #[test]
    fn a_token_that_is_missing_is_named() {
        assert!(token("{}").unwrap_err().contains("no access_token"));
        assert!(token(r#"{"access_token":"k:"}"#).unwrap_err().contains("ends with its colon"));
        let alone =
            Credentials::from_json(r#"{"access_token":"t"}"#).token(&["access_token"], &["api_key"]).unwrap();
        assert!(alone.require_owner("api_key").unwrap_err().to_string().contains("no api_key"));
    }
}
