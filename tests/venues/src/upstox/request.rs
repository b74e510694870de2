//! What clients send on the socket: JSON in binary messages.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use super::{Upstox, instruments, message::MODES};
use crate::{broker::Next, model::Mode, state::Core};

/// Most instruments of a mode when there is no other, and when there are others; in the order of [`MODES`].
const LIMITS: [(usize, usize); 4] = [(5_000, 2_000), (2_000, 1_500), (3_000, 2_000), (50, 1_500)];

pub(super) fn hear(core: &mut Core, connection: u64, bytes: &[u8]) -> Next {
    let Ok(request) = serde_json::from_slice::<Value>(bytes) else { return Next::Go };
    let member = |path: &str| request.pointer(path);
    let text = |path: &str| member(path).and_then(Value::as_str).unwrap_or_default();
    let method = text("/method");
    let refuse = |core: &Core, error: &str| {
        let refusal = json!({ "status": "failed", "method": method, "error": error });
        core.answer(connection, Message::text(refusal.to_string()));
        Next::Go
    };
    let keys: Vec<&str> = member("/data/instrumentKeys")
        .and_then(Value::as_array)
        .map(|keys| keys.iter().filter_map(Value::as_str).collect())
        .unwrap_or_default();
    if text("/guid").is_empty() || keys.is_empty() {
        return refuse(core, "Invalid request");
    }
    let found: Option<Vec<usize>> = keys
        .iter()
        .map(|key| instruments::find(&core.universe, |key| core.by_key(key), key))
        .map(|found| found.filter(|place| !is_unserved(core, *place)))
        .collect();
    // One that is wrong costs all of the request.
    let Some(places) = found else { return refuse(core, "Invalid instrument key") };
    let mode = MODES.iter().find(|known| known.0 == text("/data/mode")).map(|known| known.1);
    let Some(peer) = core.peer(connection) else { return Next::Go };
    let before: BTreeMap<usize, Mode> = peer.subscribed.iter().copied().collect();
    match (method, mode) {
        ("sub", Some(mode)) => {
            core.note_subscribe(connection, keys.len());
            // What is subscribed in another mode stays as it is.
            let is_meant = |place: &usize| before.get(place).is_none_or(|known| *known == mode);
            let pairs: Vec<(usize, Mode)> =
                places.into_iter().filter(is_meant).map(|place| (place, mode)).collect();
            if !has_room(core, &before, &pairs) {
                return refuse(core, "Subscription limit exceeded");
            }
            core.subscribe::<Upstox>(connection, &pairs);
        }
        ("change_mode", Some(mode)) => {
            core.note_subscribe(connection, keys.len());
            let known: Vec<(usize, Mode)> =
                places.iter().filter_map(|place| Some((*place, *before.get(place)?))).collect();
            let pairs: Vec<(usize, Mode)> = known.iter().map(|(place, _)| (*place, mode)).collect();
            if !has_room(core, &before, &pairs) {
                return refuse(core, "Subscription limit exceeded");
            }
            core.unsubscribe(connection, &known);
            core.subscribe::<Upstox>(connection, &pairs);
        }
        ("unsub", _) => {
            let known: Vec<(usize, Mode)> =
                places.iter().filter_map(|place| Some((*place, *before.get(place)?))).collect();
            core.unsubscribe(connection, &known);
        }
        _ => return refuse(core, "Invalid method or mode"),
    }
    Next::Go
}

/// Whether somebody asked for an instrument to be one that is not served.
fn is_unserved(core: &Core, place: usize) -> bool {
    let wanted = core.own.get("unserved").and_then(Value::as_str);
    wanted.is_some() && core.instrument(place).and_then(instruments::name).as_deref() == wanted
}

fn has_room(core: &Core, before: &BTreeMap<usize, Mode>, pairs: &[(usize, Mode)]) -> bool {
    let mut after = before.clone();
    after.extend(pairs.iter().copied());
    let most = core.own.get("limit").and_then(Value::as_u64).and_then(|most| usize::try_from(most).ok());
    let counts = MODES.map(|known| after.values().filter(|mode| **mode == known.1).count());
    let is_alone = counts.iter().filter(|count| **count > 0).count() == 1;
    most.is_none_or(|most| after.len() <= most)
        && counts
            .iter()
            .zip(LIMITS)
            .all(|(count, (alone, combined))| *count <= if is_alone { alone } else { combined })
}
