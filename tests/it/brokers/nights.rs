//! What real brokers do to those who stay connected: tokens end, connections fall silent or break.

use std::time::{Duration, Instant};

use integration_tests::{
    Client,
    chain::{Chain, Profile, Watcher},
    wait_until,
};
use serde_json::json;
use venues::{
    Mode,
    angel::Smart,
    dhan::Dhan,
    fyers::Fyers,
    noren::{AliceBlue, Noren, Shoonya},
    upstox::Upstox,
    xts::{Iifl, Jainam, Xts},
    zerodha::Kite,
};

const LISTED: usize = 2_000;

async fn feed_status(chain: &Chain<impl Profile>) -> Client {
    Client::login_for_feed_status(chain.host.websocket, &chain.key).await
}

/// Waits until the client hears that all is not well.
async fn told(client: &mut Client) {
    client.find(|message| message["type"] == "feed_status" && message["state"] != "live").await;
}

async fn becomes(client: &mut Client, state: &str) {
    client.find(|message| message["type"] == "feed_status" && message["state"] == state).await;
}

/// Everything still has the newest values.
async fn serves_all<B: Profile>(chain: &Chain<B>, watcher: &mut Watcher) {
    chain.venue.trade();
    let compared = chain.compare(watcher).await;
    assert_eq!(compared.mismatches, [""; 0]);
}

