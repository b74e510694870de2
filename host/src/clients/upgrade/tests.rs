use std::net::{Ipv4Addr, SocketAddr};

use proptest::prelude::*;
use tickhost_core::{
    metrics::ServerCounters,
    protocol::refusal::{MAX_HEADERS, MAX_TARGET_BYTES},
};
use tokio::io::{DuplexStream, duplex};

use super::*;

const SOON: Duration = Duration::from_secs(20);

/// What a client has to send, with these lines instead of those of the same name, and others behind.
fn request(line: &str, changes: &[&str]) -> String {
    let mut lines = vec![
        "Host: x".to_owned(),
        "Upgrade: websocket".to_owned(),
        "Connection: Upgrade".to_owned(),
        "Sec-WebSocket-Version: 13".to_owned(),
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==".to_owned(),
    ];
    for change in changes {
        let (name, value) = change.split_once(':').unwrap_or((change, ""));
        lines.retain(|line| !line.starts_with(&format!("{name}:")));
        if !value.is_empty() {
            lines.push((*change).to_owned());
        }
    }
    format!("{line}\r\n{}\r\n\r\n", lines.join("\r\n"))
}

/// Sends the request in pieces and reads the answer to its end; what came behind it, when it was accepted.
async fn answer(
    request: &[u8],
    piece: usize,
    origins: &Origins,
) -> (String, Result<Vec<u8>, UpgradeRefusal>) {
    let (mut client, mut host) = duplex(1_024);
    let speak = async move {
        for piece in request.chunks(piece) {
            if client.write_all(piece).await.is_err() {
                break;
            }
        }
        let mut answer = Vec::new();
        _ = client.read_to_end(&mut answer).await;
        String::from_utf8(answer).unwrap()
    };
    let serve = async {
        let accepted = accept(&mut host, Instant::now() + SOON, origins).await;
        if let Err(refused) = accepted {
            refuse(&mut host, refused).await;
        }
        drop(host);
        accepted.map_err(|refused| refused.reason)
    };
    tokio::time::timeout(SOON, async { tokio::join!(speak, serve) }).await.expect("both come to an end")
}

#[tokio::test]
async fn what_is_legal_is_accepted() {
    let accept = "\r\nsec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";
    let cookies = format!("Cookie: {}", "c".repeat(40_000));
    let many: Vec<String> = (0..240).map(|number| format!("X-{number}: 1")).collect();
    let mut table: Vec<(&str, Vec<&str>)> = vec![
        ("GET / HTTP/1.1", vec![]),
        ("GET /any/path?and=query&%20 HTTP/1.1", vec![]),
        ("GET http://x/ws HTTP/1.1", vec![]),
        ("GET ws://x HTTP/1.1", vec![]),
        ("\r\nGET / HTTP/1.1", vec![]),
        ("GET / HTTP/1.1", vec!["Connection: keep-alive, Upgrade"]),
        ("GET / HTTP/1.1", vec!["Connection: keep-alive\r\ncOnnection:,upGRADE\t"]),
        ("GET / HTTP/1.1", vec!["Upgrade:h2c,  WebSocket  "]),
        ("GET / HTTP/1.1", vec!["Host:", "hOST: "]),
        ("GET / HTTP/1.1", vec!["Content-Length: 0"]),
        ("GET / HTTP/1.1", vec!["Sec-WebSocket-Version:13   "]),
        ("GET / HTTP/1.1", vec!["Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits, x"]),
        ("GET / HTTP/1.1", vec!["Sec-WebSocket-Protocol: a, b"]),
        ("GET / HTTP/1.1", vec!["Cookie: \u{e4}=1\r\nCookie: b"]),
        ("GET / HTTP/1.1", vec!["Origin: https://page.example"]),
        ("GET / HTTP/1.1", vec![&cookies]),
    ];
    table.push(("GET / HTTP/1.1", many.iter().map(String::as_str).collect()));
    for (line, changes) in table {
        // A frame may follow at once.
        let sent = request(line, &changes) + "frame";
        for piece in [1, 7, 1_000_000] {
            let (answer, accepted) = answer(sent.as_bytes(), piece, &Origins::default()).await;
            assert!(
                answer.starts_with("HTTP/1.1 101 Switching Protocols\r\n"),
                "{line} {changes:?}: {answer}"
            );
            assert!(answer.contains(accept) && answer.ends_with("\r\n\r\n"), "{answer}");
            let begun = accepted.unwrap();
            assert!(b"frame".starts_with(&begun), "{begun:?}");
        }
    }
    let with_line_feeds = request("GET / HTTP/1.1", &[]).replace('\r', "");
    for piece in [1, 1_000] {
        let (answer, _) = answer(with_line_feeds.as_bytes(), piece, &Origins::default()).await;
        assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
    }
}

