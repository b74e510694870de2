//! The settings: as a person writes them, and checked.

use std::time::Duration;

use adapter_sdk::{
    instruments::Outdated,
    net::Network,
    settings::{
        Count, Flag, Folder, HttpBase, HttpUrl, IpAddress, MacAddress, Millis, Seconds, WebSocketUrl,
    },
};

adapter_sdk::settings! {
    Config => pub(crate) struct Settings {
        /// Market feed
        ws_url: WebSocketUrl = "wss://smartapisocket.angelone.in/smart-stream";
        /// Order updates
        order_ws_url: WebSocketUrl = "wss://tns.angelone.in/smart-order-update";
        /// REST interface, for the log-in
        api_url: HttpBase = "https://apiconnect.angelone.in";
        /// List of instruments
        instruments_url: HttpUrl =
            "https://margincalculator.angelone.in/OpenAPI_File/files/OpenAPIScripMaster.json";
        /// Whether order updates are asked for
        orders: Flag = true;
        /// Where the list of instruments is kept
        cache_dir: Folder = ();
        /// When the list of today cannot be had: refuse to connect, or use the last one, whose tokens may
        /// mean other instruments by now
        outdated_list: Outdated = Outdated::Refuse;
        /// Most tokens in one message
        batch_size: Count = 500, in 1..=500;
        /// Pause between two messages
        batch_interval("batch_interval_ms"): Millis = 100, in 0..=10_000;
        /// Pause between two heartbeats; the broker hangs up after 30 s without one
        heartbeat("heartbeat_seconds"): Seconds = 4.0, in 0.1..=25.0;
        /// Silence after which the connection is taken for dead; heartbeats are answered
        stall("stall_seconds"): Seconds = 12.0, in 0.5..=600.0;
        /// Address in the own network that the broker is told at the log-in
        client_local_ip: IpAddress = "127.0.0.1";
        /// Address in the internet that the broker is told at the log-in
        client_public_ip: IpAddress = "127.0.0.1";
        /// MAC address that the broker is told at the log-in
        mac_address: MacAddress = "00:00:00:00:00:00";
        /// The way to the broker
        network: Network = ();
    }
}

impl Settings {
    /// Pause between two heartbeats. A quiet market has nothing but the answers to break the silence.
    pub(crate) fn beat(&self) -> Duration {
        self.heartbeat.min(self.stall.div_f64(2.5))
    }
}

#[cfg(test)]
mod tests {
    use adapter_sdk::serde_json::{self, Value, json};

    use super::*;

    fn check(json: &str) -> Result<Settings, String> {
        let config: Config = serde_json::from_str(json).map_err(|error| error.to_string())?;
        config.check().map_err(|error| error.to_string())
    }

    #[test]
    fn without_settings_it_is_the_broker() {
        let settings = check("{}").unwrap();
        assert_eq!(settings.ws_url, "wss://smartapisocket.angelone.in/smart-stream");
        assert!(settings.orders);
        assert_eq!((settings.batch_size, settings.stall), (500, Duration::from_secs(12)));
        assert!(!check(r#"{"orders":false}"#).unwrap().orders);
        assert_eq!(settings.beat(), Duration::from_secs(4));
        assert_eq!(check(r#"{"stall_seconds":5}"#).unwrap().beat(), Duration::from_secs(2));
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
        let schema: Value = serde_json::from_str(Config::schema()).unwrap();
        let (properties, defaults) = (&schema["properties"], Config::default());
        for (name, default) in [
            ("ws_url", json!(defaults.ws_url)),
            ("order_ws_url", json!(defaults.order_ws_url)),
            ("api_url", json!(defaults.api_url)),
            ("instruments_url", json!(defaults.instruments_url)),
            ("orders", json!(true)),
            ("outdated_list", json!("refuse")),
            ("batch_size", json!(500)),
            ("batch_interval_ms", json!(100)),
            ("heartbeat_seconds", json!(4.0)),
            ("stall_seconds", json!(12.0)),
            ("client_local_ip", json!("127.0.0.1")),
            ("client_public_ip", json!("127.0.0.1")),
            ("mac_address", json!("00:00:00:00:00:00")),
        ] {
            assert_eq!(properties[name]["default"], default, "{name}");
        }
        let refused = check(r#"{"no_such":1}"#).unwrap_err();
        for name in properties.as_object().unwrap().keys() {
            assert!(refused.contains(&format!("`{name}`")), "{name} is no setting: {refused}");
        }
        let settings = refused.split_once("expected one of").unwrap().1.matches('`').count() / 2;
        assert_eq!((properties.as_object().unwrap().len(), settings), (15, 15));
    }
}
