//! Log-in, list, and what is subscribed.

use hyper::Method;
use serde_json::{Value, json};

use super::{
    Brand, Xts,
    client::{self, Client},
    instruments,
    json::{Told, object},
};
use crate::{
    broker::{Cause, News, Reply, Request, json as answer_json, query, reply},
    model::Mode,
    state::Core,
};

/// Most instruments in one request.
const LARGEST: usize = 100;

fn success(code: &str, result: &Value) -> Reply {
    answer_json(200, &json!({ "type": "success", "code": code, "description": "done", "result": result }))
}

/// Errors have this status, whatever they are.
fn error(code: &str, description: &str) -> Reply {
    answer_json(400, &json!({ "type": "error", "code": code, "description": description, "result": {} }))
}

pub(super) fn answer<B: Brand>(core: &mut Core, request: &Request) -> Reply {
    let path = request.uri().path().to_owned();
    let body: Value = serde_json::from_slice(request.body()).unwrap_or_default();
    if path == format!("{}/user/session", client::INTERACTIVE) && request.method() == Method::POST {
        return log_in(core, &body, ["interactive_app_key", "interactive_secret_key"]);
    }
    let call = path.strip_prefix(B::RULES.paths.0).unwrap_or_default();
    if (request.method(), call) == (&Method::POST, "/auth/login") {
        return log_in(core, &body, ["app_key", "secret_key"]);
    }
    let token =
        request.headers().get("authorization").and_then(|token| token.to_str().ok()).unwrap_or_default();
    let Some(user) = client::owner(core, token) else {
        if call == "/instruments/indexlist" {
            core.report.log_ins.push(false);
        }
        return error("e-session-0007", "Invalid Token");
    };
    match (request.method(), call) {
        (&Method::POST, "/instruments/master") => {
            let segment = body.pointer("/exchangeSegmentList/0").and_then(Value::as_str).unwrap_or_default();
            instruments::master(&core.listed(), segment).map_or_else(
                || error("e-master-0001", "No such segment"),
                |rows| success("s-master-0001", &rows.into()),
            )
        }
        (&Method::GET, "/instruments/indexlist") => {
            let asked = query(request.uri().query().unwrap_or_default());
            let segment = asked.get("exchangeSegment").and_then(|segment| segment.parse().ok()).unwrap_or(0);
            success("s-indexlist-0001", &instruments::indices(&core.listed(), segment))
        }
        (&Method::POST | &Method::PUT, "/instruments/subscription") => {
            subscribe::<B>(core, &user, &body, request.method() == Method::POST)
        }
        (&Method::POST, "/instruments/quotes") => match asked::<B>(core, &body) {
            Ok((code, places)) => {
                let quotes = quotes::<B>(core, &user, code, &places);
                success("s-quotes-0001", &json!({ "listQuotes": quotes }))
            }
            Err(refusal) => refusal,
        },
        _ => reply(404, "text/html", "<html><body><h1>Not Found</h1></body></html>"),
    }
}

fn log_in(core: &mut Core, body: &Value, names: [&str; 2]) -> Reply {
    let member = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default();
    let keys = [member("appKey"), member("secretKey")];
    match client::owner_of_keys(core, names, keys) {
        Some(user) if !member("source").is_empty() => {
            let token = client::issue(core, &user, names.contains(&"interactive_app_key"));
            success("s-user-0001", &json!({ "token": token, "userID": user, "appVersion": "1.0" }))
        }
        _ => {
            core.report.log_ins.push(false);
            error("e-user-0001", "Invalid appKey or secretKey: canary-of-the-broker")
        }
    }
}

/// The code and the instruments of a request.
#[expect(clippy::result_large_err, reason = "a test server; the answer is sent at once")]
fn asked<B: Brand>(core: &Core, body: &Value) -> Result<(u64, Vec<usize>), Reply> {
    let code = body.get("xtsMessageCode").and_then(Value::as_u64).unwrap_or(0);
    let is_served =
        matches!(code, 1_105 | 1_501 | 1_502 | 1_504 | 1_510) || (code == 1_512 && B::RULES.has_ltp);
    let list = body.get("instruments").and_then(Value::as_array).cloned().unwrap_or_default();
    if !is_served || list.is_empty() || list.len() > LARGEST {
        return Err(error("e-instrument-0001", "Bad Request"));
    }
    let number = |one: &Value, name: &str| one.get(name).and_then(Value::as_u64);
    let place = |one: &Value| {
        let key = instruments::key_of(number(one, "exchangeSegment")?, number(one, "exchangeInstrumentID")?);
        core.by_key(key)
    };
    let places: Option<Vec<usize>> = list.iter().map(place).collect();
    places.map(|places| (code, places)).ok_or_else(|| error("e-instrument-0002", "Invalid instrument"))
}