/// A night in which the token ends, the connection breaks, and somebody logs in in the morning.
async fn a_night<B: Profile>(fresh: &[(&str, &str)]) {
    let chain = Chain::<B>::start(LISTED).await;
    let names = chain.instruments(60);
    let (mut watcher, _) = chain.watch(&names, Mode::Quote).await;
    let mut observer = feed_status(&chain).await;
    let attempts = chain.venue.report().log_ins.len();
    chain.venue.expire();
    chain.venue.disconnect();
    becomes(&mut observer, "auth_failed").await;
    let refused = chain.venue.report().log_ins.len() - attempts;
    assert!((1..=2).contains(&refused), "{refused} attempts with a dead token");
    let set = |set: &[(&str, &str)]| {
        set.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    chain.venue.accept(vec![set(fresh)]);
    chain.set_credentials(fresh);
    becomes(&mut observer, "live").await;
    wait_until("all is subscribed again", || async { chain.venue.report().subscribed.len() == names.len() })
        .await;
    serves_all(&chain, &mut watcher).await;
    // Once for ticks, and at some brokers once for order updates.
    let accepted = chain.venue.report().log_ins.len() - attempts - refused;
    assert!((1..=2).contains(&accepted), "{accepted} log-ins with the new token");
    let log = chain.host.log();
    assert!(!log.contains("canary"), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn zerodhas_nightly_change_costs_two_attempts_and_no_client() {
    a_night::<Kite>(&[("api_key", "kitekey"), ("access_token", "canary-kite-morning")]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn angels_nightly_change_costs_two_attempts_and_no_client() {
    a_night::<Smart>(&[
        ("client_code", "A123456"),
        ("api_key", "smartkey"),
        ("auth_token", "canary-jwt-of-the-morning"),
        ("feed_token", "canary-feed-of-the-morning"),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dhans_nightly_change_costs_two_attempts_and_no_client() {
    a_night::<Dhan>(&[("client_id", "1100123456"), ("access_token", "canary-dhan-morning")]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fyers_nightly_change_costs_two_attempts_and_no_client() {
    a_night::<Fyers>(&[
        ("api_key", "APP-100"),
        (
            "access_token",
            "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9.eyJleHAiOjQxMDI0NDQ4MDAsImhzbV9rZXkiOiJjYW5\
             hcnktaHNtLWtleS1vZi10aGUtbW9ybmluZyJ9.canary-fyers-morning",
        ),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn upstoxs_nightly_change_costs_two_attempts_and_no_client() {
    a_night::<Upstox>(&[("user_id", "AB1234"), ("access_token", "canary-upstox-morning")]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shoonyas_nightly_change_costs_two_attempts_and_no_client() {
    a_night::<Noren<Shoonya>>(&[("user_id", "FA0001"), ("access_token", "canary-noren-morning")]).await;
}

/// Its session must be made one for sockets before each connection.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn aliceblues_nightly_change_costs_two_attempts_and_no_client() {
    a_night::<Noren<AliceBlue>>(&[("user_id", "FA0001"), ("access_token", "canary-noren-morning")]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn iifls_nightly_change_costs_two_attempts_and_no_client() {
    a_night::<Xts<Iifl>>(&[("user_id", "XTS001"), ("access_token", "canary-xts-morning")]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jainams_nightly_change_costs_two_attempts_and_no_client() {
    a_night::<Xts<Jainam>>(&[("user_id", "XTS001"), ("access_token", "canary-xts-morning")]).await;
}

/// With its keys stored the host logs in by itself, and nobody has to be there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn iifls_night_needs_nobody_where_its_keys_are_stored() {
    let keys = [("user_id", "XTS001"), ("app_key", "app"), ("secret_key", "canary-xts-secret")];
    let chain = Chain::<Xts<Iifl>>::start(LISTED).await;
    let set = keys.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    chain.venue.accept(vec![set]);
    chain.set_credentials(&keys);
    let names = chain.instruments(60);
    let (mut watcher, _) = chain.watch(&names, Mode::Quote).await;
    let attempts = chain.venue.report().log_ins.len();
    let mut observer = feed_status(&chain).await;
    chain.venue.expire();
    chain.venue.disconnect();
    told(&mut observer).await;
    becomes(&mut observer, "live").await;
    wait_until("all is subscribed again", || async { chain.venue.report().subscribed.len() == names.len() })
        .await;
    serves_all(&chain, &mut watcher).await;
    let since = chain.venue.report().log_ins.split_off(attempts);
    assert!((2..=3).contains(&since.len()) && since.last() == Some(&true), "{since:?}");
    let log = chain.host.log();
    assert!(!log.contains("canary"), "{log}");
}

/// A broker that keeps the connection and says nothing more.
async fn a_mute_broker<B: Profile>(told_within: Duration) {
    let chain = Chain::<B>::start(LISTED).await;
    let names = chain.instruments(30);
    let (mut watcher, _) = chain.watch(&names, Mode::Ltp).await;
    let mut observer = feed_status(&chain).await;
    chain.venue.trade();
    chain.venue.mute();
    let muted = Instant::now();
    told(&mut observer).await;
    #[expect(clippy::print_stdout, reason = "a figure that is asked for")]
    {
        println!("{} was told of after {:?}", B::NAME, muted.elapsed());
    }
    assert!(muted.elapsed() < told_within, "{:?}", muted.elapsed());
    wait_until("it is connected again", || async {
        chain.host.status().await["feeds"][0]["state"] == "live"
    })
    .await;
    wait_until("all is subscribed again", || async { chain.venue.report().subscribed.len() == names.len() })
        .await;
    serves_all(&chain, &mut watcher).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_zerodha_that_falls_mute_is_noticed_and_connected_again() {
    a_mute_broker::<Kite>(Duration::from_secs(12)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_angel_that_falls_mute_is_noticed_and_connected_again() {
    a_mute_broker::<Smart>(Duration::from_secs(15)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dhan_that_falls_mute_is_noticed_and_connected_again() {
    a_mute_broker::<Dhan>(Duration::from_secs(15)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fyers_that_falls_mute_is_noticed_and_connected_again() {
    a_mute_broker::<Fyers>(Duration::from_secs(15)).await;
}

/// The connection lives and beats, and only the ticks have ended.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ticks_that_end_while_heartbeats_go_on_are_missed_by_their_pace() {
    let chain = Chain::<Kite>::start(LISTED).await;
    let names = chain.instruments(30);
    let (mut watcher, _) = chain.watch(&names, Mode::Ltp).await;
    let mut observer = feed_status(&chain).await;
    // Until the pace is known.
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(34) {
        serves_all(&chain, &mut watcher).await;
        // Both read, or the host would take them for dead.
        while let Some(news) = observer.next_within(Duration::from_millis(100)).await {
            assert_ne!(news["state"], "stale", "{news}");
        }
    }
    let ended = Instant::now();
    told(&mut observer).await;
    println!("the end of the ticks was told of after {:?}", ended.elapsed());
    assert!(ended.elapsed() < Duration::from_secs(15), "{:?}", ended.elapsed());
    wait_until("it has connected again", || async { chain.venue.report().opened == 2 }).await;
    serves_all(&chain, &mut watcher).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_answer_for_another_instrument_than_was_asked_for_is_shown_to_nobody() {
    let chain = Chain::<Noren<Shoonya>>::start(LISTED).await;
    let names = chain.instruments(2);
    assert_eq!(names[1].0, "NSE_INDEX");
    // The index is what it answers with, and somebody holds it too.
    let (mut index, _) = chain.watch(&names[1..], Mode::Quote).await;
    chain.venue.own(&json!({"mistake": 1})).unwrap();
    let share = names[0].clone();
    let sent = |symbol: &str, exchange: &str| chain.venue.sent(exchange, symbol, Mode::Quote);
    let mut client = Client::login(chain.host.websocket, &chain.key).await;
    client
        .send(&json!({"action": "subscribe", "symbols": [format!("{}:{}", share.0, share.1)], "mode": 2}))
        .await;
    wait_until("the share is subscribed", || async { chain.venue.report().subscribed.len() == 2 }).await;
    assert_eq!(sent(&share.1, &share.0), None, "the broker has answered with something else");
    chain.venue.trade();
    let frame = client.find(|message| message["type"] == "market_data").await;
    let ltp = venues::decimal(sent(&share.1, &share.0).unwrap().ltp).parse::<f64>().unwrap();
    assert_eq!(
        (frame["symbol"].as_str(), frame["data"]["ltp"].as_f64()),
        (Some(&*share.1), Some(ltp)),
        "{frame}"
    );
    assert_eq!(chain.compare(&mut index).await.mismatches, [""; 0]);
}

/// Instruments that get each other's numbers in a new list must not get each other's prices.
async fn numbers_that_are_used_again<B: Profile>() {
    let chain = Chain::<B>::start(LISTED).await;
    let two = chain.venue.some("NSE", 2);
    let names: Vec<(String, String)> =
        two.iter().map(|one| (one.exchange.to_owned(), one.symbol.clone())).collect();
    let (mut watcher, _) = chain.watch(&names, Mode::Quote).await;
    serves_all(&chain, &mut watcher).await;
    let keys =
        || names.iter().map(|(exchange, symbol)| chain.venue.key(exchange, symbol)).collect::<Vec<_>>();
    let before = keys();
    chain.venue.reuse("NSE", &names[0].1, &names[1].1).unwrap();
    assert_eq!(keys(), [before[1], before[0]]);
    wait_until("it is connected again", || async { chain.venue.report().subscribed.len() == names.len() })
        .await;
    for _ in 0..3 {
        serves_all(&chain, &mut watcher).await;
    }
    for (exchange, symbol) in &names {
        let has = watcher.latest(exchange, symbol).unwrap();
        assert_eq!(has["symbol"], json!(symbol));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn zerodhas_numbers_may_move_and_prices_do_not() {
    numbers_that_are_used_again::<Kite>().await;
}
