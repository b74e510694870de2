//! Attacks by those who have no key.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::{raw::Raw, target::Target};

/// Requests with long answers that are not read.
pub(crate) async fn unread_replies(target: &Target, until: Instant) -> String {
    let address = target.host.websocket;
    let attackers = (0..1_000).map(|_| async move {
        let mut raw = Raw::connect(address).await?;
        // Large requests with as large answers; the socket's buffers are full long before the last one.
        let message = json!({"action": "ping", "data": "x".repeat(4_090)});
        let mut sent = 0;
        while Instant::now() < until {
            match tokio::time::timeout(Duration::from_millis(200), raw.send(&message)).await {
                Ok(true) => sent += 1,
                Ok(false) => break,
                Err(_) => tokio::time::sleep(Duration::from_millis(200)).await,
            }
        }
        Some(sent)
    });
    let sent: Vec<u64> = join_all(attackers).await.into_iter().flatten().collect();
    format!("{} connections, {} requests", sent.len(), sent.iter().sum::<u64>())
}

/// Connections that say nothing.
pub(crate) async fn bare_connections(target: &Target, until: Instant) -> String {
    let mut held = Vec::new();
    let mut opened = 0_u64;
    while Instant::now() < until {
        held.retain(|socket: &TcpStream| socket.try_read(&mut [0; 64]).is_err());
        while held.len() < 1_500 && Instant::now() < until {
            let Ok(socket) = TcpStream::connect(target.host.websocket).await else { break };
            opened += 1;
            held.push(socket);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    format!("{opened} connections opened, {} held at the end", held.len())
}

/// Requests of the operator's port that never end.
pub(crate) async fn slow_requests(target: &Target, until: Instant) -> String {
    let address = target.host.admin;
    let attackers = (0..100).map(|_| async move {
        while Instant::now() < until {
            let Ok(mut socket) = TcpStream::connect(address).await else { continue };
            for byte in
                b"GET /livez HTTP/1.1\r\nHost: localhost\r\nX-Long: ".iter().chain(std::iter::repeat(&b'x'))
            {
                if Instant::now() > until || socket.write_all(&[*byte]).await.is_err() {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    });
    let looks = async {
        let (mut asked, mut failed, mut slowest, mut probes) = (0, 0, Duration::ZERO, 0);
        while Instant::now() < until {
            let began = Instant::now();
            let command = target.host.command(&["alive"]);
            let answer = tokio::process::Command::from(command).output().await;
            asked += 1;
            failed += u32::from(!answer.is_ok_and(|answer| answer.status.success()));
            slowest = slowest.max(began.elapsed());
            // As a load balancer's probe, through the same port as the slow ones. It panics where it gets no
            // answer.
            let probe =
                tokio::spawn(async move { integration_tests::http::get(address, "/livez").await.status });
            let answer = tokio::time::timeout(Duration::from_secs(3), probe).await;
            probes += u32::from(!matches!(answer, Ok(Ok(200))));
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        format!(
            "{asked} times: `tickhost alive` failed {failed}, slowest {:.2} s; `/livez` failed {probes}",
            slowest.as_secs_f64()
        )
    };
    let (_, looks) = tokio::join!(join_all(attackers), looks);
    looks
}

/// Connections that speak another language, to the bus and to the clients' port.
pub(crate) async fn bad_greetings(target: &Target, until: Instant) -> String {
    let attackers = (0..20).map(|number| {
        let address = if number % 2 == 0 { target.host.bus } else { target.host.websocket };
        tokio::spawn(async move {
            let mut count = 0_u64;
            while Instant::now() < until {
                let Ok(mut socket) = TcpStream::connect(address).await else { continue };
                _ = socket.write_all(&[b'!'; 256]).await;
                _ = tokio::time::timeout(Duration::from_secs(1), socket.read(&mut [0; 64])).await;
                count += 1;
            }
            count
        })
    });
    let count: u64 = join_all(attackers).await.into_iter().flatten().sum();
    format!("{count} connections")
}
