//! The keys of an account.

use adapter_sdk::{
    AdapterError, Credentials, ExposeSecret as _, SecretString, login::checksum, serde_json::json,
};

use crate::brand::{Brand, Scheme};

/// Stands between the parts of what OpenAlgo keeps in one: `uid:::token`, `session:::susertoken:::api_token`.
const SEPARATOR: &str = ":::";

/// Who connects, and the token of the day. Never shown, and wiped from memory.
pub struct Account {
    brand: &'static Brand,
    user: SecretString,
    token: SecretString,
}

impl std::fmt::Debug for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Account").field("brand", &self.brand.name).finish_non_exhaustive()
    }
}

/// The number of the client, which may stand before the token or before the API key, as OpenAlgo keeps them.
pub(crate) fn user(fields: &Credentials) -> Option<&str> {
    let before = |name| fields.joined(name)?.0.filter(|user| !user.is_empty());
    let named = fields.any_of(&["user_id", "client_id"]).ok();
    named.or_else(|| before("access_token")).or_else(|| before("api_key"))
}

/// The API key alone.
pub(crate) fn api_key(fields: &Credentials) -> Option<&str> {
    fields.joined("api_key").map(|(_, key)| key).filter(|key| !key.is_empty())
}

impl Account {
    /// Reads the token under the names that it has, and who it is of.
    ///
    /// # Errors
    /// An authentication error that names what is missing.
    pub fn read(brand: &'static Brand, fields: &Credentials) -> Result<Self, AdapterError> {
        let names: &[&str] = match brand.scheme {
            Scheme::Definedge => &["susertoken", "feed_token", "auth_token"],
            _ => &["access_token", "auth_token"],
        };
        let stored = fields.token(names, &[])?;
        let token = stored.token().split(SEPARATOR).nth(1).unwrap_or_else(|| stored.token());
        let user = user(fields).ok_or_else(|| {
            AdapterError::auth("the account has no user_id: set it with `tickhost account set`")
        })?;
        // Both go into JSON, and into the names of what is asked for.
        if token.is_empty() || !token.bytes().chain(user.bytes()).all(|byte| byte.is_ascii_graphic()) {
            return Err(AdapterError::auth(
                "user_id and token must be what the broker gave, without spaces: log in with `tickhost account login`",
            ));
        }
        Ok(Self { brand, user: user.into(), token: token.into() })
    }

    /// The number of the client.
    pub fn user(&self) -> &str {
        self.user.expose_secret()
    }

    /// The token of the day.
    pub fn token(&self) -> &str {
        self.token.expose_secret()
    }

    /// The token as REST interfaces want it.
    pub fn bearer(&self) -> SecretString {
        format!("Bearer {}", self.token()).into()
    }

    /// The first message on the socket.
    pub fn hello(&self) -> SecretString {
        let (kind, name) = self.brand.hello;
        let (user, token): (SecretString, SecretString) = match self.brand.scheme {
            // The second time it is the text of the first hash that is hashed.
            Scheme::AliceBlue => {
                (format!("{}_API", self.user()).into(), checksum(&[&checksum(&[self.token()])]).into())
            }
            _ => (self.user.clone(), self.token.clone()),
        };
        json!({ "t": kind, "uid": user.expose_secret(), "actid": user.expose_secret(), "source": self.brand.source,
            name: token.expose_secret() })
            .to_string()
            .into()
    }
}

#[cfg(test)]
mod tests {
    use adapter_sdk::{abi::ErrorCode, testing::credentials};

    use super::*;

    fn read(brand: &str, json: &str) -> Result<(String, String), AdapterError> {
        let account = Account::read(Brand::named(brand).unwrap(), &credentials(json))?;
        assert_eq!(format!("{account:?}"), format!("Account {{ brand: {brand:?}, .. }}"));
        Ok((account.user().to_owned(), account.token().to_owned()))
    }

    #[test]
    fn every_form_of_an_account_is_read() {
        let wanted = ("FA1".to_owned(), "token".to_owned());
        for (brand, json) in [
            ("shoonya", r#"{"user_id":"FA1","access_token":" token\n"}"#),
            ("zebu", r#"{"client_id":"FA1","auth_token":"token","access_token":""}"#),
            ("flattrade", r#"{"api_key":"FA1:::key","access_token":"token"}"#),
            ("tradesmart", r#"{"access_token":"FA1:::token"}"#),
            ("tradesmart", r#"{"user_id":"FA1","access_token":"FA9:::token"}"#),
            ("definedge", r#"{"user_id":"FA1","susertoken":"token"}"#),
            ("definedge", r#"{"user_id":"FA1","feed_token":"token","auth_token":"session:::other:::api"}"#),
            ("definedge", r#"{"user_id":"FA1","auth_token":"session:::token:::api"}"#),
            ("aliceblue", r#"{"user_id":"FA1","auth_token":"token"}"#),
        ] {
            assert_eq!(read(brand, json).unwrap(), wanted, "{json}");
        }
        let fields = credentials(r#"{"api_key":"FA1:::key"}"#);
        assert_eq!((user(&fields), api_key(&fields)), (Some("FA1"), Some("key")));
        assert_eq!(api_key(&credentials(r#"{"api_key":"key"}"#)), Some("key"));
    }

    #[test]
    fn what_is_missing_is_named() {
        for (brand, json, missing) in [
            ("shoonya", "{}", "access_token"),
            ("definedge", r#"{"user_id":"1","access_token":"x"}"#, "susertoken"),
            ("shoonya", r#"{"access_token":"canary"}"#, "user_id"),
            ("shoonya", r#"{"user_id":"FA 1","access_token":"canary"}"#, "without spaces"),
            ("tradesmart", r#"{"access_token":"FA1:::"}"#, "without spaces"),
        ] {
            let error = read(brand, json).unwrap_err();
            assert_eq!(error.code(), ErrorCode::AUTH);
            assert!(error.to_string().contains(missing) && !error.to_string().contains("canary"), "{error}");
        }
    }
}
