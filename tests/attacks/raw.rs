//! Connections that take what comes: a refusal or an end is nothing to panic about.

use std::{net::SocketAddr, time::Duration};

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Message, client::IntoClientRequest as _},
};

/// Longest wait for one answer.
const PATIENCE: Duration = Duration::from_mins(2);

/// A WebSocket of which nothing is expected.
pub(crate) struct Raw(pub(crate) WebSocketStream<TcpStream>);

impl Raw {
    /// Connects, if the host takes the connection.
    pub(crate) async fn connect(address: SocketAddr) -> Option<Self> {
        let socket = tokio::time::timeout(PATIENCE, TcpStream::connect(address)).await.ok()?.ok()?;
        _ = socket.set_nodelay(true);
        let request = "ws://localhost/ws".into_client_request().expect("a request");
        let upgrade = tokio_tungstenite::client_async(request, socket);
        let (socket, _) = tokio::time::timeout(PATIENCE, upgrade).await.ok()?.ok()?;
        Some(Self(socket))
    }

    /// Connects and logs in, if the host lets it.
    pub(crate) async fn login(address: SocketAddr, key: &str) -> Option<Self> {
        let mut raw = Self::connect(address).await?;
        let answer = raw.authenticate(key).await?;
        (answer["status"] == "success").then_some(raw)
    }

    /// Sends a key and gives the answer; none when the connection ends before.
    pub(crate) async fn authenticate(&mut self, key: &str) -> Option<Value> {
        self.send(&json!({"action": "authenticate", "api_key": key})).await.then_some(())?;
        self.find(|message| message["type"] != "market_data" && message["type"] != "auth_status").await
    }

    /// Sends a message; false when the connection has ended.
    pub(crate) async fn send(&mut self, message: &Value) -> bool {
        self.0.send(Message::text(message.to_string())).await.is_ok()
    }

    /// The next message that fits; none when the connection ends, or when it takes too long.
    pub(crate) async fn find(&mut self, fits: impl Fn(&Value) -> bool) -> Option<Value> {
        tokio::time::timeout(PATIENCE, async {
            loop {
                match self.0.next().await? {
                    Ok(Message::Text(text)) => {
                        let message: Value = serde_json::from_str(&text).ok()?;
                        if fits(&message) {
                            return Some(message);
                        }
                    }
                    Ok(Message::Close(_)) | Err(_) => return None,
                    Ok(_) => {}
                }
            }
        })
        .await
        .ok()
        .flatten()
    }

    /// Reads until the connection ends or the time is over. Gives the close code; none while it is open.
    pub(crate) async fn ended_within(&mut self, time: Duration) -> Option<u16> {
        tokio::time::timeout(time, async {
            loop {
                match self.0.next().await {
                    Some(Ok(Message::Close(frame))) => return frame.map_or(1005, |frame| frame.code.into()),
                    Some(Ok(_)) => {}
                    None | Some(Err(_)) => return 1006,
                }
            }
        })
        .await
        .ok()
    }
}
