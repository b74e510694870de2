use std::collections::BTreeSet;

use adapter_sdk::{
    plan::Plan,
    serde_json::{self, Value},
};
use proptest::prelude::*;

use super::*;
use crate::segment::{Segment, Token};

fn key(token: u32) -> Key {
    Key { segment: Segment::NseCash, token: Token::new(&token.to_string()).unwrap() }
}

/// An instrument that the host wants.
struct Wanted {
    instrument: u32,
    key: Key,
    mode: Mode,
}

fn wanted(instrument: u32, token: u32, mode: Mode) -> Wanted {
    Wanted { instrument, key: key(token), mode }
}

/// Plan and requests together, as the session has them.
struct Feed {
    plan: Plan<Key, Asked>,
    requests: Requests,
}

impl Feed {
    fn new(batch_size: usize) -> Self {
        Self { plan: Plan::new(), requests: Requests::new(batch_size) }
    }

    fn subscribe(&mut self, all: impl IntoIterator<Item = Wanted>) -> Vec<String> {
        for Wanted { instrument, key, mode } in all {
            self.plan.want(instrument, key, Asked { mode, is_index: false });
        }
        self.messages()
    }

    fn unsubscribe(&mut self, instruments: &[u32]) -> Vec<String> {
        instruments.iter().for_each(|instrument| self.plan.drop(*instrument));
        self.messages()
    }

    fn messages(&mut self) -> Vec<String> {
        let mut messages = Vec::new();
        while self.plan.has_changes() {
            messages.extend(self.requests.follow(&self.plan.changes(PAIRS_PER_CONNECTION.into())));
        }
        messages
    }

    /// Instruments that do not come, and what is sent.
    fn refuse(&mut self, correlation: &str) -> (Vec<u32>, Vec<String>) {
        let Self { plan, requests } = self;
        let Refused { gone, again } = requests.refused(correlation, |key| plan.feed(key)?.told());
        let instruments = gone.iter().flat_map(|key| plan.give_up(key)).collect();
        (instruments, [again, self.messages()].concat())
    }

    fn instruments(&self, token: u32) -> Option<Vec<u32>> {
        let feed = self.plan.feed(&key(token))?;
        Some(feed.instruments().iter().map(|(instrument, _)| *instrument).collect())
    }
}

/// Nothing is affected, and nothing is sent.
const NOTHING: (Vec<u32>, Vec<String>) = (Vec::new(), Vec::new());

