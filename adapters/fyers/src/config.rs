//! The settings: as a person writes them, and checked.

use std::time::Duration;

use adapter_sdk::{
    AdapterError,
    instruments::Outdated,
    net::Network,
    settings::{
        Choice, Count, Flag, Folder, HttpBase, HttpUrl, Kind, Millis, Optional, Seconds, WebSocketUrl,
    },
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::request::MAX_TOPICS;

/// Most files of a list.
const MAX_LISTS: usize = 16;

/// Longest name of such a file.
const MAX_LIST_NAME: usize = 32;

adapter_sdk::settings! {
    Config => pub(crate) struct Settings {
        /// The data socket
        ws_url: WebSocketUrl = "wss://socket.fyers.in/hsm/v1-5/prod";
        /// The socket of fifty levels; if not set, what the broker says, and else where it always was
        tbt_url: Optional<WebSocketUrl> = ();
        /// The REST interface
        api_url: HttpBase = "https://api-t1.fyers.in";
        /// Conversion of symbols; if not set, /data/symbol-token of `api_url`
        symbol_token_url: Optional<HttpUrl> = ();
        /// Folder of the lists of instruments
        instruments_url: HttpBase = "https://public.fyers.in/sym_details";
        /// Names of indices; if not set, `index_hsm_mapping.json` of `instruments_url`
        index_map_url: Optional<HttpUrl> = ();
        /// Lists that are read, without .csv; fewer take less memory
        lists: FileNames = &["NSE_CM", "NSE_FO", "NSE_CD", "BSE_CM", "BSE_FO", "MCX_COM"];
        /// Where lists are kept
        cache_dir: Folder = ();
        /// When the lists of today cannot be had: refuse to connect, or use the last ones, whose numbers may
        /// mean other instruments by now
        outdated_list: Outdated = Outdated::Refuse;
        /// Whose word counts for the number of a symbol: the broker is asked, and its list counts when it
        /// does not answer; or the list alone
        symbol_tokens: SymbolTokens = SymbolTokens::Broker;
        /// Whether books of fifty levels are asked for, from a socket of their own
        depth_50: Flag = false;
        /// Most topics in one message
        batch_size: Count = MAX_TOPICS, in 1..=MAX_TOPICS;
        /// Pause between two batches of subscriptions
        batch_interval("batch_interval_ms"): Millis = 500, in 0..=10_000;
        /// Pause between two heartbeats
        heartbeat("heartbeat_seconds"): Seconds = 4.0, in 0.1..=60.0;
        /// Silence after which a connection is taken for dead; heartbeats are answered
        stall("stall_seconds"): Seconds = 12.0, in 0.5..=600.0;
        /// How long the broker has for the first record of a topic
        snapshot_limit("snapshot_seconds"): Seconds = 15.0, in 0.5..=300.0;
        /// The way to the broker
        network: Network = ();
    }
}

/// Whose word counts for the number of a symbol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SymbolTokens {
    Broker,
    List,
}

impl Choice for SymbolTokens {
    const WORDS: &'static [(&'static str, Self)] = &[("broker", Self::Broker), ("list", Self::List)];
}

/// Names of the files of a list.
#[derive(Debug)]
pub(crate) enum FileNames {}

impl Kind for FileNames {
    type Raw = Vec<String>;
    type Default = &'static [&'static str];
    type Range = ();
    type Checked = Vec<String>;

    fn raw(default: Self::Default) -> Vec<String> {
        default.iter().map(|name| (*name).to_owned()).collect()
    }

    fn check(key: &str, names: Vec<String>, _: Option<()>) -> Result<Vec<String>, AdapterError> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        let is_name = |name: &String| (1..=MAX_LIST_NAME).contains(&name.len()) && name.bytes().all(is_plain);
        if (1..=MAX_LISTS).contains(&names.len()) && names.iter().all(is_name) {
            return Ok(names);
        }
        Err(AdapterError::config(format!("{key} must be 1 to 16 names such as NSE_CM, without .csv")))
    }

    fn schema(default: Self::Default, _: Option<()>) -> Value {
        let name = json!({"type": "string", "pattern": "^[A-Za-z0-9_]{1,32}$"});
        json!({"type": "array", "items": name, "minItems": 1, "maxItems": MAX_LISTS, "default": default})
    }
}

impl Settings {
    /// Where symbols are converted.
    pub(crate) fn symbol_token_url(&self) -> String {
        self.symbol_token_url.clone().unwrap_or_else(|| format!("{}/data/symbol-token", self.api_url))
    }

    /// The lists, each with its whole address.
    pub(crate) fn list_urls(&self) -> Vec<String> {
        self.lists.iter().map(|name| format!("{}/{name}.csv", self.instruments_url)).collect()
    }

    /// Where the names of indices are.
    pub(crate) fn index_map_url(&self) -> String {
        let usual = || format!("{}/index_hsm_mapping.json", self.instruments_url);
        self.index_map_url.clone().unwrap_or_else(usual)
    }

    /// Pause between two heartbeats: a quiet market has nothing but the answers to break the silence.
    pub(crate) fn heartbeat(&self) -> Duration {
        self.heartbeat.min(self.stall.div_f64(2.5))
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
    fn without_settings_it_is_the_broker() {
        let settings = check("{}").unwrap();
        assert_eq!(settings.ws_url, "wss://socket.fyers.in/hsm/v1-5/prod");
        assert_eq!(settings.symbol_token_url(), "https://api-t1.fyers.in/data/symbol-token");
        assert_eq!(settings.index_map_url(), "https://public.fyers.in/sym_details/index_hsm_mapping.json");
        assert_eq!(settings.list_urls()[5], "https://public.fyers.in/sym_details/MCX_COM.csv");
        assert_eq!((settings.depth_50, settings.batch_size), (false, 1_000));
        assert_eq!((settings.heartbeat(), settings.stall), (Duration::from_secs(4), Duration::from_secs(12)));
        assert_eq!(check(r#"{"stall_seconds":5}"#).unwrap().heartbeat(), Duration::from_secs(2));
        let moved =
            check(r#"{"api_url":"http://x/","instruments_url":"http://y//","lists":["NSE_CM"]}"#).unwrap();
        assert_eq!(moved.symbol_token_url(), "http://x/data/symbol-token");
        assert_eq!(moved.list_urls(), ["http://y/NSE_CM.csv"]);
        assert_eq!(moved.index_map_url(), "http://y/index_hsm_mapping.json");
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
        let schema: Value = serde_json::from_str(Config::schema()).unwrap();
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
            ("batch_interval_ms", defaults.batch_interval.into()),
            ("depth_50", defaults.depth_50.into()),
            ("symbol_tokens", "broker".into()),
            ("outdated_list", "refuse".into()),
        ] {
            assert_eq!(properties[name]["default"], value, "{name}");
        }
        for (name, value) in [
            ("heartbeat_seconds", defaults.heartbeat),
            ("stall_seconds", defaults.stall),
            ("snapshot_seconds", defaults.snapshot_limit),
        ] {
            assert_eq!(properties[name]["default"].as_f64(), Some(value), "{name}");
        }
    }
}