/// The mode of a code. That of indices serves all modes, and counts as the lowest.
const fn mode(code: u64, has_ltp: bool) -> Option<Mode> {
    match code {
        1_504 if has_ltp => Some(Mode::Ltp),
        1_512 => Some(Mode::Ltp),
        1_501 | 1_504 => Some(Mode::Quote),
        1_502 => Some(Mode::Full),
        _ => None,
    }
}

/// How often something is still to go wrong.
fn due(core: &mut Core, name: &str) -> bool {
    let count = core.own.get(name).and_then(Value::as_u64).unwrap_or(0);
    if count > 0 {
        core.own.insert(name.to_owned(), (count - 1).into());
    }
    count > 0
}

/// The connections of a user.
fn connections(core: &Core, user: &str) -> Vec<u64> {
    core.connections(|account| {
        let client = Client::of(account);
        client.user == user && !client.is_interactive
    })
}

fn subscribe<B: Brand>(core: &mut Core, user: &str, body: &Value, is_wanted: bool) -> Reply {
    let (code, places) = match asked::<B>(core, body) {
        Ok(asked) => asked,
        Err(refusal) => return refusal,
    };
    if is_wanted && due(core, "already") {
        return error("e-session-0002", "Instrument Already Subscribed !");
    }
    if is_wanted && due(core, "rejects") {
        return error("e-instrument-0003", "Not for you");
    }
    let result = json!({ "mdp": code, "quotesList": [], "listQuotes": [] });
    let Some(mode) = mode(code, B::RULES.has_ltp) else { return success("s-quotes-0001", &result) };
    let pairs: Vec<(usize, Mode)> = places.iter().map(|place| (*place, mode)).collect();
    for connection in connections(core, user) {
        if !is_wanted {
            core.unsubscribe(connection, &pairs);
            let told: Option<&mut Told> = core.peer(connection).and_then(|peer| peer.session.downcast_mut());
            if let Some(told) = told {
                pairs.iter().for_each(|(place, mode)| told.forget(*place, *mode));
            }
            continue;
        }
        let Some(peer) = core.peer(connection) else { continue };
        let mut held: Vec<usize> =
            peer.subscribed.iter().map(|(place, _)| *place).chain(places.iter().copied()).collect();
        held.sort_unstable();
        held.dedup();
        if held.len() > B::RULES.instruments {
            return error("e-session-0010", "Subscription limit exceeded");
        }
        core.note_subscribe(connection, places.len());
        // What is known comes with the answer.
        let snapshots = std::mem::replace(&mut core.snapshots, false);
        core.subscribe::<Xts<B>>(connection, &pairs);
        core.snapshots = snapshots;
    }
    if !is_wanted || !core.snapshots {
        return success("s-session-0001", &result);
    }
    let quotes = quotes::<B>(core, user, code, &places);
    success(
        "s-session-0001",
        &json!({ "mdp": code, "quotesList": [], "listQuotes": quotes, "Remaining_Subscription_Count": 7 }),
    )
}

/// What is known of instruments, each as a text of JSON, which does not say what it is about.
fn quotes<B: Brand>(core: &mut Core, user: &str, code: u64, places: &[usize]) -> Vec<String> {
    let Some(mode) = mode(code, B::RULES.has_ltp) else { return Vec::new() };
    let connections = connections(core, user);
    let mut quotes = Vec::new();
    for place in places {
        let Some((instrument, values)) = core.told(*place, mode) else { continue };
        let Ok((_, mut object)) = object(&instrument, mode, &values) else { continue };
        if let Some(members) = object.as_object_mut() {
            members.remove("MessageCode");
            if code != 1_504 {
                members.insert(
                    "ExchangeInstrumentID".to_owned(),
                    instruments::name(&instrument).map(|name| name.1).into(),
                );
            }
        }
        let news =
            News { place: *place, instrument: &instrument, mode, values: &values, cause: Cause::State };
        for connection in &connections {
            let told: Option<&mut Told> = core.peer(*connection).and_then(|peer| peer.session.downcast_mut());
            if let Some(told) = told {
                told.note(&news);
            }
        }
        quotes.push(object.to_string());
    }
    quotes
}
