//! A publisher for the bus, with the crate that many Rust publishers use.

use std::net::SocketAddr;

use serde_json::Value;
use zeromq::{PubSocket, Socket, SocketSend, ZmqMessage};

/// A publisher that the host has subscribed to.
pub struct Publisher(PubSocket);

impl std::fmt::Debug for Publisher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Publisher(..)")
    }
}

impl Publisher {
    /// Connects. What is published before the host's subscription came through is lost, as with every
    /// publisher.
    pub async fn connect(address: SocketAddr) -> Self {
        let mut socket = PubSocket::new();
        socket.connect(&format!("tcp://{address}")).await.expect("the bus takes connections");
        Self(socket)
    }

    /// Publishes a topic and a JSON body.
    pub async fn send(&mut self, topic: &str, body: &Value) {
        self.send_raw(vec![topic.as_bytes().to_vec(), body.to_string().into_bytes()]).await;
    }

    /// Publishes any parts.
    pub async fn send_raw(&mut self, parts: Vec<Vec<u8>>) {
        let mut parts = parts.into_iter();
        let mut message = ZmqMessage::from(parts.next().expect("a part"));
        parts.for_each(|part| message.push_back(part.into()));
        self.0.send(message).await.expect("the message is published");
    }
}