/// Action, mode, and tokens of a message.
fn parse(message: &str) -> (u64, u64, Vec<(u64, String)>) {
    let json: Value = serde_json::from_str(message).unwrap();
    let correlation = json["correlationID"].as_str().unwrap();
    assert!(correlation.len() == 10 && correlation.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    let mut tokens = Vec::new();
    for list in json["params"]["tokenList"].as_array().unwrap() {
        for token in list["tokens"].as_array().unwrap() {
            tokens.push((list["exchangeType"].as_u64().unwrap(), token.as_str().unwrap().to_owned()));
        }
    }
    (json["action"].as_u64().unwrap(), json["params"]["mode"].as_u64().unwrap(), tokens)
}

fn short(messages: &[String]) -> Vec<String> {
    let parsed = messages.iter().map(|message| parse(message));
    parsed.map(|(action, mode, tokens)| format!("{action}:{mode}:{}", tokens.len())).collect()
}

#[test]
fn a_mode_begins_before_the_one_before_it_ends() {
    let mut feed = Feed::new(500);
    assert_eq!(short(&feed.subscribe([wanted(1, 10, Mode::Ltp)])), ["1:1:1"]);
    assert_eq!(short(&feed.subscribe([wanted(1, 10, Mode::Depth)])), ["1:3:1", "0:1:1"]);
    assert_eq!(short(&feed.subscribe([wanted(1, 10, Mode::Depth)])), Vec::<String>::new());
    assert_eq!(short(&feed.subscribe([wanted(1, 10, Mode::Quote)])), ["1:2:1", "0:3:1"]);
    assert_eq!(short(&feed.unsubscribe(&[1, 2])), ["0:2:1"]);
    assert!(feed.instruments(10).is_none());
}

#[test]
fn as_many_change_their_mode_at_once_as_there_is_room_for() {
    let all = |mode, count| (0..count).map(move |number| wanted(number, number, mode));
    let mut feed = Feed::new(500);
    feed.subscribe(all(Mode::Ltp, 600));
    assert_eq!(short(&feed.subscribe(all(Mode::Depth, 600))), ["1:3:400", "0:1:400", "1:3:200", "0:1:200"]);
    let mut feed = Feed::new(500);
    feed.subscribe(all(Mode::Ltp, 999));
    assert_eq!(short(&feed.subscribe(all(Mode::Depth, 2))), ["1:3:1", "0:1:1", "1:3:1", "0:1:1"]);
    // Not one by one for ever.
    assert_eq!(short(&feed.subscribe(all(Mode::Quote, 2))), ["1:2:1", "0:3:1", "1:2:1", "0:3:1"]);
    feed.subscribe(all(Mode::Ltp, 2));
    assert_eq!(short(&feed.subscribe(all(Mode::Depth, 11))), ["0:1:11", "1:3:11"]);
}

#[test]
fn without_room_for_both_the_old_mode_ends_first() {
    let all = |mode| (0..1_000).map(move |number| wanted(number, number, mode));
    let mut feed = Feed::new(500);
    assert_eq!(short(&feed.subscribe(all(Mode::Ltp))), ["1:1:500", "1:1:500"]);
    assert_eq!(short(&feed.subscribe([wanted(5, 5, Mode::Quote)])), ["0:1:1", "1:2:1"]);
    // Half of them miss nothing while the other half does.
    feed.subscribe([wanted(5, 5, Mode::Ltp)]);
    assert_eq!(short(&feed.subscribe(all(Mode::Depth))), ["0:1:500", "1:3:500", "0:1:500", "1:3:500"]);
}

#[test]
fn two_names_of_one_thing_share_it_in_the_higher_mode() {
    let mut feed = Feed::new(500);
    assert_eq!(short(&feed.subscribe([wanted(1, 10, Mode::Quote), wanted(2, 10, Mode::Ltp)])), ["1:2:1"]);
    assert_eq!(feed.instruments(10), Some(vec![1, 2]));
    assert_eq!(short(&feed.unsubscribe(&[1])), ["1:1:1", "0:2:1"]);
    assert_eq!(feed.instruments(10), Some(vec![2]));
}

#[test]
fn a_second_name_of_what_is_subscribed_has_its_state_sent_once_more() {
    let mut feed = Feed::new(500);
    feed.subscribe([wanted(1, 10, Mode::Quote), wanted(3, 30, Mode::Quote)]);
    // In the same mode, or a lower one.
    assert_eq!(short(&feed.subscribe([wanted(2, 10, Mode::Quote)])), ["0:2:1", "1:2:1"]);
    assert_eq!(short(&feed.subscribe([wanted(4, 10, Mode::Ltp)])), ["0:2:1", "1:2:1"]);
    // What is said anyway is not said twice.
    assert_eq!(short(&feed.subscribe([wanted(5, 10, Mode::Depth)])), ["1:3:1", "0:2:1"]);
    assert_eq!(short(&feed.subscribe([wanted(5, 10, Mode::Depth)])), [""; 0]);
    assert_eq!(short(&feed.unsubscribe(&[4])), [""; 0]);
    assert_eq!(feed.instruments(10), Some(vec![1, 2, 5]));
    // Refused, it is asked for once more, and nobody is told.
    let refused = correlation(feed.requests.count);
    feed.subscribe([wanted(6, 10, Mode::Quote)]);
    assert_eq!(feed.refuse(&refused), NOTHING);
    let again = correlation(feed.requests.count);
    let (instruments, messages) = feed.refuse(&again);
    assert_eq!((instruments, short(&messages)), (Vec::new(), vec!["1:3:1".to_owned()]));
}

#[test]
fn another_token_under_the_same_name_replaces_the_old_one() {
    let mut feed = Feed::new(500);
    feed.subscribe([wanted(1, 10, Mode::Quote)]);
    assert_eq!(short(&feed.subscribe([wanted(1, 11, Mode::Quote)])), ["0:2:1", "1:2:1"]);
    assert!(feed.instruments(10).is_none());
    assert_eq!(feed.instruments(11), Some(vec![1]));
}

#[test]
fn a_refusal_finds_the_instruments_of_its_request_and_no_others() {
    let mut feed = Feed::new(2);
    let messages = feed.subscribe((1..=4).map(|number| wanted(number, number, Mode::Ltp)));
    let second: Value = serde_json::from_str(&messages[1]).unwrap();
    let correlation = second["correlationID"].as_str().unwrap();
    feed.subscribe([wanted(3, 3, Mode::Quote)]);
    let (instruments, messages) = feed.refuse(correlation);
    assert_eq!(instruments, [4]);
    // The broker may have taken a part of the request.
    assert_eq!(parse(&messages[0]), (0, 1, vec![(1, "4".to_owned())]));
    assert_eq!(feed.refuse(correlation), NOTHING);
    assert_eq!(feed.refuse("abcde12345"), NOTHING);
    assert!(feed.instruments(4).is_none() && feed.instruments(3).is_some());
    // It can be asked for again.
    assert_eq!(short(&feed.subscribe([wanted(4, 4, Mode::Ltp)])), ["1:1:1"]);
}

#[test]
fn a_late_refusal_leaves_what_was_asked_for_again_in_the_same_mode() {
    let mut feed = Feed::new(500);
    let first: Value = serde_json::from_str(&feed.subscribe([wanted(1, 1, Mode::Quote)])[0]).unwrap();
    feed.unsubscribe(&[1]);
    feed.subscribe([wanted(1, 1, Mode::Quote)]);
    assert_eq!(feed.refuse(first["correlationID"].as_str().unwrap()), NOTHING);
    assert!(feed.instruments(1).is_some());
}

#[test]
fn what_is_remembered_of_requests_is_bounded() {
    let mut feed = Feed::new(1);
    feed.subscribe((0..1_000).map(|number| wanted(number, number, Mode::Ltp)));
    assert_eq!(feed.requests.sent.len(), REMEMBERED_REQUESTS);
}

proptest! {
    /// Whatever is asked for in whatever order, the broker has exactly the wanted pairs in the end.
    #[test]
    fn the_broker_has_what_is_wanted(
        steps in proptest::collection::vec((0_u32..6, 0_u32..4, 0_u8..4), 1..60),
        batch_size in 1_usize..4,
    ) {
        let mut feed = Feed::new(batch_size);
        let mut pairs = BTreeSet::new();
        let mut model = BTreeMap::new();
        for (instrument, token, step) in steps {
            let messages = match step {
                0 => {
                    model.remove(&instrument);
                    feed.unsubscribe(&[instrument])
                }
                number => {
                    let mode = [Mode::Ltp, Mode::Quote, Mode::Depth][usize::from(number) - 1];
                    model.insert(instrument, (token.to_string(), u64::from(number)));
                    feed.subscribe([wanted(instrument, token, mode)])
                }
            };
            for message in &messages {
                let (action, mode, tokens) = parse(message);
                prop_assert!(!tokens.is_empty() && tokens.len() <= batch_size);
                for (segment, token) in tokens {
                    prop_assert_eq!(segment, 1);
                    let is_new = if action == 1 { pairs.insert((token, mode)) } else { pairs.remove(&(token, mode)) };
                    prop_assert!(is_new, "a pair was subscribed or unsubscribed twice");
                }
            }
            prop_assert_eq!(feed.requests.pairs, pairs.len());
            let mut highest = BTreeMap::new();
            for (token, mode) in model.values() {
                let highest = highest.entry(token.clone()).or_insert(*mode);
                *highest = (*highest).max(*mode);
            }
            prop_assert_eq!(&pairs, &highest.into_iter().collect::<BTreeSet<_>>());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// However modes change, the broker's limit holds after each message, and an instrument misses nothing
    /// unless there is no room at all.
    #[test]
    fn the_limit_holds_after_each_message(
        steps in proptest::collection::vec((0_u32..1_000, 1_u32..1_000, 1_u8..4), 1..8),
        batch_size in 50_usize..500,
    ) {
        let mut feed = Feed::new(batch_size);
        let mut pairs = BTreeSet::new();
        for (first, count, number) in steps {
            let mode = [Mode::Ltp, Mode::Quote, Mode::Depth][usize::from(number) - 1];
            let range = first..(first + count).min(1_000);
            let before: BTreeSet<String> = pairs.iter().map(|(token, _): &(String, u64)| token.clone()).collect();
            let room = usize::from(PAIRS_PER_CONNECTION) - before.len();
            let has_room = room * MOST_PARTS >= range.len();
            for message in feed.subscribe(range.map(|number| wanted(number, number, mode))) {
                let (action, mode, tokens) = parse(&message);
                for (_, token) in tokens {
                    let is_new = if action == 1 { pairs.insert((token, mode)) } else { pairs.remove(&(token, mode)) };
                    prop_assert!(is_new);
                }
                prop_assert!(pairs.len() <= PAIRS_PER_CONNECTION.into(), "{} pairs", pairs.len());
                if has_room {
                    let now: BTreeSet<&String> = pairs.iter().map(|(token, _)| token).collect();
                    prop_assert!(before.iter().all(|token| now.contains(token)), "one of them had no mode at all");
                }
            }
        }
    }
}

#[test]
fn a_change_of_mode_for_which_there_was_no_room_beside_the_old_mode_is_asked_for_once_more() {
    let mut feed = Feed::new(500);
    feed.subscribe([wanted(1, 10, Mode::Ltp), wanted(2, 20, Mode::Ltp)]);
    let upgrade = feed.subscribe([wanted(1, 10, Mode::Depth), wanted(2, 20, Mode::Depth)]);
    assert_eq!(short(&upgrade), ["1:3:2", "0:1:2"]);
    let correlation = |messages: &[String]| {
        let message: Value = serde_json::from_str(messages.first().unwrap()).unwrap();
        message["correlationID"].as_str().unwrap().to_owned()
    };
    feed.unsubscribe(&[2]);
    // The old mode has ended meanwhile, and made the room.
    let (instruments, messages) = feed.refuse(&correlation(&upgrade));
    assert_eq!((instruments, short(&messages)), (vec![], vec!["1:3:1".to_owned()]));
    assert_eq!(feed.requests.pairs, 1);
    assert_eq!(feed.instruments(10), Some(vec![1]));
    let (instruments, messages) = feed.refuse(&correlation(&messages));
    assert_eq!((instruments, short(&messages)), (vec![1], vec!["0:3:1".to_owned()]));
    assert_eq!(feed.requests.pairs, 0);
    assert!(feed.instruments(10).is_none());
}
