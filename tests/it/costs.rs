//! What a client may cost: memory before and after its key, and the work of its requests.

use std::time::{Duration, Instant};

use futures_util::{SinkExt as _, StreamExt as _};
use integration_tests::{Client, Host, HostBuilder, SOON, wait_until};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_tungstenite::tungstenite::Message;

const MIB: u64 = 1_024 * 1_024;

const UPGRADE: &str = "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                       Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// A text of a client, masked with zeros, which changes nothing.
fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x80 | opcode];
    match u16::try_from(payload.len()).unwrap() {
        length @ 0..=125 => frame.push(0x80 | u8::try_from(length).unwrap()),
        length => {
            frame.push(0x80 | 0x7e);
            frame.extend_from_slice(&length.to_be_bytes());
        }
    }
    frame.extend_from_slice(&[0; 4]);
    frame.extend_from_slice(payload);
    frame
}

async fn upgrade(host: &Host) -> TcpStream {
    let mut socket = TcpStream::connect(host.websocket).await.unwrap();
    socket.write_all(UPGRADE.as_bytes()).await.unwrap();
    let mut head = [0; 1_024];
    let count = socket.read(&mut head).await.unwrap();
    assert!(head[..count].starts_with(b"HTTP/1.1 101"));
    socket
}

/// Sends until the host ends it, and reads nothing.
async fn pour(socket: &mut TcpStream, bytes: &[u8]) {
    let _stuck = tokio::time::timeout(SOON, async { while socket.write_all(bytes).await.is_ok() {} }).await;
}

#[tokio::test]
async fn a_stranger_that_reads_no_replies_costs_little() {
    let host = Host::start();
    let before = host.memory_bytes();
    let ping =
        frame(1, format!("{{\"action\":\"ping\",\"timestamp\":\"{}\"}}", "x".repeat(4_000)).as_bytes());
    let mut strangers = Vec::new();
    for _ in 0..100 {
        let socket = upgrade(&host).await;
        // As much as the host reads, and more.
        let _full = socket.try_write(&ping.repeat(100));
        strangers.push(socket);
    }
    wait_until("their messages were read", || async {
        host.metric("tickhost_session_requests_total").await >= 2_000.0
    })
    .await;
    let grown = host.memory_bytes().saturating_sub(before);
    assert!(grown < 100 * 200 * 1_024, "{} KiB for each stranger", grown / 100 / 1_024);
    assert_eq!(host.metric("tickhost_server_sessions_displaced_for_memory_total").await, 0.0);
    // It is slowed, not closed: who reads has every answer.
    let mut all = vec![0; 256 * 1_024];
    let mut count = 0;
    while count < 20 * 4_000 {
        let read = tokio::time::timeout(SOON, strangers[0].read(&mut all[count..])).await.unwrap().unwrap();
        assert!(read > 0, "it was closed");
        count += read;
    }
}

#[tokio::test]
async fn those_for_whom_most_waits_go_when_all_is_too_much() {
    let host = HostBuilder::new()
        .env("TICKHOST_MAX_WAITING_BYTES", 16 * MIB)
        // More than all may hold: nobody goes for what it holds itself, whichever of them the host reads
        // first.
        .env("TICKHOST_CONTROL_BYTES", 32 * MIB)
        .env("TICKHOST_MESSAGE_BURST", 100_000)
        .start();
    let key = host.key();
    let mut bystander = Client::login(host.websocket, &key).await;
    bystander.subscribe(&["NSE:SBIN"], "LTP").await;
    let login = frame(1, json!({"action": "authenticate", "api_key": key}).to_string().as_bytes());
    let ping =
        frame(1, format!("{{\"action\":\"ping\",\"timestamp\":\"{}\"}}", "x".repeat(4_000)).as_bytes());
    let mut greedy = Vec::new();
    for _ in 0..6 {
        let mut socket = upgrade(&host).await;
        socket.write_all(&login).await.unwrap();
        let messages = ping.repeat(1_800);
        greedy.push(tokio::spawn(async move {
            pour(&mut socket, &messages).await;
            socket
        }));
    }
    wait_until("the greediest went", || async {
        host.metric("tickhost_server_sessions_displaced_for_memory_total").await >= 1.0
    })
    .await;
    assert!(host.metric("tickhost_server_waiting_bytes").await <= 16.0 * 1_048_576.0);
    bystander.tick().await;
    let closes = host.get("/metrics").await.body;
    assert!(closes.contains("tickhost_session_closes_total{reason=\"slow_client\"}"), "{closes}");
    drop(greedy);
}

#[tokio::test]
async fn an_unfinished_message_of_empty_frames_ends() {
    let host = HostBuilder::new().env("TICKHOST_MAX_FRAME_BYTES", 64 * 1_024).start();
    let mut socket = upgrade(&host).await;
    let login = frame(1, json!({"action": "authenticate", "api_key": host.key()}).to_string().as_bytes());
    socket.write_all(&login).await.unwrap();
    let beginning = [0x01, 0x80, 0, 0, 0, 0];
    let nothing = [0x00, 0x80, 0, 0, 0, 0].repeat(1_000);
    socket.write_all(&beginning).await.unwrap();
    let ended = tokio::time::timeout(SOON, async { while socket.write_all(&nothing).await.is_ok() {} }).await;
    assert!(ended.is_ok(), "frames without an end are read for ever");
    wait_until("it counts as too large", || async {
        host.get("/metrics").await.body.contains("reason=\"frame_too_large\"} 1")
    })
    .await;
}

#[tokio::test]
async fn unasked_pongs_are_read_slowly() {
    let host = Host::start();
    let (mut socket, _) = tokio_tungstenite::connect_async(format!("ws://{}", host.websocket)).await.unwrap();
    let login = json!({"action": "authenticate", "api_key": host.key()}).to_string();
    socket.send(Message::text(login)).await.unwrap();
    socket.next().await.unwrap().unwrap();
    let started = Instant::now();
    for _ in 0..600 {
        socket.send(Message::Pong(b"unasked"[..].into())).await.unwrap();
    }
    socket.send(Message::text("{\"action\":\"ping\"}")).await.unwrap();
    while !socket.next().await.unwrap().unwrap().to_text().unwrap_or_default().contains("\"pong\"") {}
    assert!(started.elapsed() >= Duration::from_millis(1_800), "{:?}", started.elapsed());
}

#[tokio::test]
async fn who_begins_and_ends_much_in_turn_is_slowed_and_an_honest_client_is_not() {
    let host = HostBuilder::new()
        .env("TICKHOST_ENTRY_BURST", 4_000)
        .env("TICKHOST_MAX_ENTRIES_PER_SECOND", 1_000)
        .start();
    let key = host.key();
    let names: Vec<String> = (0..500).map(|number| format!("NSE:S{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut honest = Client::login(host.websocket, &key).await;
    let started = Instant::now();
    for _ in 0..4 {
        honest.subscribe(&names, "LTP").await;
        honest.send(&json!({"action": "unsubscribe", "symbols": names, "mode": "LTP"})).await;
        honest.control().await;
    }
    let free = started.elapsed();
    // The burst is spent: eight more requests of 500 take four seconds.
    let started = Instant::now();
    for _ in 0..4 {
        honest.subscribe(&names, "LTP").await;
        honest.send(&json!({"action": "unsubscribe", "symbols": names, "mode": "LTP"})).await;
        honest.control().await;
    }
    assert!(started.elapsed() >= Duration::from_secs(2), "{:?} after {free:?}", started.elapsed());
}
