mod greeks;

use super::*;
use crate::model::{DepthLevel, Quote, field};

const FEED: FeedId = FeedId(1);

fn tick(instrument: u32, number: i64, seconds: Option<u64>) -> Ltp {
    Ltp {
        instrument,
        fields: field::LTP | seconds.map_or(0, |_| field::EXCHANGE_TS),
        // Of each instance its own.
        seq: rand::random(),
        received_ts_ns: rand::random(),
        exchange_ts_ns: seconds.unwrap_or(0) * 1_000_000_000,
        ltp: number,
        ..Ltp::default()
    }
}

fn intake() -> Arc<Intake> {
    Intake::new(FEED, Arc::default(), Doorbell::new())
}

fn taken(intake: &Intake, instrument: u32) -> Vec<i64> {
    let mut batches = Vec::new();
    intake.take(&mut batches);
    batches
        .iter()
        .flat_map(|batch| match batch {
            Batch::Ltp(ticks) => ticks.to_vec(),
            other => panic!("not ltp: {other:?}"),
        })
        .filter(|tick| tick.instrument == instrument)
        .map(|tick| tick.ltp)
        .collect()
}

/// Lets the old instance publish `1..=old`, the new one hold `from..=held` before the flip and publish up to
/// `end` after it; gives what passed.
fn hand_over(old: i64, from: i64, held: i64, end: i64, time: impl Fn(i64) -> Option<u64>) -> Vec<i64> {
    let (handover, intake) = (Handover::new(FEED), intake());
    for number in 1..=old {
        handover.old(Published::Ltp(&[tick(7, number, time(number))]), &intake).unwrap();
    }
    for number in from..=held {
        let passed = handover.new_one(Published::Ltp(&[tick(7, number, time(number))]), &intake);
        assert_eq!(passed, Passed::Held);
    }
    handover.flip(&intake);
    assert_eq!(handover.old(Published::Ltp(&[tick(7, 99, None)]), &intake), None);
    for number in held.max(from - 1) + 1..=end {
        handover.new_one(Published::Ltp(&[tick(7, number, time(number))]), &intake);
    }
    handover.settle(&intake);
    taken(&intake, 7)
}

#[test]
fn nothing_is_missing_and_nothing_comes_twice_whoever_is_ahead() {
    let each_second = |number: i64| Some(u64::try_from(number).unwrap());
    // Four ticks share a second, as at brokers that send seconds.
    let coarse = |number: i64| Some(u64::try_from(number).unwrap() / 4);
    let none = |_| None;
    let all: Vec<i64> = (1..=20).collect();
    for old in 5..=15 {
        // From the overlap of both to a new one that heard nothing before the old one's last tick.
        for from in 2..=old + 1 {
            for held in from..=16 {
                assert_eq!(hand_over(old, from, held, 20, each_second), all, "{old} {from} {held}");
                assert_eq!(hand_over(old, from, held, 20, coarse), all, "coarse {old} {from} {held}");
                assert_eq!(hand_over(old, from, held, 20, none), all, "no time {old} {from} {held}");
            }
        }
    }
}

#[test]
fn the_newest_passes_when_the_point_is_not_found() {
    // The new instance was never told the old one's last tick, and both are of one second.
    let (handover, intake) = (Handover::new(FEED), intake());
    handover.old(Published::Ltp(&[tick(7, 1, Some(5))]), &intake);
    handover.flip(&intake);
    assert_eq!(handover.new_one(Published::Ltp(&[tick(7, 2, Some(5))]), &intake), Passed::Some);
    assert_eq!(taken(&intake, 7), [1]);
    handover.settle(&intake);
    assert_eq!(taken(&intake, 7), [2]);
    assert_eq!(handover.new_one(Published::Ltp(&[tick(7, 3, Some(5))]), &intake), Passed::Finished);
}

#[test]
fn ticks_of_one_second_wait_until_the_next_shows_that_they_are_new() {
    let (handover, intake) = (Handover::new(FEED), intake());
    handover.old(Published::Ltp(&[tick(7, 1, Some(5))]), &intake);
    handover.new_one(Published::Ltp(&[tick(7, 2, Some(5))]), &intake);
    handover.flip(&intake);
    handover.new_one(Published::Ltp(&[tick(7, 3, Some(5))]), &intake);
    assert_eq!(taken(&intake, 7), [1]);
    let both = [tick(7, 4, Some(5)), tick(7, 5, Some(6))];
    assert_eq!(handover.new_one(Published::Ltp(&both), &intake), Passed::Finished);
    assert_eq!(taken(&intake, 7), [2, 3, 4, 5]);
    assert_eq!(handover.repeated_and_merged(), (0, 0));
}

