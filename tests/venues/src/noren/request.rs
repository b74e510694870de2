//! What clients send on the WebSocket.

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use super::{Brand, Noren, account, instruments, message};
use crate::{
    broker::{Cause, Next, Role},
    model::Mode,
    state::Core,
};

pub(super) fn hear<B: Brand>(core: &mut Core, connection: u64, text: &str) -> Next {
    let rules = B::RULES;
    let Ok(request) = serde_json::from_str::<Value>(text) else { return Next::Go };
    let member = |name: &str| request.get(name).and_then(Value::as_str).unwrap_or_default();
    let kind = member("t");
    let is_accepted = core.peer(connection).and_then(message::of).is_some_and(|session| session.is_accepted);
    if core.peer(connection).is_some_and(|peer| peer.role == Role::Orders) {
        return hear_orders(core, connection, is_accepted, &request);
    }
    if !is_accepted {
        return log_in::<B>(core, connection, kind, &request);
    }
    let channel = match kind {
        "t" | "u" => Mode::Quote,
        "d" | "ud" => Mode::Full,
        "h" => {
            if rules.beats_back {
                core.answer(connection, Message::text(r#"{"t":"hk"}"#));
            }
            return Next::Go;
        }
        "o" => {
            core.answer(connection, Message::text(r#"{"t":"ok"}"#));
            return Next::Go;
        }
        _ => return Next::Go,
    };
    let keys: Vec<&str> = member("k").split('#').collect();
    // What does not exist gives silence.
    let found = keys.iter().filter_map(|key| {
        let (exchange, token) = key.split_once('|')?;
        core.by_key(instruments::key_of(exchange, token.parse().ok()?)?)
    });
    let pairs: Vec<(usize, Mode)> = found.map(|place| (place, channel)).collect();
    if matches!(kind, "t" | "d") {
        core.note_subscribe(connection, keys.len());
        subscribe::<B>(core, connection, pairs);
    } else {
        core.unsubscribe(connection, &pairs);
        if let Some(session) = core.peer(connection).and_then(message::of) {
            pairs.iter().for_each(|(place, mode)| session.forget(*place, *mode));
        }
        if rules.says_farewell {
            let kind = if kind == "u" { "uk" } else { "udk" };
            core.answer(connection, Message::text(json!({ "t": kind, "k": member("k") }).to_string()));
        }
    }
    Next::Go
}

/// Subscribes what there is room for. What is beyond stays silent; nobody knows better.
fn subscribe<B: Brand>(core: &mut Core, connection: u64, mut pairs: Vec<(usize, Mode)>) {
    let Some(peer) = core.peer(connection) else { return };
    let has = |place: usize| {
        [Mode::Quote, Mode::Full].into_iter().any(|mode| peer.subscribed.contains(&(place, mode)))
    };
    let held =
        peer.subscribed.iter().map(|(place, _)| *place).collect::<std::collections::BTreeSet<_>>().len();
    let mut room = B::RULES.instruments.saturating_sub(held);
    pairs.retain(|(place, _)| {
        let fits = has(*place) || room > 0;
        if fits && !has(*place) {
            room -= 1;
        }
        fits
    });
    let mistakes = core.own.get("mistake").and_then(Value::as_u64).unwrap_or(0);
    if mistakes == 0 {
        return core.subscribe::<Noren<B>>(connection, &pairs);
    }
    // It answers with an index that nobody asked about, in place of what was asked for.
    core.own.insert("mistake".to_owned(), (mistakes - 1).into());
    let snapshots = std::mem::replace(&mut core.snapshots, false);
    core.subscribe::<Noren<B>>(connection, &pairs);
    core.snapshots = snapshots;
    if let Some(index) = core.universe.place("NSE_INDEX", "NIFTY") {
        let answers: Vec<(usize, Mode)> = pairs.iter().map(|(_, mode)| (index, *mode)).collect();
        core.send_state::<Noren<B>>(connection, &answers, Cause::Stray);
    }
}

/// On the socket for orders: a log-in with a token that is good once, and then heartbeats.
fn hear_orders(core: &mut Core, connection: u64, is_accepted: bool, request: &Value) -> Next {
    let member = |name: &str| request.get(name).and_then(Value::as_str).unwrap_or_default();
    if is_accepted {
        return Next::Go;
    }
    let ticket = format!("{}{}", account::ORDERS, member("orderToken"));
    let is_good = core.tickets.remove(&ticket).is_some_and(|user| user == member("userId"));
    let status = if is_good { "Ok" } else { "Not_Ok" };
    core.answer(connection, Message::text(json!({ "status": status, "message": "" }).to_string()));
    match core.peer(connection).and_then(message::of) {
        Some(session) if is_good => session.is_accepted = true,
        _ => core.expel(connection, Message::Close(None)),
    }
    Next::Go
}

fn log_in<B: Brand>(core: &mut Core, connection: u64, kind: &str, request: &Value) -> Next {
    let rules = B::RULES;
    let (asked, answered) = if rules.takes_classic && kind == "c" { ("c", "ck") } else { rules.hello };
    // A server that waits for the one form does not see the other.
    if kind != asked || core.own.get("silence") == Some(&Value::Bool(true)) {
        return Next::Go;
    }
    let user = match account::admit(&rules, core, kind, request) {
        account::Verdict::Accepted(user) => user,
        account::Verdict::Silence => return Next::Go,
        account::Verdict::Refused => {
            core.report.log_ins.push(false);
            let refusal =
                json!({ "t": answered, "s": "Not_Ok", "emsg": "Session Expired :  Invalid Session Key" });
            core.answer(connection, Message::text(refusal.to_string()));
            // The socket stays open, and silent.
            return Next::Go;
        }
    };
    core.report.log_ins.push(true);
    if asked == "c" && !rules.takes_classic {
        // One socket for an account: the newest.
        for older in
            core.connections(|account| account == user).into_iter().filter(|older| *older != connection)
        {
            core.expel(older, Message::Close(None));
        }
    }
    if let Some(peer) = core.peer(connection) {
        peer.account.clone_from(&user);
        if let Some(session) = message::of(peer) {
            session.is_accepted = true;
        }
    }
    let answer = match answered {
        "cf" => json!({ "t": "cf", "k": "OK" }),
        kind => json!({ "t": kind, "uid": user, "s": if rules.name == "definedge" { "Ok" } else { "OK" } }),
    };
    core.answer(connection, Message::text(answer.to_string()));
    Next::Go
}
