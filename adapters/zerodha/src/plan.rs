//! Which instruments are wanted, what the broker was told, and the messages that make the two equal. Pure.
//!
//! Messages are made when they can be sent, not when something is wanted: however fast clients come and go, there is
//! never more waiting than one change for each token.

use std::collections::VecDeque;

use adapter_sdk::Mode;
use rustc_hash::FxHashMap;
use serde_json::json;

/// What is known of a token.
#[derive(Clone, Debug, Default)]
pub(crate) struct Feed {
    /// Instruments that are published from it. More than one when an index has two names.
    instruments: Vec<(u32, Mode)>,
    /// The mode that the broker was told; None when it is not subscribed.
    told: Option<Mode>,
    /// Whether it is among the changes.
    is_changed: bool,
    /// Whether the broker has sent anything of it since it was subscribed.
    is_heard: bool,
}

impl Feed {
    /// Numbers to publish under, each with the mode that is wanted.
    pub(crate) fn instruments(&self) -> &[(u32, Mode)] {
        &self.instruments
    }

    /// The highest mode that is wanted.
    fn wanted(&self) -> Option<Mode> {
        self.instruments.iter().map(|(_, mode)| *mode).max()
    }
}

/// What one connection is to carry.
#[derive(Debug)]
pub(crate) struct Plan {
    batch_size: usize,
    feeds: FxHashMap<u32, Feed>,
    /// Tokens by instrument.
    tokens: FxHashMap<u32, u32>,
    /// Tokens whose wanted mode may differ from what the broker was told.
    changes: VecDeque<u32>,
}

/// Messages for one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Batch {
    /// JSON, in the order in which they must go.
    pub(crate) messages: Vec<String>,
    /// Tokens that these subscribe.
    pub(crate) subscribed: Vec<u32>,
}

impl Plan {
    /// Nothing is wanted yet. No message will have more tokens than `batch_size`.
    pub(crate) fn new(batch_size: usize) -> Self {
        Self {
            batch_size: batch_size.max(1),
            feeds: FxHashMap::default(),
            tokens: FxHashMap::default(),
            changes: VecDeque::new(),
        }
    }

    /// Wants an instrument, or wants it in another mode, or under another token.
    pub(crate) fn want(&mut self, instrument: u32, token: u32, mode: Mode) {
        if self.tokens.get(&instrument).is_some_and(|known| *known != token) {
            self.drop(instrument);
        }
        self.tokens.insert(instrument, token);
        let feed = self.feeds.entry(token).or_default();
        match feed.instruments.iter_mut().find(|(known, _)| *known == instrument) {
            Some((_, known)) => *known = mode,
            None => feed.instruments.push((instrument, mode)),
        }
        self.change(token);
    }

    /// Does not want an instrument any more. From now on nothing is published under it.
    pub(crate) fn drop(&mut self, instrument: u32) {
        let Some(token) = self.tokens.remove(&instrument) else { return };
        if let Some(feed) = self.feeds.get_mut(&token) {
            feed.instruments.retain(|(known, _)| *known != instrument);
        }
        self.change(token);
    }

    /// What a packet of a token is for, and notes that there was one. None when nobody wants it.
    pub(crate) fn heard(&mut self, token: u32) -> Option<&Feed> {
        let feed = self.feeds.get_mut(&token)?;
        feed.is_heard = true;
        Some(feed)
    }

    /// Whether a token was subscribed and the broker has sent nothing of it.
    pub(crate) fn is_silent(&self, token: u32) -> bool {
        self.feeds.get(&token).is_some_and(|feed| feed.told.is_some() && !feed.is_heard)
    }

    /// Gives a token up; gives the instruments that it had.
    pub(crate) fn give_up(&mut self, token: u32) -> Vec<u32> {
        let found = self.feeds.get(&token).map(|feed| feed.instruments.iter().map(|(known, _)| *known));
        let instruments: Vec<u32> = found.into_iter().flatten().collect();
        for instrument in &instruments {
            self.drop(*instrument);
        }
        instruments
    }

    /// Whether there is something to tell the broker.
    pub(crate) fn has_changes(&self) -> bool {
        !self.changes.is_empty()
    }