#[tokio::test]
async fn whoever_is_refused_is_told_why() {
    let long_target = format!("GET /{} HTTP/1.1", "a".repeat(MAX_TARGET_BYTES));
    let endless_target = format!("GET /{}", "a".repeat(100_000));
    let cookies = format!("Cookie: {}", "c".repeat(MAX_HEAD_BYTES));
    let many = vec!["X: 1"; MAX_HEADERS].join("\r\n");
    let origin = "Origin: https://elsewhere.example";
    let get = "GET / HTTP/1.1";
    let table: Vec<(UpgradeRefusal, &str, String)> = vec![
        (UpgradeRefusal::Malformed, "400 Bad Request", "\u{16}\u{3}\u{1}\u{2}hello".into()),
        (UpgradeRefusal::Malformed, "400 Bad Request", "GET /\r\n\r\n".into()),
        (UpgradeRefusal::Malformed, "400 Bad Request", "GET / FTP/1.1\r\n\r\n".into()),
        (UpgradeRefusal::Malformed, "400 Bad Request", "x".repeat(1_000)),
        (UpgradeRefusal::Malformed, "400 Bad Request", "\n".repeat(1_000)),
        (UpgradeRefusal::Malformed, "400 Bad Request", request(get, &["Bad Name: 1"])),
        (UpgradeRefusal::Malformed, "400 Bad Request", request(get, &["Folded: 1\r\n 2"])),
        (UpgradeRefusal::Host, "400 Bad Request", request(get, &["Host"])),
        (UpgradeRefusal::Host, "400 Bad Request", request(get, &["X: 1\r\nHost: y"])),
        (UpgradeRefusal::Target, "400 Bad Request", request("GET * HTTP/1.1", &[])),
        (UpgradeRefusal::Target, "400 Bad Request", request("GET path HTTP/1.1", &[])),
        (UpgradeRefusal::Body, "400 Bad Request", request(get, &["Content-Length: 5"])),
        (UpgradeRefusal::Body, "400 Bad Request", request(get, &["Transfer-Encoding: chunked"])),
        (UpgradeRefusal::Key, "400 Bad Request", request(get, &["Sec-WebSocket-Key"])),
        (UpgradeRefusal::Key, "400 Bad Request", request(get, &["Sec-WebSocket-Key: c2hvcnQ="])),
        (
            UpgradeRefusal::Key,
            "400 Bad Request",
            request(get, &["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j!!=="]),
        ),
        (UpgradeRefusal::Origin, "403 Forbidden", request(get, &[origin])),
        (
            UpgradeRefusal::Method,
            "405 Method Not Allowed",
            request("POST / HTTP/1.1", &["Content-Length: 5"]),
        ),
        (UpgradeRefusal::Method, "405 Method Not Allowed", request("OPTIONS * HTTP/1.1", &[])),
        (UpgradeRefusal::Method, "405 Method Not Allowed", request("get / HTTP/1.1", &[])),
        (UpgradeRefusal::Method, "405 Method Not Allowed", request("HEAD / HTTP/1.1", &[])),
        (UpgradeRefusal::TargetTooLong, "414 URI Too Long", request(&long_target, &[])),
        (UpgradeRefusal::TargetTooLong, "414 URI Too Long", endless_target),
        (UpgradeRefusal::NoUpgrade, "426 Upgrade Required", "GET / HTTP/1.1\r\nHost: x\r\n\r\n".into()),
        (UpgradeRefusal::NoUpgrade, "426 Upgrade Required", request(get, &["Upgrade: h2c"])),
        (UpgradeRefusal::NoUpgrade, "426 Upgrade Required", request(get, &["Connection: close"])),
        (
            UpgradeRefusal::WebsocketVersion,
            "426 Upgrade Required",
            request(get, &["Sec-WebSocket-Version: 8"]),
        ),
        (UpgradeRefusal::WebsocketVersion, "426 Upgrade Required", request(get, &["Sec-WebSocket-Version"])),
        (
            UpgradeRefusal::WebsocketVersion,
            "426 Upgrade Required",
            request(get, &["Sec-WebSocket-Version: 13, 8"]),
        ),
        (UpgradeRefusal::HeadTooLong, "431 Request Header Fields Too Large", request(get, &[&cookies])),
        (
            UpgradeRefusal::HeadTooLong,
            "431 Request Header Fields Too Large",
            format!("{get}\r\n{cookies}{cookies}"),
        ),
        (UpgradeRefusal::TooManyHeaders, "431 Request Header Fields Too Large", request(get, &[&many])),
        (UpgradeRefusal::HttpVersion, "505 HTTP Version Not Supported", request("GET / HTTP/1.0", &[])),
        (UpgradeRefusal::HttpVersion, "505 HTTP Version Not Supported", request("GET / HTTP/2.0", &[])),
        (
            UpgradeRefusal::HttpVersion,
            "505 HTTP Version Not Supported",
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".into(),
        ),
    ];
    let origins = Origins::only("https://page.example");
    for (reason, status, sent) in table {
        let shown: String = sent.chars().take(80).collect();
        for piece in [13, 1_000_000] {
            let (answer, accepted) = answer(sent.as_bytes(), piece, &origins).await;
            assert_eq!(accepted, Err(reason), "{shown}");
            let (head, body) = answer.split_once("\r\n\r\n").expect("an answer has a head");
            assert_eq!(head.lines().next(), Some(&*format!("HTTP/1.1 {status}")), "{shown}");
            let has = |line: &str| head.lines().any(|known| known == line);
            assert!(has("content-type: text/plain"), "{head}");
            assert!(has(&format!("content-length: {}", reason.text().len())), "{head}");
            let text = if sent.starts_with("HEAD") { String::new() } else { reason.text() };
            assert_eq!(body, text, "{shown}");
            match reason {
                UpgradeRefusal::Method => assert!(has("allow: GET") && has("connection: close")),
                UpgradeRefusal::NoUpgrade | UpgradeRefusal::WebsocketVersion => assert!(
                    has("upgrade: websocket")
                        && has("sec-websocket-version: 13")
                        && has("connection: upgrade, close")
                ),
                _ => assert!(has("connection: close")),
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_not_whole_in_time_is_told_so_and_one_that_ended_is_not() {
    for sent in ["", "GET / HTTP/1.1\r\nHost: x\r\n"] {
        let (mut client, mut host) = duplex(1_024);
        client.write_all(sent.as_bytes()).await.unwrap();
        let until = Instant::now() + Duration::from_secs(1);
        let refused = accept(&mut host, until, &Origins::default()).await.unwrap_err();
        assert_eq!(refused.reason, UpgradeRefusal::Timeout);
        tokio::spawn(async move { refuse(&mut host, refused).await });
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 408 Request Timeout\r\n"), "{answer}");
    }
    for sent in ["", "GET / HTTP/1.1\r\nHost: x\r\n"] {
        let (answer, accepted) = ended(sent).await;
        assert_eq!((answer.as_str(), accepted), ("", UpgradeRefusal::Gone));
    }
}

/// What a client hears that stops speaking after this.
async fn ended(sent: &str) -> (String, UpgradeRefusal) {
    let (mut client, mut host): (DuplexStream, DuplexStream) = duplex(1_024);
    client.write_all(sent.as_bytes()).await.unwrap();
    client.shutdown().await.unwrap();
    let refused = accept(&mut host, Instant::now() + SOON, &Origins::default()).await.unwrap_err();
    refuse(&mut host, refused).await;
    drop(host);
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    (answer, refused.reason)
}

#[tokio::test(start_paused = true)]
async fn one_who_is_refused_and_never_stops_costs_a_moment_only() {
    let (mut client, mut host) = duplex(64 * 1_024);
    let flood = tokio::spawn(async move {
        let mut sent = 0_usize;
        while client.write_all(&[b'x'; 4_096]).await.is_ok() {
            sent += 4_096;
        }
        sent
    });
    refuse(&mut host, UpgradeRefusal::Malformed.into()).await;
    drop(host);
    assert!(flood.await.unwrap() <= LINGER_BYTES + 2 * 64 * 1_024);
    let (_silent, mut host) = duplex(16);
    let begun = tokio::time::Instant::now();
    refuse(&mut host, UpgradeRefusal::Malformed.into()).await;
    assert_eq!(begun.elapsed(), LINGER);
}

#[test]
fn refusals_are_counted_by_reason_and_each_label_is_its_own() {
    let counters = std::sync::Arc::<ServerCounters>::default();
    let refusals = Refusals::new(std::sync::Arc::clone(&counters));
    let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, 5));
    for reason in UpgradeRefusal::ALL {
        refusals.note(reason, peer);
    }
    for _ in 0..100 {
        refusals.note(UpgradeRefusal::NoUpgrade, peer);
    }
    let counted: std::collections::BTreeMap<_, _> = counters.refusals.each().collect();
    assert_eq!(counted.len(), UpgradeRefusal::ALL.len());
    assert!(counted.iter().all(|(label, count)| *count == if *label == "no_upgrade" { 101 } else { 1 }));
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _read = head::read(&bytes, &Origins::default());
        let get = [b"GET / HTTP/1.1\r\n", bytes.as_slice()].concat();
        let _read = head::read(&get, &Origins::default());
    }
}
