//! Whose tokens are good, how they are made, and who may connect.

use std::collections::{HashMap, HashSet};

use adapter_conformance::CredentialSet;
use adapter_time::ist::{DAY_SECONDS, day_and_second};
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use super::Feed;
use crate::{
    broker::{Reply, query, reply},
    model::now_ns,
    state::Core,
    universe::Date,
};

/// Names under which accounts may have a value.
const CLIENT: &[&str] = &["client_id", "dhan_client_id", "user_id", "client_code"];
pub(super) const TOKEN: &[&str] = &["access_token", "auth_token"];
pub(super) const PIN: &[&str] = &["pin", "password"];
pub(super) const SECRET: &[&str] = &["totp_secret", "totp_key", "totp"];
const APP: &[&str] = &["app_id", "api_key"];
pub(super) const APP_SECRET: &[&str] = &["app_secret", "api_secret"];

/// How long a token is good, in seconds.
const DAY: i64 = DAY_SECONDS;

/// Why somebody may not connect.
const NO_PLAN: u16 = 806;
const EXPIRED: u16 = 807;
const BAD_TOKEN: u16 = 809;
const BAD_CLIENT: u16 = 810;

/// What the venue has beside its tokens.
#[derive(Debug, Default)]
pub(super) struct State {
    /// Whether those who are refused learn nothing: the connection ends right after the handshake.
    pub(super) is_silent: bool,
    /// Whether the account has not paid for market data.
    pub(super) has_no_plan: bool,
    /// Whether a token is given every two minutes only.
    pub(super) are_tokens_slow: bool,
    /// When the last token was given with a one-time password, in nanoseconds since the Unix epoch.
    pub(super) last_token_ns: i64,
    /// Tokens that were not made on the web site, and cannot be renewed.
    pub(super) not_of_the_web: HashSet<String>,
}

/// Ends the client id where it stands before the key of the app, as OpenAlgo stores both.
const JOINT: &str = ":::";

/// Whose credentials they are; none when they are anybody's.
pub(super) fn client_of(set: &CredentialSet) -> Option<&str> {
    value(set, CLIENT).or_else(|| value(set, APP)?.split_once(JOINT).map(|(client, _)| client))
}

/// The key of the app.
pub(super) fn app_of(set: &CredentialSet) -> Option<&str> {
    value(set, APP).map(|key| key.split_once(JOINT).map_or(key, |(_, key)| key))
}

pub(super) fn value<'a>(set: &'a CredentialSet, names: &[&str]) -> Option<&'a str> {
    names.iter().find_map(|name| set.get(*name)).map(String::as_str)
}

/// The credentials of a client.
pub(super) fn account<'a>(core: &'a Core, client: &str) -> Option<&'a CredentialSet> {
    core.accepted.iter().find(|set| client_of(set).is_none_or(|its| its == client))
}

/// Whether a token is good for a client.
pub(super) fn is_good(core: &Core, client: &str, token: &str) -> bool {
    let has = |set: &CredentialSet| {
        value(set, TOKEN).is_some_and(|its| its == token) && client_of(set).is_none_or(|its| its == client)
    };
    !token.is_empty()
        && (core.issued.get(token).is_some_and(|its| its == client) || core.accepted.iter().any(has))
}

/// A handshake that makes sense: the feed, with the reason for which it is ended at once, or the client.
enum Judged {
    Refused(Reply),
    Ended(Feed, u16),
    Client(Feed, String),
}

