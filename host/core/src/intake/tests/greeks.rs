//! Greeks on their way: in order while there is room, and merged with the ticks of their instrument beyond.

use super::*;
use crate::model::greek;

fn delta(instrument: u32, value: i64) -> Greeks {
    Greeks { instrument, fields: greek::DELTA, delta: value, ..Greeks::default() }
}

fn overflowed(intake: &Arc<Intake>) -> Vec<Merged> {
    let mut batches = Vec::new();
    intake.take(&mut batches);
    let Some(Batch::Merged(merged)) = batches.pop() else { panic!("no overflow") };
    merged
}

#[test]
fn greeks_stand_between_the_batches_that_they_came_between() {
    let intake = intake();
    intake.offer_ltp(&[tick(1, 1)]);
    assert_eq!(intake.offer_greeks(&[delta(1, 5), delta(2, 6)]), 0);
    intake.offer_ltp(&[tick(1, 2)]);
    let mut batches = Vec::new();
    intake.take(&mut batches);
    let [Batch::Ltp(_), Batch::Greeks(greeks), Batch::Ltp(_)] = batches.as_slice() else {
        panic!("{batches:?}")
    };
    assert_eq!(greeks.as_ref(), [delta(1, 5), delta(2, 6)]);
    assert_eq!((batches[1].len(), batches[1].bytes()), (2, 160));
    assert_eq!(intake.counters().received.get(), 4);
}

#[test]
fn of_greeks_that_find_no_room_the_last_are_kept_beside_the_last_values() {
    let intake = intake();
    fill(&intake);
    intake.offer_greeks(&[delta(1, 1), delta(2, 2)]);
    intake.offer_ltp(&[tick(1, 3)]);
    intake.offer_greeks(&[delta(1, 4), Greeks { fields: 0, ..delta(2, 0) }]);
    intake.offer_ltp(&[tick(3, 5)]);
    let merged = overflowed(&intake);
    let seen: Vec<_> = merged
        .iter()
        .map(|merged| {
            let greeks = merged.entry.greeks_record().map(|greeks| (greeks.fields, greeks.delta));
            (merged.instrument.0, merged.mode, merged.missed, merged.entry.quote().ltp, greeks)
        })
        .collect();
    let is_ltp = Some(Mode::Ltp);
    assert_eq!(
        seen,
        [(1, is_ltp, 2, 3, Some((greek::DELTA, 4))), (2, None, 1, 0, Some((0, 0))), (3, is_ltp, 0, 5, None)]
    );
    assert_eq!(intake.counters().conflated_intake.get(), 3);
}

#[test]
fn greeks_of_another_minute_stand_apart_from_ticks_as_these_do_from_each_other() {
    let intake = intake();
    fill(&intake);
    let timed = |minute: u64| Greeks {
        fields: greek::DELTA | greek::EXCHANGE_TS,
        exchange_ts_ns: minute * MINUTE_NS,
        received_ts_ns: 9 * MINUTE_NS,
        ..delta(1, 1)
    };
    intake.offer_greeks(&[timed(1), timed(1), timed(2)]);
    intake.offer_ltp(&[Ltp { received_ts_ns: 2 * MINUTE_NS + 1, ..tick(1, 1) }]);
    let missed: Vec<u32> = overflowed(&intake).iter().map(|merged| merged.missed).collect();
    assert_eq!(missed, [1, 1]);
}
