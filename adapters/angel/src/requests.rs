//! The requests that bring about what is wanted, and what a refusal of one means. Pure: no connection and no clock.

use std::collections::{BTreeMap, VecDeque};

use adapter_sdk::{Mode, plan::Change};
use rustc_hash::FxHashSet;

use crate::{
    control::{self, Action},
    segment::Key,
};

/// Pairs of token and mode that the broker allows on one connection.
pub(crate) const PAIRS_PER_CONNECTION: usize = 1_000;

/// Requests that are remembered, for a refusal to find its instruments. The broker does not say when one has worked.
const REMEMBERED_REQUESTS: usize = 128;

/// Most parts that a change of modes is cut into for want of room. In more, which go out with pauses, the last instrument
/// would wait too long.
const MOST_PARTS: usize = 10;

/// What the broker is asked for of a token, and whether that is an index: its packets do not say so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Asked {
    pub(crate) mode: Mode,
    pub(crate) is_index: bool,
}

/// The requests of one connection.
#[derive(Debug)]
pub(crate) struct Requests {
    /// Most tokens in one request.
    batch_size: usize,
    /// Pairs that the broker counts.
    pairs: usize,
    /// Requests so far.
    count: u64,
    sent: VecDeque<Sent>,
}

#[derive(Debug)]
struct Sent {
    correlation: String,
    mode: Mode,
    keys: Vec<Key>,
    /// Whether the keys had a mode before, which has ended since then.
    is_move: bool,
}

/// What a refusal came to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// What had no room beside its old mode has it after that one's end: it is asked for once more.
    Again(Vec<String>),
    /// These do not come.
    Gone(Vec<Key>),
}

/// Changes, sorted by what they are.
#[derive(Default)]
struct Sorted {
    ends: BTreeMap<Mode, Vec<Key>>,
    /// From one mode to another, or to the same one: then the broker is to send its state.
    moves: BTreeMap<(Mode, Mode), Vec<Key>>,
    starts: BTreeMap<Mode, Vec<Key>>,
}

impl Requests {
    pub(crate) fn new(batch_size: usize) -> Self {
        Self { batch_size: batch_size.max(1), pairs: 0, count: 0, sent: VecDeque::new() }
    }

    /// The requests for these changes. What nobody wants ends first, to make room.
    ///
    /// Of an instrument whose mode changes, the new one begins before the old one ends, so that no tick is missed in
    /// between. For that moment both count against the broker's limit. So as many change at once as there is room for,
    /// and where there is next to none, a gap of one message is better than a refusal.
    pub(crate) fn follow(&mut self, changes: &[Change<Key, Asked>]) -> Vec<String> {
        let Sorted { ends, moves, starts } = sorted(changes);
        let count = |keys: &BTreeMap<Mode, Vec<Key>>| keys.values().map(Vec::len).sum::<usize>();
        let mut messages = Vec::new();
        for (mode, keys) in &ends {
            self.write(Action::Unsubscribe, *mode, keys, &mut messages);
        }
        self.pairs = self.pairs.saturating_sub(count(&ends));
        let room = PAIRS_PER_CONNECTION.saturating_sub(self.pairs);
        let moving: usize =
            moves.iter().filter(|((old, new), _)| old != new).map(|(_, keys)| keys.len()).sum();
        let has_room = room.saturating_mul(MOST_PARTS) >= moving;
        for ((old, new), keys) in &moves {
            // The broker takes no pair twice.
            let is_beside = has_room && old != new;
            let at_once = if is_beside { room.clamp(1, self.batch_size) } else { self.batch_size };
            for keys in keys.chunks(at_once) {
                if !is_beside {
                    self.write(Action::Unsubscribe, *old, keys, &mut messages);
                }
                self.subscribe(*new, keys, true, &mut messages);
                if is_beside {
                    self.write(Action::Unsubscribe, *old, keys, &mut messages);
                }
            }
        }
        for (mode, keys) in &starts {
            self.subscribe(*mode, keys, false, &mut messages);
        }
        self.pairs += count(&starts);
        messages
    }

    /// The broker refused a request; `told` says what it was told last of a key. What was asked for anew since then is not
    /// affected. The broker does not say whether it took a part of the request, and what nobody wants would count against
    /// its limit for ever, so what does not come is to be ended: to end what was never subscribed is free.
    pub(crate) fn refused(
        &mut self,
        correlation: &str,
        told: impl Fn(&Key) -> Option<Asked>,
    ) -> Option<Refused> {
        let place = self.sent.iter().position(|sent| sent.correlation == correlation)?;
        let sent = self.sent.remove(place)?;
        let later: FxHashSet<Key> =
            self.sent.iter().skip(place).flat_map(|sent| &sent.keys).copied().collect();
        let is_affected =
            |key: &Key| !later.contains(key) && told(key).is_some_and(|asked| asked.mode == sent.mode);
        let keys: Vec<Key> = sent.keys.into_iter().filter(is_affected).collect();
        if !sent.is_move {
            return Some(Refused::Gone(keys));
        }
        let mut messages = Vec::new();
        self.subscribe(sent.mode, &keys, false, &mut messages);
        Some(Refused::Again(messages))
    }

    fn subscribe(&mut self, mode: Mode, keys: &[Key], is_move: bool, messages: &mut Vec<String>) {
        for keys in keys.chunks(self.batch_size) {
            let correlation = self.write(Action::Subscribe, mode, keys, messages);
            if self.sent.len() >= REMEMBERED_REQUESTS {
                self.sent.pop_front();
            }
            self.sent.push_back(Sent { correlation, mode, keys: keys.to_vec(), is_move });
        }
    }

    /// Gives the number of the last request.
    fn write(&mut self, action: Action, mode: Mode, keys: &[Key], messages: &mut Vec<String>) -> String {
        for keys in keys.chunks(self.batch_size) {
            self.count += 1;
            messages.push(control::request(&correlation(self.count), action, mode, keys));
        }
        correlation(self.count)
    }
}

fn sorted(changes: &[Change<Key, Asked>]) -> Sorted {
    let mut sorted = Sorted::default();
    for Change { key, before, now } in changes {
        let keys = match (before.map(|asked| asked.mode), now.map(|asked| asked.mode)) {
            (Some(old), Some(new)) => sorted.moves.entry((old, new)).or_default(),
            (Some(old), None) => sorted.ends.entry(old).or_default(),
            (None, Some(new)) => sorted.starts.entry(new).or_default(),
            (None, None) => continue,
        };
        keys.push(*key);
    }
    sorted
}

/// Ten letters and digits, as the broker wants it.
fn correlation(request: u64) -> String {
    format!("t{:09}", request % 1_000_000_000)
}

#[cfg(test)]
mod tests;
