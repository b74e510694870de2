//! The keys of an account: the token of the day, and the key of the data socket that it holds.

use std::{
    fmt,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use adapter_sdk::{AdapterError, Credentials, ExposeSecret as _, SecretString, Token, net::HttpRequest};
use serde::Deserialize;

/// Longest key of the data socket, in bytes.
const MAX_KEY_BYTES: usize = 1 << 10;

/// Longest time for which a token is believed to be good, in seconds: a year.
const LONGEST_SECONDS: f64 = 31_536_000.0;

/// Keys of today. They are never shown, and wiped from memory.
#[derive(Clone)]
pub(crate) struct Keys {
    token: Token,
    hsm_key: SecretString,
    /// For how long the token is good.
    lasts: Option<Duration>,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys(..)")
    }
}

/// The token was good until a moment ago.
pub(crate) fn ended() -> AdapterError {
    AdapterError::auth(
        "the account's access_token has ended, as it does each morning: log in with `tickhost account login`",
    )
}

/// What a token says of itself.
#[derive(Deserialize)]
struct Claims {
    /// Seconds since the Unix epoch.
    exp: Option<f64>,
    hsm_key: Option<SecretString>,
}

impl Keys {
    /// Reads `access_token`, or `auth_token` as accounts of an OpenAlgo database have it. Either may be
    /// `app_id:access_token` in one, whose first part counts: a token belongs to the app that it was made
    /// for.
    ///
    /// # Errors
    /// When the broker would refuse them: there is no token, it has ended, or it has no key of the data
    /// socket.
    pub(crate) fn read(credentials: &Credentials) -> Result<Self, AdapterError> {
        Self::read_at(credentials, SystemTime::now())
    }

    fn read_at(credentials: &Credentials, now: SystemTime) -> Result<Self, AdapterError> {
        let token = credentials.token(&["access_token", "auth_token"], &["app_id", "api_key"])?;
        let claims: Claims = token.claims().ok_or_else(|| {
            AdapterError::auth(
                "the account's access_token is none of Fyers: it must be the long text of three parts that \
                 `tickhost account login` gets",
            )
        })?;
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        let lasts = claims.exp.map(|ends_at| ends_at - now);
        if lasts.is_some_and(|seconds| seconds <= 0.0) {
            return Err(ended());
        }
        let hsm_key = claims.hsm_key.filter(|key| (1..=MAX_KEY_BYTES).contains(&key.expose_secret().len())).ok_or_else(|| {
            AdapterError::auth(
                "the account's access_token has no key of the data socket: it must be a token of API version 3; log in \
                 with `tickhost account login`",
            )
        })?;
        Ok(Self {
            token,
            hsm_key,
            lasts: lasts.map(|seconds| Duration::from_secs_f64(seconds.clamp(0.0, LONGEST_SECONDS))),
        })
    }

    /// For how long the token is good, from when it was read; none when it does not say.
    pub(crate) const fn lasts(&self) -> Option<Duration> {
        self.lasts
    }

    /// What the data socket wants to see.
    pub(crate) fn hsm_key(&self) -> &str {
        self.hsm_key.expose_secret()
    }

    /// What the socket of fifty levels wants to see; none without the app's ID.
    pub(crate) fn authorization(&self) -> Option<SecretString> {
        let app_id = self.token.owner()?;
        Some(format!("{app_id}:{}", self.token.token()).into())
    }

    /// A REST request of this account. Without the app's ID the token alone is sent, as the broker's package
    /// does it.
    pub(crate) fn sign(&self, request: HttpRequest) -> HttpRequest {
        match self.authorization() {
            Some(both) => request.header("Authorization", both.expose_secret()),
            None => request.header("Authorization", self.token.token()),
        }
    }
}

#[cfg(test)]
mod tests {
    use adapter_sdk::abi::ErrorCode;

    use super::*;

    /// `{"exp":2000000000,"hsm_key":"test-hsm-key"}`, and the same without its key.
    const TOKEN: &str = "eyJ9.eyJleHAiOjIwMDAwMDAwMDAsImhzbV9rZXkiOiJ0ZXN0LWhzbS1rZXkifQ.c2ln";
    const WITHOUT_KEY: &str = "eyJ9.eyJleHAiOjIwMDAwMDAwMDB9.c2ln";

    fn keys_at(seconds: u64, fields: &[(&str, &str)]) -> Result<Keys, AdapterError> {
        let fields: std::collections::BTreeMap<_, _> = fields.iter().copied().collect();
        let credentials = adapter_sdk::testing::credentials(&serde_json::to_string(&fields).unwrap());
        Keys::read_at(&credentials, UNIX_EPOCH + Duration::from_secs(seconds))
    }

    #[test]
    fn a_token_has_the_key_of_the_data_socket() {
        let joined = format!("APP-100:{TOKEN}");
        for (fields, app) in [
            (vec![("access_token", TOKEN), ("api_key", "APP-100")], Some("APP-100")),
            (vec![("access_token", TOKEN), ("app_id", "APP-100"), ("api_key", "OTHER")], Some("APP-100")),
            (vec![("access_token", &joined), ("api_key", "OTHER-100")], Some("APP-100")),
            (vec![("auth_token", TOKEN), ("access_token", " ")], None),
        ] {
            let keys = keys_at(1_999_999_999, &fields).unwrap();
            assert_eq!(keys.hsm_key(), "test-hsm-key");
            assert_eq!(keys.lasts(), Some(Duration::from_secs(1)));
            let wanted = app.map(|app| format!("{app}:{TOKEN}"));
            assert_eq!(keys.authorization().map(|both| both.expose_secret().to_owned()), wanted);
            assert!(!format!("{keys:?}").contains("test-hsm-key"));
        }
    }

    #[test]
    fn a_token_that_cannot_work_is_refused_before_anything_is_sent() {
        for (token, said) in [
            ("", "has no access_token"),
            ("APP-100:", "ends with its colon"),
            ("a.b", "is none of Fyers"),
            ("a.*.c", "is none of Fyers"),
            ("a.eyJ9.c.d", "is none of Fyers"),
            (WITHOUT_KEY, "has no key of the data socket"),
        ] {
            let error = keys_at(1_000, &[("access_token", token)]).unwrap_err();
            assert_eq!(error.code(), ErrorCode::AUTH);
            assert!(error.to_string().contains(said), "{token}: {error}");
        }
        let ended = keys_at(2_000_000_000, &[("access_token", TOKEN)]).unwrap_err();
        assert_eq!(ended.code(), ErrorCode::AUTH);
        assert!(ended.to_string().contains("has ended"), "{ended}");
    }
}
