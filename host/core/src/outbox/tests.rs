use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::model::{DepthClass, InstrumentId, Key, Mode, Variant};

fn key(instrument: u32) -> Key {
    Key { instrument: InstrumentId(instrument), variant: Variant::new(Mode::Ltp, DepthClass::Five, false) }
}

fn limits(frames: usize) -> OutboxLimits {
    OutboxLimits {
        frames,
        bytes: 1_000_000,
        control_bytes: 10,
        lossless_frames: frames,
        lossless_bytes: 1_000_000,
    }
}

fn drain(outbox: &mut Outbox) -> Vec<String> {
    std::iter::from_fn(|| outbox.pop_tick())
        .map(|due| match due {
            Due::Tick(frame) => frame.to_string(),
            Due::Gap { names, missed, .. } => format!("{} misses {missed}", names.symbol),
        })
        .collect()
}

#[test]
fn a_client_that_keeps_up_gets_every_tick() {
    let mut outbox = Outbox::new(limits(4));
    for frame in ["a1", "a2", "b1", "a3"] {
        assert_eq!(outbox.offer(key(u32::from(frame.as_bytes()[0])), frame.into(), 0), Offered::Queued);
    }
    assert_eq!(drain(&mut outbox), ["a1", "a2", "b1", "a3"]);
}

#[test]
fn beyond_the_limit_a_newer_tick_takes_the_place_of_the_last_of_its_key() {
    let mut outbox = Outbox::new(limits(3));
    for frame in ["a1", "b1", "a2"] {
        outbox.offer(key(u32::from(frame.as_bytes()[0])), frame.into(), 0);
    }
    assert_eq!(outbox.offer(key(u32::from(b'a')), "a3".into(), 0), Offered::Conflated);
    assert_eq!(outbox.offer(key(u32::from(b'c')), "c1".into(), 0), Offered::Queued);
    assert_eq!(outbox.offer(key(u32::from(b'c')), "c2".into(), 0), Offered::Conflated);
    assert_eq!(outbox.offer(key(u32::from(b'b')), "b2".into(), 0), Offered::Conflated);
    assert_eq!(drain(&mut outbox), ["a1", "b2", "a3", "c2"]);
    assert!(!outbox.is_behind());
}

#[test]
fn a_tick_is_not_lost_when_its_waiting_one_was_just_sent() {
    let mut outbox = Outbox::new(limits(2));
    outbox.offer(key(1), "x1".into(), 0);
    outbox.offer(key(2), "y1".into(), 0);
    outbox.offer(key(3), "z1".into(), 0);
    assert_eq!(outbox.pop_tick(), Some(Due::Tick("x1".into())));
    assert_eq!(outbox.offer(key(1), "x2".into(), 0), Offered::Queued);
    assert_eq!(outbox.offer(key(1), "x3".into(), 0), Offered::Conflated);
    assert_eq!(drain(&mut outbox), ["y1", "z1", "x3"]);
}

#[test]
fn large_frames_conflate_by_bytes() {
    let mut outbox = Outbox::new(OutboxLimits { bytes: 10, ..limits(1_000) });
    outbox.offer(key(1), "0123456789".into(), 0);
    assert_eq!(outbox.offer(key(1), "abcdefghij".into(), 0), Offered::Conflated);
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
        outbox.offer(key(instrument), instrument.to_string().into(), 0);
    }
    assert_eq!(outbox.discard(|gone| gone == key(1)), 1);
    outbox.offer(key(3), "3b".into(), 0);
    assert_eq!(drain(&mut outbox), ["2", "3b"]);
}

fn lossless(instrument: u32) -> Key {
    Key { variant: key(instrument).variant.lossless(), ..key(instrument) }
}

fn expect(outbox: &mut Outbox, instrument: u32) {
    let names = GapNames { exchange: "NSE".into(), symbol: instrument.to_string().into() };
    outbox.expect_lossless(lossless(instrument), names);
}

#[test]
fn lossless_ticks_keep_their_order_and_a_gap_is_announced_where_it_is() {
    let mut outbox = Outbox::new(limits(3));
    expect(&mut outbox, 1);
    expect(&mut outbox, 2);
    for frame in ["a1", "a2", "a3"] {
        assert_eq!(outbox.offer(lossless(1), frame.into(), 0), Offered::Queued);
    }
    assert_eq!(outbox.offer(lossless(1), "a4".into(), 0), Offered::Queued);
    assert_eq!(outbox.offer(lossless(2), "b1".into(), 0), Offered::Queued);
    assert_eq!(outbox.offer(lossless(1), "a5".into(), 0), Offered::Conflated);
    assert_eq!(outbox.offer(lossless(1), "a6".into(), 2), Offered::Conflated);
    assert_eq!(drain(&mut outbox), ["a1", "a2", "a3", "1 misses 4", "a6", "b1"]);
    assert!(!outbox.is_behind());
    assert_eq!(outbox.offer(lossless(1), "a7".into(), 1), Offered::Queued);
    assert_eq!(drain(&mut outbox), ["1 misses 1", "a7"]);
}

