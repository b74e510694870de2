//! The settings: as a person writes them, and checked.

use std::{ops::RangeInclusive, path::PathBuf, time::Duration};

use adapter_sdk::{
    AdapterError,
    instruments::Outdated,
    net::{Network, NetworkConfig},
    settings::{http, http_base, seconds, websocket, within},
};
use serde::Deserialize;

const BATCH_SIZE: RangeInclusive<u64> = 1..=500;
const BATCH_INTERVAL_MS: RangeInclusive<u64> = 0..=10_000;
const HEARTBEAT_SECONDS: RangeInclusive<f64> = 0.1..=25.0;
const STALL_SECONDS: RangeInclusive<f64> = 0.5..=600.0;

/// Longest MAC address.
const MAC_CHARACTERS: usize = 17;

/// The adapter's table in `plugins.toml`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Market feed, `ws://…` or `wss://…`.
    ws_url: String,
    /// Order updates, `ws://…` or `wss://…`.
    order_ws_url: String,
    /// REST interface, `http://…` or `https://…`, without a slash at the end.
    api_url: String,
    /// List of instruments, `http://…` or `https://…`.
    instruments_url: String,
    /// Whether order updates are asked for.
    orders: bool,
    /// Where the list of instruments is kept.
    cache_dir: Option<PathBuf>,
    /// What is done when the list of today cannot be had: `refuse` or `use`.
    outdated_list: Outdated,
    /// Most tokens in one message, 1 to 500.
    batch_size: u64,
    /// Pause between two messages, 0 to 10,000 milliseconds.
    batch_interval_ms: u64,
    /// Pause between two heartbeats, 0.1 to 25 seconds.
    heartbeat_seconds: f64,
    /// Silence after which the connection is taken for dead, 0.5 to 600 seconds.
    stall_seconds: f64,
    /// Address of this machine in its own network, as it is told to the broker at the log-in.
    client_local_ip: String,
    /// Address of this machine in the internet, the same.
    client_public_ip: String,
    /// MAC address of this machine, the same.
    mac_address: String,
    /// The way to the broker.
    network: NetworkConfig,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            ws_url: "wss://smartapisocket.angelone.in/smart-stream".to_owned(),
            order_ws_url: "wss://tns.angelone.in/smart-order-update".to_owned(),
            api_url: "https://apiconnect.angelone.in".to_owned(),
            instruments_url:
                "https://margincalculator.angelone.in/OpenAPI_File/files/OpenAPIScripMaster.json".to_owned(),
            orders: true,
            cache_dir: None,
            outdated_list: Outdated::Refuse,
            batch_size: 500,
            batch_interval_ms: 100,
            heartbeat_seconds: 4.0,
            stall_seconds: 12.0,
            client_local_ip: "127.0.0.1".to_owned(),
            client_public_ip: "127.0.0.1".to_owned(),
            mac_address: "00:00:00:00:00:00".to_owned(),
            network: NetworkConfig::default(),
        }
    }
}

/// Checked settings.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) ws_url: String,
    /// None when order updates are switched off.
    pub(crate) order_ws_url: Option<String>,
    pub(crate) api_url: String,
    pub(crate) instruments_url: String,
    pub(crate) cache_dir: Option<PathBuf>,
    pub(crate) outdated_list: Outdated,
    /// Most tokens in one message.
    pub(crate) batch_size: usize,
    /// Pause between two messages.
    pub(crate) batch_interval: Duration,
    /// Pause between two heartbeats.
    pub(crate) heartbeat: Duration,
    /// Silence after which the connection is taken for dead.
    pub(crate) stall: Duration,
    /// Who this machine says that it is.
    pub(crate) machine: Machine,
    pub(crate) network: Network,
}

/// What the broker wants to know of a machine at the log-in.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    pub(crate) local_ip: String,
    pub(crate) public_ip: String,
    pub(crate) mac_address: String,
}

