//! One connection to the venue: log-in, requests, heartbeats both ways.

use std::{sync::Arc, time::Duration};

use futures_util::{SinkExt as _, StreamExt as _};
use parking_lot::Mutex;
use serde::Deserialize;
use tokio::{
    net::TcpStream,
    time::{Instant, interval, sleep_until},
};
use tokio_tungstenite::{WebSocketStream, accept_async, tungstenite::Message};

use crate::state::State;

/// Pause between the venue's heartbeats.
const HEARTBEAT: Duration = Duration::from_millis(100);

/// Silence after which the venue hangs up, as the broker does after three heartbeats that are missing.
const SILENCE: Duration = Duration::from_millis(1_500);

/// Most keys in one message.
const KEYS_PER_MESSAGE: usize = 100;

/// A message of the adapter.
#[derive(Deserialize)]
#[serde(tag = "op", rename_all = "lowercase")]
enum Request {
    Login { token: String },
    Subscribe { mode: String, keys: Vec<String> },
    Unsubscribe { keys: Vec<String> },
    Heartbeat,
}

pub(crate) async fn serve(stream: TcpStream, state: Arc<Mutex<State>>) {
    state.lock().opened();
    converse(stream, &state).await;
    state.lock().closed();
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
                    Some(Request::Subscribe { mode, keys }) if keys.len() <= KEYS_PER_MESSAGE => {
                        state.lock().subscribe(number, &mode, &keys);
                    }
                    Some(Request::Unsubscribe { keys }) if keys.len() <= KEYS_PER_MESSAGE => {
                        state.lock().unsubscribe(&keys);
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
