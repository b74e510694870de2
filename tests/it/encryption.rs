//! The client port with a certificate: the same as without one, and what happens when the files change.

use std::{
    collections::BTreeSet,
    fs,
    time::{Duration, Instant},
};

use integration_tests::{Client, Host, HostBuilder, SOON, host::assert_ok, tls::Certificate, wait_until};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_tungstenite::tungstenite::Message;

fn builder(certificate: &Certificate) -> HostBuilder {
    let builder = HostBuilder::new();
    certificate.write(builder.dir());
    let path = |name: &str| builder.dir().join(name).display().to_string();
    let (certificate, key) = (path("certificate.pem"), path("key.pem"));
    builder.env("TICKHOST_TLS_CERT", certificate).env("TICKHOST_TLS_KEY", key)
}

async fn login(host: &Host, certificate: &Certificate) -> Client {
    let mut client = Client::connect_encrypted(host.websocket, certificate).await.unwrap();
    assert_eq!(client.authenticate(&host.key()).await["status"], "success");
    client
}

#[tokio::test]
async fn an_encrypted_client_has_everything_that_a_plain_one_has() {
    let certificate = Certificate::generate();
    let mut host = builder(&certificate).start();
    let served = format!("Tickhost serves wss://{}", host.websocket);
    wait_until("the newcomer is told so", || async { host.log().contains(&served) }).await;
    let mut client = login(&host, &certificate).await;
    let names = ["NSE:SBIN", "NSE:TCS", "NSE:INFY", "NSE:ITC"];
    assert_eq!(client.subscribe(&names, "Depth").await["status"], "success");
    for name in names {
        let (exchange, symbol) = name.split_once(':').unwrap();
        client.find(|tick| tick["symbol"] == symbol && tick["exchange"] == exchange).await;
    }
    client.send_raw(Message::Ping(b"are you there"[..].into())).await;
    client.send(&json!({"action": "ping"})).await;
    assert_eq!(client.find(|message| message["type"] == "pong").await["type"], "pong");
    // The limits count what the client says, not what its encryption adds.
    let mut unknown = Client::connect_encrypted(host.websocket, &certificate).await.unwrap();
    unknown.send_raw(Message::text(format!("\"{}\"", "x".repeat(16_200)))).await;
    assert_eq!(unknown.control().await["status"], "error");
    unknown.send_raw(Message::text("x".repeat(20 * 1_024))).await;
    assert!(matches!(unknown.closed().await, Some((1009, _)) | None));
    assert!(host.terminate().await.success());
    assert_eq!(client.closed().await.map(|(code, _)| code), Some(1001));
}

#[tokio::test]
async fn an_encrypted_client_that_does_not_read_conflates_and_then_has_the_newest() {
    const NAMES: [&str; 6] = ["NSE:SBIN", "NSE:TCS", "NSE:INFY", "NSE:ITC", "NSE:RELIANCE", "NSE:HDFCBANK"];
    let certificate = Certificate::generate();
    let host = builder(&certificate).env("TICKHOST_THROTTLE_MS", 0).sim("rate_hz = 50.0").start();
    let mut slow = login(&host, &certificate).await;
    assert_eq!(slow.subscribe(&NAMES, "Depth").await["status"], "success");
    // Nothing is read from here on until the host has begun to conflate.
    let started = Instant::now();
    while host.metric("tickhost_feed_conflated_outbox_total").await < 200.0 {
        assert!(started.elapsed() < 3 * SOON, "the client never fell behind");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let resumed_at = u64::try_from(since.as_millis()).unwrap();
    let mut fresh = BTreeSet::new();
    while fresh.len() < NAMES.len() {
        let tick = slow.tick().await;
        if tick["data"]["timestamp"].as_u64().unwrap() >= resumed_at {
            fresh.insert(tick["symbol"].as_str().unwrap().to_owned());
        }
    }
}

#[tokio::test]
async fn tap_trusts_the_certificate_of_its_settings_and_no_other() {
    let (certificate, other) = (Certificate::generate(), Certificate::generate());
    let host = builder(&certificate).start();
    let url = format!("wss://{}", host.websocket);
    let tap = ["tap", "--url", &url, "--count", "3", "NSE:SBIN"];
    let tapped = host.run(&tap, "");
    assert_ok(&tapped);
    assert_eq!(String::from_utf8_lossy(&tapped.stdout).matches("NSE:SBIN").count(), 3);
    // What the host shows stays, because the new files do not belong together.
    fs::write(host.dir().join("certificate.pem"), &other.pem).unwrap();
    let refused = host.run(&tap, "");
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && said.contains("certificate"), "{said}");
}

