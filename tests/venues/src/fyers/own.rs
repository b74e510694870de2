//! What goes wrong at this broker alone, on request.

use serde_json::Value;
use tokio_tungstenite::tungstenite::Message;

use super::{
    SYMBOLS, books,
    frame::{self, kind, verdict},
    session,
};
use crate::{broker::Next, state::Core};

/// Requests that can be refused, by name.
const REQUESTS: [(&str, u8); 6] = [
    ("subscribe", kind::SUBSCRIBE),
    ("unsubscribe", kind::UNSUBSCRIBE),
    ("pause", kind::PAUSE),
    ("resume", kind::RESUME),
    ("snapshot", kind::SNAPSHOT),
    ("mode", kind::MODE),
];

/// How a wrong log-in can be answered.
const REBUFFS: [&str; 3] = ["verdict", "silence", "close"];

/// Carries out a command: an object with one member.
pub(super) fn execute(core: &mut Core, command: &Value) -> Result<(), String> {
    let member =
        command.as_object().filter(|members| members.len() == 1).and_then(|members| members.iter().next());
    let (name, value) = member.ok_or("a command of this broker is an object with one member")?;
    let is_good = match name.as_str() {
        "rebuff" => value.as_str().is_some_and(|how| REBUFFS.contains(&how)),
        "refuse" => value.as_str().is_some_and(|what| REQUESTS.iter().any(|request| request.0 == what)),
        "mix_up" | "rates" => value.is_boolean(),
        "limit" => value.as_u64().is_some_and(|limit| limit <= SYMBOLS as u64),
        "custom" => return custom(core, value).ok_or_else(|| format!("{value} is no message")),
        "lose" => return lose(core, value).ok_or_else(|| format!("{value} is no number of messages")),
        _ => return Err(format!("this broker has no command {name}")),
    };
    if !is_good {
        return Err(format!("{value} makes no sense for {name}"));
    }
    core.own.insert(name.clone(), value.clone());
    Ok(())
}

/// Sends a message of the broker on all connections of the HSM socket.
fn custom(core: &mut Core, value: &Value) -> Option<()> {
    let code = i32::try_from(value.get("code")?.as_i64()?).ok()?;
    let request = u8::try_from(value.get("request")?.as_u64()?).ok()?;
    let bytes = frame::custom(code, value.get("text")?.as_str()?, request);
    for connection in core.connections(|_| true) {
        if core.peer(connection).and_then(session::of).is_some_and(|session| session.is_accepted) {
            core.answer(connection, Message::binary(bytes.clone()));
        }
    }
    Some(())
}

/// Loses the next messages of each connection of the TBT socket that say what changed.
fn lose(core: &mut Core, value: &Value) -> Option<()> {
    let count = u32::try_from(value.as_u64()?).ok()?;
    for connection in core.connections(|_| true) {
        if let Some(session) = core.peer(connection).and_then(books::of) {
            session.lost = count;
        }
    }
    Some(())
}

/// Whether a request is refused on purpose, which ends with it.
pub(super) fn is_refused(core: &mut Core, kind: u8) -> bool {
    let name = REQUESTS.iter().find(|request| request.1 == kind).map(|request| request.0);
    let is_refused = name.is_some() && core.own.get("refuse").and_then(Value::as_str) == name;
    if is_refused {
        core.own.remove("refuse");
    }
    is_refused
}

/// Whether the conversion of tickers gives each the number of another.
pub(super) fn is_mixed_up(core: &Core) -> bool {
    core.own.get("mix_up").and_then(Value::as_bool) == Some(true)
}

/// Whether requests over REST are counted.
pub(super) fn has_rates(core: &Core) -> bool {
    core.own.get("rates").and_then(Value::as_bool) == Some(true)
}

/// The symbols of the plan, where they are not those of every plan.
pub(super) fn limit(core: &Core) -> Option<usize> {
    usize::try_from(core.own.get("limit")?.as_u64()?).ok()
}

/// Answers a wrong log-in.
pub(super) fn rebuff(core: &Core, connection: u64) -> Next {
    match core.own.get("rebuff").and_then(Value::as_str) {
        Some("silence") => return Next::Go,
        Some("close") => return Next::HangUp,
        _ => {}
    }
    let refusal = frame::fields(kind::LOG_IN, &[verdict(false), &[0; 4]]);
    core.answer(connection, Message::binary(refusal));
    Next::Go
}
