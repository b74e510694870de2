//! What clients have is what the broker sent, value by value.

use integration_tests::{
    chain::{Chain, Profile},
    wait_until,
};
use venues::{
    Mode,
    angel::Smart,
    dhan::Dhan,
    fyers::Fyers,
    noren::{AliceBlue, Definedge, Flattrade, Noren, Shoonya, TradeSmart, Zebu},
    upstox::Upstox,
    xts::{Iifl, Jainam, Wisdom, Xts},
    zerodha::Kite,
};

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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_value_of_dhan_arrives_in_every_mode() {
    every_value_arrives::<Dhan>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_value_of_fyers_arrives_in_every_mode() {
    every_value_arrives::<Fyers>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_value_of_upstox_arrives_in_every_mode() {
    every_value_arrives::<Upstox>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_value_of_aliceblue_arrives_in_every_mode() {
    every_value_arrives::<Noren<AliceBlue>>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_value_of_definedge_arrives_in_every_mode() {
    every_value_arrives::<Noren<Definedge>>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_value_of_flattrade_arrives_in_every_mode() {
    every_value_arrives::<Noren<Flattrade>>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_value_of_shoonya_arrives_in_every_mode() {
    every_value_arrives::<Noren<Shoonya>>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_value_of_tradesmart_arrives_in_every_mode() {
    every_value_arrives::<Noren<TradeSmart>>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_value_of_zebu_arrives_in_every_mode() {
    every_value_arrives::<Noren<Zebu>>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_value_of_iifl_arrives_in_every_mode() {
    every_value_arrives::<Xts<Iifl>>().await;
}

/// Packed messages, of the wider layout.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_value_of_jainamxts_arrives_in_every_mode() {
    every_value_arrives::<Xts<Jainam>>().await;
}

/// Messages that say what has changed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_value_of_wisdom_arrives_in_every_mode() {
    every_value_arrives::<Xts<Wisdom>>().await;
}

/// The unmodified OpenAlgo SDK at the end of the chain.
async fn the_sdk_sees<B: Profile>() {
    let chain = Chain::<B>::start(LISTED).await;
    let names = chain.instruments(20);
    for mode in [Mode::Ltp, Mode::Quote] {
        let Some(seen) = chain.sdk_sees(&names, mode).await else { return };
        assert_eq!(seen.compared.mismatches, [""; 0], "{}", mode.name());
        let least = if mode == Mode::Ltp { 1 } else { 5 };
        assert!(seen.compared.values >= least * 20, "{seen:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_openalgo_sdk_sees_what_angel_sent() {
    the_sdk_sees::<Smart>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_openalgo_sdk_sees_what_dhan_sent() {
    the_sdk_sees::<Dhan>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_openalgo_sdk_sees_what_fyers_sent() {
    the_sdk_sees::<Fyers>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_openalgo_sdk_sees_what_zerodha_sent() {
    the_sdk_sees::<Kite>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_openalgo_sdk_sees_what_shoonya_sent() {
    the_sdk_sees::<Noren<Shoonya>>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_openalgo_sdk_sees_what_iifl_sent() {
    the_sdk_sees::<Xts<Iifl>>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_openalgo_sdk_sees_what_upstox_sent() {
    the_sdk_sees::<Upstox>().await;
}

/// The broker counts pairs of instrument and mode, and has room for no second pair beside a thousand.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_connection_to_angel_changes_every_mode_and_loses_no_instrument() {
    let chain = Chain::<Smart>::start(LISTED).await;
    let names = chain.instruments(1_000);
    let (_low, _) = chain.watch(&names, Mode::Ltp).await;
    let (mut high, _) = chain.watch(&names, Mode::Full).await;
    wait_until("every mode has changed", || async {
        let subscribed = chain.venue.report().subscribed;
        // An index has no book, and keeps its mode.
        subscribed.len() == names.len()
            && subscribed.iter().all(|one| one.mode == "depth" || one.exchange.ends_with("_INDEX"))
    })
    .await;
    chain.venue.trade();
    assert_eq!(chain.compare(&mut high).await.mismatches, [""; 0]);
    assert_eq!(chain.host.status().await["feeds"][0]["links"].as_array().map(Vec::len), Some(1));
}
