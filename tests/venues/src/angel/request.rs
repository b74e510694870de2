//! What clients send on the WebSocket.

use serde::Deserialize;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use super::{PAIRS, Smart, packet};
use crate::{broker::Next, model::Mode, state::Core};

#[derive(Deserialize)]
struct Asked {
    #[serde(rename = "correlationID")]
    correlation: Option<String>,
    action: u8,
    params: Params,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Params {
    mode: u8,
    token_list: Vec<Tokens>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Tokens {
    exchange_type: u8,
    tokens: Vec<String>,
}

pub(super) fn hear(core: &mut Core, connection: u64, text: &str) -> Next {
    if text == "ping" {
        core.answer(connection, Message::text("pong"));
        return Next::Go;
    }
    let asked = serde_json::from_str::<Asked>(text);
    let mode = asked.as_ref().ok().and_then(|asked| match asked.params.mode {
        1 => Some(Mode::Ltp),
        2 => Some(Mode::Quote),
        3 => Some(Mode::Full),
        _ => None,
    });
    let (Ok(asked), Some(mode)) = (asked, mode) else {
        let correlation = serde_json::from_str::<Value>(text).ok();
        let correlation = correlation.as_ref().and_then(|value| value.get("correlationID")?.as_str());
        refuse(core, connection, correlation, "E1001", "Invalid Request Payload.");
        return Next::Go;
    };
    let lists = asked.params.token_list.iter();
    let tokens = lists.flat_map(|list| list.tokens.iter().map(|token| (list.exchange_type, token)));
    // An instrument that does not exist, or does not under this exchange type, gives silence.
    let found = tokens.filter_map(|(segment, token)| core.by_key(packet::key(segment, token.parse().ok()?)));
    let pairs: Vec<(usize, Mode)> = found.map(|place| (place, mode)).collect();
    match asked.action {
        1 => {
            let asked_for = asked.params.token_list.iter().map(|list| list.tokens.len()).sum();
            core.note_subscribe(connection, asked_for);
            subscribe(core, connection, pairs, asked.correlation.as_deref());
        }
        0 => core.unsubscribe(connection, &pairs),
        _ => {
            refuse(core, connection, asked.correlation.as_deref(), "E1001", "Invalid Request Payload.");
        }
    }
    Next::Go
}

/// Subscribes pairs that are not subscribed yet: the others are free, and nothing follows them.
fn subscribe(core: &mut Core, connection: u64, mut pairs: Vec<(usize, Mode)>, correlation: Option<&str>) {
    let Some(peer) = core.peer(connection) else { return };
    pairs.retain(|pair| !peer.subscribed.contains(pair));
    pairs.sort_unstable();
    pairs.dedup();
    if peer.subscribed.len() + pairs.len() > PAIRS {
        let message = "Invalid Request. Subscription Limit Exceeded";
        refuse(core, connection, correlation, "E1002", message);
        return;
    }
    core.subscribe::<Smart>(connection, &pairs);
}

fn refuse(core: &Core, connection: u64, correlation: Option<&str>, code: &str, message: &str) {
    let mut error = json!({ "errorCode": code, "errorMessage": message });
    if let (Some(correlation), Some(members)) = (correlation, error.as_object_mut()) {
        members.insert("correlationID".to_owned(), correlation.into());
    }
    core.answer(connection, Message::text(error.to_string()));
}