fn judge(state: &State, core: &Core, request: &hyper::Request<()>) -> Judged {
    let path = request.uri().path();
    let Some(feed) = Feed::ALL.into_iter().find(|feed| feed.path() == path) else {
        return Judged::Refused(reply(404, "text/plain", "Not Found"));
    };
    let given: HashMap<String, String> = query(request.uri().query().unwrap_or_default());
    let member = |name: &str| given.get(name).map(String::as_str).unwrap_or_default();
    let is_version = feed != Feed::Live || member("version") == "2";
    if !is_version || member("authType") != "2" {
        return Judged::Refused(reply(400, "text/plain", "Bad Request"));
    }
    let (client, token) = (member("clientId"), member("token"));
    let is_client = !client.is_empty() && client.bytes().all(|byte| byte.is_ascii_digit());
    if is_client && is_good(core, client, token) {
        if state.has_no_plan {
            return Judged::Ended(feed, NO_PLAN);
        }
        return Judged::Client(feed, client.to_owned());
    }
    let reason = if !is_client || account(core, client).is_none() {
        BAD_CLIENT
    } else if core.expired.contains(token) {
        EXPIRED
    } else {
        BAD_TOKEN
    };
    Judged::Ended(feed, reason)
}

pub(super) fn last_words(state: &State, core: &Core, request: &hyper::Request<()>) -> Option<Vec<Message>> {
    match judge(state, core, request) {
        Judged::Ended(_, _) if state.is_silent => Some(Vec::new()),
        Judged::Ended(feed, reason) => Some(vec![feed.disconnect(reason)]),
        Judged::Refused(_) | Judged::Client(..) => None,
    }
}

#[expect(clippy::result_large_err, reason = "a test server; the answer is sent at once")]
pub(super) fn admit(state: &State, core: &Core, request: &hyper::Request<()>) -> Result<String, Reply> {
    match judge(state, core, request) {
        Judged::Client(feed, client) => Ok(feed.account(&client)),
        Judged::Refused(refusal) => Err(refusal),
        Judged::Ended(..) => Err(reply(400, "text/plain", "Bad Request")),
    }
}

/// A new token of a client, as the broker's log-ins answer with it.
pub(super) fn issue(core: &mut Core, client: &str) -> (String, serde_json::Value) {
    let now = now_ns() / 1_000_000_000;
    let claims = json!({
        "iss": "dhan", "partnerId": "", "exp": now + DAY, "iat": now, "tokenConsumerType": "SELF",
        "webhookUrl": "", "dhanClientId": client,
    });
    let signature = format!("{}{}", core.token(), core.token());
    let parts = [r#"{"typ":"JWT","alg":"HS512"}"#, &claims.to_string(), &signature].map(base64);
    let token = parts.join(".");
    core.issued.insert(token.clone(), client.to_owned());
    let answer = json!({
        "dhanClientId": client, "dhanClientName": "TEST", "dhanClientUcc": "TEST0000",
        "givenPowerOfAttorney": false, "accessToken": token, "expiryTime": wall_clock(now + DAY),
    });
    (token, answer)
}

/// A time in seconds since the Unix epoch as the wall clock of India.
pub(super) fn wall_clock(seconds: i64) -> String {
    let (_, of_day) = day_and_second(seconds);
    let (hour, minute, second) = (of_day / 3_600, of_day / 60 % 60, of_day % 60);
    format!("{}T{hour:02}:{minute:02}:{second:02}", Date::at(seconds))
}

/// Base 64 for addresses, without padding (RFC 4648, section 5).
fn base64(text: &str) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut encoded = String::new();
    for three in text.as_bytes().chunks(3) {
        let bits =
            three.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - three.len()));
        for place in 0..=three.len() {
            let index = usize::try_from(bits >> (18 - 6 * place) & 63).unwrap_or(0);
            encoded.extend(LETTERS.get(index).map(|letter| char::from(*letter)));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_written_as_the_rfc_has_it() {
        for (text, expected) in
            [("", ""), ("f", "Zg"), ("fo", "Zm8"), ("foo", "Zm9v"), ("foob", "Zm9vYg"), ("?>", "Pz4")]
        {
            assert_eq!(base64(text), expected);
        }
        assert_eq!(base64("~~~"), "fn5-");
    }

    #[test]
    fn times_are_indias() {
        assert_eq!(wall_clock(0), "1970-01-01T05:30:00");
        assert_eq!(wall_clock(86_400 - 19_800), "1970-01-02T00:00:00");
    }
}
