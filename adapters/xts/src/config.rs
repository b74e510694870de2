//! The settings: as a person writes them, and checked. Each broker has addresses of its own, see
//! [`crate::brand`].

use adapter_sdk::{
    instruments::Outdated,
    net::Network,
    settings::{
        Choice, Count, Flag, Folder, HttpBase, Millis, OneOf, Optional, Required, Seconds, WebSocketUrl,
    },
};
use serde::Deserialize;

/// How the socket writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Format {
    Json,
    Binary,
}

impl Choice for Format {
    const WORDS: &'static [(&'static str, Self)] = &[("json", Self::Json), ("binary", Self::Binary)];
}

/// How much a message of JSON says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Broadcast {
    Full,
    Partial,
}

impl Choice for Broadcast {
    const WORDS: &'static [(&'static str, Self)] = &[("full", Self::Full), ("partial", Self::Partial)];
}

adapter_sdk::settings! {
    Config => pub(crate) struct Settings {
        /// The interface for requests
        api_url: Required<HttpBase> = ();
        /// The socket
        ws_url: Required<WebSocketUrl> = ();
        /// The interactive interface, below which the socket of order updates is
        order_url: Optional<HttpBase> = ();
        /// Version of Engine.IO that is tried first; the other one is tried when the broker refuses it
        engine_io: OneOf = 4, in &[3, 4];
        /// How the socket writes
        format: Format = Format::Json;
        /// Whether messages of JSON say everything or what has changed
        broadcast: Broadcast = Broadcast::Full;
        /// Last prices come with touchlines, of a broker that does not send them by themselves
        ltp_by_touchline: Flag = false;
        /// Indices come by the code that is theirs, and not as touchlines of their numbers
        index_events: Flag = true;
        /// The limits of prices are subscribed too, with a request more for each batch
        price_bands: Flag = false;
        /// The list has the currency derivatives of NSE
        currency: Flag = true;
        /// The list has the commodity derivatives of MCX
        commodities: Flag = true;
        /// Where the list of instruments is kept
        cache_dir: Folder = ();
        /// When the list of today cannot be had: refuse to connect, or use the last one, whose numbers may
        /// mean other instruments by now
        outdated_list: Outdated = Outdated::Refuse;
        /// Most instruments in one request
        batch_size: Count = 50, in 1..=1_000;
        /// Pause between two requests
        request_interval("request_interval_ms"): Millis = 200, in 1..=10_000;
        /// Pause between two pings of Engine.IO 3, of which brokers miss one after 25 seconds
        heartbeat("heartbeat_seconds"): Seconds = 20.0, in 0.1..=25.0;
        /// Silence after which the connection is taken for dead; brokers ping every 25 seconds
        stall("stall_seconds"): Seconds = 90.0, in 0.5..=300.0;
        /// Longest wait for the broker's welcome on the socket
        welcome("welcome_seconds"): Seconds = 10.0, in 0.1..=60.0;
        /// The way to the broker
        network: Network = ();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::brand::BRANDS;

    #[test]
    fn every_broker_has_all_the_addresses_and_no_two_have_one_in_common() {
        let mut seen = Vec::new();
        for brand in &BRANDS {
            let config: Config = serde_json::from_value(brand.defaults()).unwrap();
            let settings = config.check().unwrap();
            assert!(settings.ws_url.starts_with("wss://") && settings.ws_url.ends_with("/socket.io/"));
            let urls = [settings.api_url, settings.order_url.unwrap()];
            assert!(urls.iter().all(|url| url.starts_with("https://")), "{urls:?}");
            seen.extend(urls);
            seen.push(settings.ws_url);
            assert_eq!(settings.format == Format::Binary, brand.name == "jainamxts");
        }
        let all = seen.len();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), all);
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_name() {
        let check = |name: &str, value: serde_json::Value| {
            let mut config = BRANDS[0].defaults();
            config[name] = value;
            let config: Result<Config, _> = serde_json::from_value(config);
            config.map_err(|error| error.to_string())?.check().map_err(|error| error.to_string())
        };
        for (name, value, said) in [
            ("ws_url", "https://x".into(), "ws_url must be"),
            ("api_url", "ftp://x".into(), "api_url must be"),
            ("engine_io", 5.into(), "engine_io is 5"),
            ("format", "xml".into(), "xml"),
            ("batch_size", 0.into(), "batch_size is 0"),
            ("token", 1.into(), "unknown field `token`"),
        ] {
            let error = check(name, value).unwrap_err();
            assert!(error.contains(said), "{name}: {error}");
        }
        assert!(serde_json::from_str::<Config>("{}").unwrap().check().is_err());
    }
}
