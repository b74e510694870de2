//! The token of an account, the sockets that it opens, and what the broker says against it.

use std::fmt;

use adapter_sdk::{
    AdapterError, Credentials, Token,
    abi::ErrorCode,
    net::{HandshakeError, Heartbeat, Http, Meaning, WebSocket, WebSocketRequest, with_query},
};
use serde_json::Value;

use crate::config::Settings;

/// Longest message of the broker, in bytes. With 5,000 instruments in mode full it has less than one
/// megabyte.
const MAX_MESSAGE_BYTES: usize = 4 << 20;

/// What the REST interface calls a token that is not good, or not of this account.
const TOKEN_CODES: [&str; 5] = ["DH-901", "807", "808", "809", "810"];

/// Longest answer that is read, in bytes.
const MAX_ANSWER_BYTES: usize = 64 << 10;

/// What an account is known by, and its token of the day. Never shown, and wiped from memory.
#[derive(Clone)]
pub(crate) struct Keys {
    client_id: String,
    token: Token,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys(..)")
    }
}

/// The client id: by the adapter's name for it, or by those that accounts of an OpenAlgo database have. One
/// has it before its API key, with three colons between.
pub(crate) fn client_id(credentials: &Credentials) -> Option<&str> {
    let joined = || credentials.joined("api_key")?.0;
    credentials.filled("client_id").or_else(joined).or_else(|| credentials.filled("user_id"))
}

impl Keys {
    /// Reads them.
    pub(crate) fn read(credentials: &Credentials) -> Result<Self, AdapterError> {
        let token = credentials.token(&["access_token", "auth_token"], &[])?;
        let client_id = client_id(credentials).ok_or_else(|| {
            AdapterError::auth("the account has no client_id: set it with `tickhost account set`")
        })?;
        Ok(Self { client_id: client_id.to_owned(), token })
    }

    /// Opens a feed.
    pub(crate) async fn open(&self, settings: &Settings, url: &str) -> Result<WebSocket, AdapterError> {
        let request = WebSocketRequest::new(self.signed(url))
            .heartbeat(Heartbeat::Ping(settings.ping()))
            .stall_after(settings.stall)
            .max_message_bytes(MAX_MESSAGE_BYTES);
        settings.network.websocket(request).await.map_err(refused_handshake)
    }

    /// An address with all that the broker wants to know in its query. It must not be shown anywhere.
    fn signed(&self, address: &str) -> String {
        with_query(
            address,
            &[("token", self.token.token()), ("clientId", &self.client_id), ("authType", "2")],
        )
    }

    /// Asks whether the token is still good. The broker has a way of closing a socket that says nothing.
    pub(crate) async fn check(&self, http: &Http, settings: &Settings) -> Result<(), AdapterError> {
        let request = http.get(&format!("{}/profile", settings.api_url));
        let request = request.header("access-token", self.token.token()).header("client-id", &self.client_id);
        let response = request.send().await?;
        let (status, refusal) =
            (response.status(), response.refusal("the question whether the token is good"));
        if refusal.code() == ErrorCode::AUTH {
            return Err(AdapterError::auth(TOKEN_ENDED));
        }
        // Other mistakes than those of the token have this status too.
        if !response.is_success() && status != 400 {
            return Err(refusal);
        }
        let answer: Value = response.json(MAX_ANSWER_BYTES).await?;
        let said = |member| answer.get(member).and_then(Value::as_str);
        match (status, said("errorCode"), said("dataPlan")) {
            (400, Some(code), _) if TOKEN_CODES.contains(&code) => Err(AdapterError::auth(TOKEN_ENDED)),
            (400, ..) => Err(refusal),
            (_, _, Some(plan)) if !plan.eq_ignore_ascii_case("active") => Err(AdapterError::auth(NO_PLAN)),
            _ => Ok(()),
        }
    }
}

const TOKEN_ENDED: &str = "the broker does not accept the access token (they live a day): log in again with `tickhost account login`";
const NO_PLAN: &str =
    "the account has no subscription to the broker's Data API: see to it at the broker, then log in again";

/// What a refused handshake means.
const REFUSALS: [Meaning; 2] = [
    (&[401, 403], ErrorCode::AUTH, TOKEN_ENDED),
    (
        &[429],
        ErrorCode::RATE_LIMITED,
        "the broker refuses connections (HTTP 429): there were too many of them, or the Data API plan has ended",
    ),
];

/// The same, if the broker's words say more. They are not shown: they may repeat what was sent.
fn refused_handshake(error: HandshakeError) -> AdapterError {
    match &error {
        HandshakeError::Refused(refused) if refused.status() == 429 && refused.body().contains("blocked") => {
            AdapterError::auth(
                "the broker has blocked the client id (HTTP 429): its Data API plan has ended, or there were too many \
                 connections; see to it at the broker, then log in again",
            )
        }
        _ => error.explain(&REFUSALS),
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
        let stored = r#"{"client_id":"1100123456","access_token":"canary.a+b/c="}"#;
        Self::read(&adapter_sdk::testing::credentials(stored)).unwrap()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_travels_in_the_query() {
        let live = Keys::of_tests().signed("wss://api-feed.example/?version=2");
        assert_eq!(
            live,
            "wss://api-feed.example/?version=2&token=canary.a%2Bb%2Fc%3D&clientId=1100123456&authType=2"
        );
        let depth = Keys::of_tests().signed("wss://x/twentydepth?a=b");
        assert!(depth.starts_with("wss://x/twentydepth?a=b&token=canary"), "{depth}");
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
