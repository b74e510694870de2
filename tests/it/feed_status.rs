//! Clients are told the truth about the way to their broker, if they asked for it.

use std::time::Duration;

use integration_tests::{Client, Host, HostBuilder, SOON, bus::Publisher, host::assert_ok, wait_until};
use serde_json::{Value, json};

fn is_news(message: &Value) -> bool {
    message["type"] == "feed_status"
}

async fn news(client: &mut Client) -> Value {
    client.find(is_news).await
}

/// Reads news until the feed is in this state.
async fn until(client: &mut Client, state: &str) -> Value {
    client.find(|message| is_news(message) && message["state"] == state).await
}

async fn broker_info(client: &mut Client) -> Value {
    client.send(&json!({"action": "get_broker_info"})).await;
    client.find(|message| message["type"] == "broker_info").await
}

fn said(message: &Value, words: &str) {
    assert!(message["message"].as_str().is_some_and(|text| text.contains(words)), "{words}: {message}");
}

/// Authenticates once more, without asking for anything.
async fn again(client: &mut Client, key: &str) -> Value {
    client.send(&json!({"action": "authenticate", "api_key": key})).await;
    client.find(|message| message["type"] == "auth").await
}

/// The client is still served.
async fn is_connected(client: &mut Client) {
    client.send(&json!({"action": "ping"})).await;
    client.find(|message| message["type"] == "pong").await;
}

/// What the client was told last is what the operator sees.
async fn agrees_with_status(host: &Host, client: &mut Client, state: &str) {
    assert_eq!(host.status().await["feeds"][0]["state"], state);
    let info = broker_info(client).await;
    assert_eq!(info["feed_state"], state, "{info}");
}

#[tokio::test]
async fn the_present_state_follows_the_log_in_and_changes_follow_it() {
    let host =
        HostBuilder::new().sim("rate_hz = 50.0\n[adapter.config.faults]\nconnect_delay_ms = 1000").start();
    let mut client = Client::login_for_feed_status(host.websocket, &host.key()).await;
    let first = client.next().await;
    assert!(is_news(&first) && first.get("status").is_none(), "{first}");
    let connecting = if first["state"] == "starting" { news(&mut client).await } else { first };
    assert_eq!((&connecting["state"], &connecting["broker"]), (&json!("connecting"), &json!("sim")));
    said(&connecting, "connecting to the broker");
    assert!(connecting.get("last_tick_age_ms").is_none(), "{connecting}");
    let live = until(&mut client, "live").await;
    said(&live, "connected");
    agrees_with_status(&host, &mut client, "live").await;
    client.subscribe(&["NSE:SBIN"], "LTP").await;
    client.tick().await;
    let mut later = Client::login_for_feed_status(host.websocket, &host.key()).await;
    let first = later.next().await;
    assert_eq!((&first["type"], &first["state"]), (&json!("feed_status"), &json!("live")));
    assert!(first["state_age_ms"].is_u64() && first["last_tick_age_ms"].is_u64(), "{first}");
}

#[tokio::test]
async fn who_did_not_ask_is_told_nothing_and_who_asks_no_more_neither() {
    let host =
        HostBuilder::new().sim("rate_hz = 50.0\n[adapter.config.faults]\ndisconnect_every_ms = 200").start();
    let mut witness = Client::login_for_feed_status(host.websocket, &host.key()).await;
    let mut asked = Client::login_for_feed_status(host.websocket, &host.key()).await;
    let mut silent = Client::connect(host.websocket).await;
    silent.send(&json!({"action": "authenticate", "api_key": host.key(), "feed_status": false})).await;
    let answer = silent.control().await;
    assert!(answer["status"] == "success" && answer.get("feed_status").is_none(), "{answer}");
    let mut usual = Client::login(host.websocket, &host.key()).await;
    for client in [&mut asked, &mut silent, &mut usual] {
        client.send(&json!({"action": "subscribe", "symbols": ["NSE:SBIN"], "mode": 1})).await;
    }
    news(&mut asked).await;
    assert_eq!(again(&mut asked, &host.key()).await["status"], "success");
    // Two losses, from which the others would have heard.
    for state in ["live", "connecting", "live", "connecting"] {
        until(&mut witness, state).await;
    }
    for client in [&mut asked, &mut silent, &mut usual] {
        client.send(&json!({"action": "ping"})).await;
        let last = client.find(|message| is_news(message) || message["type"] == "pong").await;
        assert_eq!(last["type"], "pong", "{last}");
    }
}

