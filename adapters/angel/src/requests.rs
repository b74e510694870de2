//! The requests that bring about what is wanted, and what a refusal of one means. Pure: no connection and no
//! clock.

use std::collections::{BTreeMap, VecDeque};

use adapter_sdk::{Mode, plan::Change};
use rustc_hash::FxHashSet;

use crate::{
    control::{self, Action},
    segment::Key,
};

/// Pairs of token and mode that the broker allows on one connection.
pub(crate) const PAIRS_PER_CONNECTION: u16 = 1_000;

/// Requests that are remembered, for a refusal to find its instruments. The broker does not say when one has
/// worked.
const REMEMBERED_REQUESTS: usize = 128;

/// Most parts that a change of modes is cut into for want of room. In more, which go out with pauses, the
/// last instrument would wait too long.
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
    /// Pairs that the broker was told of.
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
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Refused {
    /// These do not come.
    pub(crate) gone: Vec<Key>,
    /// Requests to be sent once more: what had no room beside its old mode has it after that one's end.
    pub(crate) again: Vec<String>,
}

impl Requests {
    pub(crate) fn new(batch_size: usize) -> Self {
        Self { batch_size: batch_size.max(1), pairs: 0, count: 0, sent: VecDeque::new() }
    }

    /// The requests for these changes. What nobody wants ends first, to make room.
    ///
    /// Of an instrument whose mode changes, the new one begins before the old one ends, so that no tick is
    /// missed in between. For that moment both count against the broker's limit. So as many change at once as
    /// there is room for, and where there is next to none, a gap of one message is better than a refusal.
    pub(crate) fn follow(&mut self, changes: &[Change<Key, Asked>]) -> Vec<String> {
        // By the mode before and the one from now on. Two that are equal ask for the broker's state once
        // more.
        let mut groups = BTreeMap::<_, Vec<Key>>::new();
        for Change { key, before, now } in changes {
            let modes = (before.map(|asked| asked.mode), now.map(|asked| asked.mode));
            groups.entry(modes).or_default().push(*key);
        }
        let mut messages = Vec::new();
        for ((old, _), keys) in groups.iter().filter(|((_, new), _)| new.is_none()) {
            self.unsubscribe(*old, keys, &mut messages);
        }
        let room = usize::from(PAIRS_PER_CONNECTION).saturating_sub(self.pairs);
        let moves = groups.iter().filter(|((old, new), _)| old.is_some() && new.is_some() && old != new);
        let moving: usize = moves.map(|(_, keys)| keys.len()).sum();
        let has_room = room.saturating_mul(MOST_PARTS) >= moving;
        // Those that begin come last.
        for ((old, new), keys) in groups.iter().rev() {
            let Some(new) = *new else { continue };
            // The broker takes no pair twice.
            let is_beside = has_room && old.is_some_and(|old| old != new);
            let at_once = if is_beside { room.clamp(1, self.batch_size) } else { self.batch_size };
            for keys in keys.chunks(at_once) {
                if !is_beside {
                    self.unsubscribe(*old, keys, &mut messages);
                }
                self.subscribe(new, keys, old.is_some(), &mut messages);
                if is_beside {
                    self.unsubscribe(*old, keys, &mut messages);
                }
            }
        }
        messages
    }

    /// The broker refused a request; `told` says what it was told last of a key. What was asked for again
    /// since then is not affected. The broker does not say whether it took a part of the request, and what
    /// nobody wants would count against its limit for ever, so what does not come is to be ended: to end what
    /// was never subscribed is free.
    pub(crate) fn refused(&mut self, correlation: &str, told: impl Fn(&Key) -> Option<Asked>) -> Refused {
        let mut refused = Refused::default();
        let place = self.sent.iter().position(|sent| sent.correlation == correlation).unwrap_or(usize::MAX);
        let Some(Sent { mode, keys, is_move, .. }) = self.sent.remove(place) else { return refused };
        let later: FxHashSet<Key> =
            self.sent.iter().skip(place).flat_map(|sent| &sent.keys).copied().collect();
        let is_affected =
            |key: &Key| !later.contains(key) && told(key).is_some_and(|asked| asked.mode == mode);
        refused.gone = keys.into_iter().filter(is_affected).collect();
        if is_move {
            let keys = std::mem::take(&mut refused.gone);
            // They are counted already.
            self.pairs = self.pairs.saturating_sub(keys.len());
            self.subscribe(mode, &keys, false, &mut refused.again);
        }
        refused
    }

    fn subscribe(&mut self, mode: Mode, keys: &[Key], is_move: bool, messages: &mut Vec<String>) {
        for keys in keys.chunks(self.batch_size) {
            let correlation = self.write(Action::Subscribe, mode, keys, messages);
            self.pairs += keys.len();
            if self.sent.len() >= REMEMBERED_REQUESTS {
                self.sent.pop_front();
            }
            self.sent.push_back(Sent { correlation, mode, keys: keys.to_vec(), is_move });
        }
    }

    fn unsubscribe(&mut self, mode: Option<Mode>, keys: &[Key], messages: &mut Vec<String>) {
        let Some(mode) = mode else { return };
        for keys in keys.chunks(self.batch_size) {
            self.write(Action::Unsubscribe, mode, keys, messages);
            self.pairs = self.pairs.saturating_sub(keys.len());
        }
    }

    /// Gives the number of the request.
    fn write(&mut self, action: Action, mode: Mode, keys: &[Key], messages: &mut Vec<String>) -> String {
        self.count += 1;
        let correlation = correlation(self.count);
        messages.push(control::request(&correlation, action, mode, keys));
        correlation
    }
}

/// Ten letters and digits, as the broker wants it.
fn correlation(request: u64) -> String {
    format!("t{:09}", request % 1_000_000_000)
}

#[cfg(test)]
mod tests;
