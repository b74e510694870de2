//! The token of an account, the sockets that it opens, and what the broker says against it.

use std::fmt;

use adapter_sdk::{
    AdapterError, Credentials,
    abi::ErrorCode,
    net::{HandshakeError, Heartbeat, Http, WebSocket, WebSocketRequest, push_encoded},
};
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::{config::Settings, wire::depth::Tier};

/// Longest message of the broker, in bytes. With 5,000 instruments in mode full it has less than one megabyte.
const MAX_MESSAGE_BYTES: usize = 4 << 20;

/// What the REST interface calls a token that is not good, or not of this account.
const TOKEN_CODES: [&str; 5] = ["DH-901", "807", "808", "809", "810"];

/// Longest answer that is read, in bytes.
const MAX_ANSWER_BYTES: usize = 64 << 10;

/// What an account is known by, and its token of the day. Never shown, and wiped from memory.
#[derive(Clone)]
pub(crate) struct Keys {
    client_id: String,
    access_token: Zeroizing<String>,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys(..)")
    }
}

/// The client id: by the adapter's name for it, or by those that accounts of an OpenAlgo database have. One has it
/// before its API key, with three colons between.
pub(crate) fn client_id(credentials: &Credentials) -> Option<&str> {
    let joined = || credentials.filled("api_key")?.split_once(":::").map(|(client_id, _)| client_id);
    credentials.filled("client_id").or_else(joined).or_else(|| credentials.filled("user_id"))
}

impl Keys {
    /// Reads them.
    pub(crate) fn read(credentials: &Credentials) -> Result<Self, AdapterError> {
        let access_token = credentials.filled("access_token").or_else(|| credentials.filled("auth_token"));
        let access_token = access_token.ok_or_else(|| {
            AdapterError::auth("the account has no access_token: get one with `tickhost account login`")
        })?;
        let client_id = client_id(credentials).ok_or_else(|| {
            AdapterError::auth("the account has no client_id: set it with `tickhost account set`")
        })?;
        Ok(Self { client_id: client_id.to_owned(), access_token: access_token.to_owned().into() })
    }

    /// Opens the live feed.
    pub(crate) async fn open_live(&self, settings: &Settings) -> Result<WebSocket, AdapterError> {
        self.open(&settings.ws_url, &["version=2"], settings).await
    }

    /// Opens a depth feed.
    pub(crate) async fn open_depth(
        &self,
        settings: &Settings,
        tier: Tier,
    ) -> Result<WebSocket, AdapterError> {
        self.open(settings.depth_url(tier), &[], settings).await
    }

    async fn open(&self, url: &str, first: &[&str], settings: &Settings) -> Result<WebSocket, AdapterError> {
        let url = self.signed(url, first);
        let request = WebSocketRequest::new(url.as_str())
            .heartbeat(Heartbeat::Ping(settings.ping()))
            .stall_after(settings.stall)
            .max_message_bytes(MAX_MESSAGE_BYTES);
        settings.network.websocket(request).await.map_err(refused_handshake)
    }

    /// An address with all that the broker wants to know in its query. It must not be shown anywhere.
    fn signed(&self, address: &str, first: &[&str]) -> Zeroizing<String> {
        let mut url = Zeroizing::new(address.to_owned());
        let mut separator = if address.contains('?') { '&' } else { '?' };
        let mut push = |name: &str, value: &str| {
            url.push(separator);
            separator = '&';
            url.push_str(name);
            push_encoded(&mut url, value);
        };
        first.iter().for_each(|pair| push(pair, ""));
        push("token=", &self.access_token);
        push("clientId=", &self.client_id);
        push("authType=2", "");
        url
    }

    /// Asks whether the token is still good. The broker has a way of closing a socket that says nothing.
    pub(crate) async fn check(&self, http: &Http, settings: &Settings) -> Result<(), AdapterError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Profile {
            #[serde(default)]
            data_plan: Option<String>,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Refused {
            #[serde(default)]
            error_code: Option<String>,
        }
        let url = format!("{}/profile", settings.api_url);
        let request = http.get(&url).header("access-token", &self.access_token);
        let response = request.header("client-id", &self.client_id).send().await?;
        let refusal = response.refusal("the question whether the token is good");
        if response.status() == 400 {
            // Other mistakes have this status too.
            let Refused { error_code } = response.json(MAX_ANSWER_BYTES).await?;
            let is_of_token = error_code.is_some_and(|code| TOKEN_CODES.contains(&code.as_str()));
            return Err(if is_of_token { AdapterError::auth(TOKEN_ENDED) } else { refusal });
        }
        if refusal.code() == ErrorCode::AUTH {
            return Err(AdapterError::auth(TOKEN_ENDED));
        }
        if !response.is_success() {
            return Err(refusal);
        }
        let Profile { data_plan } = response.json(MAX_ANSWER_BYTES).await?;
        if data_plan.is_some_and(|plan| !plan.eq_ignore_ascii_case("active")) {
            return Err(AdapterError::auth(NO_PLAN));
        }
        Ok(())
    }
}