#[tokio::test]
async fn a_lost_connection_is_told_with_its_reason_and_its_return_too() {
    let host =
        HostBuilder::new().sim("rate_hz = 50.0\n[adapter.config.faults]\ndisconnect_every_ms = 300").start();
    let mut client = Client::login_for_feed_status(host.websocket, &host.key()).await;
    client.send(&json!({"action": "subscribe", "symbols": ["NSE:SBIN"], "mode": 1})).await;
    until(&mut client, "live").await;
    let lost = until(&mut client, "connecting").await;
    said(&lost, "again: simulated loss of the connection");
    assert!(lost["retry_in_ms"].is_u64(), "{lost}");
    let back = until(&mut client, "live").await;
    assert!(back.get("retry_in_ms").is_none(), "{back}");
    client.tick().await;
}

#[tokio::test]
async fn of_a_feed_that_fails_again_and_again_the_last_state_arrives_and_then_nothing() {
    let host = HostBuilder::new().sim("[adapter.config.faults]\npanic_in = \"connect\"").start();
    let mut client = Client::login_for_feed_status(host.websocket, &host.key()).await;
    let is_last =
        |message: &Value| is_news(message) && message["message"].to_string().contains("again and again");
    let last = client.find(is_last).await;
    assert_eq!(last["state"], "down");
    assert!(last["retry_in_ms"].as_u64().is_some_and(|pause| pause > 5_000), "{last}");
    agrees_with_status(&host, &mut client, "down").await;
    assert_eq!(broker_info(&mut client).await["adapter_status"], "disconnected");
    // Longer than a state may wait for its turn, and shorter than the pause.
    assert_eq!(client.next_within(Duration::from_secs(2)).await, None);
}

#[tokio::test]
async fn new_credentials_end_a_refusal_and_the_client_hears_of_both() {
    let host = HostBuilder::new().sim("rate_hz = 50.0\n[adapter.config.faults]\nauth_failure = 2").start();
    let key = host.add_user("alice", "sim");
    let mut alice = Client::login_for_feed_status(host.websocket, &key).await;
    until(&mut alice, "auth_failed").await;
    alice.send(&json!({"action": "subscribe", "symbols": ["NSE:SBIN"], "mode": 1})).await;
    assert_ok(&host.run(&["account", "set", "alice", "sim"], "{\"access_token\": \"fresh\"}"));
    let live = until(&mut alice, "live").await;
    said(&live, "connected to the broker");
    alice.tick().await;
    assert!(broker_info(&mut alice).await.get("last_error").is_none());
}

#[tokio::test]
async fn silence_is_told_when_it_happens_and_not_when_somebody_asks() {
    let host = HostBuilder::new()
        .env("WS_STALE_TICK_WARN_SECONDS", 1)
        .sim("rate_hz = 50.0\n[adapter.config.faults]\nmute_after_ms = 0")
        .start();
    let mut client = Client::login_for_feed_status(host.websocket, &host.key()).await;
    until(&mut client, "live").await;
    client.send(&json!({"action": "subscribe", "symbols": ["NSE:SBIN"], "mode": 1})).await;
    let stale = until(&mut client, "stale").await;
    said(&stale, "silent for");
    assert!(stale["last_tick_age_ms"].as_u64().is_none_or(|age| age >= 1_000), "{stale}");
    assert!(stale["state_age_ms"].as_u64().is_some_and(|age| age >= 1_000), "{stale}");
    // It is answered by a reconnect, which is no sign of life.
    until(&mut client, "connecting").await;
    until(&mut client, "stale").await;
    agrees_with_status(&host, &mut client, "stale").await;
    // The broker is there, it only says nothing.
    assert_eq!(broker_info(&mut client).await["adapter_status"], "connected");
}

#[tokio::test]
async fn refused_credentials_are_told_with_the_brokers_words() {
    let host = HostBuilder::new().sim("[adapter.config.faults]\nauth_failure = \"always\"").start();
    let mut client = Client::login_for_feed_status(host.websocket, &host.key()).await;
    let refused = until(&mut client, "auth_failed").await;
    said(&refused, "refused the credentials");
    agrees_with_status(&host, &mut client, "auth_failed").await;
    let info = broker_info(&mut client).await;
    assert_eq!(info["adapter_status"], "disconnected");
    assert_eq!(info["last_error"], host.status().await["feeds"][0]["last_error"], "{info}");
    assert!(info["last_error"].is_string() && info["state_age_ms"].is_u64(), "{info}");
    is_connected(&mut client).await;
}

