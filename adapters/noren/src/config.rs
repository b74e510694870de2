//! The settings: as a person writes them, and checked. Each broker has addresses of its own, see
//! [`crate::brand`].

use adapter_sdk::{
    instruments::Outdated,
    net::Network,
    settings::{Count, Folder, HttpBase, HttpUrl, Millis, Optional, Required, Seconds, WebSocketUrl},
};

adapter_sdk::settings! {
    Config => pub(crate) struct Settings {
        /// The socket
        ws_url: Required<WebSocketUrl> = ();
        /// The interface that gives order updates, below which their socket is, where they have one of their
        /// own
        order_url: Optional<HttpBase> = ();
        /// The interface that logs in
        api_url: Required<HttpBase> = ();
        /// The page on which people log in
        login_url: Required<HttpUrl> = ();
        /// The folder of the files of the list of instruments
        list_url: Required<HttpBase> = ();
        /// Where the list of instruments is kept
        cache_dir: Folder = ();
        /// When the list of today cannot be had: refuse to connect, or use the last one, whose numbers may
        /// mean other instruments by now
        outdated_list: Outdated = Outdated::Refuse;
        /// Most instruments in one message
        batch_size: Count = 50, in 1..=1_000;
        /// Pause between two batches of subscriptions
        batch_interval("batch_interval_ms"): Millis = 100, in 0..=10_000;
        /// Pause between two heartbeats, of which the brokers miss one after 50 seconds
        heartbeat("heartbeat_seconds"): Seconds = 30.0, in 0.1..=45.0;
        /// Silence after which the connection is taken for dead
        stall("stall_seconds"): Seconds = 120.0, in 0.5..=300.0;
        /// Longest wait for the answer to the log-in on the socket
        welcome("welcome_seconds"): Seconds = 10.0, in 0.1..=60.0;
        /// The way to the broker
        network: Network = ();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::brand::BRANDS;

    #[test]
    fn every_broker_has_all_the_addresses_and_no_two_have_one_in_common() {
        let mut seen = Vec::new();
        for brand in &BRANDS {
            let config: Config = serde_json::from_value(brand.defaults()).unwrap();
            let settings = config.check().unwrap();
            assert!(settings.ws_url.starts_with("wss://"));
            let urls = [settings.api_url, settings.login_url, settings.list_url];
            assert!(urls.iter().all(|url| url.starts_with("https://")), "{urls:?}");
            seen.extend(urls);
            seen.push(settings.ws_url);
            seen.extend(settings.order_url);
            assert_eq!(settings.stall, Duration::from_mins(2));
            assert_eq!(
                settings.batch_interval.as_millis(),
                if brand.name == "aliceblue" { 500 } else { 100 }
            );
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
            ("batch_size", 0.into(), "batch_size is 0"),
            ("heartbeat_seconds", 50.into(), "heartbeat_seconds is 50"),
            ("token", 1.into(), "unknown field `token`"),
        ] {
            let error = check(name, value).unwrap_err();
            assert!(error.contains(said), "{name}: {error}");
        }
        assert!(serde_json::from_str::<Config>("{}").unwrap().check().is_err());
    }
}
