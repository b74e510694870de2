//! Which instruments are wanted, what the broker was told, and the changes that make the two equal. Pure: no
//! connection and no clock.
//!
//! A broker's packets name instruments by a key of the broker's own. The host names them by number. More than
//! one number may have one key, when clients ask for an instrument by two names; a number may get another key
//! when the list of instruments changes. The broker is told the highest mode that any number of a key wants.
//! When another number wants what is subscribed already, the broker is told its mode once more, so that it
//! sends its state: the next trade may be hours away.
//!
//! Changes are taken when they can be sent, not when something is wanted: however fast clients come and go,
//! there is never more waiting than one change for each key.
//!
//! ```
//! use adapter_sdk::{Mode, plan::{Change, Plan}};
//!
//! let mut plan = Plan::new();
//! plan.want(7, "NSE:1594", Mode::Ltp);
//! assert_eq!(plan.changes(100), [Change { key: "NSE:1594", before: None, now: Some(Mode::Ltp) }]);
//! // A packet of that key is published under number 7.
//! assert_eq!(plan.heard(&"NSE:1594").unwrap().instruments(), [(7, Mode::Ltp)]);
//! plan.want(7, "NSE:1594", Mode::Depth);
//! plan.want(7, "NSE:1594", Mode::Quote);
//! assert_eq!(
//!     plan.changes(100),
//!     [Change { key: "NSE:1594", before: Some(Mode::Ltp), now: Some(Mode::Quote) }]
//! );
//! ```

use std::{collections::VecDeque, hash::Hash};

use rustc_hash::FxHashMap;

use crate::Mode;

/// What is known of a key.
#[derive(Clone, Debug)]
pub struct Feed<M = Mode> {
    instruments: Vec<(u32, M)>,
    told: Option<M>,
    is_changed: bool,
    is_heard: bool,
    /// Instruments that have come since the broker was told, and know nothing yet.
    joined: Vec<u32>,
    is_repeated: bool,
}

impl<M> Default for Feed<M> {
    fn default() -> Self {
        Self {
            instruments: Vec::new(),
            told: None,
            is_changed: false,
            is_heard: false,
            joined: Vec::new(),
            is_repeated: false,
        }
    }
}

impl<M: Copy + Ord> Feed<M> {
    /// Numbers to publish under, each with the mode that is wanted.
    pub fn instruments(&self) -> &[(u32, M)] {
        &self.instruments
    }

    /// The mode that the broker was told; none when the key is not subscribed.
    pub const fn told(&self) -> Option<M> {
        self.told
    }

    fn wanted(&self) -> Option<M> {
        self.instruments.iter().map(|(_, mode)| *mode).max()
    }
}

/// What the broker is to be told of a key. The two modes differ, unless another instrument wants what is
/// subscribed already: then the broker is to be made to send its state, and nothing else is to change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change<K, M = Mode> {
    /// The broker's key.
    pub key: K,
    /// The mode that is subscribed, if any.
    pub before: Option<M>,
    /// The mode that it is to have, if any.
    pub now: Option<M>,
}

/// What one connection is to carry.
///
/// What is asked for of a key is a [`Mode`] at most brokers. Where it is more, such as a mode and a number of
/// levels, it is any type whose highest value serves all who want less.
#[derive(Clone, Debug)]
pub struct Plan<K, M = Mode> {
    feeds: FxHashMap<K, Feed<M>>,
    keys: FxHashMap<u32, K>,
    /// Keys whose wanted mode may differ from what the broker was told.
    changed: VecDeque<K>,
}

impl<K: Clone + Eq + Hash, M: Copy + Ord> Default for Plan<K, M> {
    fn default() -> Self {
        Self { feeds: FxHashMap::default(), keys: FxHashMap::default(), changed: VecDeque::new() }
    }
}

impl<K: Clone + Eq + Hash, M: Copy + Ord> Plan<K, M> {
    /// Nothing is wanted yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Wants an instrument, or wants it in another mode, or under another key.
    pub fn want(&mut self, instrument: u32, key: K, mode: M) {
        if self.keys.get(&instrument).is_some_and(|known| *known != key) {
            self.drop(instrument);
        }
        let feed = self.feeds.entry(key.clone()).or_default();
        if let Some((_, known)) = feed.instruments.iter_mut().find(|(known, _)| *known == instrument) {
            *known = mode;
        } else {
            feed.instruments.push((instrument, mode));
            if feed.told.is_some() {
                feed.joined.push(instrument);
            }
        }
        self.note(&key);
        self.keys.insert(instrument, key);
    }

    /// Does not want an instrument any more. From now on nothing is published under it.
    pub fn drop(&mut self, instrument: u32) {
        let Some(key) = self.keys.remove(&instrument) else { return };
        if let Some(feed) = self.feeds.get_mut(&key) {
            feed.instruments.retain(|(known, _)| *known != instrument);
            feed.joined.retain(|known| *known != instrument);
        }
        self.note(&key);
    }