#[test]
fn a_lossless_backlog_and_newest_values_take_turns() {
    let mut outbox = Outbox::new(limits(3));
    expect(&mut outbox, 1);
    for (place, frame) in ["a1", "a2", "a3"].into_iter().enumerate() {
        outbox.offer(lossless(1), frame.into(), 0);
        outbox.offer(key(u32::try_from(place).unwrap()), format!("n{place}").into(), 0);
    }
    assert_eq!(drain(&mut outbox), ["a1", "n0", "a2", "n1", "a3", "n2"]);
}

#[test]
fn what_a_client_gives_up_leaves_the_others_in_order() {
    let mut outbox = Outbox::new(limits(3));
    expect(&mut outbox, 1);
    expect(&mut outbox, 2);
    for (instrument, frame) in [(1, "a1"), (2, "b1"), (1, "a2"), (1, "a3"), (2, "b2"), (2, "b3")] {
        outbox.offer(lossless(instrument), frame.into(), 0);
    }
    assert_eq!(outbox.discard(|gone| gone == lossless(2)), 2);
    assert_eq!(outbox.offer(lossless(1), "a4".into(), 0), Offered::Conflated);
    assert_eq!(drain(&mut outbox), ["a1", "a2", "1 misses 1", "a4"]);
}

#[test]
fn an_outbox_is_empty_when_neither_replies_nor_ticks_of_any_kind_wait() {
    let mut outbox = Outbox::new(limits(1));
    assert!(outbox.is_empty());
    outbox.push_control("reply".into()).unwrap();
    assert!(!outbox.is_empty());
    outbox.pop_control();
    outbox.offer(key(1), "a1".into(), 0);
    assert_eq!((outbox.is_empty(), outbox.waiting_ticks()), (false, 1));
    outbox.pop_tick();
    expect(&mut outbox, 1);
    outbox.offer(lossless(1), "b1".into(), 0);
    assert_eq!((outbox.is_empty(), outbox.waiting_ticks(), outbox.is_behind()), (false, 1, false));
    outbox.offer(lossless(1), "b2".into(), 0);
    assert_eq!((outbox.waiting_ticks(), outbox.is_behind()), (2, true));
    drain(&mut outbox);
    assert!(outbox.is_empty() && !outbox.is_behind());
}

#[test]
fn what_was_sent_or_given_up_counts_no_more() {
    let bytes = |frames: usize, each: usize| frames * (each + KEPT_BYTES);
    let mut outbox = Outbox::new(OutboxLimits { bytes: 8, ..limits(1_000) });
    outbox.offer(key(1), "1234".into(), 0);
    outbox.offer(key(2), "1234".into(), 0);
    assert_eq!(outbox.held_bytes(), bytes(2, 4));
    outbox.pop_tick();
    assert_eq!(outbox.held_bytes(), bytes(1, 4));
    assert_eq!(outbox.discard(|gone| gone == key(2)), 1);
    assert_eq!(outbox.held_bytes(), 0);
    // There is room again for as much in order.
    for frame in ["1234", "5678"] {
        assert_eq!(outbox.offer(key(1), frame.into(), 0), Offered::Queued);
    }
    outbox.push_control("reply".into()).unwrap();
    drain(&mut outbox);
    assert_eq!(outbox.held_bytes(), bytes(1, 5));
    outbox.pop_control();
    assert_eq!(outbox.held_bytes(), 0);
}

#[test]
fn what_waits_counts_whole_of_whatever_kind_it_is() {
    let mut outbox = Outbox::new(limits(1));
    expect(&mut outbox, 1);
    outbox.push_control("123".into()).unwrap();
    outbox.offer(key(1), "12345".into(), 0);
    outbox.offer(lossless(1), "1234567".into(), 0);
    assert_eq!(outbox.held_bytes(), 3 + 5 + 7 + 3 * KEPT_BYTES);
    // What takes the place of another counts instead of it, and what comes behind the limit as well.
    outbox.offer(key(1), "1".into(), 0);
    outbox.offer(lossless(1), "12".into(), 0);
    assert_eq!(outbox.held_bytes(), 3 + 1 + 7 + 2 + 4 * KEPT_BYTES);
}