#[tokio::test]
async fn a_crashed_adapter_is_told_to_its_own_user_alone() {
    let host =
        HostBuilder::new().sim("rate_hz = 50.0\n[adapter.config.faults]\npanic_on_symbol = \"TCS\"").start();
    let (alice, bob) = (host.add_user("alice", "sim"), host.add_user("bob", "sim"));
    let mut alice = Client::login_for_feed_status(host.websocket, &alice).await;
    let mut bob = Client::login_for_feed_status(host.websocket, &bob).await;
    for client in [&mut alice, &mut bob] {
        until(client, "live").await;
    }
    alice.send(&json!({"action": "subscribe", "symbols": ["NSE:TCS"], "mode": 1})).await;
    let down = until(&mut alice, "down").await;
    said(&down, "will be started again");
    assert!(down["retry_in_ms"].is_u64(), "{down}");
    // Once more, so that whatever was to reach the other has had its time.
    until(&mut alice, "down").await;
    bob.send(&json!({"action": "ping"})).await;
    let answer = bob.find(|message| is_news(message) || message["type"] == "pong").await;
    assert_eq!(answer["type"], "pong", "{answer}");
    assert_eq!(broker_info(&mut bob).await["feed_state"], "live");
    is_connected(&mut alice).await;
}

#[tokio::test]
async fn a_client_follows_its_account_to_another_feed() {
    let host = HostBuilder::new().sim("rate_hz = 50.0").start();
    let key = host.add_user("alice", "sim");
    let mut alice = Client::login_for_feed_status(host.websocket, &key).await;
    until(&mut alice, "live").await;
    assert_ok(&host.run(&["account", "set", "alice", "bus"], "{}"));
    let moved = alice.find(|message| is_news(message) && message["broker"] == "bus").await;
    if moved["state"] != "live" {
        until(&mut alice, "live").await;
    }
    let info = broker_info(&mut alice).await;
    assert_eq!((&info["broker"], &info["feed_state"]), (&json!("bus"), &json!("live")));
}

#[tokio::test]
async fn a_wish_that_is_no_truth_value_is_refused_and_the_next_key_taken() {
    let host = Host::start();
    let mut client = Client::connect(host.websocket).await;
    client.send(&json!({"action": "authenticate", "api_key": host.key(), "feed_status": "yes"})).await;
    let refused = client.control().await;
    assert_eq!(refused["code"], "INVALID_PARAMETERS");
    said(&refused, "feed_status must be true or false");
    assert_eq!(client.authenticate(&host.key()).await["status"], "success");
}

#[tokio::test]
async fn silence_before_anybody_listened_means_nothing() {
    let host = HostBuilder::new().env("WS_STALE_TICK_WARN_SECONDS", 2).start();
    let key = host.add_user("bob", "bus");
    let mut bob = Client::login_for_feed_status(host.websocket, &key).await;
    until(&mut bob, "live").await;
    wait_until("the feed was idle for longer than a feed may be silent", || async {
        host.status().await["feeds"][0]["state_age_ms"].as_u64().is_some_and(|age| age > 2_500)
    })
    .await;
    bob.send(&json!({"action": "subscribe", "symbols": ["NSE:SBIN"], "mode": 1})).await;
    bob.find(|message| message["type"] == "subscribe").await;
    assert_eq!(broker_info(&mut bob).await["feed_state"], "live");
    let stale = until(&mut bob, "stale").await;
    assert!(stale["state_age_ms"].as_u64().is_some_and(|age| age >= 2_000), "{stale}");
}

#[tokio::test]
async fn the_end_of_a_silence_is_told_without_a_reconnect() {
    let host = HostBuilder::new().env("WS_STALE_TICK_WARN_SECONDS", 1).start();
    let key = host.add_user("bob", "bus");
    let mut bob = Client::login_for_feed_status(host.websocket, &key).await;
    until(&mut bob, "live").await;
    bob.send(&json!({"action": "subscribe", "symbols": ["NSE:SBIN"], "mode": 1})).await;
    until(&mut bob, "stale").await;
    let mut publisher = Publisher::connect(host.bus).await;
    let live = tokio::time::timeout(SOON, async {
        loop {
            publisher.send("NSE_SBIN_LTP", &json!({"ltp": 625.5})).await;
            let message = bob.next_within(Duration::from_millis(50)).await;
            if let Some(news) = message.filter(is_news) {
                return news;
            }
        }
    })
    .await
    .expect("news in time");
    assert_eq!(live["state"], "live");
    assert!(live["last_tick_age_ms"].as_u64().is_some_and(|age| age < 1_000), "{live}");
    assert_eq!(host.status().await["feeds"][0]["disconnects"], 0);
}

#[tokio::test]
async fn tap_shows_what_the_feed_does() {
    let host =
        HostBuilder::new().sim("rate_hz = 50.0\n[adapter.config.faults]\nconnect_delay_ms = 1000").start();
    let url = format!("ws://{}", host.websocket);
    let tapped = host.run(&["tap", "--url", &url, "--count", "50", "NSE:SBIN"], "");
    assert_ok(&tapped);
    let notes = String::from_utf8_lossy(&tapped.stderr);
    let place = |note| notes.find(note).unwrap_or_else(|| panic!("{note} is not in {notes}"));
    let connecting = place("tickhost tap: feed connecting: connecting to the broker");
    assert!(connecting < place("tickhost tap: feed live: connected to the broker"), "{notes}");
}
