//! What the console of the real host shows, to whom, and whether it is so. How it looks is tested in
//! `tests/browser`.

use std::time::Duration;

use integration_tests::{
    Client, Host, HostBuilder, SOON,
    host::assert_ok,
    http::{self, Response},
    wait_until,
};
use serde_json::Value;

fn token(host: &Host) -> String {
    let printed = host.run(&["console"], "");
    assert_ok(&printed);
    let link = String::from_utf8(printed.stdout).unwrap();
    let (address, token) = link.trim().split_once("/console#token=").expect("a link");
    assert_eq!(address, format!("http://{}", host.admin));
    token.to_owned()
}

async fn ask(host: &Host, path: &str, token: &str) -> Response {
    let head = format!(
        "GET {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n",
        host.admin
    );
    http::request(host.admin, &head).await
}

async fn live(host: &Host, token: &str) -> Value {
    let answer = ask(host, "/console/api/live", token).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    serde_json::from_str(&answer.body).unwrap()
}

#[tokio::test]
async fn the_token_outlives_the_host_and_stands_in_no_log() {
    let mut host = Host::start();
    let token = token(&host);
    assert_eq!(live(&host, &token).await["readiness"]["ready"], true);
    for wrong in ["", "0", &"0".repeat(32)] {
        assert_eq!(ask(&host, "/console/api/live", wrong).await.status, 401);
        assert_eq!(ask(&host, "/api/websocket/apikey", wrong).await.status, 401);
    }
    let stored = std::fs::read_to_string(host.data_dir().join("console.token")).unwrap();
    assert_eq!(stored.trim(), token);
    assert!(host.terminate().await.success());
    assert!(!host.log().contains(&token), "{}", host.log());
    let refused = host.run(&["console"], "");
    assert!(!refused.status.success(), "there is no host to be shown");
    assert!(String::from_utf8_lossy(&refused.stderr).contains("tickhost run"));
}

#[tokio::test]
async fn it_shows_each_client_and_what_ticks_take() {
    let host = HostBuilder::new().sim("rate_hz = 50.0").env("TICKHOST_FEED_LINGER_SECONDS", 60).start();
    let token = token(&host);
    let mut client = Client::login(host.websocket, &host.key()).await;
    client.subscribe(&["NSE:SBIN", "NSE:TCS"], "LTP").await;
    let mut other = Client::login(host.websocket, &host.key()).await;
    other.subscribe(&["NSE_INDEX:NIFTY"], "LTP").await;
    let measured = async {
        loop {
            for _ in 0..20 {
                client.tick().await;
                other.tick().await;
            }
            let state = live(&host, &token).await;
            let recent = state["recent"][0].clone();
            if recent["host_p99_us"].is_u64()
                && recent["ticks_per_second"].as_f64().is_some_and(|rate| rate > 10.0)
            {
                return state;
            }
        }
    };
    let state = tokio::time::timeout(SOON, measured).await.expect("latency is measured");
    let rows = state["clients"]["rows"].as_array().unwrap();
    let mut held: Vec<u64> = rows.iter().map(|row| row["subscriptions"].as_u64().unwrap()).collect();
    held.sort_unstable();
    assert_eq!((state["clients"]["total"].as_u64(), held), (Some(2), vec![1, 2]));
    for row in rows {
        assert_eq!((&row["user"], &row["feed"], &row["behind"]), (&"demo".into(), &1.into(), &false.into()));
        let lag_us = row["lag_us"].as_u64().unwrap();
        assert!((1..10_000_000).contains(&lag_us) && row["written"].as_u64().unwrap() >= 20, "{row}");
    }
    assert!(!state["samples"].as_array().unwrap().is_empty());
    let found = ask(&host, "/console/api/symbols?find=sbin", &token).await;
    let found: Value = serde_json::from_str(&found.body).unwrap();
    assert_eq!((&found["listed"], &found["symbols"][0]["symbol"]), (&true.into(), &"SBIN".into()));
}

#[tokio::test]
async fn a_hundred_viewers_cost_one_survey_and_no_client_a_tick() {
    let host = HostBuilder::new().sim("rate_hz = 20.0").start();
    let token = token(&host);
    let mut client = Client::login(host.websocket, &host.key()).await;
    client.subscribe(&["NSE:SBIN"], "LTP").await;
    client.tick().await;
    let viewers = async {
        for _ in 0..4 {
            let asked = (0..25).map(|_| ask(&host, "/console/api/live", &token));
            for answer in futures_util::future::join_all(asked).await {
                assert_eq!(answer.status, 200);
            }
        }
    };
    let ticking = async {
        for _ in 0..20 {
            assert!(client.next_within(Duration::from_secs(5)).await.is_some(), "ticks go on");
        }
    };
    tokio::join!(viewers, ticking);
    assert_eq!(host.metric("tickhost_feed_conflated_outbox_total").await, 0.0);
}

#[tokio::test]
async fn openalgos_health_page_finds_its_numbers() {
    let builder = HostBuilder::new();
    let path = builder.dir().join("log").join("ws_proxy_stats.json");
    let mut host = builder.env("WS_PROXY_STATS_FILE", path.display()).start();
    wait_until("the file is written", || async { path.exists() }).await;
    let stats: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    assert!(stats["timestamp"].is_f64() && stats["brokers"].is_array(), "{stats}");
    assert!(host.terminate().await.success());
    assert!(!path.exists(), "numbers of a host that is gone are not left");
}
