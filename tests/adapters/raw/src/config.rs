//! The settings, and when the fault happens.

use std::{fs, path::PathBuf, time::Duration, time::Instant};

use serde::Deserialize;

/// How long a call hangs: longer than any test.
const HANGS_FOR: Duration = Duration::from_hours(1);

/// The adapter's table in `plugins.toml`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// What it does wrong.
    pub fault: Option<Fault>,
    /// The fault happens when this file exists, which is removed first; without it, each time that it can.
    pub trigger: Option<PathBuf>,
}

/// What the adapter can do wrong; `tests/adapters/README.md` says more of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// `validate_config` does not return.
    HangInValidate,
    /// `create` does not return.
    HangInCreate,
    /// `connect` does not return.
    HangInConnect,
    /// `subscribe` does not return.
    HangInSubscribe,
    /// `unsubscribe` does not return.
    HangInUnsubscribe,
    /// `health` does not return.
    HangInHealth,
    /// `shutdown` does not return.
    HangInShutdown,
    /// `subscribe` panics, and nothing on this side catches it.
    PanicInCall,
    /// Publishes records of any bytes.
    GarbageRecords,
    /// Reports states that do not exist, and answers requests that nobody made.
    FalseReports,
    /// Goes on publishing after `shutdown` returned.
    PublishAfterShutdown,
}

impl Config {
    pub(crate) fn parse(json: &str) -> Result<Self, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    /// Whether this fault is asked for and its moment has come.
    pub(crate) fn springs(&self, fault: Fault) -> bool {
        self.fault == Some(fault) && self.trigger.as_ref().is_none_or(|file| fs::remove_file(file).is_ok())
    }

    /// Does not return for an hour, if this fault is asked for and its moment has come.
    pub(crate) fn maybe_hang(&self, fault: Fault) {
        if !self.springs(fault) {
            return;
        }
        let until = Instant::now() + HANGS_FOR;
        while let Some(rest) = until.checked_duration_since(Instant::now()) {
            std::thread::park_timeout(rest);
        }
    }
}
