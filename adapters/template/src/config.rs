//! The settings: as a person writes them, and checked.

use std::{ops::RangeInclusive, time::Duration};

use adapter_sdk::{AdapterError, net::NetworkConfig, settings};
use serde::Deserialize;

const SILENCE_MS: RangeInclusive<u64> = 100..=600_000;
const HEARTBEAT_MS: RangeInclusive<u64> = 50..=60_000;

/// The adapter's table in `plugins.toml`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where the broker's feed is, `ws://…` or `wss://…`.
    ws_url: String,
    /// Silence after which the connection is taken for dead, 100 to 600,000 milliseconds. The broker's heartbeats come
    /// each second.
    #[serde(default = "default_silence_ms")]
    silence_ms: u64,
    /// Pause between this side's heartbeats, 50 to 60,000 milliseconds.
    #[serde(default = "default_heartbeat_ms")]
    heartbeat_ms: u64,
    /// The way to the broker.
    #[serde(default)]
    network: NetworkConfig,
}

fn default_silence_ms() -> u64 {
    5_000
}

fn default_heartbeat_ms() -> u64 {
    1_000
}

/// Checked settings.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) ws_url: String,
    /// Silence after which the connection is taken for dead.
    pub(crate) silence: Duration,
    /// Pause between this side's heartbeats.
    pub(crate) heartbeat: Duration,
    pub(crate) network: NetworkConfig,
}

impl Config {
    /// Checks the settings.
    pub(crate) fn check(self) -> Result<Settings, AdapterError> {
        Ok(Settings {
            ws_url: settings::websocket("ws_url", self.ws_url)?,
            silence: Duration::from_millis(settings::within("silence_ms", self.silence_ms, &SILENCE_MS)?),
            heartbeat: Duration::from_millis(settings::within(
                "heartbeat_ms",
                self.heartbeat_ms,
                &HEARTBEAT_MS,
            )?),
            network: self.network,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str) -> Result<Settings, String> {
        let config: Config = serde_json::from_str(json).map_err(|error| error.to_string())?;
        config.check().map_err(|error| error.to_string())
    }

    #[test]
    fn defaults_are_those_of_the_documentation() {
        let settings = check(r#"{"ws_url":"wss://broker.example/feed"}"#).unwrap();
        assert_eq!((settings.silence, settings.heartbeat), (Duration::from_secs(5), Duration::from_secs(1)));
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_name() {
        let refused = |json| check(json).unwrap_err();
        let said = refused(r#"{"ws_url":"http://x"}"#);
        assert!(said.starts_with("ws_url must be an address that begins with ws:// or wss://"), "{said}");
        let said = refused(r#"{"ws_url":"ws://x","silence_ms":1}"#);
        assert_eq!(said, "silence_ms is 1, but must be between 100 and 600000");
        assert!(refused(r#"{"ws_url":"ws://x","silence":1}"#).contains("unknown field `silence`"));
    }
}
