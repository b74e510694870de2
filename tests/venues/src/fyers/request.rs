//! What clients send on the HSM socket.

use std::collections::BTreeSet;

use tokio_tungstenite::tungstenite::Message;

use super::{
    CONNECTIONS, Fyers, SYMBOLS, TOPICS,
    frame::{self, Request, kind, verdict},
    names::{Feed, Meaning, meaning, topic},
    own, rest,
    session::{self, ACKNOWLEDGE},
};
use crate::{
    broker::{Broker as _, Cause, News, Next},
    model::{Mode, Values},
    state::Core,
};

/// Code of the message that the plan has no more symbols.
const LIMIT: i32 = 51_001;

/// Bytes of the message that follows a log-in: more than its length can say.
const MASTER_BYTES: usize = 70_000;

/// Topics that are announced in one frame.
const ANNOUNCED: usize = 100;

/// Numbers of channels.
const CHANNELS: std::ops::RangeInclusive<u8> = 1..=63;

pub(super) fn hear(core: &mut Core, connection: u64, bytes: &[u8]) -> Next {
    let Some(session) = core.peer(connection).and_then(session::of) else { return Next::Go };
    if session.is_ignored {
        return Next::Go;
    }
    let is_accepted = session.is_accepted;
    let Some(request) = Request::parse(bytes) else {
        // Whatever it was, a request that makes no sense is not granted.
        if let Some(&kind) = bytes.get(2).filter(|kind| is_accepted && is_answered(**kind)) {
            answer(core, connection, kind, false);
        }
        return Next::Go;
    };
    match request.kind {
        kind::LOG_IN if !is_accepted => return log_in(core, connection, &request),
        kind::ACKNOWLEDGE if is_accepted => {
            if let Some(number) = request.number() {
                session.acknowledge(u32::from_be_bytes(number));
            }
        }
        kind if is_accepted && is_answered(kind) => {
            let is_granted = !own::is_refused(core, kind) && execute(core, connection, &request).is_some();
            if !is_granted {
                answer(core, connection, kind, false);
            }
        }
        // Pings, and what nobody knows, get no answer; nobody but who is logged in gets one.
        _ => {}
    }
    Next::Go
}

const fn is_answered(kind: u8) -> bool {
    matches!(
        kind,
        kind::SUBSCRIBE
            | kind::UNSUBSCRIBE
            | kind::PAUSE
            | kind::RESUME
            | kind::SNAPSHOT
            | kind::CHAIN
            | kind::MODE
    )
}

fn answer(core: &Core, connection: u64, kind: u8, is_good: bool) {
    core.answer(connection, Message::binary(frame::fields(kind, &[verdict(is_good)])));
}

fn log_in(core: &mut Core, connection: u64, request: &Request<'_>) -> Next {
    let key = request.field(1).and_then(|key| std::str::from_utf8(key).ok()).unwrap_or_default();
    let account = rest::owner_of_key(core, key).filter(|account| core.open(account) < CONNECTIONS);
    core.report.log_ins.push(account.is_some());
    let Some(account) = account else { return own::rebuff(core, connection) };
    let Some(peer) = core.peer(connection) else { return Next::Go };
    peer.account = account;
    if let Some(session) = session::of(peer) {
        session.is_accepted = true;
    }
    let (interval, description) = (ACKNOWLEDGE.to_be_bytes(), frame::description());
    let mut fields = vec![verdict(true), &interval[..]];
    if request.field(3) == Some(&[1]) {
        fields.push(description.as_bytes());
    }
    core.answer(connection, Message::binary(frame::fields(kind::LOG_IN, &fields)));
    // Something large follows that nobody has to understand.
    let master = vec![b'm'; MASTER_BYTES];
    core.answer(connection, Message::binary(frame::fields(kind::MASTER, &[&master])));
    Next::Go
}

/// Does what a request asks for, and answers it. None when it cannot be granted.
fn execute(core: &mut Core, connection: u64, request: &Request<'_>) -> Option<()> {
    match request.kind {
        kind::SUBSCRIBE => subscribe(core, connection, request),
        kind::UNSUBSCRIBE => unsubscribe(core, connection, request),
        kind::SNAPSHOT => {
            let topics = known(core, &request.topics()?);
            answer(core, connection, request.kind, true);
            let pairs: Vec<(usize, Mode)> = topics
                .into_iter()
                .map(|(place, feed)| (place, if feed == Feed::Depth { Mode::Full } else { Mode::Quote }))
                .collect();
            core.send_state::<Fyers>(connection, &pairs, Cause::State);
            Some(())
        }
        kind::PAUSE | kind::RESUME | kind::MODE => channels(core, connection, request),
        _ => None,
    }
}

/// The topics that there are, once each.
fn known(core: &Core, topics: &[&str]) -> Vec<(usize, Feed)> {
    let mut seen = BTreeSet::new();
    let place = |name: &str| {
        let (feed, meaning) = meaning(name)?;
        let place = match meaning {
            Meaning::Key(key) => core.by_key(key)?,
            Meaning::Index(exchange, symbol) => core.universe.place(exchange, symbol)?,
        };
        topic(feed, core.instrument(place)?).map(|_| (place, feed))
    };
    topics.iter().filter_map(|name| place(name)).filter(|found| seen.insert(*found)).collect()
}

