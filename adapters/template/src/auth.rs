//! Connecting and logging in.

use std::time::Duration;

use adapter_sdk::{AdapterError, Credentials};
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async_with_config,
    tungstenite::{self, protocol::WebSocketConfig},
};

use crate::{
    config::Settings,
    error::lost,
    wire::{Message, Request},
};

/// A connection to the broker.
pub(crate) type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Longest time for connecting and logging in together.
const LOG_IN_LIMIT: Duration = Duration::from_secs(10);

/// Longest message of the broker. Its largest packets have some 20 KiB.
const MESSAGE_BYTES: usize = 1 << 20;

/// Connects and logs in with the token of the moment.
pub(crate) async fn log_in(settings: &Settings, credentials: &Credentials) -> Result<Socket, AdapterError> {
    let token = credentials.require("access_token")?;
    timeout(LOG_IN_LIMIT, introduce(settings, token)).await.unwrap_or_else(|_| {
        Err(AdapterError::network(format!("the broker did not let this side in within {LOG_IN_LIMIT:?}")))
    })
}

async fn introduce(settings: &Settings, token: &str) -> Result<Socket, AdapterError> {
    let limits =
        WebSocketConfig::default().max_message_size(Some(MESSAGE_BYTES)).max_frame_size(Some(MESSAGE_BYTES));
    let connecting = connect_async_with_config(settings.ws_url.as_str(), Some(limits), true);
    let (mut socket, _) = connecting.await.map_err(|error| lost(&error))?;
    socket.send(Request::Login { token }.to_frame()).await.map_err(|error| lost(&error))?;
    loop {
        let frame = match socket.next().await {
            Some(frame) => frame.map_err(|error| lost(&error))?,
            None => return Err(AdapterError::network("the broker closed during the log-in")),
        };
        let tungstenite::Message::Text(text) = frame else { continue };
        match serde_json::from_str(&text) {
            Ok(Message::Login { ok: true, .. }) => return Ok(socket),
            // The broker's own words are left out: nobody knows whether they repeat the token.
            Ok(Message::Login { ok: false, .. }) => {
                return Err(AdapterError::auth(
                    "the broker refused the access token: log in again for a new one",
                ));
            }
            Ok(_) => {}
            Err(_) => {
                return Err(AdapterError::protocol("the broker answered the log-in with something else"));
            }
        }
    }
}