    /// The next messages, for so many tokens as fit into a batch. A token whose mode changes is not unsubscribed, and
    /// not subscribed anew, so that no tick is missed; one that is subscribed gets its mode in any case, since the broker
    /// begins each with quote.
    pub(crate) fn batch(&mut self) -> Batch {
        let (mut gone, mut new) = (Vec::new(), Vec::new());
        let mut modes: [(Mode, &str, Vec<u32>); 3] = [
            (Mode::Ltp, "ltp", Vec::new()),
            (Mode::Quote, "quote", Vec::new()),
            (Mode::Depth, "full", Vec::new()),
        ];
        let mut count = 0;
        while count < self.batch_size
            && let Some(token) = self.changes.pop_front()
        {
            let Some(feed) = self.feeds.get_mut(&token) else { continue };
            feed.is_changed = false;
            let wanted = feed.wanted();
            if wanted == feed.told {
                if wanted.is_none() {
                    self.feeds.remove(&token);
                }
                continue;
            }
            count += 1;
            let Some(wanted) = wanted else {
                gone.push(token);
                self.feeds.remove(&token);
                continue;
            };
            if feed.told.replace(wanted).is_none() {
                feed.is_heard = false;
                new.push(token);
            }
            if let Some((.., tokens)) = modes.iter_mut().find(|(mode, ..)| *mode == wanted) {
                tokens.push(token);
            }
        }
        let mut messages = Vec::new();
        // First, so that there is room for the others.
        if !gone.is_empty() {
            messages.push(json!({"a": "unsubscribe", "v": gone}).to_string());
        }
        if !new.is_empty() {
            messages.push(json!({"a": "subscribe", "v": &new}).to_string());
        }
        for (_, name, tokens) in modes.iter().filter(|(.., tokens)| !tokens.is_empty()) {
            messages.push(json!({"a": "mode", "v": [name, tokens]}).to_string());
        }
        Batch { messages, subscribed: new }
    }

