//! How a venue is started.

use std::time::Duration;

use adapter_conformance::CredentialSet;

use crate::universe::Date;

/// What a venue needs to know before it listens.
#[derive(Clone, Debug)]
pub struct Options {
    /// Port on 127.0.0.1; 0 for a free one.
    pub port: u16,
    /// Instruments, at most [`crate::universe::MOST`].
    pub instruments: usize,
    /// Updates of each subscribed instrument a second. 0 for none but those that are asked for.
    pub rate_hz: f64,
    /// Whether the state of an instrument follows its subscription, as at the brokers.
    pub snapshots: bool,
    /// The day for which expiries are made.
    pub today: Date,
    /// What prices follow from.
    pub seed: u64,
    /// Silence of the client after which the venue hangs up, instead of the broker's. It has no effect where
    /// the broker does not hang up.
    pub patience: Option<Duration>,
    /// Time between two heartbeats of the venue, instead of the broker's, for clients with little patience.
    /// It has no effect where the broker sends none.
    pub heartbeat: Option<Duration>,
    /// Credentials that are good. Their names are those of the broker's accounts, see the README.
    pub accept: Vec<CredentialSet>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            port: 0,
            instruments: 10_000,
            rate_hz: 1.0,
            snapshots: true,
            today: Date::at(crate::model::now_ns() / 1_000_000_000),
            seed: 1,
            patience: None,
            heartbeat: None,
            accept: Vec::new(),
        }
    }
}

impl Options {
    /// The options with one more set of credentials that are good.
    #[must_use]
    pub fn accepting(mut self, set: &[(&str, &str)]) -> Self {
        self.accept.push(set.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect());
        self
    }
}
