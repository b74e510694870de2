//! What is subscribed, and which messages bring it about. Pure: no connection and no clock.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use adapter_sdk::Mode;
use rustc_hash::FxHashMap;

use crate::{
    control::{self, Action},
    segment::{Key, Segment, Token},
};

/// Pairs of token and mode that the broker allows on one connection.
pub(crate) const PAIRS_PER_CONNECTION: usize = 1_000;

/// Requests that are remembered, for a refusal to find its instruments. The broker does not say when one has worked.
const REMEMBERED_REQUESTS: usize = 128;

/// Most parts that a change of modes is cut into for want of room. In more, which go out with pauses, the last instrument
/// would wait too long.
const MOST_PARTS: usize = 10;

/// An instrument that the host wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) instrument: u32,
    pub(crate) key: Key,
    pub(crate) mode: Mode,
    pub(crate) is_index: bool,
}

/// What comes under one key.
#[derive(Clone, Debug)]
pub(crate) struct Live {
    /// The mode that is subscribed.
    pub(crate) mode: Mode,
    /// Number of the request that asked for it.
    request: u64,
    /// Whose ticks these are; more than one when two names mean the same thing.
    pub(crate) instruments: Vec<u32>,
    pub(crate) is_index: bool,
}

/// The subscriptions of one connection.
#[derive(Debug)]
pub(crate) struct Feed {
    /// By the host's number.
    wanted: BTreeMap<u32, Wanted>,
    live: FxHashMap<Key, Live>,
    sent: VecDeque<Sent>,
    /// Requests so far.
    count: u64,
    batch_size: usize,
}

#[derive(Debug)]
struct Sent {
    request: u64,
    correlation: String,
    mode: u8,
    keys: Vec<Key>,
    /// Whether the keys had another mode, which has ended since then.
    is_move: bool,
}

/// What a refusal came to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Refused {
    /// Instruments that do not come therefore.
    pub(crate) instruments: Vec<u32>,
    /// What is to be sent. The broker does not say whether it took a part of the request, and what nobody wants would
    /// count against its limit for ever; to end what was never subscribed is free.
    pub(crate) messages: Vec<String>,
}

impl Feed {
    pub(crate) fn new(batch_size: usize) -> Self {
        Self {
            wanted: BTreeMap::new(),
            live: FxHashMap::default(),
            sent: VecDeque::new(),
            count: 0,
            batch_size: batch_size.max(1),
        }
    }

    /// Whose a tick is. None for what was unsubscribed: the broker's last packets come late.
    pub(crate) fn find(&self, key: &Key) -> Option<&Live> {
        self.live.get(key)
    }

    /// Takes what the host wants now, and gives the messages that bring it about. An instrument that is known already
    /// may have another mode, or another key.
    pub(crate) fn subscribe(&mut self, wanted: impl IntoIterator<Item = Wanted>) -> Vec<String> {
        let mut touched = BTreeSet::new();
        for one in wanted {
            if let Some(before) = self.wanted.insert(one.instrument, one) {
                touched.insert(before.key);
            }
            touched.insert(one.key);
        }
        self.settle(&touched)
    }

    /// The same for what it does not want any more.
    pub(crate) fn unsubscribe(&mut self, instruments: &[u32]) -> Vec<String> {
        let gone = instruments.iter().filter_map(|instrument| self.wanted.remove(instrument));
        let touched = gone.map(|one| one.key).collect();
        self.settle(&touched)
    }

    /// The broker refused a request. A change of mode is asked for once more: what had no room beside the old mode has it
    /// after that one's end.
    pub(crate) fn refuse(&mut self, correlation: &str) -> Refused {
        let place = self.sent.iter().position(|sent| sent.correlation == correlation);
        let Some(sent) = place.and_then(|place| self.sent.remove(place)) else { return Refused::default() };
        let mut refused = Refused::default();
        // What was asked for anew since then is not affected.
        let is_affected = |key: &Key| self.live.get(key).is_some_and(|live| live.request == sent.request);
        let affected: Vec<Key> = sent.keys.into_iter().filter(is_affected).collect();
        if sent.is_move {
            self.write(Action::Subscribe, sent.mode, &affected, &mut refused.messages);
            return refused;
        }
        let mut ended = Vec::new();
        for key in affected {
            if let Some(live) = self.live.remove(&key) {
                for instrument in live.instruments {
                    self.wanted.remove(&instrument);
                    refused.instruments.push(instrument);
                }
                ended.push(key);
            }
        }
        if !ended.is_empty() {
            self.write(Action::Unsubscribe, sent.mode, &ended, &mut refused.messages);
        }
        refused
    }

