//! Clients are told what becomes of each subscription, if they asked for it.

use std::{collections::BTreeSet, fs};

use integration_tests::{Client, HostBuilder, bus::Publisher};
use serde_json::{Value, json};

async fn login(address: std::net::SocketAddr, key: &str) -> Client {
    let mut client = Client::connect(address).await;
    client.send(&json!({"action": "authenticate", "api_key": key, "subscription_status": true})).await;
    let answer = client.control().await;
    assert_eq!(
        (&answer["status"], &answer["subscription_status"]),
        (&json!("success"), &json!(true)),
        "{answer}"
    );
    client
}

fn is_news(message: &Value) -> bool {
    message["type"] == "subscription_status"
}

/// Reads news until so many symbols are in this state; gives them, and how many frames it took.
async fn until(client: &mut Client, state: &str, count: usize, request: &Value) -> (BTreeSet<String>, usize) {
    let (mut symbols, mut frames) = (BTreeSet::new(), 0);
    while symbols.len() < count {
        let frame = client.find(is_news).await;
        assert_eq!(&frame["request_id"], request, "{frame}");
        frames += 1;
        let entries = frame["subscriptions"].as_array().expect("entries");
        symbols.extend(
            entries
                .iter()
                .filter(|entry| entry["state"] == state)
                .map(|entry| entry["symbol"].as_str().expect("a symbol").to_owned()),
        );
    }
    (symbols, frames)
}

async fn subscribe(client: &mut Client, symbols: &[String], request: &str) -> Value {
    client
        .send(&json!({"action": "subscribe", "symbols": symbols, "mode": "Quote", "request_id": request}))
        .await;
    client.find(|message| message["type"] == "subscribe").await
}

#[tokio::test]
async fn each_of_three_thousand_symbols_is_called_active_in_few_frames() {
    let extra: Vec<String> =
        (0..3_000).map(|number| format!("{{ exchange = \"NSE\", symbol = \"X{number}\" }}")).collect();
    let host = HostBuilder::new()
        .env("MAX_SYMBOLS_PER_WEBSOCKET", 3_000)
        .sim(&format!("rate_hz = 2.0\ninstruments_extra = [{}]", extra.join(", ")))
        .start();
    let mut client = login(host.websocket, &host.key()).await;
    let symbols: Vec<String> = (0..3_000).map(|number| format!("NSE:X{number}")).collect();
    assert_eq!(subscribe(&mut client, &symbols, "bulk").await["status"], "success");
    let (active, frames) = until(&mut client, "active", 3_000, &json!("bulk")).await;
    assert_eq!(active.len(), 3_000);
    // Ten a second while the first ticks come, and as many as it takes to carry 250 each.
    assert!(frames <= 200, "{frames}");
    client.send(&json!({"action": "get_broker_info"})).await;
    let info = client.find(|message| message["type"] == "broker_info").await;
    let counts = [&info["subscribed"], &info["active"], &info["pending"]];
    assert_eq!(counts, [&json!(3_000), &json!(3_000), &json!(0)], "{info}");
}

#[tokio::test]
async fn a_symbol_that_brings_nothing_is_silent_and_active_when_it_comes_after_all() {
    let host = HostBuilder::new().env("TICKHOST_SUBSCRIPTION_SILENT_SECONDS", 1).start();
    let key = host.add_user("bob", "bus");
    let (mut bob, mut other) = (login(host.websocket, &key).await, Client::login(host.websocket, &key).await);
    for client in [&mut bob, &mut other] {
        subscribe(client, &["NSE:SBIN".to_owned(), "NSE:TCS".to_owned()], "r1").await;
    }
    let silent = bob.find(is_news).await;
    let states: Vec<&Value> =
        silent["subscriptions"].as_array().unwrap().iter().map(|e| &e["state"]).collect();
    assert_eq!(states, ["silent", "silent"], "{silent}");
    assert_eq!((&silent["request_id"], &silent["broker"]), (&json!("r1"), &json!("bus")));
    let mut publisher = Publisher::connect(host.bus).await;
    // A publisher may be heard some time after it connected.
    let active = loop {
        publisher.send("NSE_TCS_QUOTE", &json!({"ltp": 3500.5, "open": 3490.0})).await;
        let message = bob.next_within(std::time::Duration::from_millis(50)).await;
        if let Some(news) = message.filter(is_news) {
            break news;
        }
    };
    let entry = json!({"symbol": "TCS", "exchange": "NSE", "mode": "Quote", "state": "active"});
    assert_eq!(active["subscriptions"], json!([entry]), "{active}");
    // Who did not ask has heard the tick, and nothing else.
    other.tick().await;
    other.send(&json!({"action": "ping"})).await;
    let answer = other.control().await;
    assert_eq!(answer["type"], "pong", "{answer}");
}

#[tokio::test]
async fn a_late_refusal_has_the_request_and_the_brokers_words_and_others_hear_of_it_as_ever() {
    let builder = HostBuilder::new();
    let trigger = builder.dir().join("now");
    let plugins = format!(
        "[[adapter]]\nname = \"faulty\"\nlibrary = \"adapter_faulty\"\ncalendar = \"always\"\n\
         writable = [{:?}]\n[adapter.config]\nrate_hz = 50.0\nfault = \"log_secret\"\ntrigger = {trigger:?}\n",
        builder.dir()
    );
    let host = builder.plugins(&plugins).start();
    let key = host.add_user("alice", "faulty");
    let (mut alice, mut other) =
        (login(host.websocket, &key).await, Client::login(host.websocket, &key).await);
    for client in [&mut alice, &mut other] {
        let symbols = ["NSE:SBIN".to_owned(), "NSE:SECRET1".to_owned()];
        assert_eq!(subscribe(client, &symbols, "r1").await["status"], "success");
    }
    until(&mut alice, "active", 2, &json!("r1")).await;
    fs::write(&trigger, "").unwrap();
    let failed = alice.find(is_news).await;
    assert_eq!(failed["request_id"], "r1", "{failed}");
    let entry = &failed["subscriptions"][0];
    assert_eq!(
        [&entry["symbol"], &entry["state"], &entry["code"], &entry["mode"]],
        ["SECRET1", "failed", "SUBSCRIPTION_ERROR", "Quote"],
        "{failed}"
    );
    assert!(entry["message"].as_str().is_some_and(|text| !text.is_empty()), "{failed}");
    let failed = other.find(is_news).await;
    assert_eq!([&failed["symbol"], &failed["status"]], ["SECRET1", "error"], "{failed}");
    assert!(failed.get("request_id").is_none() && failed.get("subscriptions").is_none(), "{failed}");
}

#[tokio::test]
async fn the_wish_ends_with_the_next_authentication_and_must_be_a_truth_value() {
    let host =
        HostBuilder::new().env("TICKHOST_SUBSCRIPTION_SILENT_SECONDS", 1).sim("rate_hz = 50.0").start();
    let mut client = Client::connect(host.websocket).await;
    client.send(&json!({"action": "authenticate", "api_key": host.key(), "subscription_status": 1})).await;
    assert_eq!(client.control().await["code"], "INVALID_PARAMETERS");
    let mut client = login(host.websocket, &host.key()).await;
    let answer = client.authenticate(&host.key()).await;
    assert!(answer["status"] == "success" && answer.get("subscription_status").is_none(), "{answer}");
    subscribe(&mut client, &["NSE:SBIN".to_owned()], "r1").await;
    for _ in 0..30 {
        client.tick().await;
    }
    client.send(&json!({"action": "ping"})).await;
    let answer = client.control().await;
    assert_eq!(answer["type"], "pong", "{answer}");
}
