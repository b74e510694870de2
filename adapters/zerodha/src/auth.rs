//! The keys of an account, and the connection that they open.

use adapter_sdk::{
    AdapterError, Credentials, ExposeSecret as _, SecretString, Token,
    abi::ErrorCode,
    net::{HttpRequest, Meaning, WebSocket, WebSocketRequest, with_query},
};

use crate::config::Settings;

/// Longest message of the broker, in bytes. With 3,000 instruments in mode full it has half a megabyte.
const MAX_MESSAGE_BYTES: usize = 4 << 20;

/// Keys of today. They are never shown, and wiped from memory.
#[derive(Clone, Debug)]
pub(crate) struct Keys(Token);

impl Keys {
    /// Reads `access_token`, or `auth_token` as accounts of an OpenAlgo database have it. Either may be
    /// `api_key:access_token` in one.
    pub(crate) fn read(credentials: &Credentials) -> Result<Self, AdapterError> {
        let token = credentials.token(&["access_token", "auth_token"], &["api_key"])?;
        token.require_owner("api_key")?;
        Ok(Self(token))
    }

    fn api_key(&self) -> &str {
        self.0.owner().unwrap_or_default()
    }

    /// A REST request of this account.
    pub(crate) fn sign(&self, request: HttpRequest) -> HttpRequest {
        let token = SecretString::from(format!("token {}:{}", self.api_key(), self.0.token()));
        versioned(request).header("Authorization", token.expose_secret())
    }

    /// Opens the ticker.
    pub(crate) async fn connect(&self, settings: &Settings) -> Result<WebSocket, AdapterError> {
        let request = WebSocketRequest::new(self.ticker_url(&settings.ws_url))
            .header("X-Kite-Version", "3")
            .header("User-Agent", USER_AGENT)
            .stall_after(settings.stall)
            .max_message_bytes(MAX_MESSAGE_BYTES);
        settings.network.websocket(request).await.map_err(|error| error.explain(&REFUSALS))
    }

    fn ticker_url(&self, ws_url: &str) -> String {
        with_query(ws_url, &[("api_key", self.api_key()), ("access_token", self.0.token())])
    }
}

const USER_AGENT: &str = concat!("tickhost-zerodha/", env!("CARGO_PKG_VERSION"));

/// Says which version of the REST interface is meant.
pub(crate) fn versioned(request: HttpRequest) -> HttpRequest {
    request.header("X-Kite-Version", "3").header("User-Agent", USER_AGENT)
}

/// What a refused handshake means. The broker has no other way to say that a token is dead.
const REFUSALS: [Meaning; 3] = [
    (
        &[401, 403],
        ErrorCode::AUTH,
        "the broker refused the access token (HTTP 403): tokens end each morning, and when somebody logs out; log in again with \
         `tickhost account login`. If a new token is refused too, the API key is wrong or its app has no subscription to market \
         data",
    ),
    (
        &[400],
        ErrorCode::AUTH,
        "the broker does not understand the access token (HTTP 400): it must be one of Kite Connect, not of the web site; log in \
         again with `tickhost account login`",
    ),
    (
        &[429],
        ErrorCode::RATE_LIMITED,
        "the broker refused one more connection (HTTP 429): an API key has 3, and something else uses them",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(json: &str) -> Result<Keys, AdapterError> {
        Keys::read(&adapter_sdk::testing::credentials(json))
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