#[tokio::test]
async fn who_speaks_no_tls_is_told_so_and_harms_nobody() {
    let certificate = Certificate::generate();
    let host = builder(&certificate).start();
    let mut plain = TcpStream::connect(host.websocket).await.unwrap();
    plain.write_all(b"GET /ws HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    plain.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.ends_with("connect with wss://"), "{answer}");
    let _silent = TcpStream::connect(host.websocket).await.unwrap();
    let mut client = login(&host, &certificate).await;
    assert_eq!(client.subscribe(&["NSE:SBIN"], "LTP").await["status"], "success");
    client.tick().await;
    assert!(host.metric("tickhost_server_tls_handshakes_failed_total").await >= 1.0);
}

#[tokio::test]
async fn a_renewed_certificate_is_shown_to_new_clients_and_costs_old_ones_nothing() {
    let (first, second) = (Certificate::generate(), Certificate::generate());
    let host = builder(&first).start();
    let mut old = login(&host, &first).await;
    assert_eq!(old.subscribe(&["NSE:SBIN"], "LTP").await["status"], "success");
    // Half a renewal: refused, said, and without effect.
    fs::write(host.dir().join("certificate.pem"), &second.pem).unwrap();
    let reloaded = host.reload().await;
    assert_eq!(reloaded["refused"], 1, "{reloaded}");
    let said =
        host.messages("The certificate of the client port cannot be used; the one before stays in force");
    assert!(said[0]["error"].as_str().unwrap().contains("the key is not the certificate's"), "{said:?}");
    login(&host, &first).await;
    fs::write(host.dir().join("key.pem"), &second.key_pem).unwrap();
    // Nobody says so this time: the host looks by itself.
    wait_until("the new certificate is shown", || async {
        Client::connect_encrypted(host.websocket, &second).await.is_ok()
    })
    .await;
    assert!(Client::connect_encrypted(host.websocket, &first).await.is_err());
    old.tick().await;
    let log = host.log();
    for secret in [&first, &second].map(|certificate| certificate.key_pem.lines().nth(1).unwrap()) {
        assert!(!log.contains(secret), "{log}");
    }
}

#[tokio::test]
async fn a_certificate_that_cannot_be_used_stops_the_start_and_check_says_why() {
    let (one, other) = (Certificate::generate(), Certificate::generate());
    let builder = builder(&one);
    fs::write(builder.dir().join("key.pem"), &other.key_pem).unwrap();
    for command in ["run", "check"] {
        let output = builder.run(&[command], "");
        assert_eq!(output.status.code(), Some(1), "{command}");
        let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(
            said.contains("TICKHOST_TLS_CERT") && said.contains("the key is not the certificate's"),
            "{said}"
        );
    }
}

#[tokio::test]
async fn only_listed_pages_may_connect_and_a_reload_changes_the_list() {
    let host = HostBuilder::new().env("TICKHOST_CONFIG", "").start();
    assert!(Client::connect_from(host.websocket, "https://anything.example").await.is_ok());
    drop(host);
    let builder = HostBuilder::new();
    let settings = builder.dir().join("tickhost.toml");
    fs::write(&settings, "allowed_origins = ['https://app.example', 'http://localhost:3000']\n").unwrap();
    let host = builder.env("TICKHOST_CONFIG", settings.display()).start();
    let refused = async |origin: &str| Client::connect_from(host.websocket, origin).await.err();
    assert_eq!(refused("https://app.example").await, None);
    assert_eq!(refused("https://APP.example:443").await, None);
    assert_eq!(refused("https://app.example.evil.example").await, Some(403));
    assert_eq!(refused("null").await, Some(403));
    // A program that is no browser names none.
    let mut program = Client::login(host.websocket, &host.key()).await;
    assert_eq!(program.subscribe(&["NSE:SBIN"], "LTP").await["status"], "success");
    assert!((host.metric("tickhost_server_refused_origin_total").await - 2.0).abs() < 0.1);
    fs::write(&settings, "allowed_origins = 'https://other.example'\n").unwrap();
    assert_eq!(host.reload().await["followed"], 1);
    assert_eq!(refused("https://app.example").await, Some(403));
    assert_eq!(refused("https://other.example").await, None);
    program.tick().await;
}

#[tokio::test]
async fn silence_and_floods_before_the_handshake_end_within_their_bounds() {
    let certificate = Certificate::generate();
    let host = builder(&certificate).start();
    let mut silent = TcpStream::connect(host.websocket).await.unwrap();
    let mut endless = TcpStream::connect(host.websocket).await.unwrap();
    endless.write_all(b"\x16\x03\x01\x40\x00").await.unwrap();
    for socket in [&mut silent, &mut endless] {
        let ended = tokio::time::timeout(Duration::from_secs(15), socket.read(&mut [0; 64])).await;
        assert!(ended.is_ok(), "the host ends it");
    }
    let status: Value = host.status().await;
    assert_eq!(status["sessions"]["connections"], 0, "their places are free: {status}");
}
