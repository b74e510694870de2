//! The way in: the tokens of the day, the sockets that they open, and what a refusal of one means.

use std::path::Path;

use adapter_sdk::{
    AdapterError, Credentials,
    abi::ErrorCode,
    net::{HandshakeError, Heartbeat, Meaning, WebSocket, WebSocketRequest},
    session::OrderSocket,
};

use crate::config::Settings;

/// What the broker answers with `pong`. It hangs up after 30 seconds without one.
const HEARTBEAT: &str = "ping";

/// Longest message of the market feed: its packets have 443 bytes, its texts less than a thousand.
const FEED_BYTES: usize = 64 << 10;

/// Longest message of the order socket.
const ORDER_BYTES: usize = 256 << 10;

/// What stands for the API key of an account that has none, as OpenAlgo does it: the broker looks at client
/// code and feed token.
const NO_API_KEY: &str = "api_key";

/// What the broker finds fault with, by its word for it.
const FAULTS: [(&str, &str); 3] = [
    ("client code", "the client code: check client_code"),
    ("api key", "the API key: check api_key"),
    ("feed token", "the feed token: log in again, tokens end at 5 in the morning"),
];

/// What any other refusal means.
const REFUSALS: [Meaning; 1] = [(
    &[429],
    ErrorCode::RATE_LIMITED,
    "the broker counts three connections of this client code already: close those of other programs",
)];

/// Names of the client code: the adapter's, and OpenAlgo's.
pub(crate) const CLIENT_CODE: [&str; 2] = ["client_code", "user_id"];

/// A JWT as the broker wants it: some store it with the word before it.
pub(crate) fn bearer(jwt: &str) -> String {
    format!("Bearer {}", jwt.strip_prefix("Bearer ").unwrap_or(jwt))
}

/// Opens the market feed with the tokens of the moment.
pub(crate) async fn open(settings: &Settings, credentials: &Credentials) -> Result<WebSocket, AdapterError> {
    let request = WebSocketRequest::new(settings.ws_url.as_str())
        .header("Authorization", bearer(credentials.any_of(&["auth_token"])?))
        .header("x-api-key", credentials.filled("api_key").unwrap_or(NO_API_KEY))
        .header("x-client-code", credentials.any_of(&CLIENT_CODE)?)
        .header("x-feed-token", credentials.any_of(&["feed_token"])?)
        .heartbeat(Heartbeat::Text(HEARTBEAT, settings.beat()))
        .stall_after(settings.stall)
        .pace(settings.batch_interval)
        .max_message_bytes(FEED_BYTES);
    settings.network.websocket(request).await.map_err(refused)
}

/// The order socket, if it is wanted. The folder is one that all connections of the account share.
pub(crate) fn orders(
    settings: &Settings,
    credentials: &Credentials,
    folder: &Path,
) -> Result<Option<OrderSocket>, AdapterError> {
    if !settings.orders {
        return Ok(None);
    }
    let request = WebSocketRequest::new(settings.order_ws_url.as_str())
        .header("Authorization", bearer(credentials.any_of(&["auth_token"])?))
        .heartbeat(Heartbeat::Ping(settings.beat()))
        .stall_after(settings.stall)
        .max_message_bytes(ORDER_BYTES);
    let client_code = credentials.any_of(&CLIENT_CODE)?;
    Ok(Some(OrderSocket::new(&settings.network, request, refused, folder, client_code)))
}

/// What a refused handshake means. The broker says it in a header; only what its documents name is shown.
fn refused(error: HandshakeError) -> AdapterError {
    if !matches!(error.status(), Some(401 | 403)) {
        return error.explain(&REFUSALS);
    }
    let said = error.header("x-error-message").unwrap_or_default().to_ascii_lowercase();
    let fault = FAULTS.iter().find(|(word, _)| said.contains(word));
    let what = fault.map_or("the token: log in again, tokens end at 5 in the morning", |(_, what)| what);
    AdapterError::auth(format!("the broker does not accept {what}"))
}
