//! What clients send on the WebSocket.

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use super::{INSTRUMENTS, Kite};
use crate::{broker::Next, model::Mode, state::Core};

pub(super) fn hear(core: &mut Core, connection: u64, text: &str) -> Next {
    let Ok(request) = serde_json::from_str::<Value>(text) else { return Next::Go };
    let value = request.get("v");
    match request.get("a").and_then(Value::as_str) {
        Some("subscribe") => with_places(core, value, |core, places| {
            core.note_subscribe(connection, places.len());
            subscribe(core, connection, &places, Mode::Quote);
        }),
        Some("unsubscribe") => with_places(core, value, |core, places| {
            let all = [Mode::Ltp, Mode::Quote, Mode::Full];
            let pairs: Vec<_> = places.iter().flat_map(|place| all.map(|mode| (*place, mode))).collect();
            core.unsubscribe(connection, &pairs);
        }),
        Some("mode") => {
            let mode = match value.and_then(|value| value.get(0)).and_then(Value::as_str) {
                Some("ltp") => Mode::Ltp,
                Some("quote") => Mode::Quote,
                Some("full") => Mode::Full,
                _ => return Next::Go,
            };
            let tokens = value.and_then(|value| value.get(1));
            with_places(core, tokens, |core, places| subscribe(core, connection, &places, mode))
        }
        _ => Next::Go,
    }
}

/// Does something with the instruments of a list. What is no number is passed over; a list in the list is an
/// end without a word, as at Kite.
fn with_places(core: &mut Core, tokens: Option<&Value>, then: impl FnOnce(&mut Core, Vec<usize>)) -> Next {
    let Some(tokens) = tokens.and_then(Value::as_array) else { return Next::Go };
    if tokens.iter().any(Value::is_array) {
        return Next::HangUp;
    }
    let places = tokens.iter().filter_map(Value::as_u64).filter_map(|token| core.by_key(token)).collect();
    then(core, places);
    Next::Go
}

/// Subscribes in a mode, which replaces the mode that an instrument had.
fn subscribe(core: &mut Core, connection: u64, places: &[usize], mode: Mode) {
    let Some(peer) = core.peer(connection) else { return };
    let has = |place: usize| {
        [Mode::Ltp, Mode::Quote, Mode::Full].map(|mode| peer.subscribed.contains(&(place, mode)))
    };
    let mut fresh: Vec<usize> = places.iter().copied().filter(|place| !has(*place).contains(&true)).collect();
    fresh.sort_unstable();
    fresh.dedup();
    let is_over = peer.subscribed.len() + fresh.len() > INSTRUMENTS;
    let taken: Vec<usize> =
        places.iter().copied().filter(|place| !is_over || has(*place).contains(&true)).collect();
    for place in &taken {
        for old in [Mode::Ltp, Mode::Quote, Mode::Full] {
            peer.subscribed.remove(&(*place, old));
        }
    }
    let pairs: Vec<(usize, Mode)> = taken.into_iter().map(|place| (place, mode)).collect();
    core.subscribe::<Kite>(connection, &pairs);
    if is_over {
        let error = format!("Can't subscribe to more than {INSTRUMENTS} instruments.");
        core.answer(connection, Message::text(json!({ "type": "error", "data": error }).to_string()));
    }
}
