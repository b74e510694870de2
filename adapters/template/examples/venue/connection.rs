//! One connection to the venue: the list of instruments, or a feed with log-in, requests, and heartbeats both ways.

use std::{sync::Arc, time::Duration};

use futures_util::{SinkExt as _, StreamExt as _};
use parking_lot::Mutex;
use serde::Deserialize;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{Instant, interval, sleep_until},
};
use tokio_tungstenite::{WebSocketStream, accept_async, tungstenite::Message};

use crate::{list, state::State};

/// Pause between the venue's heartbeats.
const HEARTBEAT: Duration = Duration::from_millis(100);

/// Silence after which the venue hangs up, as the broker does after three heartbeats that are missing.
const SILENCE: Duration = Duration::from_millis(1_500);

/// Most tokens in one message.
const TOKENS_PER_MESSAGE: usize = 100;

/// A message of the adapter.
#[derive(Deserialize)]
#[serde(tag = "op", rename_all = "lowercase")]
enum Request {
    Login { token: String },
    Subscribe { mode: String, tokens: Vec<u32> },
    Unsubscribe { tokens: Vec<u32> },
    Heartbeat,
}

/// Begins the request of the list.
const LIST: &[u8] = b"GET /list";

/// Longest request.
const REQUEST_BYTES: usize = 8_192;

pub(crate) async fn serve(mut stream: TcpStream, state: Arc<Mutex<State>>) {
    let mut begin = [0; LIST.len()];
    // Whoever writes, writes its first line at once.
    let seen = stream.peek(&mut begin).await;
    if seen.is_ok_and(|count| count == begin.len()) && begin == *LIST {
        _ = send_list(&mut stream).await;
        return;
    }
    state.lock().opened();
    converse(stream, &state).await;
    state.lock().closed();
}

/// Answers the request for the list of instruments.
async fn send_list(stream: &mut TcpStream) -> std::io::Result<()> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") && request.len() < REQUEST_BYTES {
        request.push(stream.read_u8().await?);
    }
    let list = list::csv();
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", list.len());
    stream.write_all((head + &list).as_bytes()).await?;
    stream.shutdown().await
}

async fn converse(stream: TcpStream, state: &Mutex<State>) {
    let Ok(mut socket) = accept_async(stream).await else { return };
    let Some(Request::Login { token }) = next_request(&mut socket).await else { return };
    let log_in = state.lock().log_in(&token);
    let Some((number, mut frames)) = log_in else {
        let refusal = format!(r#"{{"type":"login","ok":false,"reason":"token {token} has expired"}}"#);
        _ = socket.send(Message::text(refusal)).await;
        return;
    };
    let mut beats = interval(HEARTBEAT);
    let mut heard = Instant::now();
    loop {
        tokio::select! {
            frame = frames.recv() => {
                let Some(frame) = frame else { break };
                if socket.send(frame).await.is_err() {
                    break;
                }
            }
            request = next_request(&mut socket) => {
                heard = Instant::now();
                match request {
                    Some(Request::Subscribe { mode, tokens }) if tokens.len() <= TOKENS_PER_MESSAGE => {
                        state.lock().subscribe(number, &mode, &tokens);
                    }
                    Some(Request::Unsubscribe { tokens }) if tokens.len() <= TOKENS_PER_MESSAGE => {
                        state.lock().unsubscribe(&tokens);
                    }
                    Some(Request::Heartbeat) => {}
                    _ => break,
                }
            }
            _ = beats.tick() => state.lock().heartbeat(number),
            () = sleep_until(heard + SILENCE) => break,
        }
    }
    state.lock().leave(number);
}

/// The next request; none when the connection has ended, or what comes is no request.
async fn next_request(socket: &mut WebSocketStream<TcpStream>) -> Option<Request> {
    loop {
        if let Message::Text(text) = socket.next().await?.ok()? {
            return serde_json::from_str(&text).ok();
        }
    }
}
