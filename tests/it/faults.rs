//! What an adapter can do wrong, and what its clients and others notice.

use integration_tests::{Client, HostBuilder, PLUGINS, wait_until};

#[tokio::test]
async fn a_disconnect_is_a_gap() {
    let host =
        HostBuilder::new().sim("rate_hz = 50.0\n[adapter.config.faults]\ndisconnect_every_ms = 300").start();
    let mut client = Client::login(host.websocket, &host.key()).await;
    assert_eq!(client.subscribe(&["NSE:SBIN"], "LTP").await["status"], "success");
    wait_until("the feed was lost twice", || async {
        host.status().await["feeds"][0]["disconnects"].as_u64().is_some_and(|count| count >= 2)
    })
    .await;
    for _ in 0..20 {
        assert_eq!(client.tick().await["symbol"], "SBIN");
    }
}

#[tokio::test]
async fn a_panic_costs_a_restart_and_nobody_a_connection() {
    let host =
        HostBuilder::new().sim("rate_hz = 50.0\n[adapter.config.faults]\npanic_on_symbol = \"TCS\"").start();
    let mut client = Client::login(host.websocket, &host.key()).await;
    client.subscribe(&["NSE:SBIN"], "LTP").await;
    client.tick().await;
    let _ack = client.subscribe(&["NSE:TCS"], "LTP").await;
    wait_until("the adapter was started again", || async {
        host.status().await["feeds"][0]["restarts"].as_u64().is_some_and(|count| count >= 1)
    })
    .await;
    client.send(&serde_json::json!({"action": "ping"})).await;
    client.find(|message| message["type"] == "pong").await;
}

#[tokio::test]
async fn an_adapter_that_cannot_be_loaded_is_no_ready_host_although_nobody_has_logged_in() {
    let builder = HostBuilder::new();
    let library = builder.dir().join("no_library.so");
    std::fs::write(&library, "a page that says that the download is gone").unwrap();
    let listed = format!("[[adapter]]\nname = \"other\"\nlibrary = {library:?}\nbrokers = [\"upstox\"]\n");
    let host = builder.plugins(&format!("{PLUGINS}\n{listed}")).start();
    let answer = host.get("/readyz").await;
    let reason = &serde_json::from_str::<serde_json::Value>(&answer.body).unwrap()["reasons"][0];
    assert_eq!(
        (answer.status, &reason["adapter"], &reason["broker"]),
        (503, &"other".into(), &"upstox".into())
    );
    assert!(reason["message"].as_str().is_some_and(|message| message.contains("no_library.so")), "{reason}");
    // The others go on.
    let mut client = Client::login(host.websocket, &host.key()).await;
    client.subscribe(&["NSE:SBIN"], "LTP").await;
    client.tick().await;
}

#[tokio::test]
async fn a_refused_log_in_shows_and_does_not_flood_the_broker() {
    let host = HostBuilder::new().sim("[adapter.config.faults]\nauth_failure = \"always\"").start();
    let mut client = Client::login(host.websocket, &host.key()).await;
    let ack = client.subscribe(&["NSE:SBIN"], "LTP").await;
    assert_eq!(ack["type"], "subscribe");
    wait_until("the state shows", || async { host.status().await["feeds"][0]["state"] == "auth_failed" })
        .await;
    assert_eq!(host.get("/readyz").await.status, 503);
}

#[tokio::test]
async fn ticks_of_numbers_that_nobody_gave_out_reach_nobody() {
    let host = HostBuilder::new().sim("rate_hz = 50.0\n[adapter.config.faults]\nstray_ticks = true").start();
    let mut client = Client::login(host.websocket, &host.key()).await;
    client.subscribe(&["NSE:SBIN"], "LTP").await;
    wait_until("stray ticks are counted", || async {
        host.metric("tickhost_feed_dropped_unsubscribed_total").await > 10.0
    })
    .await;
    for _ in 0..20 {
        assert_eq!(client.tick().await["symbol"], "SBIN");
    }
}

#[tokio::test]
async fn a_mute_feed_is_not_called_live() {
    let host = HostBuilder::new()
        .env("WS_STALE_TICK_WARN_SECONDS", 1)
        .sim("rate_hz = 50.0\n[adapter.config.faults]\nmute_after_ms = 200")
        .start();
    let mut client = Client::login(host.websocket, &host.key()).await;
    client.subscribe(&["NSE:SBIN"], "LTP").await;
    wait_until("the silence shows", || async { host.status().await["feeds"][0]["state"] == "stale" }).await;
    assert_eq!(host.get("/readyz").await.status, 503);
}

#[tokio::test]
async fn a_subscribe_is_answered_while_the_broker_is_slow_to_connect() {
    let host =
        HostBuilder::new().sim("rate_hz = 50.0\n[adapter.config.faults]\nconnect_delay_ms = 3000").start();
    let mut client = Client::login(host.websocket, &host.key()).await;
    let ack = client.subscribe(&["NSE:SBIN", "NSE:BAD1"], "LTP").await;
    assert_eq!(
        (&ack["status"], &ack["subscriptions"][0]["status"]),
        (&"partial".into(), &"success".into()),
        "{ack}"
    );
    assert_eq!(client.tick().await["symbol"], "SBIN");
}
