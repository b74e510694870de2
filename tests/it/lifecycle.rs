//! Start, stop, and what the operator sees.

use integration_tests::{Client, Host, HostBuilder, host::assert_ok, wait_until};
use serde_json::json;

#[tokio::test]
async fn the_first_run_leaves_a_key_and_the_second_finds_it() {
    let mut host = Host::start();
    assert!(host.key().len() > 20);
    wait_until("the newcomer is told what to do", || async { host.log().contains("tap NSE:SBIN") }).await;
    assert!(!host.log().lines().filter(|line| line.starts_with('{')).any(|line| line.contains(&host.key())));
    assert!(host.terminate().await.success());
}

#[tokio::test]
async fn a_first_run_without_the_synthetic_exchange_says_how_somebody_can_log_in() {
    let host = HostBuilder::new()
        .plugins("[[adapter]]\nname = \"faulty\"\nlibrary = \"adapter_faulty\"\n[adapter.config]\nvenue = \"127.0.0.1:1\"\n")
        .start();
    wait_until("the newcomer is told what to do", || async { host.log().contains("user add NAME") }).await;
    let users = host.run(&["user", "list"], "");
    assert_ok(&users);
    assert!(!String::from_utf8_lossy(&users.stdout).contains("demo"), "nobody was made up");
    assert!(!host.log().contains("synthetic exchange"));
}

#[tokio::test]
async fn a_health_check_tells_a_host_that_runs_from_one_that_does_not() {
    let mut host = Host::start();
    let alive = host.run(&["alive"], "");
    assert_ok(&alive);
    assert!(String::from_utf8_lossy(&alive.stdout).contains(&host.admin.to_string()));
    // Killed, it leaves the file that leads to it.
    host.kill();
    let gone = host.run(&["alive"], "");
    assert_eq!(gone.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&gone.stderr).contains("no host answers"));
}

#[tokio::test]
async fn a_stop_says_goodbye_to_every_client() {
    let mut host = Host::start();
    let mut client = Client::login(host.websocket, &host.key()).await;
    client.subscribe(&["NSE:SBIN"], "LTP").await;
    client.tick().await;
    let closed = tokio::spawn(async move { client.closed().await });
    assert!(host.terminate().await.success(), "{}", host.log());
    assert_eq!(closed.await.unwrap().map(|(code, _)| code), Some(1001));
}

#[tokio::test]
async fn the_operators_port_tells_the_truth() {
    let host = Host::start();
    assert_eq!(host.get("/livez").await.status, 200);
    assert_eq!(host.get("/readyz").await.status, 200);
    assert_eq!(host.get("/nothing").await.status, 404);
    let mut client = Client::login(host.websocket, &host.key()).await;
    client.subscribe(&["NSE:SBIN", "NSE:TCS"], "LTP").await;
    client.tick().await;
    wait_until("the feed is live", || async {
        let feed = host.status().await["feeds"][0].clone();
        feed["state"] == "live" && feed["instruments"] == 2 && feed["broker"] == "sim"
    })
    .await;
    assert!(host.metric("tickhost_feed_received_total").await > 0.0);
    assert_eq!(host.metric("tickhost_sessions").await, 1.0);
}

#[tokio::test]
async fn the_accounts_of_a_feed_balance_when_nothing_is_under_way() {
    let host = HostBuilder::new().sim("rate_hz = 200.0").start();
    let mut client = Client::login(host.websocket, &host.key()).await;
    client.subscribe(&["NSE:SBIN", "NSE:TCS", "CRYPTO:BTC_INR"], "Depth").await;
    for _ in 0..50 {
        client.tick().await;
    }
    client.send(&json!({"action": "unsubscribe_all"})).await;
    client.find(|message| message["type"] == "unsubscribe").await;
    let value = async |name: &str| host.metric(&format!("tickhost_feed_{name}_total")).await;
    wait_until("the accounts balance", || async {
        let received = value("received").await;
        let intake = value("routed").await
            + value("conflated_intake").await
            + value("dropped_unsubscribed").await
            + value("dropped_invalid").await
            + value("dropped_retired").await;
        let updates = value("updates").await;
        let throttled = value("emitted").await
            + value("conflated_throttle").await
            + value("repeated").await
            + value("empty").await
            + value("abandoned").await;
        let offered = value("offered").await;
        let delivered = value("written").await + value("conflated_outbox").await + value("discarded").await;
        received > 0.0 && received == intake && updates == throttled && offered > 0.0 && offered == delivered
    })
    .await;
}

#[tokio::test]
async fn a_check_finds_every_mistake_at_once() {
    let builder = HostBuilder::new()
        .env("WEBSOCKET_HOST", "0.0.0.0")
        .env("TICKHOST_THROTTLE_MS", "soon")
        .env("TICKHOST_THROTTEL_MS", "50")
        .plugins("[bus]\nbrokers = [\"sim\"]\n[[adapter]]\nname = \"sim\"\nlibrary = \"adapter_nowhere\"\ncolour = 1\n");
    let checked = builder.run(&["check"], "");
    assert!(!checked.status.success());
    let said =
        format!("{}{}", String::from_utf8_lossy(&checked.stdout), String::from_utf8_lossy(&checked.stderr));
    for needle in
        ["WEBSOCKET_HOST", "TICKHOST_ALLOW_REMOTE", "TICKHOST_THROTTLE_MS", "TICKHOST_THROTTEL_MS", "colour"]
    {
        assert!(said.contains(needle), "nothing about {needle} in:\n{said}");
    }
    assert_ok(&HostBuilder::new().run(&["check"], ""));
}

#[tokio::test]
async fn adapters_are_listed_with_versions_and_limits() {
    let listed = HostBuilder::new().run(&["adapters"], "");
    assert_ok(&listed);
    let text = String::from_utf8_lossy(&listed.stdout);
    for needle in ["sim", "1.0", env!("CARGO_PKG_VERSION"), "1000"] {
        assert!(text.contains(needle), "nothing about {needle} in:\n{text}");
    }
}

#[tokio::test]
async fn tap_shows_live_prices() {
    let host = Host::start();
    let url = format!("ws://{}", host.websocket);
    let tapped = host.run(&["tap", "--url", &url, "--count", "3", "NSE:SBIN"], "");
    assert_ok(&tapped);
    let text = String::from_utf8_lossy(&tapped.stdout);
    assert!(text.lines().filter(|line| line.contains("SBIN")).count() >= 3, "{text}");
}
