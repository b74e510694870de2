//! A WebSocket client that speaks the protocol in the plain: it sends what it is told and shows what comes.
//! Each message that comes has to be one of `host/asyncapi.yaml`.

use std::{fmt, net::SocketAddr, time::Duration};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{self, Message, Utf8Bytes, client::IntoClientRequest as _, protocol::CloseFrame},
};

use crate::{
    SOON,
    asyncapi::{Document, Sender},
    tls,
};

/// A stream of bytes both ways, encrypted or not.
trait Stream: AsyncRead + AsyncWrite + fmt::Debug + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + fmt::Debug + Send + Unpin> Stream for S {}

/// One connection.
#[derive(Debug)]
pub struct Client {
    socket: WebSocketStream<Box<dyn Stream>>,
}

impl Client {
    /// Connects, and says nothing.
    pub async fn connect(address: SocketAddr) -> Self {
        let socket = TcpStream::connect(address).await.expect("the host takes connections");
        Self::upgrade(Box::new(socket), None).await.expect("the host takes connections")
    }

    /// Connects as a page would.
    ///
    /// # Errors
    /// The status of the refusal.
    pub async fn connect_from(address: SocketAddr, origin: &str) -> Result<Self, u16> {
        let socket = TcpStream::connect(address).await.expect("the host takes connections");
        Self::upgrade(Box::new(socket), Some(origin)).await
    }

    /// Connects to an encrypted port that shows this certificate.
    ///
    /// # Errors
    /// What went wrong, when the port is not encrypted or shows another certificate.
    pub async fn connect_encrypted(
        address: SocketAddr,
        certificate: &tls::Certificate,
    ) -> std::io::Result<Self> {
        let socket = tls::connect(address, certificate).await?;
        Ok(Self::upgrade(Box::new(socket), None).await.expect("the host takes connections"))
    }

    async fn upgrade(stream: Box<dyn Stream>, origin: Option<&str>) -> Result<Self, u16> {
        let mut request = "ws://localhost/ws".into_client_request().expect("a request");
        if let Some(origin) = origin {
            request.headers_mut().insert("origin", origin.parse().expect("a header"));
        }
        match tokio_tungstenite::client_async(request, stream).await {
            Ok((socket, _)) => Ok(Self { socket }),
            Err(tungstenite::Error::Http(response)) => Err(response.status().as_u16()),
            Err(error) => panic!("the host takes connections: {error}"),
        }
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

    /// The next message that is no market data, nor the word after a quiet moment: on a busy machine that
    /// moment may be between any two messages.
    pub async fn control(&mut self) -> Value {
        self.find(|message| message["type"] != "market_data" && message["type"] != "auth_status").await
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

    /// What a person would read next: a text that is no tick, or how the connection ended.
    pub async fn heard(&mut self) -> String {
        loop {
            match self.socket.next().await {
                Some(Ok(Message::Text(text))) if text.contains("\"market_data\"") => {}
                Some(Ok(Message::Text(text))) => return text.to_string(),
                Some(Ok(Message::Close(Some(CloseFrame { code, reason })))) => {
                    return format!("[closed with {}: {reason}]", u16::from(code));
                }
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                _ => return "[the connection ended]".to_owned(),
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
