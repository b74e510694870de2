//! Instruments find a connection to the broker that carries them, whatever becomes of the one that did.

use std::{collections::BTreeSet, fs};

use integration_tests::{Client, Host, HostBuilder, venue::Venue, wait_until};
use serde_json::{Value, json};

const SYMBOLS: usize = 9;

fn plugins(venue: &Venue, limits: &str) -> String {
    format!(
        "[[adapter]]\nname = \"faulty\"\nlibrary = \"adapter_faulty\"\ncalendar = \"always\"\n{limits}\n\
         [adapter.config]\nvenue = \"{}\"\n",
        venue.address
    )
}

/// A venue, a host with these limits, and a client that holds the first symbols and wants to know what
/// becomes of them.
async fn start(limits: &str, held: usize) -> (Venue, Host, Client) {
    let venue = Venue::start(SYMBOLS, 20, false).await;
    let host =
        HostBuilder::new().env("TICKHOST_REBALANCE_SECONDS", 1).plugins(&plugins(&venue, limits)).start();
    let key = host.add_user("alice", "faulty");
    let mut client = Client::connect(host.websocket).await;
    client.send(&json!({"action": "authenticate", "api_key": key, "subscription_status": true})).await;
    assert_eq!(client.control().await["status"], "success");
    let symbols: Vec<String> = (0..held).map(|number| format!("NSE:V{number}")).collect();
    client.send(&json!({"action": "subscribe", "symbols": symbols, "mode": 1, "request_id": 1})).await;
    assert_eq!(client.find(|message| message["type"] == "subscribe").await["status"], "success");
    ticks_of(&mut client, 0..held).await;
    (venue, host, client)
}

/// Reads until each of these symbols has ticked again.
async fn ticks_of(client: &mut Client, numbers: impl IntoIterator<Item = usize>) {
    let mut missing: BTreeSet<String> = numbers.into_iter().map(|number| format!("V{number}")).collect();
    while !missing.is_empty() {
        let tick =
            client.find(|message| message["type"] == "market_data" && message["snapshot"] != true).await;
        missing.remove(tick["symbol"].as_str().expect("a symbol"));
    }
}

/// Reads until so many symbols were said to be in this state; gives them.
async fn said(client: &mut Client, state: &str, count: usize) -> BTreeSet<String> {
    let mut symbols = BTreeSet::new();
    while symbols.len() < count {
        let news = client.find(|message| message["type"] == "subscription_status").await;
        assert_eq!(news["request_id"], 1, "{news}");
        let entries = news["subscriptions"].as_array().expect("entries");
        let fitting = entries.iter().filter(|entry| entry["state"] == state);
        symbols.extend(fitting.map(|entry| entry["symbol"].as_str().expect("a symbol").to_owned()));
    }
    symbols
}

async fn feed(host: &Host) -> Value {
    host.status().await["feeds"][0].clone()
}

async fn carried(host: &Host) -> Value {
    feed(host).await["connections"].clone()
}

fn sorted(mut carried: Vec<usize>) -> Vec<usize> {
    carried.sort_unstable();
    carried
}

#[tokio::test]
async fn instruments_of_a_connection_that_stays_down_move_to_others_and_tick_under_their_names() {
    let (venue, host, mut client) = start("symbols_per_connection = 4\nconnections = 2", 5).await;
    assert_eq!(carried(&host).await, json!([4, 1]));
    // Room on the first.
    client.send(&json!({"action": "unsubscribe", "symbols": ["NSE:V0"]})).await;
    client.find(|message| message["type"] == "unsubscribe").await;
    // Which of the two goes is the venue's business: the other has room for what it carried.
    venue.allow(1);
    wait_until("everything has moved to the other", || async {
        [json!([4, 0]), json!([0, 4])].contains(&carried(&host).await)
    })
    .await;
    wait_until("the venue is asked for it", || async { venue.carried() == [4] }).await;
    ticks_of(&mut client, 1..5).await;
    assert!(host.metric("tickhost_feed_moved_total").await >= 1.0);
    // What carries nothing is missed by nobody, and is there when it can be used again.
    assert_eq!(feed(&host).await["state"], "live");
    venue.allow(2);
    wait_until("both are up again", || async {
        let links = feed(&host).await["links"].clone();
        links.as_array().is_some_and(|links| links.iter().all(|link| link["state"] == "live"))
    })
    .await;
    client.send(&json!({"action": "subscribe", "symbols": ["NSE:V7"], "mode": 1, "request_id": 1})).await;
    ticks_of(&mut client, [7]).await;
    assert_eq!(sorted(venue.carried()), [1, 4]);
}

#[tokio::test]
async fn what_finds_no_room_is_said_to_be_pending_and_comes_back_with_its_connection() {
    let (venue, host, mut client) = start("symbols_per_connection = 3\nconnections = 2", 6).await;
    said(&mut client, "active", 6).await;
    venue.allow(1);
    let pending = said(&mut client, "pending", 3).await;
    // Those of one connection, whichever the venue ended.
    let (first, second) = (["V0", "V1", "V2"], ["V3", "V4", "V5"]);
    let stay = if pending.contains("V0") { 3..6 } else { 0..3 };
    assert_eq!(pending, if stay.start == 0 { second } else { first }.map(str::to_owned).into());
    ticks_of(&mut client, stay.clone()).await;
    assert_eq!(carried(&host).await, json!([3, 3]));
    // One place becomes free: one of them takes it.
    let gone = stay.start;
    client.send(&json!({"action": "unsubscribe", "symbols": [format!("NSE:V{gone}")]})).await;
    wait_until("one has moved", || async { sorted(venue.carried()) == [3] }).await;
    said(&mut client, "active", 1).await;
    venue.allow(2);
    said(&mut client, "active", 2).await;
    ticks_of(&mut client, (0..6).filter(|number| *number != gone)).await;
    assert_eq!(sorted(venue.carried()), [2, 3]);
}

