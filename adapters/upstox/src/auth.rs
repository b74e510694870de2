//! The token of the day, and what it opens: the broker gives the address of a socket, with a code in it that
//! works once.

use std::{
    rc::Rc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use adapter_sdk::{
    AdapterError, Credentials, ErrorCode, Token,
    net::{Heartbeat, Http, Meaning, WebSocket, WebSocketRequest},
};
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::config::Settings;

/// Where the broker says the address of the market data, and that of the order updates.
pub(crate) const MARKET: &str = "v3/feed/market-data-feed/authorize";
pub(crate) const ORDERS: &str = "v2/feed/portfolio-stream-feed/authorize?update_types=order";

/// Longest message. That of a hundred instruments with thirty levels has some 150 KB.
const MAX_MESSAGE_BYTES: usize = 4 << 20;

/// Why a token is refused.
const REFUSED: &str = "the broker refused the access token: tokens end at 03:30 in India, and when the app is authorized again; log in \
                       with `tickhost account login`";

/// What a refused handshake means: the token was good a moment ago, so it is something else.
const REFUSALS: [Meaning; 1] = [(
    &[401, 403, 429],
    ErrorCode::RATE_LIMITED,
    "the broker refused the connection right after it had allowed it: an app and user have one, and another program may have \
     it",
)];

/// What a token says of itself.
#[derive(Deserialize)]
struct Claims {
    /// Seconds since the Unix epoch.
    exp: Option<f64>,
    /// Client code of the user.
    sub: Option<String>,
}

/// The token of the day, and whose it is. Never shown, and wiped from memory.
#[derive(Clone)]
pub(crate) struct Keys {
    token: Token,
    user: Zeroizing<String>,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keys(..)")
    }
}

impl Keys {
    /// Reads the token under the names that it has.
    ///
    /// # Errors
    /// An authentication error when there is none, or when it says of itself that it has ended.
    pub(crate) fn read(fields: &Credentials, now: SystemTime) -> Result<Self, AdapterError> {
        let token = fields.token(&["access_token", "auth_token"], &[])?;
        let claims = token.claims::<Claims>();
        let ends_at = claims.as_ref().and_then(|claims| claims.exp);
        let now = now.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs_f64();
        if ends_at.is_some_and(|ends_at| ends_at <= now) {
            return Err(AdapterError::auth(REFUSED));
        }
        // A token alone says whose it is as well, for as long as it is good.
        let user = fields.any_of(&["user_id", "client_id"]).ok().map(str::to_owned);
        let user = user.or_else(|| claims?.sub).unwrap_or_else(|| token.token().to_owned());
        Ok(Self { token, user: Zeroizing::new(user) })
    }

    /// What tells accounts apart.
    pub(crate) fn user(&self) -> &str {
        &self.user
    }
}

#[derive(Deserialize)]
struct Answer {
    data: Authorized,
}

/// The address stands there twice, for as long as the older name is not gone.
#[derive(Deserialize)]
struct Authorized {
    authorized_redirect_uri: Option<Zeroizing<String>>,
    #[serde(rename = "authorizedRedirectUri")]
    older: Option<Zeroizing<String>>,
}

/// What opens sockets, each time with a code of its own.
#[derive(Clone, Debug)]
pub(crate) struct Gate {
    pub(crate) http: Http,
    pub(crate) settings: Rc<Settings>,
    pub(crate) keys: Keys,
}

impl Gate {
    /// Opens one of the sockets.
    ///
    /// # Errors
    /// An authentication error when the broker refuses the token, and what goes wrong on the way.
    pub(crate) async fn open(&self, path: &str) -> Result<WebSocket, AdapterError> {
        let Settings { api_url, heartbeat, stall, network, .. } = &*self.settings;
        let url = self.address(path).await?;
        if !is_fit(&url, api_url) {
            return Err(AdapterError::protocol(
                "the broker named an address that is none of an encrypted socket",
            ));
        }
        // The address may be of another host: the token is nothing to that.
        let request = WebSocketRequest::new(url.as_str())
            .heartbeat(Heartbeat::Ping((*heartbeat).min(stall.div_f64(2.5))))
            .stall_after(*stall)
            .max_message_bytes(MAX_MESSAGE_BYTES);
        network.websocket(request).await.map_err(|error| error.explain(&REFUSALS))
    }

