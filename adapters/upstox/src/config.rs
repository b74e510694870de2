//! The settings: as a person writes them, and checked.

use adapter_sdk::{
    instruments::Outdated,
    net::Network,
    settings::{Count, Flag, Folder, HttpBase, HttpUrl, Millis, Seconds},
};

adapter_sdk::settings! {
    Config => pub(crate) struct Settings {
        /// The REST interface, which logs in and says where the sockets are
        api_url: HttpBase = "https://api.upstox.com";
        /// The list of instruments
        instruments_url: HttpUrl = "https://assets.upstox.com/market-quote/instruments/exchange/complete.json.gz";
        /// Where the list of instruments is kept
        cache_dir: Folder = ();
        /// When the list of today cannot be had: refuse to connect, or use the last one, whose numbers may
        /// mean other instruments by now
        outdated_list: Outdated = Outdated::Refuse;
        /// Whether the account has books of thirty levels, as those of the plan Upstox Plus have
        depth_30: Flag = false;
        /// Whether options in mode QUOTE are asked for as `option_greeks`: without the prices of the day, the
        /// average price and the quantities of the whole book, but for more instruments
        option_greeks: Flag = false;
        /// Most instruments in one message
        batch_size: Count = 100, in 1..=1_000;
        /// Pause between two batches of subscriptions
        batch_interval("batch_interval_ms"): Millis = 100, in 0..=10_000;
        /// How long the broker has for the first message of an instrument after a refusal
        answer_limit("answer_seconds"): Seconds = 5.0, in 0.1..=60.0;
        /// Pause between two pings, which the broker answers
        heartbeat("heartbeat_seconds"): Seconds = 30.0, in 0.1..=60.0;
        /// Silence after which a connection is taken for dead
        stall("stall_seconds"): Seconds = 90.0, in 0.5..=600.0;
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
    fn without_settings_it_is_the_broker_and_the_plan_that_everybody_has() {
        let settings = check("{}").unwrap();
        assert_eq!(settings.api_url, "https://api.upstox.com");
        assert!(settings.instruments_url.ends_with("/complete.json.gz"));
        assert_eq!((settings.depth_30, settings.option_greeks, settings.batch_size), (false, false, 100));
        assert_eq!((settings.heartbeat, settings.stall), (Duration::from_secs(30), Duration::from_secs(90)));
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_name() {
        for (json, said) in [
            (r#"{"api_url":"wss://x"}"#, "api_url must be an address that begins with http:// or https://"),
            (r#"{"instruments_url":"x"}"#, "instruments_url must be"),
            (r#"{"depth_30":30}"#, "invalid type"),
            (r#"{"batch_size":0}"#, "batch_size is 0, but must be between 1 and 1000"),
            (r#"{"stall_seconds":0.1}"#, "stall_seconds is 0.1, but must be between 0.5 and 600"),
            (r#"{"ws_url":"wss://x"}"#, "unknown field `ws_url`"),
        ] {
            let error = check(json).unwrap_err();
            assert!(error.contains(said), "{json}: {error}");
        }
    }
}
