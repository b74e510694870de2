//! Limits, and what a client is told at each.

use std::time::{Duration, Instant};

use integration_tests::{Client, Host, HostBuilder, wait_until};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_tungstenite::tungstenite::Message;

#[tokio::test]
async fn a_client_without_a_key_is_closed_at_the_end_of_its_grace() {
    let host = HostBuilder::new().env("WS_AUTH_GRACE_SECONDS", 1).start();
    let started = Instant::now();
    let mut client = Client::connect(host.websocket).await;
    client.send(&json!({"action": "ping"})).await;
    assert_eq!(client.closed().await, Some((4401, "auth timeout".to_owned())));
    assert!(started.elapsed() >= Duration::from_millis(900));
}

#[tokio::test]
async fn each_limit_on_connections_has_its_own_code() {
    let host = HostBuilder::new()
        .env("TICKHOST_MAX_CONNECTIONS", 5)
        .env("TICKHOST_MAX_CONNECTIONS_PER_ADDRESS", 4)
        .env("TICKHOST_MAX_CONNECTIONS_PER_KEY", 2)
        .start();
    let key = host.key();
    let mut first = Client::login(host.websocket, &key).await;
    let _second = Client::login(host.websocket, &key).await;
    let mut third = Client::connect(host.websocket).await;
    third.send(&json!({"action": "authenticate", "api_key": key})).await;
    assert_eq!(third.closed().await.map(|(code, _)| code), Some(4432));
    drop(third);
    wait_until("the place of the third is free", || async {
        host.status().await["sessions"]["connections"] == 2
    })
    .await;
    // Only those with a key count: without one they would make room for the sixth.
    let other = host.add_user("bob", "sim");
    let _fourth = Client::login(host.websocket, &other).await;
    let _fifth = Client::login(host.websocket, &other).await;
    let mut sixth = Client::connect(host.websocket).await;
    assert_eq!(sixth.closed().await.map(|(code, _)| code), Some(4431));
    first.subscribe(&["NSE:SBIN"], "LTP").await;
    first.tick().await;
}

#[tokio::test]
async fn a_full_host_says_so() {
    let host = HostBuilder::new().env("TICKHOST_MAX_CONNECTIONS", 1).start();
    let _first = Client::login(host.websocket, &host.key()).await;
    let mut second = Client::connect(host.websocket).await;
    assert_eq!(second.closed().await.map(|(code, _)| code), Some(1013));
}

#[tokio::test]
async fn a_long_message_is_refused_and_a_longer_one_only_after_the_key() {
    let host = Host::start();
    let mut unknown = Client::connect(host.websocket).await;
    unknown.send_raw(Message::text("x".repeat(20 * 1_024))).await;
    assert!(matches!(unknown.closed().await, Some((1009, _)) | None));
    let mut known = Client::login(host.websocket, &host.key()).await;
    known.send_raw(Message::text(format!("\"{}\"", "x".repeat(900 * 1_024)))).await;
    assert_eq!(known.control().await["code"], "SERVER_ERROR");
    known.send_raw(Message::text("x".repeat(1_100 * 1_024))).await;
    assert!(matches!(known.closed().await, Some((1009, _)) | None));
}

#[tokio::test]
async fn a_client_may_hold_so_many_subscriptions() {
    let host = HostBuilder::new().env("TICKHOST_MAX_SUBSCRIPTIONS_PER_CLIENT", 2).start();
    let mut client = Client::login(host.websocket, &host.key()).await;
    let ack = client.subscribe(&["NSE:SBIN", "NSE:TCS", "NSE:INFY"], "LTP").await;
    assert_eq!(ack["status"], "partial");
    assert_eq!(ack["subscriptions"][2]["status"], "error");
    assert!(ack["subscriptions"][2]["message"].as_str().unwrap().contains("limit"), "{ack}");
}