#[test]
fn an_older_tick_never_passes_after_a_newer_one() {
    let (handover, intake) = (Handover::new(FEED), intake());
    handover.old(Published::Ltp(&[tick(7, 9, Some(9))]), &intake);
    handover.flip(&intake);
    handover.new_one(Published::Ltp(&[tick(7, 8, Some(8))]), &intake);
    handover.settle(&intake);
    assert_eq!(taken(&intake, 7), [9]);
}

#[test]
fn an_old_instance_that_lags_is_heard_until_it_has_said_what_the_new_one_said_first() {
    let time = |number: i64| Some(u64::try_from(number).unwrap());
    for time in [time, |_| None] {
        let (handover, intake) = (Handover::new(FEED), intake());
        let old = |number| handover.old(Published::Ltp(&[tick(7, number, time(number))]), &intake);
        let new = |number| handover.new_one(Published::Ltp(&[tick(7, number, time(number))]), &intake);
        old(1);
        handover.set_ready();
        new(4);
        new(5);
        assert!(!handover.is_covered(), "2 and 3 are with nobody but the old one");
        old(2);
        old(3);
        assert!(!handover.is_covered());
        old(4);
        assert!(handover.is_covered());
        handover.flip(&intake);
        assert_eq!(taken(&intake, 7), [1, 2, 3, 4, 5]);
    }
}

#[test]
fn a_new_instance_that_lags_is_covered_when_it_says_what_the_old_one_said_last() {
    for time in [Some(1), None] {
        let (handover, intake) = (Handover::new(FEED), intake());
        handover.set_ready();
        for number in 1..=3 {
            handover.old(Published::Ltp(&[tick(7, number, time)]), &intake);
        }
        handover.new_one(Published::Ltp(&[tick(7, 2, time)]), &intake);
        assert!(!handover.is_covered());
        handover.new_one(Published::Ltp(&[tick(7, 3, time)]), &intake);
        assert!(handover.is_covered());
    }
}

#[test]
fn a_handover_is_covered_when_the_new_one_speaks_of_all_that_the_old_one_does() {
    let (handover, intake) = (Handover::new(FEED), intake());
    handover.new_one(Published::Ltp(&[tick(1, 1, None)]), &intake);
    assert!(!handover.is_covered());
    handover.set_ready();
    assert!(!handover.is_covered(), "nothing was said since");
    handover.old(Published::Ltp(&[tick(1, 1, None), tick(2, 1, None)]), &intake);
    handover.new_one(Published::Ltp(&[tick(1, 1, None)]), &intake);
    assert!(!handover.is_covered() && handover.is_uncovered());
    handover.new_one(Published::Ltp(&[tick(2, 1, None)]), &intake);
    assert!(handover.is_covered() && !handover.is_uncovered());
}

#[test]
fn a_pause_of_an_instance_that_spoke_is_no_quiet() {
    let (handover, intake) = (Handover::new(FEED), intake());
    handover.set_ready();
    assert!(handover.is_quiet());
    let (handover, before_ready) = (Handover::new(FEED), tick(7, 1, None));
    handover.old(Published::Ltp(&[before_ready]), &intake);
    handover.set_ready();
    assert!(!handover.is_quiet() && !handover.is_covered());
}

#[test]
fn a_flood_while_ticks_are_held_ends_with_the_newest() {
    let (handover, intake) = (Handover::new(FEED), intake());
    let flood: Vec<Ltp> = (0..1_000).map(|number| tick(7, number, None)).collect();
    for _ in 0..400 {
        handover.new_one(Published::Ltp(&flood), &intake);
    }
    handover.new_one(Published::Ltp(&[tick(7, -1, None)]), &intake);
    handover.flip(&intake);
    let mut batches = Vec::new();
    intake.take(&mut batches);
    let newest = match batches.last().unwrap() {
        Batch::Ltp(ticks) => ticks.last().unwrap().ltp,
        Batch::Merged(entries) => entries.last().unwrap().entry.quote().ltp,
        other => panic!("{other:?}"),
    };
    assert_eq!(newest, -1);
    assert!(handover.repeated_and_merged().1 > 0);
}

#[test]
fn what_was_said_before_the_new_instance_was_ready_covers_nothing_and_need_not_be_covered() {
    let (handover, intake) = (Handover::new(FEED), intake());
    handover.old(Published::Ltp(&[tick(2, 1, None)]), &intake);
    // Of a subscription that the old one may not have.
    handover.new_one(Published::Ltp(&[tick(3, 1, None)]), &intake);
    handover.set_ready();
    let both = tick(1, 1, None);
    handover.new_one(Published::Ltp(&[both]), &intake);
    handover.old(Published::Ltp(&[both]), &intake);
    assert!(handover.is_covered() && !handover.is_uncovered());
}

