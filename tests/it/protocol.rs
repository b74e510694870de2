//! The client protocol as a client meets it.

use integration_tests::{Client, Host, wait_until};
use serde_json::{Value, json};

#[tokio::test]
async fn a_newcomer_logs_in_subscribes_and_sees_moving_prices() {
    let host = Host::start();
    let mut client = Client::login(host.websocket, &host.key()).await;
    let ack = client.subscribe(&["NSE:SBIN"], "LTP").await;
    assert_eq!(ack["type"], "subscribe");
    assert_eq!(ack["status"], "success", "{ack}");
    let entry = &ack["subscriptions"][0];
    assert_eq!(
        (&entry["symbol"], &entry["exchange"], &entry["mode"]),
        (&json!("SBIN"), &json!("NSE"), &json!("LTP"))
    );
    let mut prices = std::collections::BTreeSet::new();
    while prices.len() < 3 {
        let tick = client.tick().await;
        assert_eq!(
            (&tick["symbol"], &tick["mode"], &tick["broker"]),
            (&json!("SBIN"), &json!(1), &json!("sim"))
        );
        assert_eq!(tick["ltp"], tick["data"]["ltp"]);
        assert!(tick["data"]["timestamp"].is_u64() && tick["data"]["volume"].is_u64(), "{tick}");
        assert!(tick["data"].get("depth").is_none() && tick.get("depth").is_none());
        prices.insert(tick["ltp"].to_string());
    }
}

#[tokio::test]
async fn a_key_that_is_wrong_is_refused_and_the_next_may_be_right() {
    let host = Host::start();
    let mut client = Client::connect(host.websocket).await;
    client.send(&json!({"action": "subscribe", "symbol": "SBIN", "exchange": "NSE", "mode": 1})).await;
    assert_eq!(client.next().await["code"], "NOT_AUTHENTICATED");
    let refused = client.authenticate("wrong").await;
    assert_eq!((&refused["status"], &refused["code"]), (&json!("error"), &json!("AUTHENTICATION_ERROR")));
    assert!(refused.get("type").is_none());
    assert_eq!(client.authenticate(&host.key()).await["type"], "auth");
    assert_eq!(client.authenticate(&host.key()).await["status"], "success");
}

#[tokio::test]
async fn frames_pipelined_behind_the_key_are_handled_in_order() {
    let host = Host::start();
    let mut client = Client::connect(host.websocket).await;
    client.send(&json!({"action": "authenticate", "api_key": host.key()})).await;
    client
        .send(
            &json!({"action": "subscribe", "symbols": [{"symbol": "TCS", "exchange": "NSE"}], "mode": "ltp"}),
        )
        .await;
    client.send(&json!({"action": "ping", "timestamp": 5, "_pingId": "p"})).await;
    let types: Vec<Value> = vec![
        client.control().await["type"].clone(),
        client.control().await["type"].clone(),
        client.control().await["type"].clone(),
    ];
    assert_eq!(types, ["auth", "subscribe", "pong"]);
}

#[tokio::test]
async fn a_silent_client_is_told_that_it_is_authenticated_and_a_talking_one_is_not() {
    let host = Host::start();
    let mut silent = Client::login(host.websocket, &host.key()).await;
    let nudge = silent.next().await;
    assert_eq!((&nudge["type"], &nudge["status"]), (&json!("auth_status"), &json!("authenticated")));
    let mut talking = Client::login(host.websocket, &host.key()).await;
    assert_eq!(talking.subscribe(&["NSE:SBIN"], "LTP").await["type"], "subscribe");
    for _ in 0..20 {
        assert_eq!(talking.next().await["type"], "market_data");
    }
}

