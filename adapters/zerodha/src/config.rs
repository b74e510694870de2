//! The settings: as a person writes them, and checked.

use std::{ops::RangeInclusive, path::PathBuf, time::Duration};

use adapter_sdk::{AdapterError, instruments::Outdated, net::NetworkConfig, settings};
use serde::Deserialize;

const BATCH_SIZE: RangeInclusive<usize> = 1..=3_000;
const BATCH_INTERVAL_MS: RangeInclusive<u64> = 0..=10_000;
const STALL_SECONDS: RangeInclusive<f64> = 0.5..=300.0;

/// The adapter's table in `plugins.toml`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The ticker.
    ws_url: String,
    /// The REST interface.
    api_url: String,
    /// The list of instruments; if not set, `/instruments` of `api_url`.
    instruments_url: Option<String>,
    /// The page on which people log in.
    login_url: String,
    /// Where the list of instruments is kept.
    cache_dir: Option<PathBuf>,
    /// What is done when the list of today cannot be had: `refuse` or `use`.
    outdated_list: Outdated,
    /// Most tokens in one message.
    batch_size: usize,
    /// Pause between two batches of subscriptions.
    batch_interval_ms: u64,
    /// Silence after which the connection is taken for dead. The broker's heartbeats come every few seconds.
    stall_seconds: f64,
    /// The way to the broker.
    network: NetworkConfig,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            ws_url: "wss://ws.kite.trade".to_owned(),
            api_url: "https://api.kite.trade".to_owned(),
            instruments_url: None,
            login_url: "https://kite.zerodha.com/connect/login".to_owned(),
            cache_dir: None,
            outdated_list: Outdated::Refuse,
            batch_size: 200,
            batch_interval_ms: 100,
            stall_seconds: 8.0,
            network: NetworkConfig::default(),
        }
    }
}

/// Checked settings.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) ws_url: String,
    /// Without a slash at its end.
    pub(crate) api_url: String,
    pub(crate) instruments_url: String,
    pub(crate) login_url: String,
    pub(crate) cache_dir: Option<PathBuf>,
    pub(crate) outdated_list: Outdated,
    pub(crate) batch_size: usize,
    pub(crate) batch_interval: Duration,
    pub(crate) stall: Duration,
    pub(crate) network: NetworkConfig,
}

impl Config {
    /// Checks the settings.
    pub(crate) fn check(self) -> Result<Settings, AdapterError> {
        let api_url = settings::http_base("api_url", self.api_url)?;
        let instruments_url = match self.instruments_url {
            Some(url) => settings::http("instruments_url", url)?,
            None => format!("{api_url}/instruments"),
        };
        Ok(Settings {
            ws_url: settings::websocket("ws_url", self.ws_url)?,
            login_url: settings::http("login_url", self.login_url)?,
            api_url,
            instruments_url,
            cache_dir: self.cache_dir,
            outdated_list: self.outdated_list,
            batch_size: settings::within("batch_size", self.batch_size, &BATCH_SIZE)?,
            batch_interval: Duration::from_millis(settings::within(
                "batch_interval_ms",
                self.batch_interval_ms,
                &BATCH_INTERVAL_MS,
            )?),
            stall: settings::seconds("stall_seconds", self.stall_seconds, &STALL_SECONDS)?,
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
        let settings = check("{}").unwrap();
        assert_eq!(settings.ws_url, "wss://ws.kite.trade");
        assert_eq!(settings.instruments_url, "https://api.kite.trade/instruments");
        assert_eq!(settings.stall, Duration::from_secs(8));
        assert_eq!((settings.batch_size, settings.batch_interval), (200, Duration::from_millis(100)));
        let schema: serde_json::Value = serde_json::from_str(crate::CONFIG_SCHEMA).unwrap();
        let properties = &schema["properties"];
        for (key, value) in [
            ("ws_url", serde_json::json!(settings.ws_url)),
            ("api_url", serde_json::json!(settings.api_url)),
            ("login_url", serde_json::json!(settings.login_url)),
            ("outdated_list", serde_json::json!("refuse")),
            ("batch_size", serde_json::json!(settings.batch_size)),
            ("batch_interval_ms", serde_json::json!(100)),
            ("stall_seconds", serde_json::json!(8)),
        ] {
            assert_eq!(properties[key]["default"], value, "{key}");
        }
        assert_eq!(properties.as_object().unwrap().len(), 10);
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_name() {
        for (json, said) in [
            (r#"{"ws_url":"https://x"}"#, "ws_url must be an address that begins with ws:// or wss://"),
            (r#"{"ws_url":"wss://"}"#, "ws_url must be"),
            (r#"{"api_url":"ftp://x"}"#, "api_url must be an address that begins with http:// or https://"),
            (r#"{"instruments_url":"/x"}"#, "instruments_url must be"),
            (r#"{"login_url":"https://x/#y"}"#, "login_url must be"),
            (r#"{"batch_size":0}"#, "batch_size is 0, but must be between 1 and 3000"),
            (r#"{"batch_interval_ms":10001}"#, "batch_interval_ms is 10001"),
            (r#"{"stall_seconds":0.1}"#, "stall_seconds is 0.1, but must be between 0.5 and 300"),
            (r#"{"outdated_list":"maybe"}"#, "unknown variant `maybe`"),
            (r#"{"stall":1}"#, "unknown field `stall`"),
            (r#"{"network":{"proxi":"x"}}"#, "unknown field `proxi`"),
        ] {
            let error = check(json).unwrap_err();
            assert!(error.contains(said), "{json}: {error}");
        }
    }
}
