//! The credentials of a feed's account, shared with its instances, and kept out of whatever an instance says.

use std::{borrow::Cow, collections::BTreeMap, fmt};

use parking_lot::Mutex;
use secrecy::{ExposeSecret as _, SecretString};

use crate::{adapters::secrets::MIN_SECRET_BYTES, base::secret::is_same};

/// What stands where a secret stood.
const REDACTED: &str = "[redacted]";

/// What is stored of an account at its broker, a JSON object of strings. Never shown.
#[derive(Clone)]
pub(super) struct Fields(pub(super) SecretString);

impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fields(..)")
    }
}

/// Credentials of the account at this moment.
#[derive(Default)]
pub(super) struct CurrentCredentials(Mutex<State>);

#[derive(Default)]
struct State {
    json: SecretString,
    /// Values of these and of the last credentials, longest first: an adapter may still speak of the old
    /// ones.
    secrets: Vec<SecretString>,
    /// How many of them belong to the present ones.
    before: Vec<SecretString>,
    /// Secrets that the adapter's settings hold.
    of_settings: Vec<SecretString>,
}

impl CurrentCredentials {
    /// Those of an account whose adapter also has these secrets in its settings.
    pub(super) fn new(of_settings: Vec<SecretString>) -> Self {
        let credentials = Self::default();
        {
            let mut state = credentials.0.lock();
            state.of_settings = of_settings;
            state.json = SecretString::from("{}");
            state.gather("{}");
        }
        credentials
    }

    /// Takes the secrets of other settings of the adapter.
    pub(super) fn set_secrets_of_settings(&self, of_settings: Vec<SecretString>) {
        let mut state = self.0.lock();
        // Those of the old settings stay: the instance that has them may still speak.
        state.of_settings.extend(of_settings);
        state.of_settings.sort_by(|one, other| one.expose_secret().cmp(other.expose_secret()));
        state.of_settings.dedup_by(|one, other| is_same(one, other));
        let json = state.json.clone();
        state.gather(json.expose_secret());
    }

    /// Replaces them.
    pub(super) fn replace(&self, json: SecretString) {
        let mut state = self.0.lock();
        // The same again would push those before out of what is known to be secret.
        if !is_same(&state.json, &json) {
            state.gather(json.expose_secret());
            state.json = json;
        }
    }

    /// A JSON object of strings.
    pub(super) fn json(&self) -> SecretString {
        self.0.lock().json.clone()
    }

    /// The text without any of the secrets.
    pub(super) fn redacted<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut text = Cow::Borrowed(text);
        for secret in self.0.lock().secrets.iter().map(SecretString::expose_secret) {
            if text.contains(secret) {
                text = Cow::Owned(text.replace(secret, REDACTED));
            }
        }
        text
    }
}

impl State {
    fn gather(&mut self, json: &str) {
        let values: BTreeMap<String, serde_json::Value> = serde_json::from_str(json).unwrap_or_default();
        let present: Vec<SecretString> = values
            .into_values()
            .filter_map(|value| value.as_str().map(SecretString::from))
            .filter(|text| text.expose_secret().len() >= MIN_SECRET_BYTES)
            .collect();
        let before = std::mem::replace(&mut self.before, present.clone());
        self.secrets = present;
        self.secrets.extend(before);
        self.secrets.extend(self.of_settings.iter().cloned());
        // A secret that contains another goes first, or its rest would stay.
        self.secrets.sort_by_key(|secret| std::cmp::Reverse(secret.expose_secret().len()));
        self.secrets.dedup_by(|one, other| is_same(one, other));
    }
}

impl fmt::Debug for CurrentCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CurrentCredentials(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credentials(json: &str) -> SecretString {
        SecretString::from(json)
    }

    #[test]
    fn no_value_of_the_present_and_the_last_credentials_is_shown() {
        let current = CurrentCredentials::new(vec![SecretString::from("sett1ng")]);
        for _ in 0..2 {
            current.replace(credentials(r#"{"access_token":"hunter2","totp":"hunter2-long","pin":"12"}"#));
        }
        assert_eq!(
            current.redacted("a hunter2-long hunter2 12 sett1ng wss://x"),
            "a [redacted] [redacted] 12 [redacted] wss://x"
        );
        current.replace(credentials(r#"{"access_token":"newer"}"#));
        assert_eq!(current.redacted("hunter2 newer"), "[redacted] [redacted]");
        current.replace(credentials(r#"{"access_token":"newest"}"#));
        assert_eq!(current.redacted("hunter2 newer newest"), "hunter2 [redacted] [redacted]");
        assert!(matches!(current.redacted("nothing"), Cow::Borrowed(_)));
    }
}
