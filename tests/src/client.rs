//! A WebSocket client that speaks the protocol in the plain: it sends what it is told and shows what comes. Each message
//! that comes has to be one of `host/asyncapi.yaml`.

use std::{net::SocketAddr, time::Duration};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream,
    tungstenite::{Message, Utf8Bytes, protocol::CloseFrame},
};

use crate::{
    SOON,
    asyncapi::{Document, Sender},
};

/// One connection.
#[derive(Debug)]
pub struct Client {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

impl Client {
    /// Connects, and says nothing.
    pub async fn connect(address: SocketAddr) -> Self {
        let (socket, _) = tokio_tungstenite::connect_async(format!("ws://{address}/ws"))
            .await
            .expect("the host takes connections");
        Self { socket }
    }

    /// Connects and logs in.
    pub async fn login(address: SocketAddr, key: &str) -> Self {
        let mut client = Self::connect(address).await;
        let answer = client.authenticate(key).await;
        assert_eq!(answer["status"], "success", "{answer}");
        client
    }

    /// Sends a key; gives the answer.
    pub async fn authenticate(&mut self, key: &str) -> Value {
        self.send(&json!({"action": "authenticate", "api_key": key})).await;
        self.control().await
    }

    /// Connects and logs in, and asks for news of the feed.
    pub async fn login_for_feed_status(address: SocketAddr, key: &str) -> Self {
        let mut client = Self::connect(address).await;
        client.send(&json!({"action": "authenticate", "api_key": key, "feed_status": true})).await;
        let answer = client.control().await;
        assert_eq!(
            (&answer["status"], &answer["feed_status"]),
            (&json!("success"), &json!(true)),
            "{answer}"
        );
        client
    }

    /// Subscribes to `EXCH:SYM` names; gives the acknowledgement.
    pub async fn subscribe(&mut self, names: &[&str], mode: &str) -> Value {
        self.send(&json!({"action": "subscribe", "symbols": names, "mode": mode})).await;
        self.control().await
    }

    /// Sends a JSON message.
    pub async fn send(&mut self, message: &Value) {
        self.send_raw(Message::text(message.to_string())).await;
    }

    /// Sends any message.
    pub async fn send_raw(&mut self, message: Message) {
        self.socket.send(message).await.expect("the message is sent");
    }

    /// The next JSON message of any kind.
    pub async fn next(&mut self) -> Value {
        self.next_within(SOON).await.expect("a message in time")
    }

    /// The next JSON message, if one comes within the time.
    pub async fn next_within(&mut self, time: Duration) -> Option<Value> {
        tokio::time::timeout(time, async {
            loop {
                match self.socket.next().await {
                    Some(Ok(Message::Text(text))) => {
                        let message = serde_json::from_str(&text).expect("frames are JSON");
                        Document::of_the_host().the_message(Sender::Host, &message);
                        return message;
                    }
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                    other => panic!("expected a message, got {other:?}"),
                }
            }
        })
        .await
        .ok()
    }

    /// The next message that is no market data.
    pub async fn control(&mut self) -> Value {
        self.find(|message| message["type"] != "market_data").await
    }

    /// The next tick.
    pub async fn tick(&mut self) -> Value {
        self.find(|message| message["type"] == "market_data").await
    }

    /// The next message that fits.
    pub async fn find(&mut self, fits: impl Fn(&Value) -> bool) -> Value {
        tokio::time::timeout(SOON, async {
            loop {
                let message = self.next().await;
                if fits(&message) {
                    return message;
                }
            }
        })
        .await
        .expect("a fitting message in time")
    }

    /// The next text as it came; none when the connection has ended, however it did.
    pub async fn next_text(&mut self) -> Option<Utf8Bytes> {
        loop {
            match self.socket.next().await {
                Some(Ok(Message::Text(text))) => return Some(text),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                _ => return None,
            }
        }
    }

    /// Reads until the host closes; gives the close code.
    pub async fn closed(&mut self) -> Option<(u16, String)> {
        tokio::time::timeout(SOON, async {
            loop {
                match self.socket.next().await {
                    Some(Ok(Message::Close(frame))) => {
                        return frame.map(|CloseFrame { code, reason }| (code.into(), reason.to_string()));
                    }
                    Some(Ok(_)) => {}
                    Some(Err(_)) | None => return None,
                }
            }
        })
        .await
        .expect("the host closes in time")
    }

    /// Says goodbye and waits for the answer.
    pub async fn close(mut self) {
        let _closed = self.socket.close(None).await;
        let _answer = tokio::time::timeout(SOON, self.socket.next()).await;
    }
}
