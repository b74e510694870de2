//! Who is let in, and with what.

use adapter_conformance::CredentialSet;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::{Layout, Rules};
use crate::state::Core;

/// What a log-in on the socket comes to.
pub(super) enum Verdict {
    /// It is this client's.
    Accepted(String),
    /// It is nobody's.
    Refused,
    /// Its session was not made one for sockets: no answer comes.
    Silence,
}

/// The first of these that an account has.
pub(super) fn value<'a>(set: &'a CredentialSet, names: &[&str]) -> Option<&'a str> {
    names.iter().find_map(|name| set.get(*name)).map(String::as_str)
}

/// The number of the client of an account.
pub(super) fn user(set: &CredentialSet) -> Option<&str> {
    value(set, &["user_id", "client_id"])
}

/// Whose a token is, if it is good.
pub(super) fn owner(core: &Core, token: &str) -> Option<String> {
    if token.is_empty() {
        return None;
    }
    let names = ["access_token", "auth_token", "susertoken", "feed_token"];
    let set = core.accepted.iter().find(|set| value(set, &names) == Some(token));
    core.issued
        .get(token)
        .cloned()
        .or_else(|| Some(set.and_then(user).unwrap_or_default().to_owned()))
        .filter(|_| set.is_some() || core.issued.contains_key(token))
}

/// The SHA-256 of texts, in hexadecimal digits.
pub(super) fn hashed(parts: &[&str]) -> String {
    hex::encode(Sha256::digest(parts.concat()))
}

/// Begins the account of a connection for orders alone, and the ticket of one.
pub(super) const ORDERS: &str = "orders of ";

/// Begins the ticket of a session that was made one for sockets.
pub(super) const SOCKET: &str = "socket of ";

/// Judges the log-in on the socket.
pub(super) fn admit(rules: &Rules, core: &mut Core, kind: &str, request: &Value) -> Verdict {
    let member = |name: &str| request.get(name).and_then(Value::as_str).unwrap_or_default();
    let (uid, token) = (member("uid"), member(if kind == "a" { "accesstoken" } else { "susertoken" }));
    if member("source") != rules.source || member("actid") != uid {
        return Verdict::Refused;
    }
    if rules.layout != Layout::Exchanges {
        return match owner(core, token) {
            Some(owner) if owner == uid || owner.is_empty() => Verdict::Accepted(uid.to_owned()),
            _ => Verdict::Refused,
        };
    }
    // Here the token is hashed twice, the second time as text.
    let known = core.accepted.iter().filter_map(|set| value(set, &["access_token", "auth_token"]));
    let jwt =
        known.chain(core.issued.keys().map(String::as_str)).find(|jwt| hashed(&[&hashed(&[jwt])]) == token);
    let Some(jwt) = jwt.map(str::to_owned) else { return Verdict::Refused };
    let user = owner(core, &jwt).unwrap_or_default();
    if uid.strip_suffix("_API") != Some(user.as_str()) {
        return Verdict::Refused;
    }
    if core.tickets.remove(&format!("{SOCKET}{user}")).is_none() {
        return Verdict::Silence;
    }
    Verdict::Accepted(user)
}