#[test]
fn order_updates_take_a_quarter_of_the_room_for_replies() {
    let mut outbox = Outbox::new(OutboxLimits { control_bytes: 40, ..limits(1) });
    outbox.push_order("1234".into()).unwrap();
    assert_eq!(outbox.push_order("1234567".into()), Err(ControlFull));
    outbox.push_order("123456".into()).unwrap();
    assert_eq!(outbox.push_order("1".into()), Err(ControlFull));
    outbox.push_control("1".repeat(30).into()).unwrap();
    // With another limit, what waits stays.
    outbox.limit_control(0);
    assert_eq!(outbox.push_control("1".into()), Err(ControlFull));
    assert_eq!(std::iter::from_fn(|| outbox.pop_control()).count(), 3);
}

#[test]
fn lossless_ticks_in_order_keep_their_place_when_others_are_given_up() {
    let mut outbox = Outbox::new(limits(3));
    (1..=3).for_each(|instrument| expect(&mut outbox, instrument));
    for (instrument, frame) in [(1, "a1"), (2, "b1"), (3, "c1"), (2, "b2")] {
        outbox.offer(lossless(instrument), frame.into(), 0);
    }
    assert_eq!(outbox.discard(|gone| gone == lossless(3)), 1);
    assert_eq!(outbox.offer(lossless(1), "a2".into(), 0), Offered::Queued);
    assert_eq!(drain(&mut outbox), ["a1", "b1", "b2", "a2"]);
    // Nor does what was given up before the lane was full make what waits replaceable.
    for (instrument, frame) in [(1, "a1"), (2, "b1")] {
        outbox.offer(lossless(instrument), frame.into(), 0);
    }
    outbox.discard(|gone| gone == lossless(2));
    for frame in ["a2", "a3", "a4"] {
        assert_eq!(outbox.offer(lossless(1), frame.into(), 0), Offered::Queued);
    }
}

#[test]
fn a_backlog_leaves_no_memory_behind() {
    let mut outbox = Outbox::new(OutboxLimits { control_bytes: 1_000_000, ..limits(10_000) });
    expect(&mut outbox, 1);
    for _ in 0..=10_000 {
        outbox.offer(key(1), "a".into(), 0);
        outbox.offer(lossless(1), "b".into(), 0);
        outbox.push_control("reply".into()).unwrap();
    }
    drain(&mut outbox);
    while outbox.pop_control().is_some() {}
    let Outbox { ticks, control, lossless: lane, .. } = &outbox;
    let kept = [ticks.capacity(), lane.as_ref().unwrap().ticks.capacity(), control.capacity()];
    assert!(kept.into_iter().all(|capacity| capacity < 200), "{kept:?}");
    outbox.discard(|gone| gone == lossless(1));
    assert!(outbox.lossless.is_none(), "nor does the lane of one that has no lossless subscription any more");
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
        let deliver = |due: Due, received: &mut BTreeMap<u32, u64>| {
            let Due::Tick(frame) = due else { panic!("a gap in a stream that conflates") };
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
                    conflated += usize::from(outbox.offer(key(instrument), frame, 0) == Offered::Conflated);
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

    #[test]
    fn of_lossless_ticks_each_one_arrives_or_is_counted_in_a_gap(
        frames in 1_usize..8,
        steps in proptest::collection::vec(step(), 1..250),
    ) {
        let mut outbox = Outbox::new(limits(frames));
        (0..6).for_each(|instrument| expect(&mut outbox, instrument));
        let mut offered: BTreeMap<u32, u32> = BTreeMap::new();
        // Of each instrument the number of the last tick that was seen or counted.
        let mut reached: BTreeMap<u32, u32> = BTreeMap::new();
        let deliver = |due: Due, reached: &mut BTreeMap<u32, u32>| match due {
            Due::Gap { names, missed, .. } => *reached.entry(names.symbol.parse().unwrap()).or_default() += missed,
            Due::Tick(frame) => {
                let (instrument, number) = frame.split_once(':').unwrap();
                let before = reached.entry(instrument.parse().unwrap()).or_default();
                *before += 1;
                assert_eq!(*before, number.parse::<u32>().unwrap());
            }
        };
        for step in steps {
            match step {
                Step::Offer(instrument) => {
                    let number = offered.entry(instrument).or_default();
                    *number += 1;
                    outbox.offer(lossless(instrument), format!("{instrument}:{number}").into(), 0);
                }
                Step::Pop => {
                    if let Some(due) = outbox.pop_tick() {
                        deliver(due, &mut reached);
                    }
                }
                Step::Discard(instrument) => {
                    outbox.discard(|gone| gone == lossless(instrument));
                    expect(&mut outbox, instrument);
                    // What was thrown away was asked for no more; it counts from here.
                    reached.insert(instrument, offered.get(&instrument).copied().unwrap_or_default());
                }
            }
            prop_assert!(outbox.waiting_ticks() <= frames + 6);
        }
        while let Some(due) = outbox.pop_tick() {
            deliver(due, &mut reached);
        }
        reached.retain(|_, number| *number > 0);
        prop_assert_eq!(reached, offered);
    }
}
