//! The keys of an account, and the connection that they open.

use std::fmt;

use adapter_sdk::{
    AdapterError, Credentials,
    net::{HandshakeError, HttpRequest, Network, WebSocket, WebSocketRequest, push_encoded},
};
use zeroize::Zeroizing;

use crate::config::Settings;

/// Longest message of the broker, in bytes. With 3,000 instruments in mode full it has half a megabyte.
const MAX_MESSAGE_BYTES: usize = 4 << 20;

/// Keys of today. They are never shown, and wiped from memory.
#[derive(Clone)]
pub(crate) struct Keys {
    api_key: Zeroizing<String>,
    access_token: Zeroizing<String>,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys(..)")
    }
}

impl Keys {
    /// Reads `access_token`, or `auth_token` as accounts of an OpenAlgo database have it. Either may be
    /// `api_key:access_token` in one, whose first part counts: a token belongs to the key that it was made for.
    pub(crate) fn read(credentials: &Credentials) -> Result<Self, AdapterError> {
        Self::find(|name| credentials.get(name))
    }

    fn find<'a>(get: impl Fn(&str) -> Option<&'a str>) -> Result<Self, AdapterError> {
        let filled = |name| get(name).map(str::trim).filter(|value| !value.is_empty());
        let token = filled("access_token").or_else(|| filled("auth_token")).ok_or_else(|| {
            AdapterError::auth("the account has no access_token: get one with `tickhost account login`")
        })?;
        let (api_key, access_token) = match token.split_once(':') {
            Some((key, token)) => (Some(key).filter(|key| !key.is_empty()), token),
            None => (None, token),
        };
        let api_key = api_key.or_else(|| filled("api_key")).ok_or_else(|| {
            AdapterError::auth("the account has no api_key: set it with `tickhost account set`")
        })?;
        if access_token.is_empty() {
            return Err(AdapterError::auth(
                "the account's access_token ends with its colon: get one with `tickhost account login`",
            ));
        }
        Ok(Self { api_key: api_key.to_owned().into(), access_token: access_token.to_owned().into() })
    }

    /// A REST request of this account.
    pub(crate) fn sign(&self, request: HttpRequest) -> HttpRequest {
        let token = Zeroizing::new(format!("token {}:{}", *self.api_key, *self.access_token));
        versioned(request).header("Authorization", &token)
    }

    /// Opens the ticker.
    pub(crate) async fn connect(
        &self,
        network: &Network,
        settings: &Settings,
    ) -> Result<WebSocket, AdapterError> {
        let request = WebSocketRequest::new(self.ticker_url(&settings.ws_url))
            .header("X-Kite-Version", "3")
            .header("User-Agent", USER_AGENT)
            .stall_after(settings.stall)
            .max_message_bytes(MAX_MESSAGE_BYTES);
        network.websocket(request).await.map_err(explain)
    }

    fn ticker_url(&self, ws_url: &str) -> String {
        let mut url = ws_url.to_owned();
        for (name, value) in [("api_key", &self.api_key), ("access_token", &self.access_token)] {
            url.push(if url.contains('?') { '&' } else { '?' });
            url.push_str(name);
            url.push('=');
            push_encoded(&mut url, value);
        }
        url
    }
}

const USER_AGENT: &str = concat!("tickhost-zerodha/", env!("CARGO_PKG_VERSION"));

/// Says which version of the REST interface is meant.
pub(crate) fn versioned(request: HttpRequest) -> HttpRequest {
    request.header("X-Kite-Version", "3").header("User-Agent", USER_AGENT)
}

/// What a refused handshake means. The broker has no other way to say that a token is dead.
fn explain(error: HandshakeError) -> AdapterError {
    match error.status() {
        Some(401 | 403) => AdapterError::auth(
            "the broker refused the access token (HTTP 403): tokens end each morning, and when somebody logs out; log in \
             again with `tickhost account login`. If a new token is refused too, the API key is wrong or its app has no \
             subscription to market data",
        ),
        Some(400) => AdapterError::auth(
            "the broker does not understand the access token (HTTP 400): it must be one of Kite Connect, not of the \
             web site; log in again with `tickhost account login`",
        ),
        Some(429) => AdapterError::rate_limited(
            "the broker refused one more connection (HTTP 429): an API key has 3, and something else uses them",
        ),
        _ => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use adapter_sdk::abi::ErrorCode;

    use super::*;

    fn keys(json: &str) -> Result<Keys, AdapterError> {
        let fields: serde_json::Value = serde_json::from_str(json).unwrap();
        Keys::find(|name| fields[name].as_str())
    }

    fn url(json: &str) -> Result<String, AdapterError> {
        keys(json).map(|keys| keys.ticker_url("wss://ws.example"))
    }

    #[test]
    fn every_form_of_a_token_opens_the_ticker() {
        let wanted = "wss://ws.example?api_key=key&access_token=token";
        for json in [
            r#"{"api_key":"key","access_token":"token"}"#,
            r#"{"api_key":"key","access_token":" token\n"}"#,
            r#"{"access_token":"key:token"}"#,
            r#"{"api_key":"other","access_token":"key:token"}"#,
            r#"{"api_key":"key","access_token":":token"}"#,
            r#"{"auth_token":"key:token"}"#,
            r#"{"api_key":"key","auth_token":"token","access_token":""}"#,
        ] {
            assert_eq!(url(json).unwrap(), wanted, "{json}");
        }
        let encoded = url(r#"{"access_token":"k:a+b/c=é"}"#).unwrap();
        assert_eq!(encoded, "wss://ws.example?api_key=k&access_token=a%2Bb%2Fc%3D%C3%A9");
        let keys = keys(r#"{"access_token":"k:t"}"#).unwrap();
        assert_eq!(keys.ticker_url("ws://x/?a=b"), "ws://x/?a=b&api_key=k&access_token=t");
    }

    #[test]
    fn what_is_missing_is_named() {
        for (json, missing) in [
            ("{}", "access_token"),
            (r#"{"access_token":"token"}"#, "api_key"),
            (r#"{"access_token":"key:"}"#, "access_token"),
        ] {
            let error = url(json).unwrap_err();
            assert_eq!(error.code(), ErrorCode::AUTH);
            assert!(error.to_string().contains(missing), "{error}");
        }
        let keys = keys(r#"{"access_token":"canary:canary"}"#).unwrap();
        assert!(!format!("{keys:?}").contains("canary"));
    }
}
