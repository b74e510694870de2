//! The keys of an account.

use adapter_sdk::{AdapterError, Credentials};
use zeroize::Zeroizing;

/// Who connects, and the token of the last log-in. Never shown, and wiped from memory.
pub struct Account {
    user: Zeroizing<String>,
    token: Zeroizing<String>,
    interactive: Option<[Zeroizing<String>; 2]>,
}

impl std::fmt::Debug for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Account").finish_non_exhaustive()
    }
}

/// Names of the keys of the market data API. Those of OpenAlgo's settings are understood too.
pub(crate) const APP_KEY: [&str; 3] = ["app_key", "api_key_market", "broker_api_key_market"];
pub(crate) const SECRET_KEY: [&str; 3] = ["secret_key", "api_secret_market", "broker_api_secret_market"];

impl Account {
    /// Reads the token, and who it is of.
    ///
    /// # Errors
    /// An authentication error that names what is missing.
    pub fn read(fields: &Credentials) -> Result<Self, AdapterError> {
        let stored = fields.token(&["access_token", "feed_token"], &["user_id"])?;
        let (user, token) = (stored.require_owner("user_id")?, stored.token());
        // Both go into an address, and the token into a header.
        if token.is_empty() || !token.bytes().chain(user.bytes()).all(|byte| byte.is_ascii_graphic()) {
            return Err(AdapterError::auth(
                "user_id and token must be what the broker gave, without spaces: log in with `tickhost account login`",
            ));
        }
        let key = |name| fields.filled(name).map(|key| Zeroizing::new(key.to_owned()));
        let interactive = key("interactive_app_key").zip(key("interactive_secret_key"));
        Ok(Self {
            user: user.to_owned().into(),
            token: token.to_owned().into(),
            interactive: interactive.map(|(app, secret)| [app, secret]),
        })
    }

    /// The user.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The token of the market data API.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// App key and secret key of the interactive API.
    pub fn interactive(&self) -> Option<[&str; 2]> {
        self.interactive.as_ref().map(|[app, secret]| [app.as_str(), secret.as_str()])
    }
}

#[cfg(test)]
mod tests {
    use adapter_sdk::{abi::ErrorCode, testing::credentials};

    use super::*;

    #[test]
    fn a_token_has_its_user_and_neither_is_shown() {
        let account = |json| Account::read(&credentials(json));
        let whole = account(r#"{"user_id":"U1","access_token":" token\n"}"#).unwrap();
        assert_eq!((whole.user(), whole.token(), whole.interactive()), ("U1", "token", None));
        assert_eq!(format!("{whole:?}"), "Account { .. }");
        assert_eq!(account(r#"{"user_id":"U1","feed_token":"token"}"#).unwrap().token(), "token");
        let both = account(
            r#"{"user_id":"U1","access_token":"t","interactive_app_key":"a","interactive_secret_key":"s"}"#,
        );
        assert_eq!(both.unwrap().interactive(), Some(["a", "s"]));
        for (json, missing) in [
            ("{}", "access_token"),
            (r#"{"access_token":"canary"}"#, "user_id"),
            (r#"{"user_id":"U 1","access_token":"canary"}"#, "without spaces"),
        ] {
            let error = account(json).unwrap_err();
            assert_eq!(error.code(), ErrorCode::AUTH);
            assert!(error.to_string().contains(missing) && !error.to_string().contains("canary"), "{error}");
        }
    }
}
