//! The unmodified OpenAlgo SDK at the end of a chain.

use std::{
    collections::BTreeMap,
    process::Stdio,
    time::{Duration, Instant},
};

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    time::timeout,
};
use venues::{Kind, Mode};

use super::{Chain, Compared, Profile, compare_values};
use crate::python;

/// The SDK sends a message for each symbol, and sleeps this long after each.
const PAUSE_PER_SYMBOL: Duration = Duration::from_millis(100);

/// What else it may take, and how long the newest values may be on their way.
const PATIENCE: Duration = Duration::from_secs(30);

const MISMATCHES_SHOWN: usize = 5;

/// What the SDK saw.
#[derive(Debug)]
pub struct Sighting {
    /// Until each instrument had come.
    pub active: Duration,
    /// The values of each after the broker had traded all once more.
    pub compared: Compared,
}

impl<B: Profile> Chain<B> {
    /// Subscribes to all with the SDK, lets everything trade once when all have come, and compares what its
    /// callbacks got. None where there is no Python with the SDK.
    pub async fn sdk_sees(&self, names: &[(String, String)], mode: Mode) -> Option<Sighting> {
        let mut sdk = python::program("openalgo_sdk.py")?;
        let symbols: Vec<String> =
            names.iter().map(|(exchange, symbol)| format!("{exchange}:{symbol}")).collect();
        sdk.args(["--url", &format!("ws://{}", self.host.websocket), "--mode", mode.name()]);
        sdk.args(["--symbols", &symbols.join(","), "--until-eof"]);
        sdk.env("TICKHOST_API_KEY", &self.key).stdin(Stdio::piped());
        let begun = Instant::now();
        let mut deadline =
            begun + PATIENCE + PAUSE_PER_SYMBOL * 2 * u32::try_from(names.len()).unwrap_or(u32::MAX);
        let mut sdk = sdk.spawn().expect("Python starts");
        let mut lines = BufReader::new(sdk.stdout.take().expect("it is piped")).lines();
        let mut latest: BTreeMap<(String, String), Value> = BTreeMap::new();
        let mut active = None;
        let mut compared = Compared::default();
        while let Ok(line) =
            timeout(deadline.saturating_duration_since(Instant::now()), lines.next_line()).await
        {
            let Some(line) = line.expect("its output is text") else { break };
            // The SDK prints lines of its own.
            let Ok(event) = serde_json::from_str::<Value>(&line) else { continue };
            let text = |key: &str| Some(event[key].as_str()?.to_owned());
            let Some(name) = text("exchange").zip(text("symbol")) else { continue };
            let mut data = event["data"].clone();
            (data["exchange"], data["symbol"]) = (name.0.clone().into(), name.1.clone().into());
            latest.insert(name, data);
            if active.is_none() && latest.len() == names.len() {
                active = Some(begun.elapsed());
                deadline = Instant::now() + PATIENCE;
                self.venue.trade();
            }
            if active.is_some() {
                compared = self.compare_digests(&latest, mode);
                if compared.mismatches.is_empty() {
                    break;
                }
            }
        }
        // Its end of the conversation: it leaves.
        drop(sdk.stdin.take());
        while lines.next_line().await.is_ok_and(|line| line.is_some()) {}
        let output = sdk.wait_with_output().await.expect("it ends");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(active.is_some(), "{} of {} came", latest.len(), names.len());
        Some(Sighting { active: active.unwrap_or_default(), compared })
    }

    /// What the SDK shows has fewer values than a frame.
    fn compare_digests(&self, latest: &BTreeMap<(String, String), Value>, mode: Mode) -> Compared {
        let mut compared = Compared::default();
        for ((exchange, symbol), data) in latest {
            let sent = self.venue.sent(exchange, symbol, mode).expect("it was sent");
            let instrument = self.venue.instrument(exchange, symbol).expect("it was asked of the venue");
            compare_values(&mut compared, data, &sent, mode, instrument.kind == Kind::Index, true);
            // More are not needed to know that something is still on its way.
            if compared.mismatches.len() >= MISMATCHES_SHOWN {
                break;
            }
        }
        compared
    }
}
