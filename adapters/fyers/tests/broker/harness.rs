//! The venue and the adapter on it.

#![allow(dead_code, reason = "not every test needs all of it")]

use adapter_fyers::Fyers;
use adapter_sdk::{
    abi::{DepthLevel, Quote, StatusKind},
    testing::{Bench, Outcome, Published},
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use venues::{Level, Options, Values, fyers, fyers::Venue};

pub(crate) const APP: &str = "APP-100";

/// A token of the venue, which ends in the year 2100.
pub(crate) fn token(key: &str) -> String {
    fyers::token(APP, key, 4_102_444_800)
}

pub(crate) fn credentials(token: &str) -> String {
    json!({ "api_key": APP, "access_token": token }).to_string()
}

pub(crate) struct Broker {
    pub(crate) venue: Venue,
    cache: TempDir,
    /// After the venue, which runs in it.
    _runtime: Runtime,
}

impl Broker {
    pub(crate) fn start() -> Self {
        let runtime = Runtime::new().unwrap();
        let options = Options { rate_hz: 0.0, instruments: 1_000, ..Options::default() };
        let token = token("canary-key");
        let options =
            options.accepting(&[("api_key", APP), ("api_secret", "canary-secret"), ("access_token", &token)]);
        let venue = runtime.block_on(Venue::start(options)).unwrap();
        Self { venue, cache: tempfile::tempdir().unwrap(), _runtime: runtime }
    }

    pub(crate) fn config(&self, changes: &Value) -> String {
        let address = self.venue.address();
        let mut config = json!({
            "ws_url": format!("ws://{address}/hsm/v1-5/prod"),
            "api_url": format!("http://{address}"),
            "instruments_url": format!("http://{address}/sym_details"),
            "cache_dir": self.cache.path(),
            "batch_interval_ms": 10,
        });
        let members = changes.as_object().unwrap().clone();
        config.as_object_mut().unwrap().extend(members);
        config.to_string()
    }

    pub(crate) fn connect(&self, changes: &Value, token: &str) -> Bench {
        Bench::start_with::<Fyers>(&self.config(changes), &credentials(token)).unwrap()
    }

    pub(crate) fn connected(&self, changes: &Value) -> Bench {
        let bench = self.connect(changes, &token("canary-key"));
        bench.wait_for_status(StatusKind::CONNECTED);
        bench
    }

    pub(crate) fn own(&self, command: &Value) {
        self.venue.own(command).unwrap();
    }

    /// Sends a book of so many levels around a price in rupees.
    pub(crate) fn book(&self, symbol: &str, rupees: i64, levels: u8) {
        let level = |step: i64| Level {
            price: (rupees * 100 + step * 5) * (venues::PRICE_SCALE / 100),
            quantity: 10 + step.abs(),
            orders: 2,
        };
        let values = Values {
            ltp: rupees * venues::PRICE_SCALE,
            bids: (1..=i64::from(levels)).map(|step| level(-step)).collect(),
            asks: (1..=i64::from(levels)).map(level).collect(),
            ..Values::absent()
        };
        let mode = if levels > 5 { venues::Mode::Deep(50) } else { venues::Mode::Full };
        self.venue.send(&[("NSE", symbol, mode, values)]).unwrap();
    }
}

pub(crate) type Book = (Quote, Vec<DepthLevel>, Vec<DepthLevel>);

pub(crate) fn wait_for_book(bench: &Bench, instrument: u32, is_it: impl Fn(&Book) -> bool) -> Book {
    bench.wait_for("a book", |heard| {
        heard.ticks.iter().rev().find_map(|tick| match tick {
            Published::Depth(quote, buy, sell) if quote.instrument == instrument => {
                Some((*quote, buy.clone(), sell.clone())).filter(&is_it)
            }
            _ => None,
        })
    })
}

/// What was said of an instrument later than in the answer to its subscription.
pub(crate) fn later(bench: &Bench, instrument: u32) -> Outcome {
    bench.wait_for("a late outcome", |heard| {
        let mut late = heard.outcomes.iter().filter(|(request, _)| *request == 0);
        late.find(|(_, outcome)| outcome.instrument == instrument).map(|(_, outcome)| outcome.clone())
    })
}
