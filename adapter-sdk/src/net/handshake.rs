//! The opening of a WebSocket: an HTTP request whose refusal says more than any close frame.

use std::time::Duration;

use reqwest::{
    Response, StatusCode, Url,
    header::{self, HeaderMap, HeaderName, HeaderValue},
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        handshake::{client::generate_key, derive_accept_key},
        protocol::{Role, WebSocketConfig},
    },
};

use super::{
    Network, WebSocket, WebSocketRequest,
    error::{chain, failed},
};
use crate::{AdapterError, abi::ErrorCode};

/// Most that is read of a refusal's body, in bytes.
const MAX_BODY_BYTES: usize = 4_096;

/// Longest wait for the body of a refusal.
const BODY_TIMEOUT: Duration = Duration::from_secs(2);

/// Why there is no WebSocket.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// The broker answered, with something else.
    #[error("the broker refused the connection with HTTP {}", .0.status)]
    Refused(Box<RefusedHandshake>),
    /// There was no answer.
    #[error(transparent)]
    Lost(AdapterError),
}

/// The answer of a broker that does not open a WebSocket. Do not show its body or headers as they are: nobody
/// knows whether they repeat a token.
#[derive(Clone)]
pub struct RefusedHandshake {
    status: u16,
    headers: HeaderMap,
    body: String,
}

impl std::fmt::Debug for RefusedHandshake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RefusedHandshake").field("status", &self.status).finish_non_exhaustive()
    }
}

impl RefusedHandshake {
    /// HTTP status.
    pub const fn status(&self) -> u16 {
        self.status
    }

    /// A header's value, when it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The beginning of the body, at most 4 KiB.
    pub fn body(&self) -> &str {
        &self.body
    }
}

impl HandshakeError {
    /// HTTP status of a refusal.
    pub const fn status(&self) -> Option<u16> {
        match self {
            Self::Refused(refused) => Some(refused.status),
            Self::Lost(_) => None,
        }
    }

    /// A header of a refusal.
    pub fn header(&self, name: &str) -> Option<&str> {
        match self {
            Self::Refused(refused) => refused.header(name),
            Self::Lost(_) => None,
        }
    }
}

/// What a refused handshake means at a broker: HTTP statuses, what is to be done about it, and a sentence for
/// the operator.
pub type Meaning = (&'static [u16], ErrorCode, &'static str);

impl HandshakeError {
    /// The error of the first row that has the status; without one, what the status stands for anywhere.
    /// Brokers have no other way to say that a token is dead, so the sentence says what to do.
    pub fn explain(self, meanings: &[Meaning]) -> AdapterError {
        let status = self.status();
        let meant = meanings.iter().find(|(statuses, ..)| status.is_some_and(|one| statuses.contains(&one)));
        match meant {
            Some((_, code, message)) => AdapterError::of(*code, message).caused_by(self),
            None => self.into(),
        }
    }
}

impl From<HandshakeError> for AdapterError {
    fn from(error: HandshakeError) -> Self {
        match error {
            HandshakeError::Lost(lost) => lost,
            HandshakeError::Refused(refused) => {
                let error = HandshakeError::Refused(refused);
                by_status(error.status().unwrap_or_default(), error.to_string()).caused_by(error)
            }
        }
    }
}

/// The class of error that an HTTP status stands for.
pub(super) fn by_status(status: u16, message: String) -> AdapterError {
    match status {
        401 | 403 => AdapterError::auth(message),
        429 => AdapterError::rate_limited(message),
        400..=499 => AdapterError::protocol(message),
        _ => AdapterError::network(message),
    }
}

impl Network {
    /// Opens a WebSocket, through the proxy if there is one.
    ///
    /// # Errors
    /// [`HandshakeError`]; as an [`AdapterError`] it has the class that its HTTP status stands for.
    pub async fn websocket(&self, request: WebSocketRequest) -> Result<WebSocket, HandshakeError> {
        let limit = self.0.connect_timeout;
        tokio::time::timeout(limit, self.open(request)).await.unwrap_or_else(|_| {
            Err(HandshakeError::Lost(AdapterError::network(format!(
                "the broker did not open the connection within {limit:?}"
            ))))
        })
    }

