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
    /// The broker's number of the mode that is subscribed.
    mode: u8,
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
    correlation: String,
    mode: u8,
    keys: Vec<Key>,
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

    /// The broker refused a request: gives the instruments that do not come therefore.
    pub(crate) fn refuse(&mut self, correlation: &str) -> Vec<u32> {
        let place = self.sent.iter().position(|sent| sent.correlation == correlation);
        let Some(sent) = place.and_then(|place| self.sent.remove(place)) else { return Vec::new() };
        let mut refused = Vec::new();
        for key in &sent.keys {
            // What was asked for in another mode since then is not affected.
            if self.live.get(key).is_some_and(|live| live.mode == sent.mode)
                && let Some(live) = self.live.remove(key)
            {
                for instrument in live.instruments {
                    self.wanted.remove(&instrument);
                    refused.push(instrument);
                }
            }
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
        let (mut starts, mut ends) = (BTreeMap::<u8, Vec<Key>>::new(), BTreeMap::<u8, Vec<Key>>::new());
        let before = self.live.len();
        let mut added = 0;
        for (key, wanted) in by_key {
            let mode = wanted.iter().map(|one| number(one.mode)).max();
            let now = self.live.get(&key).map(|live| live.mode);
            if now != mode {
                if let Some(mode) = mode {
                    starts.entry(mode).or_default().push(key);
                    added += 1;
                }
                if let Some(mode) = now {
                    ends.entry(mode).or_default().push(key);
                }
            }
            match mode {
                Some(mode) => {
                    let instruments = wanted.iter().map(|one| one.instrument).collect();
                    let is_index = wanted.iter().any(|one| one.is_index);
                    self.live.insert(key, Live { mode, instruments, is_index });
                }
                None => {
                    self.live.remove(&key);
                }
            }
        }
        // The new mode begins before the old one ends, so that no tick is missed in between. For that moment both count
        // against the broker's limit; where there is no room for both, a gap is better than a refusal.
        let mut messages = Vec::new();
        if before + added > PAIRS_PER_CONNECTION {
            self.write(Action::Unsubscribe, ends, &mut messages);
            self.write(Action::Subscribe, starts, &mut messages);
        } else {
            self.write(Action::Subscribe, starts, &mut messages);
            self.write(Action::Unsubscribe, ends, &mut messages);
        }
        messages
    }

    fn write(&mut self, action: Action, by_mode: BTreeMap<u8, Vec<Key>>, messages: &mut Vec<String>) {
        for (mode, keys) in by_mode {
            for keys in keys.chunks(self.batch_size) {
                let correlation = self.correlation();
                messages.push(control::request(&correlation, action, mode, &by_segment(keys)));
                if action == Action::Subscribe {
                    if self.sent.len() >= REMEMBERED_REQUESTS {
                        self.sent.pop_front();
                    }
                    self.sent.push_back(Sent { correlation, mode, keys: keys.to_vec() });
                }
            }
        }
    }

    /// Ten letters and digits, as the broker wants it.
    fn correlation(&mut self) -> String {
        self.count += 1;
        format!("t{:09}", self.count % 1_000_000_000)
    }
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
