//! The settings: as a person writes them, and checked.

use std::{ops::RangeInclusive, path::PathBuf, time::Duration};

use adapter_sdk::{
    AdapterError,
    instruments::Outdated,
    net::{Network, NetworkConfig},
    settings,
};
use serde::Deserialize;

use crate::wire::depth::Tier;

/// Sockets that the broker allows an account. A further one ends the oldest.
const SOCKETS: usize = 5;

const DEPTH_SOCKETS: RangeInclusive<usize> = 0..=SOCKETS - 1;
const BATCH_SIZE: RangeInclusive<usize> = 1..=100;
const BATCH_INTERVAL_MS: RangeInclusive<u64> = 0..=10_000;
const STALL_SECONDS: RangeInclusive<f64> = 0.5..=300.0;

/// Pings in the silence that counts as death. The broker's own come every ten seconds, which is too seldom to notice
/// one soon.
const PINGS_IN_STALL: f64 = 3.0;

/// The adapter's table in `plugins.toml`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The live feed.
    ws_url: String,
    /// The feed of books of 20 levels.
    depth20_url: String,
    /// The feed of books of 200 levels.
    depth200_url: String,
    /// The REST interface.
    api_url: String,
    /// Where accounts log in.
    auth_url: String,
    /// The list of instruments in its compact form.
    instruments_url: String,
    /// Where the list of instruments is kept.
    cache_dir: Option<PathBuf>,
    /// What is done when the list of today cannot be had: `refuse` or `use`.
    outdated_list: Outdated,
    /// Most levels of a book that the account is entitled to: 5, 20 or 200.
    depth: u16,
    /// Most sockets for books of 20 levels beside each connection.
    depth20_sockets: usize,
    /// Most sockets for books of 200 levels beside each connection.
    depth200_sockets: usize,
    /// Most instruments in one message.
    batch_size: usize,
    /// Pause between two batches of subscriptions.
    batch_interval_ms: u64,
    /// Silence after which a socket is taken for dead.
    stall_seconds: f64,
    /// The way to the broker.
    network: NetworkConfig,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            ws_url: "wss://api-feed.dhan.co/".to_owned(),
            depth20_url: "wss://depth-api-feed.dhan.co/twentydepth".to_owned(),
            // The documents say /twohundreddepth, which resets the connection; the broker's package has this.
            depth200_url: "wss://full-depth-api.dhan.co/".to_owned(),
            api_url: "https://api.dhan.co/v2".to_owned(),
            auth_url: "https://auth.dhan.co".to_owned(),
            instruments_url: "https://images.dhan.co/api-data/api-scrip-master.csv".to_owned(),
            cache_dir: None,
            outdated_list: Outdated::Refuse,
            depth: 5,
            depth20_sockets: 1,
            depth200_sockets: 1,
            batch_size: *BATCH_SIZE.end(),
            batch_interval_ms: 100,
            stall_seconds: 12.0,
            network: NetworkConfig::default(),
        }
    }
}

/// Checked settings.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) ws_url: String,
    pub(crate) depth20_url: String,
    pub(crate) depth200_url: String,
    /// Without a slash at its end, as the next one.
    pub(crate) api_url: String,
    pub(crate) auth_url: String,
    pub(crate) instruments_url: String,
    pub(crate) cache_dir: Option<PathBuf>,
    pub(crate) outdated_list: Outdated,
    /// Sockets for deep books that the account is entitled to.
    pub(crate) depth20_sockets: usize,
    pub(crate) depth200_sockets: usize,
    pub(crate) batch_size: usize,
    pub(crate) batch_interval: Duration,
    pub(crate) stall: Duration,
    /// Pause between two pings.
    pub(crate) ping: Duration,
    pub(crate) network: Network,
}

impl Settings {
    /// Address of a depth feed.
    pub(crate) fn depth_url(&self, tier: Tier) -> &str {
        match tier {
            Tier::Twenty => &self.depth20_url,
            Tier::TwoHundred => &self.depth200_url,
        }
    }

    /// Most sockets of a depth feed beside a connection.
    pub(crate) const fn depth_sockets(&self, tier: Tier) -> usize {
        match tier {
            Tier::Twenty => self.depth20_sockets,
            Tier::TwoHundred => self.depth200_sockets,
        }
    }
}

