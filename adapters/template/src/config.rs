//! The settings: as a person writes them, and checked. The table gives the schema, too.

use adapter_sdk::{
    instruments::Outdated,
    net::Network,
    settings::{Folder, HttpUrl, Millis, Required, WebSocketUrl},
};

adapter_sdk::settings! {
    Config => pub(crate) struct Settings {
        /// Where the broker's feed is
        ws_url: Required<WebSocketUrl> = ();
        /// Where the broker's list of instruments is
        list_url: Required<HttpUrl> = ();
        /// Where the list of instruments is kept
        cache_dir: Folder = ();
        /// When the list of today cannot be had: refuse to connect, or use the last one, whose tokens may
        /// mean other instruments by now
        outdated_list: Outdated = Outdated::Refuse;
        /// Silence after which the connection is taken for dead; the broker's heartbeats come each second
        silence("silence_ms"): Millis = 5_000, in 100..=600_000;
        /// Pause between this side's heartbeats
        heartbeat("heartbeat_ms"): Millis = 1_000, in 50..=60_000;
        /// The way to the broker
        network: Network = ();
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
        let json = r#"{"ws_url":"wss://broker.example/feed","list_url":"https://broker.example/list"}"#;
        let settings = check(json).unwrap();
        assert_eq!((settings.silence, settings.heartbeat), (Duration::from_secs(5), Duration::from_secs(1)));
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_name() {
        let refused = |json| check(json).unwrap_err();
        let said = refused(r#"{"ws_url":"http://x"}"#);
        assert!(said.starts_with("ws_url must be an address that begins with ws:// or wss://"), "{said}");
        assert_eq!(refused("{}"), "ws_url is missing");
        assert_eq!(refused(r#"{"ws_url":"ws://x"}"#), "list_url is missing");
        let said = refused(r#"{"ws_url":"ws://x","list_url":"http://x","silence_ms":1}"#);
        assert_eq!(said, "silence_ms is 1, but must be between 100 and 600000");
        assert!(refused(r#"{"ws_url":"ws://x","silence":1}"#).contains("unknown field `silence`"));
    }
}
