//! Ten thousand inputs that nobody well-behaved would send, on the client port and on the bus: the host
//! lives, its memory stays, and a bystander notices nothing.

use std::{net::SocketAddr, time::Duration};

use futures_util::{SinkExt, StreamExt, future::join_all};
use integration_tests::{Client, Host, HostBuilder};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_tungstenite::tungstenite::{Bytes, Message};

const INPUTS: usize = 10_000;

/// A small generator, so that a failure repeats.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).unwrap()
    }

    fn bytes(&mut self, longest: usize) -> Vec<u8> {
        let length = self.below(longest);
        (0..length).map(|_| self.next().to_le_bytes()[0]).collect()
    }
}

const SEEDS: [&str; 12] = [
    // Not a text: wrong keys make their connection wait, and then end it.
    r#"{"action":"authenticate","api_key":7}"#,
    r#"{"action":"subscribe","symbols":[{"symbol":"SBIN","exchange":"NSE"}],"mode":"LTP"}"#,
    r#"{"action":"subscribe","symbol":"SBIN","exchange":"NSE","mode":3,"depth":50,"request_id":[[[[1]]]]}"#,
    r#"{"action":"unsubscribe","symbols":["NSE:SBIN",7,null,{"symbol":{},"exchange":[]}],"mode":"Depth"}"#,
    r#"{"type":"unsubscribe_all"}"#,
    r#"{"action":"ping","timestamp":1e400,"_pingId":"\ud800"}"#,
    r#"{"action":{"a":1},"type":"ping"}"#,
    r"[1,2,3]",
    r#""text""#,
    r#"{"action":"subscribe","symbols":[],"mode":true}"#,
    r#"{"action":"subscribe","instruments":[{"symbol":"\u0000","exchange":"NSE"}]}"#,
    "{\"action\":\"subscribe\",\"action\":\"ping\",\"depth\":-1}",
];

fn mutate(seed: &str, random: &mut Random) -> Vec<u8> {
    let mut bytes = seed.as_bytes().to_vec();
    for _ in 0..random.below(4) {
        let place = random.below(bytes.len().max(1));
        match random.below(4) {
            0 if !bytes.is_empty() => bytes[place] = random.next().to_le_bytes()[0],
            1 if !bytes.is_empty() => {
                bytes.remove(place);
            }
            2 => bytes.truncate(place),
            _ => bytes.splice(place..place, random.bytes(8)).for_each(drop),
        }
    }
    bytes
}

/// A client that must see an unbroken stream while `attack` runs.
async fn undisturbed(host: &Host, attack: impl Future<Output = ()>) {
    let mut bystander = Client::login(host.websocket, &host.key()).await;
    bystander.subscribe(&["NSE:SBIN"], "LTP").await;
    let warm = host.memory_bytes();
    let watch = async {
        loop {
            assert!(
                bystander.next_within(Duration::from_secs(2)).await.is_some(),
                "the bystander's stream broke"
            );
        }
    };
    tokio::select! {
        () = attack => {}
        () = watch => {}
    }
    assert_eq!(bystander.tick().await["symbol"], "SBIN");
    let grown = host.memory_bytes().saturating_sub(warm);
    assert!(grown < 64 * 1_024 * 1_024, "memory grew by {grown} bytes");
}

/// A tenth of the messages, on ten connections, of which half have logged in.
async fn malformed_messages(address: SocketAddr, key: &str, mut random: Random) {
    for round in 0..10 {
        let (mut socket, _) = tokio_tungstenite::connect_async(format!("ws://{address}")).await.unwrap();
        if round % 2 == 0 {
            socket
                .send(Message::text(format!("{{\"action\":\"auth\",\"apikey\":\"{key}\"}}")))
                .await
                .unwrap();
        }
        for _ in 0..INPUTS / 100 {
            let seed = SEEDS[random.below(SEEDS.len())];
            let bytes = mutate(seed, &mut random);
            let message = match String::from_utf8(bytes) {
                Ok(text) if random.below(2) == 0 => Message::text(text),
                Ok(text) => Message::binary(text.into_bytes()),
                Err(bytes) => Message::Binary(Bytes::from(bytes.into_bytes())),
            };
            if socket.send(message).await.is_err() {
                break;
            }
        }
        // Whatever it answers is read, so that this is a test of parsing and not of slow clients.
        let _goodbye = socket.close(None).await;
        let _rest = tokio::time::timeout(Duration::from_secs(5), async {
            while let Some(Ok(_)) = socket.next().await {}
        })
        .await;
    }
}

