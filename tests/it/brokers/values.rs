//! What clients have is what the broker sent, value by value.

use integration_tests::chain::{Chain, Profile};
use venues::{Mode, angel::Smart, dhan::Dhan, zerodha::Kite};

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
async fn the_openalgo_sdk_sees_what_zerodha_sent() {
    the_sdk_sees::<Kite>().await;
}
