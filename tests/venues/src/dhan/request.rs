//! What clients send on the feeds. None of it is ever acknowledged.

use std::collections::HashSet;

use serde::Deserialize;
use serde_json::Value;

use super::{Dhan, Feed, IN_A_MESSAGE, INSTRUMENTS, INSTRUMENTS_20, INSTRUMENTS_200, end, packet};
use crate::{model::Mode, state::Core};

/// Reasons for an end.
const TOO_MANY: u16 = 804;
const BAD_REQUEST: u16 = 814;

/// Request codes of all feeds.
const DISCONNECT: u8 = 12;
const SUBSCRIBE_BOOKS: u8 = 23;
/// The package sends the first, the annexure lists the second.
const UNSUBSCRIBE_BOOKS: [u8; 2] = [24, 25];

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Asked {
    request_code: u8,
    instrument_count: Option<usize>,
    instrument_list: Option<Vec<Listed>>,
    exchange_segment: Option<Value>,
    security_id: Option<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    exchange_segment: Value,
    security_id: Value,
}

impl Listed {
    /// Segment and number; none when they are no texts, or nothing that exists.
    fn key(&self) -> Option<(u8, u64)> {
        let segment = packet::segment_named(self.exchange_segment.as_str()?)?;
        Some((segment, packet::key(segment, self.security_id.as_str()?.parse().ok()?)))
    }
}

/// A request that is refused.
enum Refused {
    /// With a reason for the end of the connection.
    Because(u16),
    /// With nothing at all.
    Silently,
}

pub(super) fn hear(core: &mut Core, connection: u64, text: &str) {
    let Some(feed) = core.peer(connection).map(|peer| Feed::of(&peer.account).0) else { return };
    let result = match serde_json::from_str::<Asked>(text) {
        // The client closes the connection after it.
        Ok(asked) if asked.request_code == DISCONNECT => {
            stop(core, connection);
            Ok(())
        }
        Ok(asked) if feed == Feed::Live => live(core, connection, asked),
        Ok(asked) => books(core, connection, feed, asked),
        Err(_) => Err(Refused::Because(BAD_REQUEST)),
    };
    if let Err(Refused::Because(reason)) = result {
        end(core, connection, reason);
    }
}

fn stop(core: &mut Core, connection: u64) {
    let Some(peer) = core.peer(connection) else { return };
    peer.lingering.clear();
    let all: Vec<(usize, Mode)> = peer.subscribed.iter().copied().collect();
    core.unsubscribe(connection, &all);
}

fn live(core: &mut Core, connection: u64, asked: Asked) -> Result<(), Refused> {
    let (mode, is_subscribe) = match asked.request_code {
        15 | 16 => (Mode::Ltp, asked.request_code == 15),
        17 | 18 => (Mode::Quote, asked.request_code == 17),
        21 | 22 => (Mode::Full, asked.request_code == 21),
        _ => return Err(Refused::Because(BAD_REQUEST)),
    };
    let list = list(asked, IN_A_MESSAGE)?;
    // An instrument that does not exist, or not in this segment, gives silence.
    let found = list.iter().filter_map(|one| core.by_key(one.key()?.1));
    let pairs: Vec<(usize, Mode)> = found.map(|place| (place, mode)).collect();
    if !is_subscribe {
        core.unsubscribe(connection, &pairs);
        return Ok(());
    }
    core.note_subscribe(connection, list.len());
    subscribe(core, connection, &pairs, INSTRUMENTS)
}

fn books(core: &mut Core, connection: u64, feed: Feed, asked: Asked) -> Result<(), Refused> {
    let Some(mode) = feed.only_mode() else { return Ok(()) };
    let is_subscribe = asked.request_code == SUBSCRIBE_BOOKS;
    if !is_subscribe && !UNSUBSCRIBE_BOOKS.contains(&asked.request_code) {
        return Err(Refused::Because(BAD_REQUEST));
    }
    let most = if feed == Feed::Twenty { INSTRUMENTS_20 } else { INSTRUMENTS_200 };
    // A list on the one feed, an instrument without a list on the other.
    let is_list = asked.instrument_list.is_some();
    if is_list != (feed == Feed::Twenty) {
        return Err(Refused::Silently);
    }
    let list = match (asked.exchange_segment, asked.security_id) {
        (Some(exchange_segment), Some(security_id)) if !is_list => {
            vec![Listed { exchange_segment, security_id }]
        }
        (exchange_segment, security_id) => list(Asked { exchange_segment, security_id, ..asked }, most)?,
    };
    // Other segments have no such books.
    let has_books = |key: &(u8, u64)| [1, 2].contains(&key.0);
    let keys = list.iter().filter_map(Listed::key).filter(has_books);
    let pairs: Vec<(usize, Mode)> =
        keys.filter_map(|(_, key)| core.by_key(key)).map(|place| (place, mode)).collect();
    if is_subscribe {
        return subscribe(core, connection, &pairs, most);
    }
    // Whichever code it is, instruments were seen to go on.
    core.unsubscribe_in_name(connection, &pairs);
    Ok(())
}

/// The instruments of a message.
fn list(asked: Asked, most: usize) -> Result<Vec<Listed>, Refused> {
    let list = asked.instrument_list.ok_or(Refused::Because(BAD_REQUEST))?;
    if list.len() > most {
        return Err(Refused::Because(TOO_MANY));
    }
    if asked.instrument_count != Some(list.len()) {
        return Err(Refused::Because(BAD_REQUEST));
    }
    // A number where a text is due makes the whole message worth nothing.
    if list.iter().any(|one| !one.security_id.is_string()) {
        return Err(Refused::Silently);
    }
    Ok(list)
}

fn subscribe(core: &mut Core, connection: u64, pairs: &[(usize, Mode)], most: usize) -> Result<(), Refused> {
    let Some(peer) = core.peer(connection) else { return Ok(()) };
    // What goes on after its end still takes a place.
    let held = peer.subscribed.union(&peer.lingering).chain(pairs).map(|pair| pair.0);
    if held.collect::<HashSet<usize>>().len() > most {
        return Err(Refused::Because(TOO_MANY));
    }
    for pair in pairs {
        peer.lingering.remove(pair);
    }
    core.subscribe::<Dhan>(connection, pairs);
    Ok(())
}