#[tokio::test]
async fn the_acknowledgement_says_of_each_symbol_what_became_of_it() {
    let host = Host::start();
    let mut client = Client::login(host.websocket, &host.key()).await;
    client
        .send(&json!({"action": "subscribe", "mode": 2, "request_id": {"any": 1}, "symbols": [
            {"symbol": "SBIN", "exchange": "NSE"}, {"symbol": "BAD1", "exchange": "NSE"},
            {"symbol": "NO SUCH", "exchange": "NSE"}, "CRYPTO:SOL_INR"]}))
        .await;
    let ack = client.control().await;
    assert_eq!((&ack["status"], &ack["request_id"]), (&json!("partial"), &json!({"any": 1})));
    let outcome: Vec<_> = ack["subscriptions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["status"].as_str().unwrap())
        .collect();
    assert_eq!(outcome, ["success", "error", "error", "success"]);
    assert_eq!(ack["subscriptions"][1]["message"], "Symbol BAD1 not found");
    let names: std::collections::BTreeSet<String> = {
        let mut names = std::collections::BTreeSet::new();
        while names.len() < 2 {
            names.insert(client.tick().await["symbol"].as_str().unwrap().to_owned());
        }
        names
    };
    assert_eq!(names.into_iter().collect::<Vec<_>>(), ["SBIN", "SOL_INR"]);
}

#[tokio::test]
async fn every_mode_that_a_client_holds_gets_its_frames() {
    let host = Host::start();
    let mut client = Client::login(host.websocket, &host.key()).await;
    for mode in ["LTP", "Quote", "Depth"] {
        assert_eq!(client.subscribe(&["NSE:SBIN"], mode).await["status"], "success");
    }
    let mut seen = std::collections::BTreeMap::<u64, u32>::new();
    while seen.len() < 3 || seen.values().any(|count| *count < 3) {
        let tick = client.tick().await;
        let mode = tick["mode"].as_u64().unwrap();
        assert_eq!(tick["data"].get("depth").is_some(), mode == 3, "{tick}");
        if mode == 3 {
            assert_eq!(tick["data"]["depth"]["buy"].as_array().unwrap().len(), 5);
            assert_eq!(tick["depth"], tick["data"]["depth"]);
        }
        *seen.entry(mode).or_default() += 1;
    }
    // One mode given up leaves the others.
    client.send(&json!({"action": "unsubscribe", "symbol": "SBIN", "exchange": "NSE", "mode": 3})).await;
    let ack = client.find(|message| message["type"] == "unsubscribe").await;
    assert_eq!(ack["successful"][0]["status"], "success", "{ack}");
    for _ in 0..20 {
        assert_ne!(client.tick().await["mode"], 3);
    }
}

#[tokio::test]
async fn unsubscribing_without_a_mode_ends_every_stream_of_the_symbol() {
    let host = Host::start();
    let mut client = Client::login(host.websocket, &host.key()).await;
    client.subscribe(&["NSE:SBIN", "NSE:TCS"], "LTP").await;
    client.subscribe(&["NSE:SBIN"], "Quote").await;
    client.send(&json!({"action": "unsubscribe", "symbols": [{"symbol": "SBIN", "exchange": "NSE"}]})).await;
    client.find(|message| message["type"] == "unsubscribe").await;
    for _ in 0..30 {
        assert_eq!(client.tick().await["symbol"], "TCS");
    }
    client.send(&json!({"type": "unsubscribe_all"})).await;
    let ack = client.find(|message| message["type"] == "unsubscribe").await;
    assert_eq!(ack["status"], "success");
    client.send(&json!({"action": "ping"})).await;
    assert_eq!(client.next().await["type"], "pong");
}

#[tokio::test]
async fn the_last_value_follows_the_acknowledgement_as_a_snapshot() {
    let host = Host::start();
    let key = host.key();
    let mut first = Client::login(host.websocket, &key).await;
    first.subscribe(&["NSE:SBIN"], "Quote").await;
    first.tick().await;
    let mut second = Client::login(host.websocket, &key).await;
    assert_eq!(second.subscribe(&["NSE:SBIN"], "Quote").await["type"], "subscribe");
    let snapshot = second.next().await;
    assert_eq!(snapshot["snapshot"], true, "{snapshot}");
    assert!(second.tick().await.get("snapshot").is_none());
}

#[tokio::test]
async fn depth_comes_with_the_levels_that_each_client_asked_for() {
    let host = Host::start();
    let key = host.key();
    let mut five = Client::login(host.websocket, &key).await;
    five.send(&json!({"action": "subscribe", "symbol": "SBIN", "exchange": "NSE", "mode": 3})).await;
    assert_eq!(five.control().await["subscriptions"][0]["depth"], 5);
    let mut fifty = Client::login(host.websocket, &key).await;
    fifty.send(&json!({"action": "subscribe", "symbol": "SBIN", "exchange": "NSE", "mode": 3, "depth_level": 50})).await;
    assert_eq!(fifty.control().await["subscriptions"][0]["depth"], 50);
    fifty.find(|tick| tick["data"]["depth"]["buy"].as_array().is_some_and(|levels| levels.len() == 50)).await;
    for _ in 0..10 {
        assert_eq!(five.tick().await["data"]["depth"]["sell"].as_array().unwrap().len(), 5);
    }
    let mut suffixed = Client::login(host.websocket, &key).await;
    suffixed.subscribe(&["NSE:SBIN:20"], "Depth").await;
    let tick = suffixed.tick().await;
    assert_eq!(tick["symbol"], "SBIN:20");
    assert_eq!(tick["data"]["depth"]["buy"].as_array().unwrap().len(), 20);
}

#[tokio::test]
async fn questions_are_answered() {
    let host = Host::start();
    let mut client = Client::connect(host.websocket).await;
    client.send(&json!({"action": "get_supported_brokers"})).await;
    let brokers = client.next().await;
    assert_eq!(brokers["brokers"], json!(["bus", "sim"]));
    client.authenticate(&host.key()).await;
    client.subscribe(&["NSE:SBIN"], "LTP").await;
    client.tick().await;
    // Ticks and news of the connection come by different ways; on a machine that is busy, the news may be
    // second.
    wait_until("the feed is live", || async { host.status().await["feeds"][0]["state"] == "live" }).await;
    client.send(&json!({"action": "get_broker_info"})).await;
    let info = client.control().await;
    assert_eq!((&info["broker"], &info["adapter_status"]), (&json!("sim"), &json!("connected")));
    client.send(&json!({"action": "subscribe_orders", "request_id": "o"})).await;
    assert_eq!(client.control().await["request_id"], "o");
    client.send(&json!({"action": "nonsense"})).await;
    assert_eq!(client.control().await["code"], "INVALID_ACTION");
}

#[tokio::test]
async fn three_thousand_symbols_fit_one_request() {
    let host = Host::start();
    let mut client = Client::login(host.websocket, &host.key()).await;
    let symbols: Vec<Value> =
        (0..3_000).map(|number| json!({"symbol": format!("UNKNOWN{number}"), "exchange": "NSE"})).collect();
    client.send(&json!({"action": "subscribe", "symbols": symbols, "mode": "Quote"})).await;
    let ack = client.control().await;
    assert_eq!(ack["status"], "partial");
    assert_eq!(ack["subscriptions"].as_array().unwrap().len(), 3_000);
}

#[tokio::test]
async fn a_symbol_without_a_book_is_refused_in_mode_depth_and_served_in_the_others() {
    let host = Host::start();
    let mut client = Client::login(host.websocket, &host.key()).await;
    let ack = client.subscribe(&["NSE_INDEX:NIFTY"], "LTP").await;
    assert_eq!(ack["status"], "success", "{ack}");
    let ack = client.subscribe(&["NSE_INDEX:NIFTY", "NSE:SBIN"], "Depth").await;
    assert_eq!(ack["status"], "partial", "{ack}");
    let [index, share] = [0, 1].map(|place| ack["subscriptions"][place].clone());
    assert_eq!((&index["status"], &index["code"]), (&json!("error"), &json!("SUBSCRIPTION_ERROR")));
    assert!(index["message"].as_str().unwrap().contains("no market depth"), "{index}");
    assert_eq!((&share["status"], &share["depth"]), (&json!("success"), &json!(5)));
    client.find(|tick| tick["symbol"] == "SBIN" && tick["mode"] == 3).await;
    let tick = client.find(|tick| tick["symbol"] == "NIFTY").await;
    assert_eq!(tick["mode"], 1);
}