    /// Makes what is subscribed what is wanted, for these keys.
    fn settle(&mut self, touched: &BTreeSet<Key>) -> Vec<String> {
        let mut by_key: BTreeMap<Key, Vec<&Wanted>> = touched.iter().map(|key| (*key, Vec::new())).collect();
        for one in self.wanted.values() {
            if let Some(same) = by_key.get_mut(&one.key) {
                same.push(one);
            }
        }
        let mut changes = Changes::default();
        // Pairs that stay as they are.
        let mut kept = self.live.len();
        for (key, wanted) in by_key {
            let mode = wanted.iter().map(|one| one.mode).max();
            let now = self.live.get(&key).map(|live| live.mode);
            kept -= usize::from(now.is_some() && now != mode);
            let is_known = |one: &&Wanted| {
                self.live.get(&key).is_some_and(|live| live.instruments.contains(&one.instrument))
            };
            match (now, mode) {
                (Some(now), Some(mode)) if now != mode => {
                    changes.moves.entry((number(now), number(mode))).or_default().push(key);
                }
                (None, Some(mode)) => changes.starts.entry(number(mode)).or_default().push(key),
                (Some(now), None) => changes.ends.entry(number(now)).or_default().push(key),
                (Some(now), Some(_)) if !wanted.iter().all(is_known) => {
                    changes.repeats.entry(number(now)).or_default().push(key);
                }
                _ => {}
            }
            match mode {
                Some(mode) => {
                    let instruments = wanted.iter().map(|one| one.instrument).collect();
                    let is_index = wanted.iter().any(|one| one.is_index);
                    let request = self.live.get(&key).map_or(0, |live| live.request);
                    self.live.insert(key, Live { mode, request, instruments, is_index });
                }
                None => {
                    self.live.remove(&key);
                }
            }
        }
        self.change(&changes, kept)
    }

    /// The messages for these changes, beside this many pairs that stay. What nobody wants ends first, to make room.
    ///
    /// Of an instrument whose mode changes, the new one begins before the old one ends, so that no tick is missed in
    /// between. For that moment both count against the broker's limit. So as many change at once as there is room for,
    /// and where there is next to none, a gap of one message is better than a refusal.
    fn change(&mut self, changes: &Changes, kept: usize) -> Vec<String> {
        let mut messages = Vec::new();
        for (mode, keys) in &changes.ends {
            self.write(Action::Unsubscribe, *mode, keys, &mut messages);
        }
        let moving: usize = changes.moves.values().map(Vec::len).sum();
        let room = PAIRS_PER_CONNECTION.saturating_sub(kept + moving);
        let has_room = room.saturating_mul(MOST_PARTS) >= moving;
        let at_once = if has_room { room.clamp(1, self.batch_size) } else { self.batch_size };
        for ((before, mode), keys) in &changes.moves {
            for keys in keys.chunks(at_once) {
                if has_room {
                    self.write_as(Action::Subscribe, *mode, keys, true, &mut messages);
                    self.write(Action::Unsubscribe, *before, keys, &mut messages);
                } else {
                    self.write(Action::Unsubscribe, *before, keys, &mut messages);
                    self.write_as(Action::Subscribe, *mode, keys, true, &mut messages);
                }
            }
        }
        // Subscribed anew, for the state that the broker sends then: who wants them only now has none, and the next trade may
        // be hours away. The broker takes no pair twice.
        for (mode, keys) in &changes.repeats {
            for keys in keys.chunks(self.batch_size) {
                self.write(Action::Unsubscribe, *mode, keys, &mut messages);
                self.write_as(Action::Subscribe, *mode, keys, true, &mut messages);
            }
        }
        for (mode, keys) in &changes.starts {
            self.write(Action::Subscribe, *mode, keys, &mut messages);
        }
        messages
    }

    fn write(&mut self, action: Action, mode: u8, keys: &[Key], messages: &mut Vec<String>) {
        self.write_as(action, mode, keys, false, messages);
    }

    fn write_as(
        &mut self,
        action: Action,
        mode: u8,
        keys: &[Key],
        is_move: bool,
        messages: &mut Vec<String>,
    ) {
        for keys in keys.chunks(self.batch_size) {
            self.count += 1;
            let request = self.count;
            let correlation = correlation(request);
            messages.push(control::request(&correlation, action, mode, &by_segment(keys)));
            if action == Action::Subscribe {
                for key in keys {
                    if let Some(live) = self.live.get_mut(key) {
                        live.request = request;
                    }
                }
                if self.sent.len() >= REMEMBERED_REQUESTS {
                    self.sent.pop_front();
                }
                self.sent.push_back(Sent { request, correlation, mode, keys: keys.to_vec(), is_move });
            }
        }
    }
}

/// What is to be changed at the broker, by the broker's numbers of modes.
#[derive(Debug, Default)]
struct Changes {
    ends: BTreeMap<u8, Vec<Key>>,
    /// From one mode to another.
    moves: BTreeMap<(u8, u8), Vec<Key>>,
    /// What stays as it is, and has got another instrument.
    repeats: BTreeMap<u8, Vec<Key>>,
    starts: BTreeMap<u8, Vec<Key>>,
}

/// Ten letters and digits, as the broker wants it.
fn correlation(request: u64) -> String {
    format!("t{:09}", request % 1_000_000_000)
}

/// The broker's number of a mode.
const fn number(mode: Mode) -> u8 {
    match mode {
        Mode::Ltp => 1,
        Mode::Quote => 2,
        Mode::Depth => 3,
    }
}

fn by_segment(keys: &[Key]) -> Vec<(Segment, Vec<Token>)> {
    let mut lists = BTreeMap::<Segment, Vec<Token>>::new();
    for key in keys {
        lists.entry(key.segment).or_default().push(key.token);
    }
    lists.into_iter().collect()
}

#[cfg(test)]
mod tests;
