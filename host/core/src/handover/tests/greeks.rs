//! Greeks from one instance to the next.

use super::*;
use crate::model::{Greeks, greek};

fn delta(value: i64, seconds: Option<u64>) -> Greeks {
    Greeks {
        instrument: 7,
        fields: greek::DELTA | seconds.map_or(0, |_| greek::EXCHANGE_TS),
        seq: rand::random(),
        received_ts_ns: rand::random(),
        exchange_ts_ns: seconds.unwrap_or(0) * 1_000_000_000,
        delta: value,
        ..Greeks::default()
    }
}

/// What passed: last prices, and greeks as negative numbers.
fn passed(intake: &Intake) -> Vec<i64> {
    let mut batches = Vec::new();
    intake.take(&mut batches);
    batches
        .iter()
        .flat_map(|batch| match batch {
            Batch::Ltp(ticks) => ticks.iter().map(|tick| tick.ltp).collect::<Vec<_>>(),
            Batch::Greeks(greeks) => greeks.iter().map(|greeks| -greeks.delta).collect(),
            other => panic!("neither: {other:?}"),
        })
        .collect()
}

#[test]
fn greeks_are_continued_where_the_old_instance_ended_beside_the_ticks() {
    for time in [|number: i64| u64::try_from(number).ok(), |_| None] {
        let (handover, intake) = (Handover::new(FEED), intake());
        for number in 1..=3 {
            handover.old(Published::Ltp(&[tick(7, number, time(number))]), &intake).unwrap();
            handover.old(Published::Greeks(&[delta(number, time(number))]), &intake).unwrap();
        }
        handover.set_ready();
        for number in 2..=4 {
            handover.new_one(Published::Ltp(&[tick(7, number, time(number))]), &intake);
            handover.new_one(Published::Greeks(&[delta(number, time(number))]), &intake);
        }
        assert_eq!(handover.flip(&intake), Passed::Finished);
        assert_eq!(passed(&intake), [1, -1, 2, -2, 3, -3, 4, -4]);
        assert_eq!(handover.repeated_and_merged(), (4, 0));
    }
}

#[test]
fn a_build_without_greeks_covers_one_that_has_them() {
    let (handover, intake) = (Handover::new(FEED), intake());
    handover.set_ready();
    handover.old(Published::Greeks(&[delta(1, None)]), &intake);
    assert!(!handover.is_uncovered(), "they are no ticks");
    handover.old(Published::Ltp(&[tick(7, 1, Some(1))]), &intake);
    handover.new_one(Published::Ltp(&[tick(7, 1, Some(1))]), &intake);
    assert!(handover.is_covered());
    assert_eq!(handover.flip(&intake), Passed::Some, "its greeks are looked for, and nothing waits for them");
    handover.new_one(Published::Ltp(&[tick(7, 2, Some(2))]), &intake);
    assert_eq!(passed(&intake), [-1, 1, 2]);
}

#[test]
fn greeks_that_differ_in_any_value_are_no_repeats() {
    let known = Greeks { fields: !greek::EXCHANGE_TS, ..delta(1, None) };
    assert!(is_repeated(
        Published::Greeks(&[known]),
        Published::Greeks(&[Greeks { seq: 1, received_ts_ns: 2, ..known }])
    ));
    let others = [
        Greeks { fields: known.fields & !greek::RHO, ..known },
        Greeks { delta: 2, ..known },
        Greeks { gamma: 2, ..known },
        Greeks { theta: 2, ..known },
        Greeks { vega: 2, ..known },
        Greeks { rho: 2, ..known },
        Greeks { implied_volatility: 2, ..known },
    ];
    for other in others {
        assert!(!is_repeated(Published::Greeks(&[known]), Published::Greeks(&[other])), "{other:?}");
    }
}

#[test]
fn what_was_merged_while_it_was_held_counts_once() {
    let (handover, intake) = (Handover::new(FEED), intake());
    let flood = vec![tick(9, 1, None); crate::intake::QUEUE_LIMIT_BYTES / size_of::<Ltp>()];
    handover.new_one(Published::Ltp(&flood), &intake);
    for number in 1..=3 {
        // Of one minute, or they would stand apart.
        let tick = Ltp { received_ts_ns: 1, ..tick(7, number, None) };
        handover.new_one(Published::Ltp(&[tick]), &intake);
        let greeks = Greeks { received_ts_ns: 1, ..delta(number, None) };
        handover.new_one(Published::Greeks(&[greeks]), &intake);
    }
    handover.flip(&intake);
    let (_, merged) = handover.repeated_and_merged();
    assert_eq!(merged, 4, "of six records two are passed on");
    assert_eq!(intake.counters().received.get() + merged, flood.len() as u64 + 6);
    // The last of both went behind the flood.
    let mut batches = Vec::new();
    intake.take(&mut batches);
    let Some(Batch::Merged(entries)) = batches.last() else { panic!("{batches:?}") };
    let [only] = entries.as_slice() else { panic!("{entries:?}") };
    assert_eq!((only.entry.quote().ltp, only.entry.greeks().unwrap().delta), (3, 3));
}
