//! The data socket: opening it, and logging in on it.

use std::time::Duration;

use adapter_sdk::{
    AdapterError,
    net::{Heartbeat, Message, WebSocket, WebSocketRequest},
    tracing::{debug, warn},
};
use tokio::time::timeout;

use crate::{
    auth::Keys,
    config::Settings,
    description::Layout,
    request::{self, Channel},
    wire::{Frame, LITE_VALUES, Request},
};

/// Longest message of the broker, in bytes. After the log-in it sends its own list of instruments.
const MAX_MESSAGE_BYTES: usize = 32 << 20;

/// Longest wait for the answer to the log-in.
const VERDICT_LIMIT: Duration = Duration::from_secs(15);

/// Who this side says that it is.
const CLIENT: &str = concat!("tickhost-", env!("CARGO_PKG_VERSION"));

/// A data socket on which the log-in has worked.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) socket: WebSocket,
    /// Every so many frames of data one is to be acknowledged; 0 for never.
    pub(crate) acknowledge_every: u32,
    pub(crate) layout: Layout,
}

/// Opens a data socket and logs in.
///
/// The handshake has no `Authorization` header: the broker opens a connection that has one, whatever is in it, and then never
/// answers the log-in.
pub(crate) async fn open(settings: &Settings, keys: &Keys) -> Result<Opened, AdapterError> {
    let request = WebSocketRequest::new(settings.ws_url.as_str())
        .heartbeat(Heartbeat::Ping(settings.heartbeat))
        .stall_after(settings.stall)
        .max_message_bytes(MAX_MESSAGE_BYTES);
    let mut socket = settings.network.websocket(request).await?;
    socket.queue_binary(request::authenticate(keys.hsm_key(), CLIENT));
    let (acknowledge_every, layout) = timeout(VERDICT_LIMIT, verdict(&mut socket)).await.map_err(|_| {
        AdapterError::network(
            "the broker opened the data socket and did not answer the log-in; it does so when its own service is down, \
             and when it does not know the token's key",
        )
    })??;
    // Each channel has its mode before there is anything on it.
    socket.queue_binary(request::mode(Channel::Full));
    socket.queue_binary(request::mode(Channel::Lite));
    Ok(Opened { socket, acknowledge_every, layout })
}

async fn verdict(socket: &mut WebSocket) -> Result<(u32, Layout), AdapterError> {
    loop {
        let Message::Binary(bytes) = socket.next().await? else { continue };
        match Frame::parse(&bytes, LITE_VALUES) {
            Ok(Frame::Verdict(verdict)) if verdict.is_accepted => {
                return Ok((verdict.acknowledge_every, Layout::read(verdict.description)));
            }
            Ok(Frame::Verdict(_)) => {
                return Err(AdapterError::auth(
                    "the broker refused the token of the day: tokens end each morning, and when somebody logs out; log in \
                     again with `tickhost account login`",
                ));
            }
            Ok(Frame::Custom { code, request: Some(Request::Authenticate), .. }) => {
                return Err(faulted(code));
            }
            Ok(Frame::Custom { code, .. }) => {
                warn!(code, "The broker says something before the log-in is answered");
            }
            Ok(_) => debug!("A frame before the answer to the log-in"),
            Err(error) => return Err(AdapterError::protocol(format!("the answer to the log-in is {error}"))),
        }
    }
}

/// The broker found fault with the log-in in words, which are left out: nobody knows whether they repeat a key.
pub(crate) fn faulted(code: i32) -> AdapterError {
    AdapterError::protocol(format!("the broker found fault with the log-in, code {code}"))
}
