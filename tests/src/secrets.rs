//! What no log may show. Every daemon that a test starts is looked at when the test ends, so the whole suite
//! looks for leaks, on every path that any test takes.

use std::{collections::BTreeSet, path::Path, sync::Mutex};

use serde_json::Value;

/// Members of credentials that are secret at every broker. Others, such as the name of a client, may be
/// shown.
const SECRET_MEMBERS: [&str; 8] = [
    "access_token",
    "api_secret",
    "auth_token",
    "feed_token",
    "password",
    "pin",
    "request_token",
    "totp_secret",
];

/// Shorter ones stand in a log by chance.
const MIN_BYTES: usize = 8;

/// Secrets that a daemon was told or has made.
#[derive(Debug, Default)]
pub struct Secrets(Mutex<BTreeSet<String>>);

impl Secrets {
    /// One more.
    pub fn add(&self, secret: &str) {
        if secret.len() >= MIN_BYTES {
            self.0.lock().unwrap().insert(secret.to_owned());
        }
    }

    /// Those of a command and its input.
    pub(crate) fn note(&self, args: &[&str], input: &str) {
        let Ok(Value::Object(members)) = serde_json::from_str(input) else { return };
        if args.starts_with(&["account", "set"]) {
            for name in SECRET_MEMBERS {
                members.get(name).and_then(Value::as_str).into_iter().for_each(|secret| self.add(secret));
            }
        }
    }

    /// Those that lie in a data directory: the key of the first run, and what opens the operator's port.
    pub fn add_those_of(&self, data_dir: &Path) {
        if let Ok(key) = std::fs::read_to_string(data_dir.join("demo.key")) {
            self.add(key.trim());
        }
        let control = std::fs::read(data_dir.join("run/control.json")).unwrap_or_default();
        let control: Value = serde_json::from_slice(&control).unwrap_or_default();
        control["token"].as_str().into_iter().for_each(|token| self.add(token));
    }

    /// Asserts that no line of a log in JSON shows one. Other lines are not all the daemon's: what a library
    /// within it writes to its streams by itself, nobody can hold back.
    pub fn assert_absent(&self, log: &str) {
        for line in log.lines().filter(|line| line.starts_with('{')) {
            self.assert_absent_everywhere(line);
        }
    }

    /// Asserts that a text shows none.
    pub fn assert_absent_everywhere(&self, text: &str) {
        for secret in self.0.lock().unwrap().iter() {
            assert!(!text.contains(secret), "a secret of {} bytes is shown:\n{text}", secret.len());
        }
    }
}