#[tokio::test]
async fn whoever_goes_in_the_middle_of_a_large_request_leaves_nothing_behind() {
    let host = Host::start();
    let key = host.add_user("bob", "bus");
    // Who keeps the feed, and sees that another's request comes to its end.
    let mut witness = Client::login(host.websocket, &key).await;
    let symbols: Vec<_> =
        (0..1_000).map(|number| json!({"symbol": format!("S{number}"), "exchange": "NSE"})).collect();
    let subscribe = json!({"action": "subscribe", "symbols": symbols, "mode": "Depth"});
    for (reads_acknowledgement, then) in [(false, None), (true, None), (true, Some("unsubscribe_all"))] {
        let mut client = Client::login(host.websocket, &key).await;
        client.send(&subscribe).await;
        if reads_acknowledgement {
            let ack = client.find(|message| message["type"] == "subscribe").await;
            assert_eq!(ack["status"], "success");
        }
        if let Some(action) = then {
            client.send(&json!({"action": action})).await;
        }
        drop(client);
        witness.send(&json!({"action": "ping"})).await;
        witness.find(|message| message["type"] == "pong").await;
        wait_until("all is given back", || async {
            let status = host.status().await;
            let feed = &status["feeds"][0];
            status["sessions"]["connections"] == 1 && feed["instruments"] == 0
        })
        .await;
    }
    // What is asked behind a large request is answered after it, and in order.
    witness.send(&subscribe).await;
    witness.send(&json!({"action": "unsubscribe_all"})).await;
    witness.send(&json!({"action": "ping"})).await;
    let mut order = Vec::new();
    for _ in 0..3 {
        order.push(witness.find(|message| message["type"] != "market_data").await["type"].clone());
    }
    assert_eq!(order, ["subscribe", "unsubscribe", "pong"]);
    wait_until("all is given back", || async { host.status().await["feeds"][0]["instruments"] == 0 }).await;
}

#[tokio::test]
async fn a_full_pool_says_so_in_the_words_that_clients_know() {
    let host =
        HostBuilder::new().env("MAX_SYMBOLS_PER_WEBSOCKET", 2).env("MAX_WEBSOCKET_CONNECTIONS", 2).start();
    let mut client = Client::login(host.websocket, &host.key()).await;
    let names = ["NSE:SBIN", "NSE:TCS", "NSE:INFY", "NSE:ITC", "NSE:RELIANCE"];
    let ack = client.subscribe(&names, "LTP").await;
    assert_eq!(
        ack["subscriptions"][4]["message"],
        "Maximum capacity reached: 2 connections × 2 symbols = 4 symbols. Currently subscribed to 4 symbols."
    );
    let status = host.status().await;
    assert_eq!(status["feeds"][0]["connections"], json!([2, 2]), "{status}");
    // Another mode of a symbol counts no second time.
    assert_eq!(client.subscribe(&["NSE:SBIN"], "Depth").await["status"], "success");
}

#[tokio::test]
async fn a_bare_connect_or_another_protocol_harms_nobody() {
    let host = Host::start();
    for bytes in [&b""[..], b"\0\0\0\0", b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00"] {
        let mut socket = tokio::net::TcpStream::connect(host.websocket).await.unwrap();
        socket.write_all(bytes).await.unwrap();
        socket.shutdown().await.unwrap();
        let mut answer = Vec::new();
        let _end = socket.read_to_end(&mut answer).await;
    }
    let mut client = Client::login(host.websocket, &host.key()).await;
    assert_eq!(client.subscribe(&["NSE:SBIN"], "LTP").await["status"], "success");
}

#[tokio::test]
async fn what_all_clients_of_a_key_hold_is_summed() {
    let host = HostBuilder::new().env("TICKHOST_MAX_SUBSCRIPTIONS_PER_KEY", 3).start();
    let key = host.key();
    let mut one = Client::login(host.websocket, &key).await;
    let mut other = Client::login(host.websocket, &key).await;
    one.subscribe(&["NSE:SBIN", "NSE:TCS"], "LTP").await;
    let partly = other.subscribe(&["NSE:SBIN", "NSE:INFY"], "LTP").await;
    assert_eq!(partly["subscriptions"][0]["status"], "success", "{partly}");
    assert_eq!(partly["subscriptions"][1]["code"], "SUBSCRIPTION_LIMIT_REACHED", "{partly}");
    // Another key has a limit of its own.
    let bob = host.add_user("bob", "sim");
    let mut third = Client::login(host.websocket, &bob).await;
    let whole = third.subscribe(&["NSE:SBIN", "NSE:TCS", "NSE:INFY"], "LTP").await;
    assert_eq!(whole["status"], "success", "{whole}");
    // What a client gives back, by a request or by its end, others may have.
    drop(one);
    wait_until("the end of the first is noticed", || async {
        host.status().await["sessions"]["connections"] == 2
    })
    .await;
    let again = other.subscribe(&["NSE:INFY", "NSE:TCS"], "LTP").await;
    assert_eq!(again["status"], "success", "{again}");
}
