//! Slow requests that fill the operator's port, while it is asked whether the host is alive.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinSet,
};

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// Times that `/livez` was asked.
    pub(crate) asked: u32,
    /// Of them, those that had no good answer within 3 s, the patience of the container's health check.
    pub(crate) refused: u32,
    /// Longest wait for a good answer.
    pub(crate) slowest: Duration,
}

/// Attacks for this time with as many connections, each begun anew when the host has ended it.
pub(crate) async fn run(admin: SocketAddr, connections: usize, lasting: Duration) -> Outcome {
    let mut crowd = JoinSet::new();
    for number in 0..connections {
        crowd.spawn(async move {
            loop {
                let _ended = slow_request(admin, number).await;
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        });
    }
    let (began, mut outcome) = (Instant::now(), Outcome::default());
    while began.elapsed() < lasting {
        let asked = Instant::now();
        outcome.asked += 1;
        match tokio::time::timeout(Duration::from_secs(3), is_alive(admin)).await {
            Ok(Ok(true)) => outcome.slowest = outcome.slowest.max(asked.elapsed()),
            _ => outcome.refused += 1,
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    outcome
}

/// One that says nothing, one that says its head byte by byte, or one that does not read its answer.
async fn slow_request(admin: SocketAddr, number: usize) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(admin).await?;
    match number % 3 {
        0 => drop(stream.read(&mut [0; 1]).await?),
        1 => {
            for byte in "GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nX: ".bytes().cycle() {
                stream.write_all(&[byte]).await?;
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
        _ => {
            stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n").await?;
            tokio::time::sleep(Duration::from_secs(10)).await;
        }
    }
    Ok(())
}

async fn is_alive(admin: SocketAddr) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect(admin).await?;
    stream.write_all(b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n").await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(answer.starts_with(b"HTTP/1.1 200 "))
}