    /// What a packet of a key is for, and notes that there was one. None when nobody wants it: the broker's
    /// last packets come late.
    pub fn heard(&mut self, key: &K) -> Option<&Feed<M>> {
        let feed = self.feeds.get_mut(key)?;
        feed.is_heard = true;
        Some(feed)
    }

    /// What is known of a key.
    pub fn feed(&self, key: &K) -> Option<&Feed<M>> {
        self.feeds.get(key)
    }

    /// The key of an instrument that is wanted.
    pub fn key(&self, instrument: u32) -> Option<K> {
        self.keys.get(&instrument).cloned()
    }

    /// Whether a key was subscribed and the broker has sent nothing of it since then.
    pub fn is_silent(&self, key: &K) -> bool {
        self.feeds.get(key).is_some_and(|feed| feed.told.is_some() && !feed.is_heard)
    }

    /// Gives a key up; gives the instruments that it had.
    pub fn give_up(&mut self, key: &K) -> Vec<u32> {
        let found = self.feeds.get(key).map(|feed| feed.instruments.iter().map(|(known, _)| *known));
        let instruments: Vec<u32> = found.into_iter().flatten().collect();
        for instrument in &instruments {
            self.drop(*instrument);
        }
        instruments
    }

    /// Has the broker told once more what it was told of a key.
    pub fn repeat(&mut self, key: &K) {
        if let Some(feed) = self.feeds.get_mut(key)
            && feed.told.is_some()
        {
            feed.is_repeated = true;
            self.note(key);
        }
    }

    /// Keys that the broker was told of.
    pub fn subscribed(&self) -> usize {
        self.feeds.values().filter(|feed| feed.told.is_some()).count()
    }

    /// Whether there may be something to tell the broker.
    pub fn has_changes(&self) -> bool {
        !self.changed.is_empty()
    }

    /// The next changes, at most `most` of them, in the order in which they came up. The broker counts as
    /// told.
    pub fn changes(&mut self, most: usize) -> Vec<Change<K, M>> {
        let mut changes = Vec::new();
        while changes.len() < most
            && let Some(key) = self.changed.pop_front()
        {
            let Some(feed) = self.feeds.get_mut(&key) else { continue };
            feed.is_changed = false;
            let (before, now) = (feed.told, feed.wanted());
            let is_repeated = std::mem::take(&mut feed.is_repeated);
            let has_joined = !std::mem::take(&mut feed.joined).is_empty() || is_repeated;
            if now.is_none() {
                self.feeds.remove(&key);
            } else {
                feed.told = now;
                feed.is_heard &= before.is_some();
            }
            if before != now || (has_joined && now.is_some()) {
                changes.push(Change { key, before, now });
            }
        }
        changes
    }

