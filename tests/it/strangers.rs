//! Connections that show no key: they keep nobody out, plain or encrypted, and cost little.

use std::time::{Duration, Instant};

use integration_tests::{Client, Host, HostBuilder, tls, tls::Certificate, wait_until};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// A host with room for 60 clients and 20 strangers.
fn small() -> HostBuilder {
    HostBuilder::new()
        .env("TICKHOST_MAX_CONNECTIONS", 60)
        .env("TICKHOST_MAX_CONNECTIONS_PER_ADDRESS", 40)
        .env("TICKHOST_MAX_CONNECTIONS_WITHOUT_KEY", 20)
        .env("TICKHOST_MAX_CONNECTIONS_WITHOUT_KEY_PER_ADDRESS", 16)
}

/// Three times as many bare connections as there is room for, which say nothing and stay.
async fn crowd(host: &Host) -> Vec<TcpStream> {
    let mut crowd = Vec::new();
    for _ in 0..240 {
        crowd.push(TcpStream::connect(host.websocket).await.unwrap());
    }
    wait_until("all were accepted", || async {
        host.metric("tickhost_server_connections_total").await >= 240.0
    })
    .await;
    crowd
}

#[tokio::test]
async fn bare_connections_keep_nobody_out() {
    let host = small().start();
    let key = host.key();
    let mut early = Client::login(host.websocket, &key).await;
    let crowd = crowd(&host).await;
    let mut clients = Vec::new();
    for _ in 0..39 {
        clients.push(Client::login(host.websocket, &key).await);
    }
    early.subscribe(&["NSE:SBIN"], "LTP").await;
    early.tick().await;
    let sessions = host.status().await["sessions"].clone();
    assert!(sessions["connections"].as_u64() <= Some(80), "{sessions}");
    assert_eq!(sessions["total"], 40, "{sessions}");
    let displaced = host.metric("tickhost_server_connections_displaced_total").await;
    assert!(displaced >= 200.0, "{displaced}");
    // As many with a key as may: the next one is told so, whoever else is there.
    let mut full = Client::connect(host.websocket).await;
    assert_eq!(full.closed().await.map(|(code, _)| code), Some(4431));
    drop(crowd);
}

#[tokio::test]
async fn bare_connections_to_an_encrypted_port_keep_nobody_out() {
    let certificate = Certificate::generate();
    let builder = small();
    certificate.write(builder.dir());
    let path = |name: &str| builder.dir().join(name).display().to_string();
    let (pem, key) = (path("certificate.pem"), path("key.pem"));
    let host = builder.env("TICKHOST_TLS_CERT", pem).env("TICKHOST_TLS_KEY", key).start();
    let crowd = crowd(&host).await;
    let mut upgrading = Vec::new();
    for _ in 0..30 {
        upgrading.push(tls::connect(host.websocket, &certificate).await.unwrap());
    }
    let mut clients = Vec::new();
    for _ in 0..30 {
        let mut client = Client::connect_encrypted(host.websocket, &certificate).await.unwrap();
        assert_eq!(client.authenticate(&host.key()).await["status"], "success");
        clients.push(client);
    }
    assert!(host.metric("tickhost_server_tls_handshakes_refused_total").await >= 150.0);
    drop((crowd, upgrading));
}

#[tokio::test]
async fn who_is_displaced_is_told_so_and_may_come_back() {
    let host = small().start();
    let mut oldest = Client::connect(host.websocket).await;
    let mut upgrading = TcpStream::connect(host.websocket).await.unwrap();
    upgrading.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
    let _crowd: Vec<_> = {
        let mut crowd = Vec::new();
        for _ in 0..85 {
            crowd.push(TcpStream::connect(host.websocket).await.unwrap());
        }
        crowd
    };
    assert_eq!(oldest.closed().await, Some((1013, "too many connections".to_owned())));
    let mut said = String::new();
    upgrading.read_to_string(&mut said).await.unwrap();
    assert!(said.starts_with("HTTP/1.1 503 ") && said.contains("retry-after: 10"), "{said}");
    Client::login(host.websocket, &host.key()).await;
}

#[tokio::test]
async fn strangers_beyond_their_quota_go_by_themselves() {
    let host = small().env("WS_AUTH_GRACE_SECONDS", 60).start();
    let started = Instant::now();
    let mut crowd = Vec::new();
    for _ in 0..30 {
        crowd.push(Client::connect(host.websocket).await);
    }
    assert_eq!(host.status().await["sessions"]["without_key"], 30);
    wait_until("those beyond the quota are gone", || async {
        host.status().await["sessions"]["without_key"] == 16
    })
    .await;
    assert!(started.elapsed() >= Duration::from_secs(5));
    assert_eq!(crowd[0].closed().await.map(|(code, _)| code), Some(4431));
    crowd[29].send(&json!({"action": "authenticate", "api_key": host.key()})).await;
    assert_eq!(crowd[29].control().await["status"], "success");
}