    fn change(&mut self, token: u32) {
        if let Some(feed) = self.feeds.get_mut(&token)
            && !feed.is_changed
        {
            feed.is_changed = true;
            self.changes.push_back(token);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn messages(plan: &mut Plan) -> Vec<String> {
        plan.batch().messages
    }

    #[test]
    fn a_mode_follows_each_subscription_and_changes_alone() {
        let mut plan = Plan::new(10);
        plan.want(1, 256_265, Mode::Ltp);
        plan.want(2, 408_065, Mode::Depth);
        plan.want(3, 265, Mode::Quote);
        assert_eq!(
            messages(&mut plan),
            [
                r#"{"a":"subscribe","v":[256265,408065,265]}"#,
                r#"{"a":"mode","v":["ltp",[256265]]}"#,
                r#"{"a":"mode","v":["quote",[265]]}"#,
                r#"{"a":"mode","v":["full",[408065]]}"#,
            ]
        );
        plan.want(1, 256_265, Mode::Quote);
        plan.want(2, 408_065, Mode::Depth);
        assert_eq!(messages(&mut plan), [r#"{"a":"mode","v":["quote",[256265]]}"#]);
        plan.want(1, 256_265, Mode::Ltp);
        assert_eq!(messages(&mut plan), [r#"{"a":"mode","v":["ltp",[256265]]}"#]);
        plan.drop(1);
        assert!(plan.heard(256_265).is_some_and(|feed| feed.instruments().is_empty()));
        assert_eq!(messages(&mut plan), [r#"{"a":"unsubscribe","v":[256265]}"#]);
        assert!(plan.heard(256_265).is_none() && !plan.has_changes());
    }

    #[test]
    fn a_token_has_the_highest_mode_that_any_of_its_instruments_wants() {
        let mut plan = Plan::new(10);
        plan.want(1, 265, Mode::Depth);
        plan.want(2, 265, Mode::Ltp);
        assert_eq!(messages(&mut plan).last().unwrap(), r#"{"a":"mode","v":["full",[265]]}"#);
        plan.drop(1);
        assert_eq!(messages(&mut plan), [r#"{"a":"mode","v":["ltp",[265]]}"#]);
        assert_eq!(plan.heard(265).unwrap().instruments(), [(2, Mode::Ltp)]);
    }

    #[test]
    fn an_instrument_that_moves_to_another_token_leaves_the_first() {
        let mut plan = Plan::new(10);
        plan.want(1, 10, Mode::Quote);
        plan.batch();
        plan.want(1, 20, Mode::Quote);
        assert!(plan.heard(10).unwrap().instruments().is_empty());
        assert_eq!(
            messages(&mut plan),
            [
                r#"{"a":"unsubscribe","v":[10]}"#,
                r#"{"a":"subscribe","v":[20]}"#,
                r#"{"a":"mode","v":["quote",[20]]}"#
            ]
        );
    }

    #[test]
    fn what_was_taken_back_before_it_was_said_is_not_said() {
        let mut plan = Plan::new(10);
        plan.want(1, 10, Mode::Quote);
        plan.drop(1);
        assert_eq!(plan.batch(), Batch::default());
        assert!(plan.feeds.is_empty());
    }

    #[test]
    fn a_token_without_a_packet_is_silent() {
        let mut plan = Plan::new(10);
        plan.want(1, 10, Mode::Quote);
        plan.want(2, 20, Mode::Quote);
        assert!(!plan.is_silent(10));
        assert_eq!(plan.batch().subscribed, [10, 20]);
        plan.heard(10);
        assert!(!plan.is_silent(10) && plan.is_silent(20));
        assert_eq!(plan.give_up(20), [2]);
        assert_eq!(messages(&mut plan), [r#"{"a":"unsubscribe","v":[20]}"#]);
    }

    /// What the broker would have after these messages.
    fn obey(broker: &mut BTreeMap<u64, String>, messages: &[String], most: usize) {
        for message in messages {
            let message: serde_json::Value = serde_json::from_str(message).unwrap();
            let (value, mode) = (&message["v"], message["v"][0].as_str());
            let tokens = if mode.is_some() { &value[1] } else { value };
            let tokens: Vec<u64> =
                tokens.as_array().unwrap().iter().map(|token| token.as_u64().unwrap()).collect();
            assert!((1..=most).contains(&tokens.len()));
            for token in tokens {
                match (message["a"].as_str().unwrap(), mode) {
                    ("subscribe", None) => assert_eq!(broker.insert(token, "quote".to_owned()), None),
                    ("unsubscribe", None) => assert!(broker.remove(&token).is_some()),
                    ("mode", Some(mode)) => {
                        *broker.get_mut(&token).unwrap() = mode.to_owned();
                    }
                    other => panic!("{other:?}"),
                }
            }
        }
    }

    proptest! {
        #[test]
        fn the_broker_has_what_is_wanted_in_the_end(
            steps in proptest::collection::vec((0_u32..12, 0_u32..6, 0_u8..5), 0..120),
            batch_size in 1_usize..5,
        ) {
            let (mut plan, mut broker) = (Plan::new(batch_size), BTreeMap::new());
            let mut wanted: BTreeMap<u32, (u32, Mode)> = BTreeMap::new();
            for (instrument, token, what) in steps {
                match what {
                    0 => {
                        plan.drop(instrument);
                        wanted.remove(&instrument);
                    }
                    1 => obey(&mut broker, &plan.batch().messages, batch_size),
                    mode => {
                        let mode = [Mode::Ltp, Mode::Quote, Mode::Depth][usize::from(mode - 2)];
                        plan.want(instrument, token, mode);
                        wanted.insert(instrument, (token, mode));
                    }
                }
                prop_assert!(plan.changes.len() <= 6);
            }
            while plan.has_changes() {
                obey(&mut broker, &plan.batch().messages, batch_size);
            }
            let mut expected: BTreeMap<u64, Mode> = BTreeMap::new();
            for (token, mode) in wanted.values() {
                let known = expected.entry(u64::from(*token)).or_insert(*mode);
                *known = (*known).max(*mode);
            }
            let name = |mode| ["ltp", "quote", "full"][mode as usize].to_owned();
            let expected: BTreeMap<u64, String> =
                expected.into_iter().map(|(token, mode)| (token, name(mode))).collect();
            prop_assert_eq!(broker, expected);
        }
    }
}
