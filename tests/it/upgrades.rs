//! Requests at the client port, over real sockets, plain and encrypted: what is legal becomes a WebSocket,
//! and whoever is refused is told why, is counted, and shows up in the log.

use std::{collections::BTreeMap, fmt::Write as _};

use integration_tests::{Client, Host, HostBuilder, SOON, tls, tls::Certificate, wait_until};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
};

const UPGRADE: &str = "Upgrade: websocket\r\nConnection: keep-alive, Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// A case: what it is, the request, the status, what the head has, and the reason in the metric; none when it
/// is accepted.
type Case = (&'static str, String, u16, &'static str, Option<&'static str>);

fn cases() -> Vec<Case> {
    let whole = |line: &str, headers: &str| format!("{line}\r\nHost: x\r\n{headers}\r\n");
    let get = |headers: &str| whole("GET /ws?x=1 HTTP/1.1", headers);
    let cookies = |bytes: usize| format!("{UPGRADE}Cookie: {}\r\n", "c".repeat(bytes));
    let many = |count: usize| {
        let headers = (0..count).fold(String::new(), |mut all, number| {
            _ = write!(all, "X-{number}: 1\r\n");
            all
        });
        format!("{UPGRADE}{headers}")
    };
    let accepted = "sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
    let version = "sec-websocket-version: 13";
    let other = |version: &str| UPGRADE.replace("Version: 13", &format!("Version: {version}"));
    vec![
        ("a browser", get(UPGRADE), 101, accepted, None),
        ("16.5 KB of cookies", get(&cookies(16_500)), 101, accepted, None),
        ("60 KB of cookies", get(&cookies(60_000)), 101, accepted, None),
        ("200 headers", get(&many(200)), 101, accepted, None),
        (
            "names in capitals",
            get(&UPGRADE.to_uppercase().replace("DGHLIHNHBXBSZSBUB25JZQ", "dGhlIHNhbXBsZSBub25jZQ")),
            101,
            accepted,
            None,
        ),
        (
            "subprotocols and extensions",
            get(&format!(
                "{UPGRADE}Sec-WebSocket-Protocol: a\r\nSec-WebSocket-Extensions: permessage-deflate\r\n"
            )),
            101,
            accepted,
            None,
        ),
        ("a whole address", whole("GET ws://x/ws HTTP/1.1", UPGRADE), 101, accepted, None),
        ("another version", get(&other("8")), 426, version, Some("websocket_version")),
        (
            "a browser's address bar",
            get("Accept: text/html\r\n"),
            426,
            "upgrade: websocket",
            Some("no_upgrade"),
        ),
        ("POST", whole("POST / HTTP/1.1", "Content-Length: 2\r\n") + "{}", 405, "allow: GET", Some("method")),
        ("HTTP/1.0", whole("GET / HTTP/1.0", UPGRADE), 505, "connection: close", Some("http_version")),
        ("no host", format!("GET / HTTP/1.1\r\n{UPGRADE}\r\n"), 400, "connection: close", Some("host")),
        ("a key that is none", get(&UPGRADE.replace("dGhl", "dG")), 400, "connection: close", Some("key")),
        (
            "no HTTP",
            "\u{1}\u{2}\u{3} nothing\r\n\r\n".to_owned(),
            400,
            "connection: close",
            Some("malformed"),
        ),
        (
            "a page that is not allowed",
            get(&format!("{UPGRADE}Origin: https://b.example\r\n")),
            403,
            "connection: close",
            Some("origin"),
        ),
        ("500 KB of cookies", get(&cookies(500_000)), 431, "connection: close", Some("head_too_long")),
        ("400 headers", get(&many(400)), 431, "connection: close", Some("too_many_headers")),
        (
            "a long address",
            whole(&format!("GET /{} HTTP/1.1", "a".repeat(40_000)), UPGRADE),
            414,
            "connection: close",
            Some("target_too_long"),
        ),
    ]
}

/// Sends all of it and reads the head of the answer, and when it is a refusal the rest.
async fn answer(mut stream: impl AsyncRead + AsyncWrite + Unpin, request: &str) -> String {
    let exchange = async {
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut said = Vec::new();
        while !said.ends_with(b"\r\n\r\n") {
            said.push(stream.read_u8().await.expect("the answer has a head"));
        }
        if !said.starts_with(b"HTTP/1.1 101 ") {
            // No reset may eat it, however much was sent.
            stream.read_to_end(&mut said).await.expect("the answer has an end");
        }
        String::from_utf8(said).unwrap()
    };
    tokio::time::timeout(SOON, exchange).await.expect("there is an answer")
}

/// Puts all cases to a host and holds the answers, the counters and the log to them.
async fn try_all(host: &Host, certificate: Option<&Certificate>) {
    let mut expected = BTreeMap::<&str, u64>::new();
    for (what, request, status, has, reason) in cases() {
        let said = match certificate {
            None => answer(TcpStream::connect(host.websocket).await.unwrap(), &request).await,
            Some(certificate) => {
                answer(tls::connect(host.websocket, certificate).await.unwrap(), &request).await
            }
        };
        let (head, body) = said.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{what}: {said}");
        assert!(head.lines().any(|line| line == has), "{what}: {said}");
        assert_eq!(body.is_empty(), reason.is_none(), "{what}: {said}");
        if let Some(reason) = reason {
            *expected.entry(reason).or_default() += 1;
        }
    }
    let status = host.status().await;
    let metrics = host.get("/metrics").await.body;
    for (reason, count) in expected {
        assert_eq!(status["refusals"][reason], count, "{reason}: {status}");
        let line = format!("tickhost_server_refusals_total{{reason=\"{reason}\"}} {count}");
        assert!(metrics.contains(&line), "{line}");
        wait_until("the log says so", || async { host.log().contains(&format!("\"reason\":\"{reason}\"")) })
            .await;
    }
    assert!(!host.log().contains("/ws?x=1"), "no target shows in the log");
    let mut client = match certificate {
        None => Client::connect(host.websocket).await,
        Some(certificate) => Client::connect_encrypted(host.websocket, certificate).await.unwrap(),
    };
    assert_eq!(client.authenticate(&host.key()).await["status"], "success");
}

#[tokio::test]
async fn every_request_has_its_answer() {
    let host = HostBuilder::new().env("TICKHOST_ALLOWED_ORIGINS", "https://a.example").start();
    try_all(&host, None).await;
}

#[tokio::test]
async fn every_request_has_its_answer_through_encryption() {
    let certificate = Certificate::generate();
    let builder = HostBuilder::new().env("TICKHOST_ALLOWED_ORIGINS", "https://a.example");
    certificate.write(builder.dir());
    let path = |name: &str| builder.dir().join(name).display().to_string();
    let (chain, key) = (path("certificate.pem"), path("key.pem"));
    let host = builder.env("TICKHOST_TLS_CERT", chain).env("TICKHOST_TLS_KEY", key).start();
    try_all(&host, Some(&certificate)).await;
    let said = answer(TcpStream::connect(host.websocket).await.unwrap(), "GET / HTTP/1.1\r\n\r\n").await;
    assert!(said.starts_with("HTTP/1.1 400 ") && said.ends_with("connect with wss://"), "{said}");
    assert_eq!(host.status().await["refusals"]["not_encrypted"], 1);
}

#[tokio::test]
async fn a_request_that_does_not_come_is_told_so_and_a_flood_of_refusals_is_few_lines() {
    let host = HostBuilder::new().env("WS_AUTH_GRACE_SECONDS", "1").start();
    let said =
        answer(TcpStream::connect(host.websocket).await.unwrap(), "GET / HTTP/1.1\r\nHost: x\r\n").await;
    assert!(said.starts_with("HTTP/1.1 408 Request Timeout\r\n"), "{said}");
    assert_eq!(host.status().await["refusals"]["timeout"], 1);
    // A port scan is nobody's business.
    drop(TcpStream::connect(host.websocket).await.unwrap());
    wait_until("it is counted", || async { host.status().await["refusals"]["gone"] == 1 }).await;
    for _ in 0..100 {
        answer(TcpStream::connect(host.websocket).await.unwrap(), "GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
    }
    let lines = host.log().matches("\"reason\":\"no_upgrade\"").count();
    // Two minutes may be concerned.
    assert!((1..=10).contains(&lines), "{lines} lines");
    assert_eq!(host.log().matches("\"reason\":\"gone\"").count(), 0);
}