/// A topic that does not exist is granted with the others, and gives silence.
fn subscribe(core: &mut Core, connection: u64, request: &Request<'_>) -> Option<()> {
    let topics = request.topics().filter(|topics| topics.len() <= TOPICS)?;
    let channel = channel(request)?;
    let found = known(core, &topics);
    if symbols(core, connection, &found) > own::limit(core).unwrap_or(SYMBOLS) {
        let text = "Symbol limit exceeded for your plan";
        core.answer(connection, Message::binary(frame::custom(LIMIT, text, request.kind)));
        return Some(());
    }
    // The two topics of a symbol are one instrument.
    let asked: BTreeSet<&str> = topics.iter().filter_map(|topic| Some(topic.split_once('|')?.1)).collect();
    core.note_subscribe(connection, asked.len());
    answer(core, connection, request.kind, true);
    let session = core.peer(connection).and_then(session::of)?;
    for (place, feed) in &found {
        session.subscribe(*place, *feed, channel);
    }
    let pairs: Vec<(usize, Mode)> =
        found.iter().map(|(place, feed)| (*place, session.mode(*feed, channel))).collect();
    renew(core, connection);
    core.subscribe::<Fyers>(connection, &pairs);
    if !core.snapshots {
        announce(core, connection, &found);
    }
    Some(())
}

/// Symbols of the account with those that are asked for.
fn symbols(core: &mut Core, connection: u64, found: &[(usize, Feed)]) -> usize {
    let account = core.peer(connection).map(|peer| peer.account.clone()).unwrap_or_default();
    let mut symbols: BTreeSet<usize> = found.iter().map(|topic| topic.0).collect();
    for connection in core.connections(|owner| owner == account) {
        symbols.extend(core.peer(connection).iter().flat_map(|peer| &peer.subscribed).map(|pair| pair.0));
    }
    symbols.len()
}

/// Lets the connection have the subscriptions of its session.
fn renew(core: &mut Core, connection: u64) -> Option<()> {
    let peer = core.peer(connection)?;
    peer.subscribed = session::of(peer)?.subscribed().collect();
    core.renew_report();
    Some(())
}

/// Tells of topics that they exist, and nothing else: where nothing is sent unasked, a client learns so that
/// they do.
fn announce(core: &mut Core, connection: u64, topics: &[(usize, Feed)]) -> Option<()> {
    let values = Values::absent();
    for some in topics.chunks(ANNOUNCED) {
        let mut records = Vec::with_capacity(some.len());
        for &(place, feed) in some {
            let instrument = core.instrument(place)?.clone();
            let news = News {
                place,
                instrument: &instrument,
                mode: Mode::Quote,
                values: &values,
                cause: Cause::State,
            };
            let session = core.peer(connection).and_then(session::of)?;
            records.push(session.announce(feed, &news).ok()?);
        }
        let messages = Fyers::wrap(core.peer(connection)?, records, true);
        messages.into_iter().for_each(|message| core.answer(connection, message));
    }
    Some(())
}

/// A topic that is not subscribed, or is on another channel, is no mistake.
fn unsubscribe(core: &mut Core, connection: u64, request: &Request<'_>) -> Option<()> {
    let topics = request.topics().filter(|topics| topics.len() <= TOPICS)?;
    let channel = channel(request)?;
    let found = known(core, &topics);
    let session = core.peer(connection).and_then(session::of)?;
    found.iter().for_each(|(place, feed)| session.unsubscribe(*place, *feed, channel));
    renew(core, connection);
    answer(core, connection, request.kind, true);
    Some(())
}

fn channel(request: &Request<'_>) -> Option<u8> {
    let &[channel] = request.field(2)? else { return None };
    CHANNELS.contains(&channel).then_some(channel)
}

/// Pauses, resumes, or changes the mode of the channels of a mask.
fn channels(core: &mut Core, connection: u64, request: &Request<'_>) -> Option<()> {
    let mask = u64::from_be_bytes(request.number()?);
    // There is no channel 0.
    if mask == 0 || mask & 1 != 0 {
        return None;
    }
    let session = core.peer(connection).and_then(session::of)?;
    match (request.kind, request.field(2)) {
        (kind::PAUSE, _) => session.paused |= mask,
        (kind::RESUME, _) => session.paused &= !mask,
        (_, Some(b"L")) => session.lite |= mask,
        (_, Some(b"F")) => session.lite &= !mask,
        _ => return None,
    }
    // What was subscribed while a channel was paused begins now.
    let untold = session.untold();
    renew(core, connection);
    answer(core, connection, request.kind, true);
    if core.snapshots {
        core.send_state::<Fyers>(connection, &untold, Cause::State);
    }
    Some(())
}
