//! The unmodified OpenAlgo SDK at the end of a chain.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use venues::{Kind, Mode};

use super::{Chain, Compared, Profile, compare_values};
use crate::python;

/// The SDK sends a message for each symbol, and sleeps this long after each.
const PAUSE_PER_SYMBOL: Duration = Duration::from_millis(100);

/// What else it may take.
const PATIENCE: Duration = Duration::from_mins(1);

/// What the SDK saw.
#[derive(Debug)]
pub struct Sighting {
    /// Until each instrument had come.
    pub active: Duration,
    /// The values of each after the broker had traded all once more.
    pub compared: Compared,
}

impl<B: Profile> Chain<B> {
    /// Subscribes to all with the SDK, lets everything trade once when all have come, and compares what its callbacks got.
    /// None where there is no Python with the SDK.
    pub async fn sdk_sees(&self, names: &[(String, String)], mode: Mode) -> Option<Sighting> {
        let mut sdk = python::program("openalgo_sdk.py")?;
        let symbols: Vec<String> =
            names.iter().map(|(exchange, symbol)| format!("{exchange}:{symbol}")).collect();
        let patience = PATIENCE + PAUSE_PER_SYMBOL * 2 * u32::try_from(names.len()).unwrap_or(u32::MAX);
        sdk.args(["--url", &format!("ws://{}", self.host.websocket), "--mode", mode.name()]);
        sdk.args(["--symbols", &symbols.join(","), "--count", &(2 * names.len()).to_string()]);
        sdk.args(["--timeout", &patience.as_secs().to_string()]);
        sdk.env("TICKHOST_API_KEY", &self.key);
        let begun = Instant::now();
        let mut sdk = sdk.spawn().expect("Python starts");
        let mut lines = BufReader::new(sdk.stdout.take().expect("it is piped")).lines();
        let mut latest: BTreeMap<(String, String), Value> = BTreeMap::new();
        let mut active = None;
        while let Some(line) = lines.next_line().await.expect("its output is text") {
            // The SDK prints lines of its own.
            let Ok(event) = serde_json::from_str::<Value>(&line) else { continue };
            let text = |key: &str| Some(event[key].as_str()?.to_owned());
            let Some(name) = text("exchange").zip(text("symbol")) else { continue };
            latest.insert(name, event["data"].clone());
            if active.is_none() && latest.len() == names.len() {
                active = Some(begun.elapsed());
                self.venue.trade();
            }
        }
        let output = sdk.wait_with_output().await.expect("it ends");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let mut compared = Compared::default();
        for ((exchange, symbol), data) in &latest {
            let sent = self.venue.sent(exchange, symbol, mode).expect("it was sent");
            let instrument = self.venue.instrument(exchange, symbol).expect("it was asked of the venue");
            compare_values(&mut compared, data, &sent, mode, instrument.kind == Kind::Index, true);
        }
        Some(Sighting { active: active.expect("every instrument came"), compared })
    }
}