#[tokio::test]
async fn the_client_port_survives_ten_thousand_malformed_messages() {
    let mut host = HostBuilder::new()
        .env("TICKHOST_MESSAGE_BURST", 100_000)
        .env("TICKHOST_MAX_MESSAGES_PER_SECOND", 100_000)
        .start();
    let key = host.key();
    undisturbed(&host, async {
        // Side by side: of those without a key, messages are read at a few a second.
        let address = host.websocket;
        join_all((1..=10).map(|seed| malformed_messages(address, &key, Random(seed)))).await;
    })
    .await;
    assert!(host.is_alive());
}

#[tokio::test]
async fn the_client_port_survives_raw_garbage() {
    let mut host = Host::start();
    undisturbed(&host, async {
        let mut random = Random(11);
        for _ in 0..1_000 {
            let Ok(mut socket) = tokio::net::TcpStream::connect(host.websocket).await else { continue };
            if random.below(2) == 0 {
                let _sent = socket
                    .write_all(
                        b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                          Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
                    )
                    .await;
            }
            let _sent = socket.write_all(&random.bytes(2_000)).await;
            let _closed = socket.shutdown().await;
            let mut rest = [0; 512];
            let _rest = tokio::time::timeout(Duration::from_millis(200), socket.read(&mut rest)).await;
        }
    })
    .await;
    assert!(host.is_alive());
}

/// What a publisher's connection may begin with, to be spoilt.
fn zmtp_opening() -> Vec<u8> {
    let mut opening = vec![0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3, 0];
    opening.extend_from_slice(b"NULL");
    opening.resize(64, 0);
    let ready = b"\x05READY\x0bSocket-Type\0\0\0\x03PUB";
    opening.extend_from_slice(&[4, u8::try_from(ready.len()).unwrap()]);
    opening.extend_from_slice(ready);
    opening
}

#[tokio::test]
async fn the_bus_survives_ten_thousand_hostile_inputs() {
    let mut host = Host::start();
    undisturbed(&host, async {
        let mut random = Random(13);
        for _ in 0..INPUTS / 100 {
            let Ok(mut socket) = tokio::net::TcpStream::connect(host.bus).await else { continue };
            let mut bytes = zmtp_opening();
            if random.below(3) == 0 {
                let place = random.below(bytes.len());
                bytes[place] ^= random.next().to_le_bytes()[0];
            }
            for _ in 0..100 {
                match random.below(4) {
                    // A frame that claims to be enormous, a chain without end, a command that nobody knows, a
                    // message.
                    0 if random.below(20) == 0 => {
                        bytes.extend_from_slice(&[2, 0x7f, 0xff, 0xff, 0xff, 0xff, 0, 0, 0]);
                    }
                    1 => bytes.extend_from_slice(&[1, 1, b'x']),
                    2 => bytes.extend_from_slice(b"\x04\x05\x04PING"),
                    _ => {
                        let body = random.bytes(60);
                        bytes.extend_from_slice(b"\x01\x0cNSE_SBIN_LTP");
                        bytes.extend_from_slice(&[0, u8::try_from(body.len()).unwrap()]);
                        bytes.extend_from_slice(&body);
                    }
                }
            }
            let _sent = socket.write_all(&bytes).await;
            let mut rest = [0; 512];
            let _rest = tokio::time::timeout(Duration::from_millis(20), socket.read(&mut rest)).await;
        }
    })
    .await;
    assert!(host.is_alive());
}
