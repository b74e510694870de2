//! The settings: as a person writes them, and checked.

use std::{ops::RangeInclusive, path::PathBuf, time::Duration};

use adapter_sdk::{
    AdapterError,
    instruments::Outdated,
    net::{Network, NetworkConfig},
    settings::{http, http_base, seconds, websocket, within},
};
use serde::Deserialize;

use crate::request::MAX_TOPICS;

const BATCH_SIZE: RangeInclusive<usize> = 1..=MAX_TOPICS;
const BATCH_INTERVAL_MS: RangeInclusive<u64> = 0..=10_000;
const HEARTBEAT_SECONDS: RangeInclusive<f64> = 0.1..=60.0;
const STALL_SECONDS: RangeInclusive<f64> = 0.5..=600.0;
const SNAPSHOT_SECONDS: RangeInclusive<f64> = 0.5..=300.0;

/// Most files of a list.
const MAX_LISTS: usize = 16;

/// Longest name of such a file.
const MAX_LIST_NAME: usize = 32;

/// The adapter's table in `plugins.toml`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The data socket.
    ws_url: String,
    /// The socket of fifty levels; if not set, what the broker says, and else where it always was.
    tbt_url: Option<String>,
    /// The REST interface.
    api_url: String,
    /// Conversion of symbols; if not set, `/data/symbol-token` of `api_url`.
    symbol_token_url: Option<String>,
    /// Folder of the lists of instruments.
    instruments_url: String,
    /// Names of indices; if not set, `index_hsm_mapping.json` of `instruments_url`.
    index_map_url: Option<String>,
    /// Lists that are read, without `.csv`.
    lists: Vec<String>,
    /// Where lists are kept.
    cache_dir: Option<PathBuf>,
    /// What is done when the lists of today cannot be had: `refuse` or `use`.
    outdated_list: Outdated,
    /// Whose word counts for the number of a symbol.
    symbol_tokens: SymbolTokens,
    /// Whether books of fifty levels are asked for.
    depth_50: bool,
    /// Most topics in one message.
    batch_size: usize,
    /// Pause between two messages.
    batch_interval_ms: u64,
    /// Pause between two heartbeats.
    heartbeat_seconds: f64,
    /// Silence after which a connection is taken for dead.
    stall_seconds: f64,
    /// How long the broker has for the first record of a topic.
    snapshot_seconds: f64,
    /// The way to the broker.
    network: NetworkConfig,
}

/// Whose word counts for the number of a symbol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SymbolTokens {
    /// The broker is asked, and the list counts when it does not answer.
    #[default]
    Broker,
    /// The list alone: no request.
    List,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            ws_url: "wss://socket.fyers.in/hsm/v1-5/prod".to_owned(),
            tbt_url: None,
            api_url: "https://api-t1.fyers.in".to_owned(),
            symbol_token_url: None,
            instruments_url: "https://public.fyers.in/sym_details".to_owned(),
            index_map_url: None,
            lists: ["NSE_CM", "NSE_FO", "NSE_CD", "BSE_CM", "BSE_FO", "MCX_COM"].map(str::to_owned).into(),
            cache_dir: None,
            outdated_list: Outdated::Refuse,
            symbol_tokens: SymbolTokens::Broker,
            depth_50: false,
            batch_size: 1_000,
            batch_interval_ms: 500,
            heartbeat_seconds: 4.0,
            stall_seconds: 12.0,
            snapshot_seconds: 15.0,
            network: NetworkConfig::default(),
        }
    }
}

/// Checked settings.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) ws_url: String,
    pub(crate) tbt_url: Option<String>,
    /// Without a slash at its end.
    pub(crate) api_url: String,
    pub(crate) symbol_token_url: String,
    /// The lists, each with its whole address.
    pub(crate) list_urls: Vec<String>,
    pub(crate) index_map_url: String,
    pub(crate) cache_dir: Option<PathBuf>,
    pub(crate) outdated_list: Outdated,
    pub(crate) symbol_tokens: SymbolTokens,
    pub(crate) depth_50: bool,
    pub(crate) batch_size: usize,
    pub(crate) batch_interval: Duration,
    pub(crate) heartbeat: Duration,
    pub(crate) stall: Duration,
    pub(crate) snapshot_limit: Duration,
    pub(crate) network: Network,
}