    fn note(&mut self, key: &K) {
        if let Some(feed) = self.feeds.get_mut(key)
            && !feed.is_changed
        {
            feed.is_changed = true;
            self.changed.push_back(key.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    const fn change(key: u32, before: Option<Mode>, now: Option<Mode>) -> Change<u32> {
        Change { key, before, now }
    }

    #[test]
    fn a_key_has_the_highest_mode_that_any_of_its_instruments_wants() {
        let mut plan = Plan::new();
        plan.want(1, 265, Mode::Depth);
        plan.want(2, 265, Mode::Ltp);
        assert_eq!(plan.changes(9), [change(265, None, Some(Mode::Depth))]);
        plan.drop(1);
        assert_eq!(plan.changes(9), [change(265, Some(Mode::Depth), Some(Mode::Ltp))]);
        assert_eq!(plan.heard(&265).unwrap().instruments(), [(2, Mode::Ltp)]);
        assert_eq!((plan.key(2), plan.key(1), plan.subscribed()), (Some(265), None, 1));
    }

    #[test]
    fn another_instrument_of_a_key_has_its_state_said_once_more() {
        let mut plan = Plan::new();
        plan.want(1, 10, Mode::Quote);
        plan.want(2, 10, Mode::Quote);
        assert_eq!(plan.changes(9), [change(10, None, Some(Mode::Quote))]);
        // In a lower mode too; what is said anyway is not said twice.
        plan.want(3, 10, Mode::Ltp);
        assert_eq!(plan.changes(9), [change(10, Some(Mode::Quote), Some(Mode::Quote))]);
        plan.want(4, 10, Mode::Depth);
        assert_eq!(plan.changes(9), [change(10, Some(Mode::Quote), Some(Mode::Depth))]);
        plan.want(4, 10, Mode::Depth);
        plan.drop(3);
        assert_eq!(plan.changes(9), []);
        let numbers: Vec<u32> = plan.heard(&10).unwrap().instruments().iter().map(|known| known.0).collect();
        assert_eq!(numbers, [1, 2, 4]);
        // One that came and went in between is no reason.
        plan.want(5, 10, Mode::Ltp);
        plan.drop(5);
        assert_eq!(plan.changes(9), []);
    }

    #[test]
    fn what_the_broker_was_told_is_told_once_more() {
        let mut plan = Plan::new();
        plan.want(1, 10, Mode::Quote);
        plan.repeat(&10);
        plan.repeat(&20);
        assert_eq!(plan.changes(9), [change(10, None, Some(Mode::Quote))], "it was told nothing yet");
        plan.repeat(&10);
        assert!(plan.is_silent(&10));
        assert_eq!(plan.changes(9), [change(10, Some(Mode::Quote), Some(Mode::Quote))]);
        assert!(plan.is_silent(&10) && !plan.has_changes());
        plan.repeat(&10);
        plan.drop(1);
        assert_eq!(plan.changes(9), [change(10, Some(Mode::Quote), None)]);
    }

    #[test]
    fn an_instrument_that_moves_to_another_key_leaves_the_first_at_once() {
        let mut plan = Plan::new();
        plan.want(1, 10, Mode::Quote);
        plan.changes(9);
        plan.want(1, 20, Mode::Quote);
        assert!(plan.heard(&10).unwrap().instruments().is_empty());
        let (gone, new) = (change(10, Some(Mode::Quote), None), change(20, None, Some(Mode::Quote)));
        assert_eq!(plan.changes(9), [gone, new]);
        assert!(plan.heard(&10).is_none());
    }

    #[test]
    fn what_was_taken_back_before_it_was_said_is_not_said() {
        let mut plan = Plan::new();
        plan.want(1, 10, Mode::Quote);
        plan.drop(1);
        assert_eq!(plan.changes(9), []);
        assert!(plan.feed(&10).is_none() && !plan.has_changes());
    }

    #[test]
    fn a_key_without_a_packet_is_silent() {
        let mut plan = Plan::new();
        plan.want(1, 10, Mode::Quote);
        plan.want(2, 20, Mode::Quote);
        assert!(!plan.is_silent(&10));
        plan.changes(9);
        plan.heard(&10);
        assert!(!plan.is_silent(&10) && plan.is_silent(&20));
        plan.want(1, 10, Mode::Depth);
        plan.changes(9);
        assert!(!plan.is_silent(&10), "its packets came before its mode changed");
        assert_eq!(plan.give_up(&20), [2]);
        assert_eq!(plan.changes(9), [change(20, Some(Mode::Quote), None)]);
    }

    #[test]
    fn a_packet_of_before_the_subscription_does_not_break_the_silence() {
        let mut plan = Plan::new();
        plan.want(1, 10, Mode::Quote);
        plan.changes(9);
        plan.drop(1);
        plan.changes(9);
        plan.want(1, 10, Mode::Quote);
        // The last packet of the subscription that has ended.
        plan.heard(&10);
        plan.changes(9);
        assert!(plan.is_silent(&10));
        plan.heard(&10);
        assert!(!plan.is_silent(&10));
    }

    proptest! {
        #[test]
        fn the_broker_has_what_is_wanted_in_the_end(
            steps in proptest::collection::vec((0_u32..12, 0_u32..6, 0_u8..5), 0..120),
            most in 1_usize..5,
        ) {
            let (mut plan, mut broker) = (Plan::new(), BTreeMap::new());
            let mut wanted: BTreeMap<u32, (u32, Mode)> = BTreeMap::new();
            let handle = |broker: &mut BTreeMap<u32, Mode>, changes: Vec<Change<u32>>| {
                assert!(changes.len() <= most);
                for Change { key, before, now } in changes {
                    assert!(before != now || now.is_some());
                    let known = match now {
                        Some(mode) => broker.insert(key, mode),
                        None => broker.remove(&key),
                    };
                    assert_eq!(known, before);
                }
            };
            for (instrument, key, what) in steps {
                match what {
                    0 => {
                        plan.drop(instrument);
                        wanted.remove(&instrument);
                    }
                    1 => handle(&mut broker, plan.changes(most)),
                    mode => {
                        let mode = [Mode::Ltp, Mode::Quote, Mode::Depth][usize::from(mode - 2)];
                        plan.want(instrument, key, mode);
                        wanted.insert(instrument, (key, mode));
                    }
                }
                prop_assert!(plan.changed.len() <= 6);
            }
            while plan.has_changes() {
                handle(&mut broker, plan.changes(most));
            }
            let mut expected: BTreeMap<u32, Mode> = BTreeMap::new();
            for (key, mode) in wanted.values() {
                let known = expected.entry(*key).or_insert(*mode);
                *known = (*known).max(*mode);
            }
            prop_assert_eq!(&broker, &expected);
            prop_assert_eq!(plan.subscribed(), expected.len());
        }
    }
}