const TOKEN_ENDED: &str = "the broker does not accept the access token (they live a day): log in again with `tickhost account login`";
const NO_PLAN: &str =
    "the account has no subscription to the broker's Data API: see to it at the broker, then log in again";

/// What a refused handshake means. The broker's own words are not shown: they may repeat what was sent.
fn refused_handshake(error: HandshakeError) -> AdapterError {
    let is_blocked = matches!(&error, HandshakeError::Refused(refused) if refused.body().contains("blocked"));
    match error.status() {
        Some(401 | 403) => AdapterError::auth(TOKEN_ENDED),
        Some(429) if is_blocked => AdapterError::auth(
            "the broker has blocked the client id (HTTP 429): its Data API plan has ended, or there were too many \
             connections; see to it at the broker, then log in again",
        ),
        Some(429) => AdapterError::rate_limited(
            "the broker refuses connections (HTTP 429): there were too many of them, or the Data API plan has ended",
        ),
        _ => error.into(),
    }
}

/// The reason of a disconnect when the account has more sockets than it may have. The broker ends the oldest.
pub(crate) const TOO_MANY_SOCKETS: u16 = 805;

/// What a disconnect's reason means.
pub(crate) fn disconnected(reason: u16) -> AdapterError {
    let because = |what: &str| format!("the broker disconnects ({reason}): {what}");
    match reason {
        800 => AdapterError::network(because("it has trouble of its own")),
        804 => AdapterError::rate_limited(because(
            "there are too many instruments on the connection; lower symbols_per_connection",
        )),
        // To insist would end the other session, and may get the account blocked.
        TOO_MANY_SOCKETS => AdapterError::rate_limited(because(
            "the account has more than five sockets open; close other programs, or lower connections and depth sockets",
        )),
        806 => AdapterError::auth(because(NO_PLAN)),
        807 => AdapterError::auth(because(TOKEN_ENDED)),
        808 | 809 => AdapterError::auth(because("the access token is not valid; log in again")),
        810 => AdapterError::auth(because("the client id is not valid; check client_id")),
        811..=814 => AdapterError::protocol(because("it did not understand a request")),
        _ => AdapterError::protocol(because("a reason that is not documented")),
    }
}

#[cfg(test)]
impl Keys {
    pub(crate) fn of_tests() -> Self {
        Self { client_id: "1100123456".to_owned(), access_token: "canary.a+b/c=".to_owned().into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_travels_in_the_query() {
        let live = Keys::of_tests().signed("wss://api-feed.example/", &["version=2"]);
        assert_eq!(
            live.as_str(),
            "wss://api-feed.example/?version=2&token=canary.a%2Bb%2Fc%3D&clientId=1100123456&authType=2"
        );
        let depth = Keys::of_tests().signed("wss://x/twentydepth?a=b", &[]);
        assert!(depth.starts_with("wss://x/twentydepth?a=b&token=canary"), "{}", depth.as_str());
        assert!(!format!("{:?}", Keys::of_tests()).contains("canary"));
    }

    #[test]
    fn a_reason_says_whether_to_come_back() {
        for (reason, code) in [
            (800, ErrorCode::NETWORK),
            (804, ErrorCode::RATE_LIMITED),
            (805, ErrorCode::RATE_LIMITED),
            (806, ErrorCode::AUTH),
            (807, ErrorCode::AUTH),
            (808, ErrorCode::AUTH),
            (809, ErrorCode::AUTH),
            (810, ErrorCode::AUTH),
            (813, ErrorCode::PROTOCOL),
            (0, ErrorCode::PROTOCOL),
            (u16::MAX, ErrorCode::PROTOCOL),
        ] {
            let error = disconnected(reason);
            assert_eq!(error.code(), code, "{reason}");
            assert!(error.to_string().contains(&format!("({reason})")), "{error}");
        }
    }
}
