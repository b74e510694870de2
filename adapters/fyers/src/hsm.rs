//! The log-in on the data socket.

use adapter_sdk::{
    AdapterError,
    net::{Heartbeat, Message, WebSocket, WebSocketRequest},
    tracing::{debug, warn},
};

use crate::{
    config::Settings,
    description::Layout,
    wire::{Frame, LITE_VALUES, Request},
};

/// Longest message of the broker, in bytes. After the log-in it sends its own list of instruments.
const MAX_MESSAGE_BYTES: usize = 32 << 20;

/// Who this side says that it is.
pub(crate) const CLIENT: &str = concat!("tickhost-", env!("CARGO_PKG_VERSION"));

/// Opens a data socket.
///
/// The handshake has no `Authorization` header: the broker opens a connection that has one, whatever is in
/// it, and then never answers the log-in.
pub(crate) async fn open(settings: &Settings) -> Result<WebSocket, AdapterError> {
    let request = WebSocketRequest::new(settings.ws_url.as_str())
        .heartbeat(Heartbeat::Ping(settings.heartbeat()))
        .stall_after(settings.stall)
        .max_message_bytes(MAX_MESSAGE_BYTES);
    Ok(settings.network.websocket(request).await?)
}

/// What a message before the log-in has worked says of it: every how many frames of data one is to be
/// acknowledged, and how records are to be read. None when it says nothing of it.
pub(crate) fn verdict(message: &Message) -> Result<Option<(u32, Layout)>, AdapterError> {
    let Message::Binary(bytes) = message else { return Ok(None) };
    match Frame::parse(bytes, LITE_VALUES) {
        Ok(Frame::Verdict(verdict)) if verdict.is_accepted => {
            return Ok(Some((verdict.acknowledge_every, Layout::read(verdict.description))));
        }
        Ok(Frame::Verdict(_)) => {
            return Err(AdapterError::auth(
                "the broker refused the token of the day: tokens end each morning, and when somebody logs out; log in \
                 again with `tickhost account login`",
            ));
        }
        Ok(Frame::Custom { code, request: Some(Request::Authenticate), .. }) => return Err(faulted(code)),
        Ok(Frame::Custom { code, .. }) => {
            warn!(code, "The broker says something before the log-in is answered");
        }
        Ok(_) => debug!("A frame before the answer to the log-in"),
        Err(error) => return Err(AdapterError::protocol(format!("the answer to the log-in is {error}"))),
    }
    Ok(None)
}

/// The broker found fault with the log-in in words, which are left out: nobody knows whether they repeat a
/// key.
pub(crate) fn faulted(code: i32) -> AdapterError {
    AdapterError::protocol(format!("the broker found fault with the log-in, code {code}"))
}

/// The broker opened the data socket and did not answer the log-in.
pub(crate) fn unanswered(error: &AdapterError) -> AdapterError {
    AdapterError::network(format!(
        "{error}, although the data socket was open: the broker does so when its own service is down, and when it does not \
         know the token's key"
    ))
}
