//! The settings: as a person writes them, and checked.

use std::time::Duration;

use adapter_sdk::{
    AdapterError,
    instruments::Outdated,
    net::Network,
    settings::{Count, Folder, HttpBase, HttpUrl, Millis, OneOf, Seconds, WebSocketUrl},
};

use crate::wire::depth::Tier;

/// Sockets that the broker allows an account. A further one ends the oldest.
const SOCKETS: usize = 5;

/// Of these, at most so many for deep books: the live feed is one.
pub(crate) const DEPTH_SOCKETS: usize = SOCKETS - 1;

/// Pings in the silence that counts as death. The broker's own come every ten seconds, which is too seldom to
/// notice one soon.
const PINGS_IN_STALL: f64 = 3.0;

adapter_sdk::settings! {
    Config => pub(crate) struct Settings {
        /// The live feed
        ws_url: WebSocketUrl = "wss://api-feed.dhan.co/";
        /// The feed of books of 20 levels
        depth20_url: WebSocketUrl = "wss://depth-api-feed.dhan.co/twentydepth";
        // The documents say /twohundreddepth, which resets the connection; the broker's package has this.
        /// The feed of books of 200 levels
        depth200_url: WebSocketUrl = "wss://full-depth-api.dhan.co/";
        /// The REST interface
        api_url: HttpBase = "https://api.dhan.co/v2";
        /// Where accounts log in
        auth_url: HttpBase = "https://auth.dhan.co";
        /// The list of instruments in its compact form
        instruments_url: HttpUrl = "https://images.dhan.co/api-data/api-scrip-master.csv";
        /// Where the list of instruments is kept
        cache_dir: Folder = ();
        /// When the list of today cannot be had: refuse to connect, or use the last one, whose numbers may
        /// mean other instruments by now
        outdated_list: Outdated = Outdated::Refuse;
        /// Most levels of a book that the account is entitled to
        depth: OneOf = 5, in &[5, 20, 200];
        /// Most sockets for books of 20 levels beside each connection, 50 instruments on each
        depth20_sockets: Count = 1, in 0..=DEPTH_SOCKETS;
        /// Most sockets for books of 200 levels beside each connection, one instrument on each
        depth200_sockets: Count = 1, in 0..=DEPTH_SOCKETS;
        /// Most instruments in one message
        batch_size: Count = 100, in 1..=100;
        /// Pause between two batches of subscriptions
        batch_interval("batch_interval_ms"): Millis = 100, in 0..=10_000;
        /// Silence after which a socket is taken for dead
        stall("stall_seconds"): Seconds = 12.0, in 0.5..=300.0;
        /// The way to the broker
        network: Network = ();
    }
}

impl Settings {
    /// Checks what its settings are together.
    pub(crate) fn checked(self) -> Result<Self, AdapterError> {
        let sockets = self.depth_sockets(Tier::Twenty) + self.depth_sockets(Tier::TwoHundred);
        if sockets > DEPTH_SOCKETS {
            return Err(AdapterError::config(format!(
                "depth20_sockets and depth200_sockets are {sockets} together, but must be at most {DEPTH_SOCKETS}: the \
                 broker allows an account {SOCKETS} sockets, and the live feed is one"
            )));
        }
        Ok(self)
    }

    /// Address of a depth feed.
    pub(crate) fn depth_url(&self, tier: Tier) -> &str {
        match tier {
            Tier::Twenty => &self.depth20_url,
            Tier::TwoHundred => &self.depth200_url,
        }
    }

    /// Most sockets of a depth feed beside a connection, of those that the account is entitled to.
    pub(crate) const fn depth_sockets(&self, tier: Tier) -> usize {
        match tier {
            Tier::Twenty if self.depth >= 20 => self.depth20_sockets,
            Tier::TwoHundred if self.depth >= 200 => self.depth200_sockets,
            Tier::Twenty | Tier::TwoHundred => 0,
        }
    }

    /// Pause between two pings.
    pub(crate) fn ping(&self) -> Duration {
        self.stall.div_f64(PINGS_IN_STALL)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn check(json: &str) -> Result<Settings, String> {
        let config: Config = serde_json::from_str(json).map_err(|error| error.to_string())?;
        config.check().and_then(Settings::checked).map_err(|error| error.to_string())
    }

    #[test]
    fn defaults_are_those_of_the_documentation() {
        let settings = check("{}").unwrap();
        let sockets = Tier::ALL.map(|tier| settings.depth_sockets(tier));
        assert_eq!(sockets, [0, 0]);
        assert_eq!(settings.ping(), Duration::from_secs(4));
        let schema: Value = serde_json::from_str(Config::schema()).unwrap();
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
            ("stall_seconds", json!(12.0)),
        ] {
            assert_eq!(properties[key]["default"], value, "{key}");
        }
        assert_eq!(properties.as_object().unwrap().len(), 15);
    }

    #[test]
    fn sockets_for_deep_books_follow_the_entitlement() {
        let sockets = |json: &str| {
            let settings = check(json).unwrap();
            Tier::ALL.map(|tier| settings.depth_sockets(tier))
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