    async fn open(&self, request: WebSocketRequest) -> Result<WebSocket, HandshakeError> {
        let (url, is_tls) = http_url(&request.url).map_err(HandshakeError::Lost)?;
        let key = generate_key();
        let headers = headers(&request, &key).map_err(HandshakeError::Lost)?;
        let client = self.upgrader(is_tls).map_err(HandshakeError::Lost)?;
        let response = client
            .get(url)
            .headers(headers)
            .send()
            .await
            .map_err(|error| HandshakeError::Lost(failed("no WebSocket", &error)))?;
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            return Err(HandshakeError::Refused(Box::new(refused(response).await)));
        }
        let accepted = response.headers().get(header::SEC_WEBSOCKET_ACCEPT);
        if accepted.is_none_or(|accepted| accepted.as_bytes() != derive_accept_key(key.as_bytes()).as_bytes())
        {
            return Err(HandshakeError::Lost(AdapterError::protocol("what answers is no WebSocket")));
        }
        let upgraded = response.upgrade().await.map_err(|error| {
            HandshakeError::Lost(AdapterError::network(format!("no WebSocket: {}", chain(&error))))
        })?;
        let limits = WebSocketConfig::default()
            .max_message_size(Some(request.max_message_bytes))
            .max_frame_size(Some(request.max_message_bytes));
        let stream = WebSocketStream::from_raw_socket(upgraded, Role::Client, Some(limits)).await;
        Ok(WebSocket::new(stream, &request))
    }
}

fn http_url(address: &str) -> Result<(Url, bool), AdapterError> {
    let (scheme, rest) = address.split_once("://").unwrap_or_default();
    let is_tls = match scheme {
        "ws" => false,
        "wss" => true,
        _ => return Err(AdapterError::config("the address of a WebSocket must begin with ws:// or wss://")),
    };
    let http = format!("{}://{rest}", if is_tls { "https" } else { "http" });
    let url = Url::parse(&http)
        .map_err(|error| AdapterError::config(format!("the WebSocket's address is no URL: {error}")))?;
    Ok((url, is_tls))
}

fn headers(request: &WebSocketRequest, key: &str) -> Result<HeaderMap, AdapterError> {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    let key = HeaderValue::from_str(key).map_err(|_| AdapterError::protocol("no key for the handshake"))?;
    headers.insert(header::SEC_WEBSOCKET_KEY, key);
    for (name, value) in &request.headers {
        let (name, value) = header_of(name, value)?;
        headers.insert(name, value);
    }
    Ok(headers)
}

/// A header. Its value is never shown, it may be a token.
pub(super) fn header_of(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), AdapterError> {
    let header = HeaderName::from_bytes(name.as_bytes())
        .map_err(|_| AdapterError::config(format!("{name:?} is no name of a header")))?;
    let mut value = HeaderValue::from_str(value).map_err(|_| {
        // A token with a line break comes from a bad copy.
        AdapterError::auth(format!("what is to be sent as {name} has characters that no header may have"))
    })?;
    value.set_sensitive(true);
    Ok((header, value))
}

async fn refused(mut response: Response) -> RefusedHandshake {
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let mut body = Vec::new();
    let reading = async {
        while body.len() < MAX_BODY_BYTES
            && let Ok(Some(chunk)) = response.chunk().await
        {
            body.extend_from_slice(&chunk);
        }
    };
    // What came by then is enough.
    _ = tokio::time::timeout(BODY_TIMEOUT, reading).await;
    body.truncate(MAX_BODY_BYTES);
    RefusedHandshake { status, headers, body: String::from_utf8_lossy(&body).into_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_means_what_the_table_says_or_what_its_status_stands_for() {
        const MEANINGS: [Meaning; 2] =
            [(&[401, 403], ErrorCode::AUTH, "log in again"), (&[400], ErrorCode::RATE_LIMITED, "too many")];
        let said = |status| {
            let refused = RefusedHandshake { status, headers: HeaderMap::new(), body: "secret".to_owned() };
            let error = HandshakeError::Refused(Box::new(refused)).explain(&MEANINGS);
            (error.code(), error.to_string())
        };
        assert_eq!(said(403), (ErrorCode::AUTH, "log in again".to_owned()));
        assert_eq!(said(400), (ErrorCode::RATE_LIMITED, "too many".to_owned()));
        let other = "the broker refused the connection with HTTP 503".to_owned();
        assert_eq!(said(503), (ErrorCode::NETWORK, other));
        let lost = HandshakeError::Lost(AdapterError::network("no route"));
        assert_eq!(lost.explain(&MEANINGS), AdapterError::network("no route"));
    }

    #[test]
    fn answers_have_their_class() {
        let code = |status| {
            let refused =
                RefusedHandshake { status, headers: HeaderMap::new(), body: "token=abc".to_owned() };
            let error = AdapterError::from(HandshakeError::Refused(Box::new(refused)));
            assert!(!error.to_string().contains("abc"), "{error}");
            error.code()
        };
        assert_eq!([code(401), code(403)], [ErrorCode::AUTH; 2]);
        assert_eq!(code(429), ErrorCode::RATE_LIMITED);
        assert_eq!(code(404), ErrorCode::PROTOCOL);
        assert_eq!([code(502), code(302)], [ErrorCode::NETWORK; 2]);
    }
}
