//! The settings: as a person writes them, and checked.

use adapter_sdk::{
    instruments::Outdated,
    net::Network,
    settings::{Count, Folder, HttpBase, HttpUrl, Millis, Optional, Seconds, WebSocketUrl},
};

adapter_sdk::settings! {
    Config => pub(crate) struct Settings {
        /// The ticker
        ws_url: WebSocketUrl = "wss://ws.kite.trade";
        /// The REST interface
        api_url: HttpBase = "https://api.kite.trade";
        /// The list of instruments; if not set, /instruments of `api_url`
        instruments_url: Optional<HttpUrl> = ();
        /// The page on which people log in
        login_url: HttpUrl = "https://kite.zerodha.com/connect/login";
        /// Where the list of instruments is kept
        cache_dir: Folder = ();
        /// When the list of today cannot be had: refuse to connect, or use the last one, whose numbers may
        /// mean other instruments by now
        outdated_list: Outdated = Outdated::Refuse;
        /// Most tokens in one message
        batch_size: Count = 200, in 1..=3_000;
        /// Pause between two batches of subscriptions
        batch_interval("batch_interval_ms"): Millis = 100, in 0..=10_000;
        /// Silence after which the connection is taken for dead: the broker's heartbeats come every few
        /// seconds
        stall("stall_seconds"): Seconds = 8.0, in 0.5..=300.0;
        /// The way to the broker
        network: Network = ();
    }
}

impl Settings {
    /// Where the list of instruments is.
    pub(crate) fn list_url(&self) -> String {
        self.instruments_url.clone().unwrap_or_else(|| format!("{}/instruments", self.api_url))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn check(json: &str) -> Result<Settings, String> {
        let config: Config = serde_json::from_str(json).map_err(|error| error.to_string())?;
        config.check().map_err(|error| error.to_string())
    }

    #[test]
    fn defaults_are_those_of_the_documentation() {
        let settings = check("{}").unwrap();
        assert_eq!(settings.ws_url, "wss://ws.kite.trade");
        assert_eq!(settings.list_url(), "https://api.kite.trade/instruments");
        assert_eq!(settings.stall, Duration::from_secs(8));
        assert_eq!((settings.batch_size, settings.batch_interval), (200, Duration::from_millis(100)));
        let schema: serde_json::Value = serde_json::from_str(Config::schema()).unwrap();
        let properties = &schema["properties"];
        for (key, value) in [
            ("ws_url", serde_json::json!(settings.ws_url)),
            ("api_url", serde_json::json!(settings.api_url)),
            ("login_url", serde_json::json!(settings.login_url)),
            ("outdated_list", serde_json::json!("refuse")),
            ("batch_size", serde_json::json!(settings.batch_size)),
            ("batch_interval_ms", serde_json::json!(100)),
            ("stall_seconds", serde_json::json!(8.0)),
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
