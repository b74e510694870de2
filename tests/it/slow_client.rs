//! Clients that do not read cost themselves, and nobody else.

use std::time::{Duration, Instant};

use integration_tests::{Client, HostBuilder, SOON, wait_until};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// 400 instruments at 200 ticks a second each, every tick sent: megabytes a second for a client that holds
/// them all.
fn flood() -> HostBuilder {
    HostBuilder::new().env("TICKHOST_THROTTLE_MS", 0).sim("rate_hz = 50.0")
}

const NAMES: [&str; 8] = [
    "NSE:SBIN",
    "NSE:TCS",
    "NSE:INFY",
    "NSE:ITC",
    "NSE:RELIANCE",
    "NSE:HDFCBANK",
    "NSE:ICICIBANK",
    "NSE:AXISBANK",
];

#[tokio::test]
async fn a_client_that_stops_reading_conflates_and_resumes_with_the_newest_values() {
    let host = flood().start();
    let key = host.key();
    let mut stopped = Client::login(host.websocket, &key).await;
    let mut reading = Client::login(host.websocket, &key).await;
    for client in [&mut stopped, &mut reading] {
        assert_eq!(client.subscribe(&NAMES, "Depth").await["status"], "success");
    }
    let conflated = || async { host.metric("tickhost_feed_conflated_outbox_total").await > 500.0 };
    let started = Instant::now();
    let reader = async {
        while !conflated().await {
            assert!(started.elapsed() < 3 * SOON, "the stopped client never fell behind");
            for _ in 0..500 {
                reading.tick().await;
            }
        }
    };
    reader.await;
    // Everything that it missed lies at most some seconds back; the newest follows at once.
    let now_ms = || {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        u64::try_from(since.as_millis()).unwrap()
    };
    let resumed_at = now_ms();
    let mut fresh = std::collections::BTreeSet::new();
    while fresh.len() < NAMES.len() {
        let tick = stopped.tick().await;
        if tick["data"]["timestamp"].as_u64().unwrap() >= resumed_at {
            fresh.insert(tick["symbol"].as_str().unwrap().to_owned());
        }
    }
    assert!(now_ms() - resumed_at < 20_000, "it took {} ms to catch up", now_ms() - resumed_at);
}

#[tokio::test]
async fn a_client_that_does_not_read_its_replies_is_closed_with_its_own_code() {
    let host = HostBuilder::new()
        .env("TICKHOST_CONTROL_BYTES", 65_536)
        .env("TICKHOST_MESSAGE_BURST", 100_000)
        .start();
    let mut socket = tokio::net::TcpStream::connect(host.websocket).await.unwrap();
    let request = format!(
        "GET / HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        host.websocket
    );
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut accepted = Vec::new();
    while !accepted.ends_with(b"\r\n\r\n") {
        accepted.push(socket.read_u8().await.unwrap());
    }
    socket
        .write_all(&masked(&format!("{{\"action\":\"auth\",\"api_key\":\"{}\"}}", host.key())))
        .await
        .unwrap();
    // An application ping whose long name is echoed.
    let frame = masked(&format!("{{\"action\":\"ping\",\"_pingId\":\"{}\"}}", "p".repeat(3_000)));
    let flood = async { while socket.write_all(&frame).await.is_ok() {} };
    let _ended = tokio::time::timeout(Duration::from_secs(10), flood).await;
    wait_until("the slow client is closed", || async {
        host.get("/metrics").await.body.lines().any(|line| {
            line.starts_with("tickhost_session_closes_total")
                && line.contains("slow_client")
                && !line.ends_with(" 0")
        })
    })
    .await;
}

/// A text frame with a masking key of zeros.
fn masked(body: &str) -> Vec<u8> {
    let mut frame = match u8::try_from(body.len()) {
        Ok(length) if length < 126 => vec![0x81, 0x80 | length],
        _ => {
            let [high, low] = u16::try_from(body.len()).unwrap().to_be_bytes();
            vec![0x81, 0xfe, high, low]
        }
    };
    frame.extend_from_slice(&[0; 4]);
    frame.extend_from_slice(body.as_bytes());
    frame
}