impl Config {
    /// Checks the settings.
    pub(crate) fn check(self) -> Result<Settings, AdapterError> {
        let depth20_sockets = settings::within("depth20_sockets", self.depth20_sockets, &DEPTH_SOCKETS)?;
        let depth200_sockets = settings::within("depth200_sockets", self.depth200_sockets, &DEPTH_SOCKETS)?;
        let (depth20_sockets, depth200_sockets) = match self.depth {
            5 => (0, 0),
            20 => (depth20_sockets, 0),
            200 => (depth20_sockets, depth200_sockets),
            other => {
                return Err(AdapterError::config(format!("depth is {other}, but must be 5, 20 or 200")));
            }
        };
        if depth20_sockets + depth200_sockets >= SOCKETS {
            return Err(AdapterError::config(format!(
                "depth20_sockets and depth200_sockets are {} together, but must be at most {}: the broker allows an \
                 account {SOCKETS} sockets, and the live feed is one",
                depth20_sockets + depth200_sockets,
                SOCKETS - 1
            )));
        }
        let interval_ms = settings::within("batch_interval_ms", self.batch_interval_ms, &BATCH_INTERVAL_MS)?;
        let stall = settings::seconds("stall_seconds", self.stall_seconds, &STALL_SECONDS)?;
        Ok(Settings {
            ws_url: settings::websocket("ws_url", self.ws_url)?,
            depth20_url: settings::websocket("depth20_url", self.depth20_url)?,
            depth200_url: settings::websocket("depth200_url", self.depth200_url)?,
            api_url: settings::http_base("api_url", self.api_url)?,
            auth_url: settings::http_base("auth_url", self.auth_url)?,
            instruments_url: settings::http("instruments_url", self.instruments_url)?,
            cache_dir: self.cache_dir,
            outdated_list: self.outdated_list,
            depth20_sockets,
            depth200_sockets,
            batch_size: settings::within("batch_size", self.batch_size, &BATCH_SIZE)?,
            batch_interval: Duration::from_millis(interval_ms),
            stall,
            ping: stall.div_f64(PINGS_IN_STALL),
            network: Network::new(self.network)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn check(json: &str) -> Result<Settings, String> {
        let config: Config = serde_json::from_str(json).map_err(|error| error.to_string())?;
        config.check().map_err(|error| error.to_string())
    }

    #[test]
    fn defaults_are_those_of_the_documentation() {
        let settings = check("{}").unwrap();
        assert_eq!((settings.depth20_sockets, settings.depth200_sockets), (0, 0));
        assert_eq!(settings.ping, Duration::from_secs(4));
        let schema: Value = serde_json::from_str(crate::CONFIG_SCHEMA).unwrap();
        let properties = &schema["properties"];
        for (key, value) in [
            ("ws_url", json!(settings.ws_url)),
            ("depth20_url", json!(settings.depth20_url)),
            ("depth200_url", json!(settings.depth200_url)),
            ("api_url", json!(settings.api_url)),
            ("auth_url", json!(settings.auth_url)),
            ("instruments_url", json!(settings.instruments_url)),
            ("outdated_list", json!("refuse")),
            ("depth", json!(Config::default().depth)),
            ("depth20_sockets", json!(Config::default().depth20_sockets)),
            ("depth200_sockets", json!(Config::default().depth200_sockets)),
            ("batch_size", json!(settings.batch_size)),
            ("batch_interval_ms", json!(100)),
            ("stall_seconds", json!(12)),
        ] {
            assert_eq!(properties[key]["default"], value, "{key}");
        }
        assert_eq!(properties.as_object().unwrap().len(), 15);
    }

    #[test]
    fn sockets_for_deep_books_follow_the_entitlement() {
        let sockets = |json: &str| {
            let settings = check(json).unwrap();
            [Tier::Twenty, Tier::TwoHundred].map(|tier| settings.depth_sockets(tier))
        };
        assert_eq!(sockets(r#"{"depth":20}"#), [1, 0]);
        assert_eq!(sockets(r#"{"depth":200,"depth20_sockets":0,"depth200_sockets":4}"#), [0, 4]);
        // What is not used does not count.
        assert_eq!(sockets(r#"{"depth":20,"depth20_sockets":4,"depth200_sockets":4}"#), [4, 0]);
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_name() {
        for (json, said) in [
            (r#"{"ws_url":"https://x"}"#, "ws_url must be an address that begins with ws:// or wss://"),
            (r#"{"depth20_url":"wss://"}"#, "depth20_url must be"),
            (r#"{"depth200_url":"x"}"#, "depth200_url must be"),
            (r#"{"api_url":"ftp://x"}"#, "api_url must be an address that begins with http:// or https://"),
            (r#"{"auth_url":"/x"}"#, "auth_url must be"),
            (r#"{"instruments_url":"/x"}"#, "instruments_url must be"),
            (r#"{"depth":50}"#, "depth is 50, but must be 5, 20 or 200"),
            (r#"{"depth20_sockets":5}"#, "depth20_sockets is 5, but must be between 0 and 4"),
            (
                r#"{"depth":200,"depth20_sockets":2,"depth200_sockets":3}"#,
                "are 5 together, but must be at most 4",
            ),
            (r#"{"batch_size":101}"#, "batch_size is 101, but must be between 1 and 100"),
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