#[tokio::test]
async fn smaller_limits_park_what_is_too_much_and_larger_ones_bring_it_back() {
    let (venue, host, mut client) = start("symbols_per_connection = 3\nconnections = 2", 6).await;
    said(&mut client, "active", 6).await;
    fs::write(
        host.dir().join("plugins.toml"),
        plugins(&venue, "symbols_per_connection = 2\nconnections = 2"),
    )
    .unwrap();
    said(&mut client, "pending", 2).await;
    wait_until("the venue is asked for no more", || async { sorted(venue.carried()) == [2, 2] }).await;
    assert_eq!(carried(&host).await, json!([2, 2]));
    client.send(&json!({"action": "get_broker_info"})).await;
    let info = client.find(|message| message["type"] == "broker_info").await;
    assert_eq!((&info["subscribed"], &info["pending"]), (&json!(6), &json!(2)), "{info}");
    // The account is full for others too.
    client.send(&json!({"action": "subscribe", "symbols": ["NSE:V8"], "mode": 1})).await;
    let refused = client.find(|message| message["type"] == "subscribe").await;
    assert_eq!(refused["subscriptions"][0]["code"], "MAX_CAPACITY_REACHED", "{refused}");

    fs::write(
        host.dir().join("plugins.toml"),
        plugins(&venue, "symbols_per_connection = 5\nconnections = 1"),
    )
    .unwrap();
    wait_until("one connection carries five", || async { venue.carried() == [5] }).await;
    assert_eq!(carried(&host).await, json!([5]));
    fs::write(
        host.dir().join("plugins.toml"),
        plugins(&venue, "symbols_per_connection = 5\nconnections = 3"),
    )
    .unwrap();
    wait_until("the last has its place", || async { sorted(venue.carried()) == [1, 5] }).await;
    ticks_of(&mut client, 0..6).await;
    // The adapter's word and its ticks come by two ways, of which either may be the faster.
    wait_until("nothing is pending", || async { feed(&host).await["pending"] == 0 }).await;
}

/// The broker allows an account three connections. A new build that stands by needs one of its own.
async fn a_new_build_serves(held: usize, connections: usize, swaps: f64) {
    let (venue, host, mut client) = start("symbols_per_connection = 2\nconnections = 3", held).await;
    assert_eq!(venue.carried().len(), connections);
    venue.allow(3);
    let reloaded = host.run(&["adapters", "reload", "faulty"], "");
    assert!(reloaded.status.success(), "{}", String::from_utf8_lossy(&reloaded.stderr));
    wait_until("each connection is made again once", || async {
        venue.accepted() == 2 * connections as u64
            && venue.carried().iter().sum::<usize>() == held
            && host.metric("tickhost_feed_swaps_total").await == swaps
    })
    .await;
    ticks_of(&mut client, 0..held).await;
    wait_until("the feed is live", || async { feed(&host).await["state"] == "live" }).await;
    assert_eq!(host.metric("tickhost_feed_swaps_failed_total").await, 0.0);
    assert_eq!(venue.accepted(), 2 * connections as u64, "nothing was refused and tried again");
}

#[tokio::test]
async fn a_new_build_serves_where_the_broker_allows_no_connection_more() {
    a_new_build_serves(6, 3, 0.0).await;
}

#[tokio::test]
async fn new_builds_stand_by_one_after_the_other_where_the_broker_allows_one_connection_more() {
    a_new_build_serves(4, 2, 2.0).await;
}

#[tokio::test]
async fn deep_books_spread_over_the_connections_and_then_come_with_the_levels_of_any_book() {
    let limits = "deep_books_per_connection = 1\nconnections = 2\n[adapter.config]\nrate_hz = 10.0";
    let entry = format!("[[adapter]]\nname = 'sim'\nlibrary = 'adapter_sim'\n{limits}\n");
    let host = HostBuilder::new().plugins(&entry).start();
    let key = host.add_user("alice", "sim");
    let mut client = Client::login(host.websocket, &key).await;
    let symbols = ["SBIN", "INFY", "TCS"].map(|symbol| json!({"exchange": "NSE", "symbol": symbol}));
    client.send(&json!({"action": "subscribe", "symbols": symbols, "mode": 3, "depth_level": 20})).await;
    let taken = client.find(|message| message["type"] == "subscribe").await;
    let levels: Vec<&Value> = (0..3).map(|place| &taken["subscriptions"][place]["depth"]).collect();
    assert_eq!(levels, [&json!(20), &json!(20), &json!(5)], "{taken}");
    assert_eq!(carried(&host).await, json!([2, 1]));
    // Whoever lets go of one leaves its place to the next who asks.
    client.send(&json!({"action": "unsubscribe", "symbols": symbols[..1]})).await;
    client.find(|message| message["type"] == "unsubscribe").await;
    client
        .send(&json!({"action": "subscribe", "symbols": ["NSE:RELIANCE"], "mode": 3, "depth_level": 20}))
        .await;
    let taken = client.find(|message| message["type"] == "subscribe").await;
    assert_eq!(taken["subscriptions"][0]["depth"], 20, "{taken}");
    let broker = host.status().await["adapters"][0]["by_broker"][0].clone();
    assert_eq!(broker["deep_books"], json!({"per_connection": 1, "above_levels": 5}));
}
