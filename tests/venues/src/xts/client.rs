//! Who connects, and the framing of the socket.

use std::time::Duration;

use adapter_conformance::CredentialSet;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use super::Rules;
use crate::{
    broker::{Reply, json as answer_json, query, reply},
    state::Core,
};

/// Where the socket is below a path of the broker's.
pub(super) const SOCKET: &str = "/socket.io/";

/// Where the interface for orders is.
pub(super) const INTERACTIVE: &str = "/interactive";

/// Time between two pings.
pub(super) const PING_EVERY: Duration = Duration::from_secs(25);

/// Begins the token of the interface for orders.
const OF_ORDERS: &str = "orders of ";

/// A connection, which is named by what its handshake said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Client {
    pub user: String,
    pub engine: u8,
    pub is_packed: bool,
    pub is_partial: bool,
    pub is_interactive: bool,
}

impl Client {
    pub(super) fn of(account: &str) -> Self {
        let mut parts = account.splitn(3, ' ');
        let engine = parts.next().and_then(|engine| engine.parse().ok()).unwrap_or(4);
        let kind = parts.next().unwrap_or_default();
        Self {
            user: parts.next().unwrap_or_default().to_owned(),
            engine,
            is_packed: kind.contains('b'),
            is_partial: kind.contains('p'),
            is_interactive: kind.contains('i'),
        }
    }

    fn account(&self) -> String {
        let Self { user, engine, is_packed, is_partial, is_interactive } = self;
        let flags = [(is_packed, 'b'), (is_partial, 'p'), (is_interactive, 'i')];
        let kind: String = flags.into_iter().filter(|(is_so, _)| **is_so).map(|(_, flag)| flag).collect();
        format!("{engine} -{kind} {user}")
    }

    /// The messages that bring bytes.
    pub(super) fn attached(&self, frame: Vec<u8>) -> [Message; 2] {
        let announced = json!(["xts-binary-packet", { "_placeholder": true, "num": 0 }]);
        let frame = if self.engine == 3 { [&[4][..], &frame].concat() } else { frame };
        [Message::text(format!("451-{announced}")), Message::binary(frame)]
    }
}

/// An event with a text.
pub(super) fn event(name: &str, text: &str) -> Message {
    Message::text(format!("42{}", json!([name, text])))
}

/// The first of these that an account has.
fn value<'a>(set: &'a CredentialSet, names: &[&str]) -> Option<&'a str> {
    names.iter().find_map(|name| set.get(*name)).map(String::as_str)
}

/// The user of an account with these keys.
pub(super) fn owner_of_keys(core: &Core, names: [&str; 2], keys: [&str; 2]) -> Option<String> {
    let set = core.accepted.iter().find(|set| {
        names.iter().zip(keys).all(|(name, key)| !key.is_empty() && value(set, &[name]) == Some(key))
    })?;
    value(set, &["user_id"]).map(str::to_owned)
}

/// Whose a token is, if it is good.
pub(super) fn owner(core: &Core, token: &str) -> Option<String> {
    if token.is_empty() {
        return None;
    }
    let set = core.accepted.iter().find(|set| value(set, &["access_token", "feed_token"]) == Some(token));
    core.issued
        .get(token)
        .cloned()
        .or_else(|| set.and_then(|set| value(set, &["user_id"])).map(str::to_owned))
}

/// A token for a user, which ends those that the user has.
pub(super) fn issue(core: &mut Core, user: &str, is_interactive: bool) -> String {
    let user = if is_interactive { format!("{OF_ORDERS}{user}") } else { user.to_owned() };
    let ended: Vec<String> =
        core.issued.iter().filter(|(_, owner)| **owner == user).map(|(token, _)| token.clone()).collect();
    for token in ended {
        core.issued.remove(&token);
        core.expired.insert(token);
    }
    let token = core.token();
    core.issued.insert(token.clone(), user);
    token
}

#[expect(clippy::result_large_err, reason = "a test server; the answer is sent at once")]
pub(super) fn admit(rules: &Rules, core: &Core, request: &hyper::Request<()>) -> Result<String, Reply> {
    let path = request.uri().path().strip_suffix(SOCKET);
    let is_interactive = path == Some(INTERACTIVE);
    if path != Some(rules.paths.1) && !is_interactive {
        return Err(reply(404, "text/html", "<html><body><h1>Not Found</h1></body></html>"));
    }
    let asked = query(request.uri().query().unwrap_or_default());
    let member = |name: &str| asked.get(name).map(String::as_str).unwrap_or_default();
    let engine = member("EIO").parse().unwrap_or(3);
    let takes_any = core.own.get("takes_four_for_three") == Some(&Value::Bool(true));
    if member("transport") != "websocket" || !(rules.engines.contains(&engine) || takes_any) {
        return Err(answer_json(400, &json!({ "code": 5, "message": "Unsupported protocol version" })));
    }
    let owner = owner(core, member("token"));
    let user = match owner.as_deref().map(|owner| owner.strip_prefix(OF_ORDERS).ok_or(owner)) {
        Some(Ok(user)) if is_interactive && member("apiType") == "INTERACTIVE" => user,
        Some(Err(user)) if !is_interactive => user,
        _ => return Err(answer_json(401, &json!({ "message": "Unauthorized canary-of-the-broker" }))),
    };
    if member("userID") != user {
        return Err(answer_json(401, &json!({ "message": "Unauthorized" })));
    }
    let client = Client {
        user: user.to_owned(),
        engine: if takes_any { 3 } else { engine },
        is_packed: rules.is_wide && member("publishFormat") != "JSON",
        is_partial: member("broadcastMode") == "Partial",
        is_interactive,
    };
    Ok(client.account())
}

fn joined() -> Message {
    event("joined", "you have joined")
}

pub(super) fn greetings(_core: &Core, client: &Client) -> Vec<Message> {
    let interval = PING_EVERY.as_millis();
    let opening =
        format!(r#"0{{"sid":"made-up","upgrades":[],"pingInterval":{interval},"pingTimeout":20000}}"#);
    match client.engine {
        3 => vec![Message::text(opening), Message::text("40"), joined()],
        _ => vec![Message::text(opening)],
    }
}

/// What clients say on the socket: that they join the namespace, pings of the older version, and pongs.
pub(super) fn hear(core: &mut Core, connection: u64, text: &str) {
    let engine = core.peer(connection).map(|peer| Client::of(&peer.account).engine);
    match (text, engine) {
        ("40", Some(4)) => {
            core.answer(connection, Message::text(r#"40{"sid":"made-up-too"}"#));
            core.answer(connection, joined());
        }
        ("2", Some(3)) => core.answer(connection, Message::text("3")),
        _ => {}
    }
}