#[test]
fn an_old_instance_that_has_come_further_than_the_new_one_began_is_heard_enough() {
    let (handover, intake) = (Handover::new(FEED), intake());
    handover.set_ready();
    handover.new_one(Published::Ltp(&[tick(7, 4, Some(4))]), &intake);
    // It never says the fourth: of two ticks within a moment a broker may send one only.
    handover.old(Published::Ltp(&[tick(7, 3, Some(3))]), &intake);
    assert!(!handover.is_covered());
    handover.old(Published::Ltp(&[tick(7, 5, Some(5))]), &intake);
    assert!(handover.is_covered());
}

#[test]
fn doubtful_ticks_before_one_that_is_repeated_were_repeated_too() {
    let (handover, intake) = (Handover::new(FEED), intake());
    handover.old(Published::Ltp(&[tick(7, 3, Some(5))]), &intake);
    handover.flip(&intake);
    for number in 0..=4 {
        handover.new_one(Published::Ltp(&[tick(7, number, Some(if number == 0 { 4 } else { 5 }))]), &intake);
    }
    assert_eq!(taken(&intake, 7), [3, 4]);
    assert_eq!(handover.repeated_and_merged().0, 4);
}

#[test]
fn of_more_doubtful_ticks_than_there_is_room_for_the_newest_are_kept() {
    let limit = i64::try_from(DOUBTFUL_LIMIT).unwrap();
    for (last, first_kept) in [(limit, 1), (limit + 1, 2)] {
        let (handover, intake) = (Handover::new(FEED), intake());
        handover.old(Published::Ltp(&[tick(7, 0, Some(5))]), &intake);
        handover.flip(&intake);
        (1..=last)
            .for_each(|number| _ = handover.new_one(Published::Ltp(&[tick(7, number, Some(5))]), &intake));
        handover.settle(&intake);
        let expected: Vec<i64> = [0].into_iter().chain(first_kept..=last).collect();
        assert_eq!(taken(&intake, 7), expected);
    }
}

#[test]
fn what_was_merged_while_it_was_held_ends_the_search() {
    let (handover, intake) = (Handover::new(FEED), intake());
    handover.old(Published::Ltp(&[tick(7, 1, None)]), &intake);
    let flood = vec![tick(8, 1, None); crate::intake::QUEUE_LIMIT_BYTES / size_of::<Ltp>()];
    handover.new_one(Published::Ltp(&flood), &intake);
    for number in [2, 3] {
        handover.new_one(Published::Ltp(&[tick(7, number, None)]), &intake);
    }
    assert_eq!(handover.flip(&intake), Passed::Finished);
}

/// What passes of a record of the new instance, after this one of the old: none of its own if it repeats
/// that.
fn is_repeated(old: Published<'_>, new: Published<'_>) -> bool {
    let (handover, intake) = (Handover::new(FEED), intake());
    handover.old(old, &intake);
    handover.flip(&intake);
    handover.new_one(new, &intake);
    handover.settle(&intake);
    handover.repeated_and_merged().0 == 1
}

#[test]
fn a_tick_is_repeated_by_the_same_kind_of_record_with_the_same_values() {
    let price = tick(7, 1, None);
    let quote = Quote::from(&price);
    assert!(is_repeated(
        Published::Ltp(&[price]),
        Published::Ltp(&[Ltp { seq: 9, received_ts_ns: 9, ..price }])
    ));
    assert!(!is_repeated(Published::Ltp(&[price]), Published::Quote(&[quote])));
    // A time that is said to be none puts nothing in order.
    let [late, early] = [9, 8].map(|exchange_ts_ns| Ltp { exchange_ts_ns, ..price });
    assert!(!is_repeated(Published::Ltp(&[late]), Published::Ltp(&[early])));
}

#[test]
fn books_are_the_same_if_both_sides_are() {
    let quote = Quote { instrument: 7, ..Quote::default() };
    let book = Depth { quote, first_level: 0, buy_levels: 1, sell_levels: 1 };
    let level = |price| DepthLevel { price, quantity: 1, orders: 1, reserved: 0 };
    let before = [level(1), level(2)];
    let is_same = |after: [DepthLevel; 2]| {
        is_repeated(Published::Depth(&[book], &before), Published::Depth(&[book], &after))
    };
    assert!(is_same(before));
    assert!(!is_same([level(3), level(2)]) && !is_same([level(1), level(3)]));
}
