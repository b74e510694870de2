use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::model::{DepthClass, Mode};

fn key(instrument: u32) -> Key {
    Key { instrument: InstrumentId(instrument), variant: Variant::new(Mode::Ltp, DepthClass::Five, false) }
}

fn limits(frames: usize) -> OutboxLimits {
    OutboxLimits { frames, bytes: 1_000_000, control_bytes: 10 }
}

fn drain(outbox: &mut Outbox) -> Vec<String> {
    std::iter::from_fn(|| outbox.pop_tick()).map(|frame| frame.to_string()).collect()
}

#[test]
fn a_client_that_keeps_up_gets_every_tick() {
    let mut outbox = Outbox::new(limits(4));
    for frame in ["a1", "a2", "b1", "a3"] {
        assert_eq!(outbox.offer(key(u32::from(frame.as_bytes()[0])), frame.into()), Offered::Queued);
    }
    assert_eq!(drain(&mut outbox), ["a1", "a2", "b1", "a3"]);
}

#[test]
fn beyond_the_limit_a_newer_tick_takes_the_place_of_the_last_of_its_key() {
    let mut outbox = Outbox::new(limits(3));
    for frame in ["a1", "b1", "a2"] {
        outbox.offer(key(u32::from(frame.as_bytes()[0])), frame.into());
    }
    assert_eq!(outbox.offer(key(u32::from(b'a')), "a3".into()), Offered::Conflated);
    assert_eq!(outbox.offer(key(u32::from(b'c')), "c1".into()), Offered::Queued);
    assert_eq!(outbox.offer(key(u32::from(b'c')), "c2".into()), Offered::Conflated);
    assert_eq!(outbox.offer(key(u32::from(b'b')), "b2".into()), Offered::Conflated);
    assert_eq!(drain(&mut outbox), ["a1", "b2", "a3", "c2"]);
    assert!(!outbox.is_behind());
}

#[test]
fn a_tick_is_not_lost_when_its_waiting_one_was_just_sent() {
    let mut outbox = Outbox::new(limits(2));
    outbox.offer(key(1), "x1".into());
    outbox.offer(key(2), "y1".into());
    outbox.offer(key(3), "z1".into());
    assert_eq!(outbox.pop_tick().unwrap().as_str(), "x1");
    assert_eq!(outbox.offer(key(1), "x2".into()), Offered::Queued);
    assert_eq!(outbox.offer(key(1), "x3".into()), Offered::Conflated);
    assert_eq!(drain(&mut outbox), ["y1", "z1", "x3"]);
}

#[test]
fn large_frames_conflate_by_bytes() {
    let mut outbox = Outbox::new(OutboxLimits { frames: 1_000, bytes: 10, control_bytes: 10 });
    outbox.offer(key(1), "0123456789".into());
    assert_eq!(outbox.offer(key(1), "abcdefghij".into()), Offered::Conflated);
    assert_eq!(drain(&mut outbox), ["abcdefghij"]);
}

#[test]
fn control_is_bounded_and_never_conflates() {
    let mut outbox = Outbox::new(limits(1));
    outbox.push_control("12345".into()).unwrap();
    outbox.push_control("12345".into()).unwrap();
    assert_eq!(outbox.push_control("x".into()), Err(ControlFull));
    assert!(outbox.pop_control().is_some());
    outbox.push_control("x".into()).unwrap();
}

#[test]
fn what_was_unsubscribed_is_not_sent_any_more() {
    let mut outbox = Outbox::new(limits(2));
    for instrument in [1, 2, 1, 3] {
        outbox.offer(key(instrument), instrument.to_string().into());
    }
    assert_eq!(outbox.discard(|gone| gone == key(1)), 1);
    outbox.offer(key(3), "3b".into());
    assert_eq!(drain(&mut outbox), ["2", "3b"]);
}

#[derive(Clone, Debug)]
enum Step {
    Offer(u32),
    Pop,
    Discard(u32),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0_u32..6).prop_map(Step::Offer),
        3 => Just(Step::Pop),
        1 => (0_u32..6).prop_map(Step::Discard),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn the_newest_value_always_arrives_in_order_and_nothing_is_unaccounted(
        frames in 1_usize..8,
        steps in proptest::collection::vec(step(), 1..250),
    ) {
        let mut outbox = Outbox::new(limits(frames));
        let mut newest: BTreeMap<u32, u64> = BTreeMap::new();
        let mut received: BTreeMap<u32, u64> = BTreeMap::new();
        let (mut offered, mut sent, mut conflated, mut discarded) = (0, 0, 0, 0);
        let deliver = |frame: Utf8Bytes, received: &mut BTreeMap<u32, u64>| {
            let (instrument, value) = frame.split_once(':').unwrap();
            let value: u64 = value.parse().unwrap();
            let before = received.insert(instrument.parse().unwrap(), value);
            assert!(before.is_none_or(|before| before < value), "an older value came after a newer one");
        };
        for (value, step) in (1..).zip(steps) {
            match step {
                Step::Offer(instrument) => {
                    offered += 1;
                    newest.insert(instrument, value);
                    let frame = format!("{instrument}:{value}").into();
                    conflated += usize::from(outbox.offer(key(instrument), frame) == Offered::Conflated);
                }
                Step::Pop => {
                    if let Some(frame) = outbox.pop_tick() {
                        sent += 1;
                        deliver(frame, &mut received);
                    }
                }
                Step::Discard(instrument) => {
                    discarded += outbox.discard(|gone| gone == key(instrument));
                    newest.remove(&instrument);
                }
            }
            prop_assert!(outbox.waiting_ticks() <= frames + 6);
        }
        while let Some(frame) = outbox.pop_tick() {
            sent += 1;
            deliver(frame, &mut received);
        }
        for (instrument, newest) in newest {
            prop_assert_eq!(received.get(&instrument), Some(&newest));
        }
        prop_assert_eq!(offered, sent + conflated + discarded);
    }
}
