//! The messages that tell the broker of changes. Pure.

use adapter_sdk::{Mode, plan::Change};
use serde_json::{Value, json};

/// Changes as messages, in the order in which they must go. A token whose mode changes is not unsubscribed,
/// and not subscribed again, so that no tick is missed; one that is subscribed gets its mode in any case,
/// since the broker begins each with quote.
pub(crate) fn messages(changes: &[Change<u32>]) -> Vec<String> {
    let mut messages = Vec::new();
    let mut say = |is_meant: &dyn Fn(&Change<u32>) -> bool, message: &dyn Fn(&[u32]) -> Value| {
        let meant = changes.iter().filter(|change| is_meant(change));
        let tokens: Vec<u32> = meant.map(|change| change.key).collect();
        if !tokens.is_empty() {
            messages.push(message(&tokens).to_string());
        }
    };
    // First, so that there is room for the others.
    say(&|change| change.now.is_none(), &|tokens| json!({"a": "unsubscribe", "v": tokens}));
    say(&|change| change.before.is_none(), &|tokens| json!({"a": "subscribe", "v": tokens}));
    for (mode, name) in [(Mode::Ltp, "ltp"), (Mode::Quote, "quote"), (Mode::Depth, "full")] {
        say(&|change| change.now == Some(mode), &|tokens| json!({"a": "mode", "v": [name, tokens]}));
    }
    messages
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use adapter_sdk::plan::{Feed, Plan};
    use proptest::prelude::*;

    use super::*;

    fn next(plan: &mut Plan<u32>) -> Vec<String> {
        messages(&plan.changes(10))
    }

    #[test]
    fn a_mode_follows_each_subscription_and_changes_alone() {
        let mut plan = Plan::new();
        plan.want(1, 256_265, Mode::Ltp);
        plan.want(2, 408_065, Mode::Depth);
        plan.want(3, 265, Mode::Quote);
        assert_eq!(
            next(&mut plan),
            [
                r#"{"a":"subscribe","v":[256265,408065,265]}"#,
                r#"{"a":"mode","v":["ltp",[256265]]}"#,
                r#"{"a":"mode","v":["quote",[265]]}"#,
                r#"{"a":"mode","v":["full",[408065]]}"#,
            ]
        );
        plan.want(1, 256_265, Mode::Quote);
        plan.want(2, 408_065, Mode::Depth);
        assert_eq!(next(&mut plan), [r#"{"a":"mode","v":["quote",[256265]]}"#]);
        plan.want(1, 256_265, Mode::Ltp);
        assert_eq!(next(&mut plan), [r#"{"a":"mode","v":["ltp",[256265]]}"#]);
        // Another name of it: its mode is said once more, which makes the broker send its state.
        plan.want(4, 256_265, Mode::Ltp);
        assert_eq!(next(&mut plan), [r#"{"a":"mode","v":["ltp",[256265]]}"#]);
        plan.drop(4);
        assert_eq!(next(&mut plan), [""; 0]);
        plan.drop(1);
        assert_eq!(next(&mut plan), [r#"{"a":"unsubscribe","v":[256265]}"#]);
        assert_eq!(next(&mut plan), [""; 0]);
    }

    /// What the broker would have after these messages.
    fn handle(broker: &mut BTreeMap<u64, String>, messages: &[String], most: usize) {
        for message in messages {
            let message: Value = serde_json::from_str(message).unwrap();
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
            most in 1_usize..5,
        ) {
            let (mut plan, mut broker) = (Plan::new(), BTreeMap::new());
            for (instrument, token, what) in steps {
                match what {
                    0 => plan.drop(instrument),
                    1 => handle(&mut broker, &messages(&plan.changes(most)), most),
                    mode => {
                        let mode = [Mode::Ltp, Mode::Quote, Mode::Depth][usize::from(mode - 2)];
                        plan.want(instrument, token, mode);
                    }
                }
            }
            while plan.has_changes() {
                handle(&mut broker, &messages(&plan.changes(most)), most);
            }
            let name = |mode| ["ltp", "quote", "full"][mode as usize].to_owned();
            let told = |token| plan.feed(&token).and_then(Feed::told);
            let expected: BTreeMap<u64, String> =
                (0..6).filter_map(|token| Some((u64::from(token), name(told(token)?)))).collect();
            prop_assert_eq!(broker, expected);
        }
    }
}
