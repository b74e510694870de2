//! The way in: headers of the handshake, and what a refusal of it means.

use adapter_sdk::{
    AdapterError, Credentials,
    net::{HandshakeError, Heartbeat, WebSocket, WebSocketRequest},
};

use crate::{
    config::Settings,
    login::{client_code, jwt},
};

/// What the broker answers with `pong`. It hangs up after 30 seconds without one.
const HEARTBEAT: &str = "ping";

/// Longest message of the broker: its packets have 443 bytes, its texts less than a thousand.
const MESSAGE_BYTES: usize = 64 << 10;

/// What stands for the API key of an account that has none, as OpenAlgo does it: the broker looks at client code and
/// feed token.
const NO_API_KEY: &str = "api_key";

/// Opens the market feed with the tokens of the moment.
pub(crate) async fn open(settings: &Settings, credentials: &Credentials) -> Result<WebSocket, AdapterError> {
    let feed_token = match credentials.filled("feed_token") {
        Some(token) => token,
        None => credentials.require("feed_token")?,
    };
    let request = WebSocketRequest::new(settings.ws_url.as_str())
        .header("Authorization", format!("Bearer {}", jwt(credentials)?))
        .header("x-api-key", credentials.filled("api_key").unwrap_or(NO_API_KEY))
        .header("x-client-code", client_code(credentials)?)
        .header("x-feed-token", feed_token)
        .heartbeat(Heartbeat::Text(HEARTBEAT, settings.heartbeat))
        .stall_after(settings.stall)
        .pace(settings.batch_interval)
        .max_message_bytes(MESSAGE_BYTES);
    settings.network.websocket(request).await.map_err(refused)
}

/// What a refused handshake means. The broker says it in a header; only what its documents name is shown.
pub(crate) fn refused(error: HandshakeError) -> AdapterError {
    let said = error.header("x-error-message").unwrap_or_default().to_ascii_lowercase();
    match error.status() {
        Some(401 | 403) => {
            let what = if said.contains("client code") {
                "the client code: check client_code"
            } else if said.contains("api key") {
                "the API key: check api_key"
            } else if said.contains("feed token") {
                "the feed token: log in again, tokens end at 5 in the morning"
            } else {
                "the token: log in again, tokens end at 5 in the morning"
            };
            AdapterError::auth(format!("the broker does not accept {what}"))
        }
        Some(429) => AdapterError::rate_limited(
            "the broker counts three connections of this client code already: close those of other programs",
        ),
        _ => error.into(),
    }
}