    async fn address(&self, path: &str) -> Result<Zeroizing<String>, AdapterError> {
        let request = self.http.get(&format!("{}/{path}", self.settings.api_url));
        let token = Zeroizing::new(format!("Bearer {}", self.keys.token.token()));
        let request = request.header("Authorization", &token).header("Accept", "application/json");
        let Answer { data } = request.log_in(REFUSED).await?;
        let address = data.authorized_redirect_uri.or(data.older);
        address.ok_or_else(|| AdapterError::protocol("the broker let this side in, and did not say where"))
    }
}

/// Whether an address that the broker gave is one of a socket, which is encrypted if the interface is.
fn is_fit(url: &str, api_url: &str) -> bool {
    url.starts_with("wss://") || (url.starts_with("ws://") && !api_url.starts_with("https://"))
}

#[cfg(test)]
mod tests {
    use adapter_sdk::{
        net::RateLimit,
        testing::{FileServer, credentials},
    };

    use super::*;
    use crate::config::Config;

    /// `{"sub":"AB1234","exp":2000000000}`.
    const TOKEN: &str = "eyJ9.eyJzdWIiOiJBQjEyMzQiLCJleHAiOjIwMDAwMDAwMDB9.c2ln";

    fn read(fields: &str, seconds: u64) -> Result<Keys, AdapterError> {
        Keys::read(&credentials(fields), UNIX_EPOCH + Duration::from_secs(seconds))
    }

    #[test]
    fn a_token_says_whose_it_is_and_when_it_ends() {
        let stored = format!(r#"{{"access_token":"{TOKEN}"}}"#);
        let keys = read(&stored, 1_999_999_999).unwrap();
        assert_eq!(keys.user(), "AB1234");
        assert!(!format!("{keys:?}").contains("AB1234"));
        let ended = read(&stored, 2_000_000_000).unwrap_err();
        assert!(ended.code() == ErrorCode::AUTH && ended.to_string().contains("account login"), "{ended}");
        // One that is no such text is believed.
        assert_eq!(read(r#"{"auth_token":"plain"}"#, 1).unwrap().user(), "plain");
        assert_eq!(read(r#"{"auth_token":"plain","user_id":"X"}"#, 1).unwrap().user(), "X");
        assert_eq!(read("{}", 1).unwrap_err().code(), ErrorCode::AUTH);
    }

    #[tokio::test]
    async fn an_answer_without_an_address_that_can_be_used_makes_no_sense() {
        let files = FileServer::start().unwrap();
        let config = format!(r#"{{"api_url":"{}"}}"#, files.url(""));
        let settings = serde_json::from_str::<Config>(&config).unwrap().check().unwrap();
        let keys = read(r#"{"access_token":"canary"}"#, 1).unwrap();
        let http = settings.network.http(RateLimit::per_second(1_000.0));
        let gate = Gate { http, settings: Rc::new(settings), keys };
        for body in ["", "<html></html>", "[]", "{}", r#"{"data":{"authorized_redirect_uri":7}}"#] {
            files.show(&format!("/{MARKET}"), body);
            let error = gate.address(MARKET).await.unwrap_err();
            assert_eq!(error.code(), ErrorCode::PROTOCOL, "{body}");
        }
        let (name, older) = (
            r#""authorized_redirect_uri":"wss://x/?code=1""#,
            r#""authorizedRedirectUri":"wss://x/?code=1""#,
        );
        for members in [name.to_owned(), older.to_owned(), format!("{name},{older}")] {
            files.show(&format!("/{MARKET}"), format!(r#"{{"status":"success","data":{{{members}}}}}"#));
            assert_eq!(gate.address(MARKET).await.unwrap().as_str(), "wss://x/?code=1");
        }
        files.show(&format!("/{MARKET}"), r#"{"data":{"authorized_redirect_uri":"http://x/?code=canary"}}"#);
        let error = gate.open(MARKET).await.unwrap_err();
        assert!(error.code() == ErrorCode::PROTOCOL && !error.to_string().contains("canary"), "{error}");
    }

    #[test]
    fn a_socket_is_as_safe_as_the_interface() {
        for (url, api_url, wanted) in [
            ("wss://x", "https://y", true),
            ("wss://x", "http://y", true),
            ("ws://x", "http://y", true),
            ("ws://x", "https://y", false),
            ("https://x", "http://y", false),
            ("", "http://y", false),
        ] {
            assert_eq!(is_fit(url, api_url), wanted, "{url} {api_url}");
        }
    }
}