impl Config {
    /// Checks the settings.
    pub(crate) fn check(self) -> Result<Settings, AdapterError> {
        let ip = |key: &str, text: String| match text.parse::<std::net::IpAddr>() {
            Ok(_) => Ok(text),
            Err(_) => Err(AdapterError::config(format!("{key} must be an IP address"))),
        };
        let heartbeat = seconds("heartbeat_seconds", self.heartbeat_seconds, &HEARTBEAT_SECONDS)?;
        let stall = seconds("stall_seconds", self.stall_seconds, &STALL_SECONDS)?;
        let is_mac = |byte: u8| byte.is_ascii_hexdigit() || byte == b':' || byte == b'-';
        if self.mac_address.len() != MAC_CHARACTERS || !self.mac_address.bytes().all(is_mac) {
            return Err(AdapterError::config("mac_address must look like 00:1a:2b:3c:4d:5e"));
        }
        let batch_size = within("batch_size", self.batch_size, &BATCH_SIZE)?;
        let pause = within("batch_interval_ms", self.batch_interval_ms, &BATCH_INTERVAL_MS)?;
        let order_ws_url = websocket("order_ws_url", self.order_ws_url)?;
        Ok(Settings {
            ws_url: websocket("ws_url", self.ws_url)?,
            order_ws_url: self.orders.then_some(order_ws_url),
            api_url: http_base("api_url", self.api_url)?,
            instruments_url: http("instruments_url", self.instruments_url)?,
            cache_dir: self.cache_dir,
            outdated_list: self.outdated_list,
            batch_size: usize::try_from(batch_size).unwrap_or(1),
            batch_interval: Duration::from_millis(pause),
            // A quiet market has nothing but the answers to break the silence.
            heartbeat: heartbeat.min(stall.div_f64(2.5)),
            stall,
            machine: Machine {
                local_ip: ip("client_local_ip", self.client_local_ip)?,
                public_ip: ip("client_public_ip", self.client_public_ip)?,
                mac_address: self.mac_address,
            },
            network: Network::new(self.network)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use adapter_sdk::serde_json::{self, Value};

    use super::*;

    fn check(json: &str) -> Result<Settings, String> {
        let config: Config = serde_json::from_str(json).map_err(|error| error.to_string())?;
        config.check().map_err(|error| error.to_string())
    }

    #[test]
    fn without_settings_it_is_the_broker() {
        let settings = check("{}").unwrap();
        assert_eq!(settings.ws_url, "wss://smartapisocket.angelone.in/smart-stream");
        assert!(settings.order_ws_url.is_some());
        assert_eq!((settings.batch_size, settings.stall), (500, Duration::from_secs(12)));
        assert!(check(r#"{"orders":false}"#).unwrap().order_ws_url.is_none());
        assert_eq!(settings.heartbeat, Duration::from_secs(4));
        assert_eq!(check(r#"{"stall_seconds":5}"#).unwrap().heartbeat, Duration::from_secs(2));
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_name() {
        for (json, said) in [
            (r#"{"ws_url":"http://x"}"#, "ws_url must be an address that begins with ws:// or wss://"),
            (r#"{"ws_url":"ws://"}"#, "ws_url must be"),
            (r#"{"order_ws_url":"x"}"#, "order_ws_url must be"),
            (r#"{"api_url":"ws://x"}"#, "api_url must be an address that begins with http:// or https://"),
            (r#"{"instruments_url":"http://a b"}"#, "instruments_url must be"),
            (r#"{"batch_size":0}"#, "batch_size is 0, but must be between 1 and 500"),
            (r#"{"batch_size":501}"#, "batch_size is 501"),
            (r#"{"batch_interval_ms":10001}"#, "batch_interval_ms is 10001, but must be between 0 and 10000"),
            (r#"{"heartbeat_seconds":26}"#, "heartbeat_seconds is 26, but must be between 0.1 and 25"),
            (r#"{"stall_seconds":0.1}"#, "stall_seconds is 0.1, but must be between 0.5 and 600"),
            (r#"{"client_local_ip":"here"}"#, "client_local_ip must be an IP address"),
            (r#"{"client_public_ip":""}"#, "client_public_ip must be an IP address"),
            (r#"{"mac_address":"x"}"#, "mac_address must look like"),
            (r#"{"network":{"proxy":"x"}}"#, "network.proxy"),
            (r#"{"outdated_list":"maybe"}"#, "unknown variant `maybe`"),
            (r#"{"stall":1}"#, "unknown field `stall`"),
        ] {
            let refused = check(json).unwrap_err();
            assert!(refused.contains(said), "{json}: {refused}");
        }
    }

    #[test]
    fn the_schema_has_every_setting_and_its_default() {
        let schema: Value = serde_json::from_str(include_str!("../config.schema.json")).unwrap();
        let refused = check(r#"{"no_such":1}"#).unwrap_err();
        for name in schema["properties"].as_object().unwrap().keys() {
            assert!(refused.contains(&format!("`{name}`")), "{name} is no setting: {refused}");
        }
        let settings = refused.split_once("expected one of").unwrap().1.matches('`').count() / 2;
        assert_eq!(schema["properties"].as_object().unwrap().len(), settings);
        let defaults = Config::default();
        assert_eq!(schema["properties"]["ws_url"]["default"], defaults.ws_url.as_str());
        assert_eq!(schema["properties"]["order_ws_url"]["default"], defaults.order_ws_url.as_str());
        assert_eq!(schema["properties"]["api_url"]["default"], defaults.api_url.as_str());
        assert_eq!(schema["properties"]["instruments_url"]["default"], defaults.instruments_url.as_str());
    }
}
