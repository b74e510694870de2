//! What clients have is what the broker sent, value by value.

use std::collections::BTreeMap;

use integration_tests::{
    chain::{Chain, Compared, Profile, compare_values},
    python,
};
use serde_json::Value;
use venues::{Kind, Mode, angel::Smart, zerodha::Kite};

const LISTED: usize = 5_000;

async fn every_value_arrives<B: Profile>() {
    let chain = Chain::<B>::start(LISTED).await;
    let names = chain.instruments(120);
    for mode in [Mode::Ltp, Mode::Quote, Mode::Full] {
        let (mut watcher, _) = chain.watch(&names, mode).await;
        for round in 0..3 {
            chain.venue.trade();
            let compared = chain.compare(&mut watcher).await;
            assert_eq!(compared.mismatches, [""; 0], "round {round}, {}", mode.name());
            assert!(compared.values >= 100, "{compared:?}");
        }
    }
    let status = chain.host.status().await;
    let counters = &status["feeds"][0]["counters"];
    assert_eq!(
        (&counters["dropped_invalid"], &status["feeds"][0]["restarts"]),
        (&0.into(), &0.into()),
        "{status}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_value_of_angel_arrives_in_every_mode() {
    every_value_arrives::<Smart>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_value_of_zerodha_arrives_in_every_mode() {
    every_value_arrives::<Kite>().await;
}

/// The unmodified OpenAlgo SDK at the end of the chain.
async fn the_sdk_sees<B: Profile>() {
    let chain = Chain::<B>::start(LISTED).await;
    let names = chain.instruments(20);
    let symbols: Vec<String> =
        names.iter().map(|(exchange, symbol)| format!("{exchange}:{symbol}")).collect();
    for (mode, word) in [(Mode::Ltp, "ltp"), (Mode::Quote, "quote")] {
        let Some(mut sdk) = python::program("openalgo_sdk.py") else { return };
        sdk.args(["--url", &format!("ws://{}", chain.host.websocket), "--mode", word]);
        sdk.args(["--symbols", &symbols.join(","), "--count", &names.len().to_string()]);
        let output = sdk.env("TICKHOST_API_KEY", &chain.key).output().await.unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let printed = String::from_utf8_lossy(&output.stdout);
        let events = printed.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let latest: BTreeMap<(String, String), Value> = events
            .filter_map(|event| {
                let text = |key: &str| Some(event[key].as_str()?.to_owned());
                Some(((text("exchange")?, text("symbol")?), event["data"].clone()))
            })
            .collect();
        assert_eq!(latest.len(), names.len(), "{printed}");
        let mut compared = Compared::default();
        for ((exchange, symbol), data) in &latest {
            let sent = chain.venue.sent(exchange, symbol, mode).unwrap();
            let is_index = chain.venue.instrument(exchange, symbol).unwrap().kind == Kind::Index;
            compare_values(&mut compared, data, &sent, mode, is_index, true);
        }
        assert_eq!(compared.mismatches, [""; 0], "{word}");
        let least = if mode == Mode::Ltp { 1 } else { 5 };
        assert!(compared.values >= least * 20, "{compared:?} of {printed}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_openalgo_sdk_sees_what_angel_sent() {
    the_sdk_sees::<Smart>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_openalgo_sdk_sees_what_zerodha_sent() {
    the_sdk_sees::<Kite>().await;
}