impl Config {
    /// Checks the settings.
    pub(crate) fn check(self) -> Result<Settings, AdapterError> {
        let api_url = http_base("api_url", self.api_url)?;
        let symbol_token_url = match self.symbol_token_url {
            Some(url) => http("symbol_token_url", url)?,
            None => format!("{api_url}/data/symbol-token"),
        };
        let instruments_url = http_base("instruments_url", self.instruments_url)?;
        let index_map_url = match self.index_map_url {
            Some(url) => http("index_map_url", url)?,
            None => format!("{instruments_url}/index_hsm_mapping.json"),
        };
        let is_name = |name: &String| {
            (1..=MAX_LIST_NAME).contains(&name.len())
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        };
        if !(1..=MAX_LISTS).contains(&self.lists.len()) || !self.lists.iter().all(is_name) {
            return Err(AdapterError::config("lists must be 1 to 16 names such as NSE_CM, without .csv"));
        }
        let stall = seconds("stall_seconds", self.stall_seconds, &STALL_SECONDS)?;
        let heartbeat = seconds("heartbeat_seconds", self.heartbeat_seconds, &HEARTBEAT_SECONDS)?;
        let pause = within("batch_interval_ms", self.batch_interval_ms, &BATCH_INTERVAL_MS)?;
        Ok(Settings {
            ws_url: websocket("ws_url", self.ws_url)?,
            tbt_url: self.tbt_url.map(|url| websocket("tbt_url", url)).transpose()?,
            api_url,
            symbol_token_url,
            list_urls: self.lists.iter().map(|name| format!("{instruments_url}/{name}.csv")).collect(),
            index_map_url,
            cache_dir: self.cache_dir,
            outdated_list: self.outdated_list,
            symbol_tokens: self.symbol_tokens,
            depth_50: self.depth_50,
            batch_size: within("batch_size", self.batch_size, &BATCH_SIZE)?,
            batch_interval: Duration::from_millis(pause),
            // A quiet market has nothing but the answers to break the silence.
            heartbeat: heartbeat.min(stall.div_f64(2.5)),
            stall,
            snapshot_limit: seconds("snapshot_seconds", self.snapshot_seconds, &SNAPSHOT_SECONDS)?,
            network: Network::new(self.network)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn check(json: &str) -> Result<Settings, String> {
        let config: Config = serde_json::from_str(json).map_err(|error| error.to_string())?;
        config.check().map_err(|error| error.to_string())
    }

    #[test]
    fn without_settings_it_is_the_broker() {
        let settings = check("{}").unwrap();
        assert_eq!(settings.ws_url, "wss://socket.fyers.in/hsm/v1-5/prod");
        assert_eq!(settings.symbol_token_url, "https://api-t1.fyers.in/data/symbol-token");
        assert_eq!(settings.index_map_url, "https://public.fyers.in/sym_details/index_hsm_mapping.json");
        assert_eq!(settings.list_urls[5], "https://public.fyers.in/sym_details/MCX_COM.csv");
        assert_eq!((settings.depth_50, settings.batch_size), (false, 1_000));
        assert_eq!((settings.heartbeat, settings.stall), (Duration::from_secs(4), Duration::from_secs(12)));
        assert_eq!(check(r#"{"stall_seconds":5}"#).unwrap().heartbeat, Duration::from_secs(2));
        let moved =
            check(r#"{"api_url":"http://x/","instruments_url":"http://y//","lists":["NSE_CM"]}"#).unwrap();
        assert_eq!(moved.symbol_token_url, "http://x/data/symbol-token");
        assert_eq!(moved.list_urls, ["http://y/NSE_CM.csv"]);
        assert_eq!(moved.index_map_url, "http://y/index_hsm_mapping.json");
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_name() {
        for (json, said) in [
            (r#"{"ws_url":"http://x"}"#, "ws_url must be an address that begins with ws:// or wss://"),
            (r#"{"tbt_url":"x"}"#, "tbt_url must be"),
            (r#"{"api_url":"ws://x"}"#, "api_url must be an address that begins with http:// or https://"),
            (r#"{"symbol_token_url":"x"}"#, "symbol_token_url must be"),
            (r#"{"instruments_url":"http://a b"}"#, "instruments_url must be"),
            (r#"{"index_map_url":""}"#, "index_map_url must be"),
            (r#"{"lists":[]}"#, "lists must be 1 to 16 names"),
            (r#"{"lists":["../x"]}"#, "lists must be 1 to 16 names"),
            (r#"{"outdated_list":"maybe"}"#, "unknown variant `maybe`"),
            (r#"{"symbol_tokens":"both"}"#, "unknown variant `both`"),
            (r#"{"depth_50":1}"#, "invalid type"),
            (r#"{"batch_size":0}"#, "batch_size is 0, but must be between 1 and 1000"),
            (r#"{"batch_size":1001}"#, "batch_size is 1001"),
            (r#"{"batch_interval_ms":10001}"#, "batch_interval_ms is 10001, but must be between 0 and 10000"),
            (r#"{"heartbeat_seconds":61}"#, "heartbeat_seconds is 61, but must be between 0.1 and 60"),
            (r#"{"stall_seconds":0.1}"#, "stall_seconds is 0.1, but must be between 0.5 and 600"),
            (r#"{"snapshot_seconds":0}"#, "snapshot_seconds is 0, but must be between 0.5 and 300"),
            (r#"{"network":{"proxy":"x"}}"#, "network.proxy"),
            (r#"{"stall":1}"#, "unknown field `stall`"),
        ] {
            let refused = check(json).unwrap_err();
            assert!(refused.contains(said), "{json}: {refused}");
        }
    }

    #[test]
    fn the_schema_has_every_setting_and_its_default() {
        let schema: Value = serde_json::from_str(include_str!("../config.schema.json")).unwrap();
        let properties = schema["properties"].as_object().unwrap();
        let refused = check(r#"{"no_such":1}"#).unwrap_err();
        for name in properties.keys() {
            assert!(refused.contains(&format!("`{name}`")), "{name} is no setting: {refused}");
        }
        let settings = refused.split_once("expected one of").unwrap().1.matches('`').count() / 2;
        assert_eq!(properties.len(), settings);
        let defaults = Config::default();
        for (name, value) in [
            ("ws_url", Value::from(defaults.ws_url)),
            ("api_url", defaults.api_url.into()),
            ("instruments_url", defaults.instruments_url.into()),
            ("lists", defaults.lists.into()),
            ("batch_size", defaults.batch_size.into()),
            ("batch_interval_ms", defaults.batch_interval_ms.into()),
            ("depth_50", defaults.depth_50.into()),
        ] {
            assert_eq!(properties[name]["default"], value, "{name}");
        }
        for (name, value) in [
            ("heartbeat_seconds", defaults.heartbeat_seconds),
            ("stall_seconds", defaults.stall_seconds),
            ("snapshot_seconds", defaults.snapshot_seconds),
        ] {
            assert_eq!(properties[name]["default"].as_f64(), Some(value), "{name}");
        }
    }
}
