mod greeks;

use super::{overflow::MINUTE_NS, *};
use crate::model::field;

fn tick(instrument: u32, seq: u64) -> Ltp {
    Ltp { instrument, fields: field::LTP, seq, ltp: i64::try_from(seq).unwrap(), ..Ltp::default() }
}

fn intake() -> Arc<Intake> {
    Intake::new(FeedId(1), Arc::default(), Doorbell::new())
}

/// Fills the queue to its limit, so that what follows overflows.
fn fill(intake: &Arc<Intake>) {
    let batch = vec![tick(9_999_999, 1); QUEUE_LIMIT_BYTES / size_of::<Ltp>()];
    intake.offer_ltp(&batch);
}

#[test]
fn ticks_pass_in_order_while_there_is_room() {
    let intake = intake();
    intake.offer_ltp(&[tick(1, 1), tick(2, 2)]);
    intake.offer_ltp(&[tick(1, 3)]);
    let mut batches = Vec::new();
    intake.take(&mut batches);
    let seqs: Vec<u64> = batches
        .iter()
        .flat_map(|batch| match batch {
            Batch::Ltp(ticks) => ticks.iter().map(|tick| tick.seq).collect::<Vec<_>>(),
            _ => panic!("not ltp"),
        })
        .collect();
    assert_eq!(seqs, [1, 2, 3]);
}

#[test]
fn the_doorbell_rings_once_until_the_router_took() {
    let intake = intake();
    let mut ready = Vec::new();
    intake.offer_ltp(&[tick(1, 1)]);
    intake.offer_ltp(&[tick(1, 2)]);
    intake.doorbell.take_ready(&mut ready);
    assert_eq!(ready.len(), 1);
    intake.take(&mut Vec::new());
    intake.offer_ltp(&[tick(1, 3)]);
    intake.doorbell.take_ready(&mut ready);
    assert_eq!(ready.len(), 2);
}

#[test]
fn a_flood_is_taken_in_turns_in_order_and_its_end_last() {
    let intake = intake();
    let batch: Vec<Ltp> = (0..1_000).map(|number| tick(number, 1)).collect();
    let fitting = QUEUE_LIMIT_BYTES / size_of_val(batch.as_slice());
    for round in 0..=fitting as u64 {
        let batch: Vec<Ltp> = batch.iter().map(|t| tick(t.instrument, round)).collect();
        intake.offer_ltp(&batch);
    }
    let mut ready = Vec::new();
    let (mut rounds, mut turns, mut has_ended) = (0, 0, false);
    loop {
        intake.doorbell.take_ready(&mut ready);
        let Some(intake) = ready.pop() else { break };
        assert!(ready.is_empty(), "one place in the queue for each feed");
        let mut batches = Vec::new();
        intake.take_turn(&mut batches, 2 * size_of_val(batch.as_slice()));
        turns += 1;
        for taken in batches {
            assert!(!has_ended, "nothing comes behind the overflow");
            match taken {
                Batch::Ltp(ticks) => {
                    assert!(ticks.iter().all(|tick| tick.seq == rounds));
                    rounds += 1;
                }
                Batch::Merged(merged) => {
                    assert!(merged.iter().all(|merged| merged.entry.quote().seq == rounds));
                    has_ended = true;
                }
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!((rounds, turns), (fitting as u64, fitting.div_ceil(2)));
    assert!(has_ended);
}

#[test]
fn a_flood_keeps_the_newest_of_each_instrument_in_bounded_memory() {
    let intake = intake();
    let batch: Vec<Ltp> = (0..100).map(|i| tick(i, 1)).collect();
    let rounds = QUEUE_LIMIT_BYTES / (100 * size_of::<Ltp>()) + 50;
    for round in 0..rounds {
        let batch: Vec<Ltp> = batch.iter().map(|t| tick(t.instrument, round as u64)).collect();
        intake.offer_ltp(&batch);
    }
    let mut batches = Vec::new();
    intake.take(&mut batches);
    let Some(Batch::Merged(merged)) = batches.last() else { panic!("no overflow") };
    assert_eq!(merged.len(), 100);
    for Merged { mode, entry, .. } in merged {
        assert_eq!(*mode, Some(Mode::Ltp));
        assert_eq!(entry.quote().seq, rounds as u64 - 1);
    }
    let missed: u64 = merged.iter().map(|merged| u64::from(merged.missed)).sum();
    assert_eq!(missed, intake.counters().conflated_intake.get());
    let queued: usize = batches.iter().map(|b| if let Batch::Ltp(ticks) = b { ticks.len() } else { 0 }).sum();
    let counters = intake.counters();
    assert_eq!(counters.received.get(), rounds as u64 * 100);
    assert_eq!(counters.received.get(), queued as u64 + 100 + counters.conflated_intake.get());
}

#[test]
fn ticks_of_two_minutes_are_kept_apart_in_order() {
    let intake = intake();
    fill(&intake);
    let at = |minute: u64, number: u32, fields: u32| Quote {
        instrument: number,
        fields: fields | field::VOLUME,
        received_ts_ns: minute * MINUTE_NS,
        volume: i64::try_from(minute).unwrap(),
        ..Quote::default()
    };
    intake.offer_quote(&[at(1, 1, field::HIGH), at(1, 1, field::LOW), at(2, 1, field::LTP)]);
    intake.offer_ltp(&[Ltp::from(&at(2, 1, 0)), Ltp::from(&at(2, 2, 0))]);
    let mut batches = Vec::new();
    intake.take(&mut batches);
    let Some(Batch::Merged(merged)) = batches.last() else { panic!("no overflow") };
    let seen: Vec<_> = merged
        .iter()
        .filter(|merged| merged.instrument.0 < 3)
        .map(|merged| (merged.instrument.0, merged.mode, merged.entry.quote().fields, merged.missed))
        .collect();
    let volume = field::VOLUME;
    assert_eq!(
        seen,
        [
            (1, Some(Mode::Quote), volume | field::HIGH | field::LOW, 1),
            (1, Some(Mode::Quote), volume | field::LTP, 1),
            (2, Some(Mode::Ltp), volume, 0),
        ]
    );
}

/// Ticks of one instrument, of which every other one has the exchange's time: some minutes ago, as of a rare
/// trade.
fn of_two_clocks(received: &[u64]) -> Vec<Quote> {
    let quote = |(place, at_ns): (usize, &u64)| {
        let exchange_ts_ns = at_ns - 5 * MINUTE_NS;
        let clock = if place % 2 == 1 { field::EXCHANGE_TS } else { 0 };
        let fields = field::LTP | clock;
        let ltp = i64::try_from(place).unwrap();
        Quote { instrument: 1, fields, exchange_ts_ns, received_ts_ns: *at_ns, ltp, ..Quote::default() }
    };
    received.iter().enumerate().map(quote).collect()
}

fn merged_of(intake: &Arc<Intake>, quotes: &[Quote]) -> Vec<(i64, u32)> {
    fill(intake);
    quotes.iter().for_each(|quote| _ = intake.offer_quote(std::slice::from_ref(quote)));
    let mut batches = Vec::new();
    intake.take(&mut batches);
    let Some(Batch::Merged(merged)) = batches.pop() else { panic!("no overflow") };
    merged.iter().map(|merged| (merged.entry.quote().ltp, merged.missed)).collect()
}

#[test]
fn ticks_of_two_clocks_merge_within_a_trading_day_and_never_across_its_beginning() {
    let calendar = crate::calendar::Calendar::built_in();
    let at = |date: &str, time: &str| {
        date.parse::<crate::calendar::date::Date>().unwrap().at(time.parse().unwrap())
    };
    let (noon, morning) = (at("2026-11-25", "12:00"), at("2026-11-26", "09:00"));
    let day = |from: u64| -> Vec<u64> { (0..10).map(|minute| from + minute * MINUTE_NS).collect() };
    // Nobody has said where days begin: each stands apart, as one may between any two.
    assert_eq!(merged_of(&intake(), &of_two_clocks(&day(noon))).len(), 10);
    let settled = intake();
    settled.doorbell.settle(calendar.settled_around(noon));
    assert_eq!(merged_of(&settled, &of_two_clocks(&day(noon))), [(9, 9)]);
    // Until the day is over by the calendar of any exchange.
    let across = merged_of(&settled, &of_two_clocks(&[day(noon), day(morning)].concat()));
    assert_eq!(across.first(), Some(&(9, 9)));
    assert!(across.len() > 2, "{across:?}");
}

#[test]
fn where_there_is_no_room_the_newest_is_still_kept() {
    let intake = intake();
    fill(&intake);
    let limit = u32::try_from(OVERFLOW_LIMIT).unwrap();
    let all: Vec<Ltp> = (0..limit - 1).map(|number| tick(number, 1)).collect();
    intake.offer_ltp(&all);
    let later: Vec<Ltp> = [3, 3, 7]
        .into_iter()
        .zip(2..)
        .map(|(number, minute)| Ltp { received_ts_ns: minute * MINUTE_NS, ..tick(number, minute) })
        .collect();
    intake.offer_ltp(&later);
    intake.offer_ltp(&[tick(limit, 1), tick(limit + 1, 1)]);
    let mut batches = Vec::new();
    intake.take(&mut batches);
    let Some(Batch::Merged(merged)) = batches.last() else { panic!("no overflow") };
    assert_eq!(merged.len(), OVERFLOW_LIMIT);
    assert_eq!((merged[3].entry.quote().ltp, merged[7].entry.quote().ltp), (3, 4));
    let counters = intake.counters();
    assert_eq!(counters.dropped_unsubscribed.get(), 1, "and what finds no place at all is counted");
}

#[test]
fn what_was_taken_makes_room() {
    let intake = intake();
    for _ in 0..3 {
        fill(&intake);
        intake.offer_ltp(&[tick(1, 1)]);
        let mut batches = Vec::new();
        intake.take(&mut batches);
        let (last, queued) = batches.split_last().unwrap();
        assert!(matches!(last, Batch::Merged(merged) if merged.len() == 1));
        assert_eq!(queued.iter().map(Batch::bytes).sum::<usize>(), 262_144 * size_of::<Ltp>());
        // Once the queue is empty ticks pass as they come.
        intake.offer_ltp(&[tick(1, 1)]);
        batches.clear();
        intake.take(&mut batches);
        assert!(matches!(batches.as_slice(), [Batch::Ltp(_)]));
    }
}

#[test]
fn a_book_that_points_outside_its_levels_is_left_out_and_counted() {
    let intake = intake();
    let quote = Quote { instrument: 1, ..Quote::default() };
    let levels = [DepthLevel::default(); 4];
    let good = Depth { quote, first_level: 0, buy_levels: 2, sell_levels: 2 };
    let beyond = Depth { first_level: 1, ..good };
    let overflowing = Depth { first_level: u32::MAX, ..good };
    let too_many = Depth { buy_levels: 201, ..good };
    assert_eq!(intake.offer_depth(&[good, beyond, overflowing, too_many], &levels), 3);
    let mut batches = Vec::new();
    intake.take(&mut batches);
    assert!(matches!(batches.as_slice(), [Batch::Depth(books, _)] if books.len() == 1));
    assert_eq!(intake.counters().dropped_invalid.get(), 3);
}

#[test]
fn a_book_with_a_negative_quantity_is_left_out_and_counted() {
    let intake = intake();
    let quote = Quote { instrument: 1, ..Quote::default() };
    let mut levels = [DepthLevel::default(); 4];
    levels[3].quantity = -1;
    let good = Depth { quote, first_level: 0, buy_levels: 1, sell_levels: 2 };
    let bid = Depth { first_level: 3, buy_levels: 1, sell_levels: 0, ..good };
    let ask = Depth { first_level: 2, buy_levels: 0, sell_levels: 2, ..good };
    assert_eq!(intake.offer_depth(&[bid, good, ask], &levels), 2);
    assert_eq!(intake.counters().dropped_invalid.get(), 2);
}

#[test]
fn a_closed_intake_counts_what_still_arrives() {
    let intake = intake();
    intake.close();
    intake.offer_ltp(&[tick(1, 1)]);
    let mut batches = Vec::new();
    intake.take(&mut batches);
    assert!(batches.is_empty());
    assert_eq!(intake.counters().dropped_retired.get(), 1);
}

fn is_ready(future: impl Future) -> bool {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    std::pin::pin!(future).poll(&mut context).is_ready()
}

#[test]
fn an_offer_and_a_ring_wake_the_router_once_each() {
    let intake = intake();
    assert!(!is_ready(intake.doorbell.rung()));
    intake.offer_ltp(&[tick(1, 1)]);
    assert!(is_ready(intake.doorbell.rung()) && !is_ready(intake.doorbell.rung()));
    intake.doorbell.ring();
    assert!(is_ready(intake.doorbell.rung()) && !is_ready(intake.doorbell.rung()));
}

/// Fills the queue to its limit with two batches.
fn fill_in_halves(intake: &Arc<Intake>) {
    let half = vec![tick(9_999_999, 1); QUEUE_LIMIT_BYTES / size_of::<Ltp>() / 2];
    (0..2).for_each(|_| _ = intake.offer_ltp(&half));
}

#[test]
fn what_a_turn_took_makes_room_for_as_much() {
    let intake = intake();
    fill_in_halves(&intake);
    let mut batches = Vec::new();
    for _ in 0..3 {
        batches.clear();
        intake.take_turn(&mut batches, 1);
        assert!(matches!(batches.as_slice(), [Batch::Ltp(_)]));
        let half = vec![tick(1, 1); QUEUE_LIMIT_BYTES / size_of::<Ltp>() / 2];
        intake.offer_ltp(&half);
    }
    assert_eq!(intake.counters().conflated_intake.get(), 0);
    intake.offer_ltp(&[tick(1, 2), tick(1, 3)]);
    assert_eq!(intake.counters().conflated_intake.get(), 1, "there is room for no more than that");
}

#[test]
fn books_count_with_their_levels() {
    let intake = intake();
    let levels = vec![DepthLevel::default(); size_of::<Depth>() / size_of::<DepthLevel>()];
    let bytes = size_of::<Depth>() + size_of_val(levels.as_slice());
    let book = Depth { quote: Quote { instrument: 1, ..Quote::default() }, ..Depth::default() };
    // Room for this one, and for no other.
    intake.offer_ltp(&vec![tick(2, 1); (QUEUE_LIMIT_BYTES - bytes) / size_of::<Ltp>()]);
    (0..3).for_each(|_| _ = intake.offer_depth(&[book], &levels));
    assert_eq!(intake.counters().conflated_intake.get(), 1);
    intake.take(&mut Vec::new());
    for (limit_bytes, expected) in [(bytes, 1), (bytes + 1, 2)] {
        let mut batches = Vec::new();
        (0..3).for_each(|_| _ = intake.offer_depth(&[book], &levels));
        intake.take_turn(&mut batches, limit_bytes);
        assert_eq!(batches.len(), expected);
        intake.take(&mut Vec::new());
    }
}

#[test]
fn half_of_the_overflow_is_kept_for_instruments_of_which_there_is_nothing_yet() {
    let intake = intake();
    fill(&intake);
    let half = u32::try_from(OVERFLOW_LIMIT / 2).unwrap();
    intake.offer_ltp(&(0..half - 1).map(|number| tick(number, 1)).collect::<Vec<_>>());
    for (minute, conflated) in [(2, 0), (3, 1)] {
        intake.offer_ltp(&[Ltp { received_ts_ns: minute * MINUTE_NS, ..tick(0, minute) }]);
        assert_eq!(intake.counters().conflated_intake.get(), conflated, "minute {minute}");
    }
}

#[test]
fn nothing_overtakes_what_overflowed_although_there_is_room_again() {
    let intake = intake();
    fill_in_halves(&intake);
    intake.offer_ltp(&[tick(1, 1)]);
    intake.take_turn(&mut Vec::new(), 1);
    intake.offer_ltp(&[tick(1, 2)]);
    let mut batches = Vec::new();
    intake.take(&mut batches);
    let [Batch::Ltp(_), Batch::Merged(merged)] = batches.as_slice() else {
        panic!("{} batches", batches.len())
    };
    assert_eq!((merged.len(), merged[0].entry.quote().seq), (1, 2));
}

#[test]
fn an_overflow_that_was_taken_leaves_no_places_behind() {
    let intake = intake();
    for order in [[1, 2], [2, 1]] {
        fill(&intake);
        order.into_iter().for_each(|instrument| _ = intake.offer_ltp(&[tick(instrument, instrument.into())]));
        let mut batches = Vec::new();
        intake.take(&mut batches);
        let Some(Batch::Merged(merged)) = batches.last() else { panic!("no overflow") };
        let seen: Vec<_> =
            merged.iter().map(|merged| (merged.instrument.0, merged.entry.quote().seq)).collect();
        assert_eq!(seen, order.map(|instrument| (instrument, u64::from(instrument))));
    }
}

#[test]
fn merged_ticks_go_by_the_highest_mode_in_whatever_order_they_came() {
    let intake = intake();
    fill(&intake);
    let quote = |instrument| Quote::from(&tick(instrument, 1));
    intake.offer_ltp(&[tick(1, 1)]);
    intake.offer_quote(&[quote(1), quote(2)]);
    intake.offer_ltp(&[tick(2, 1)]);
    let mut batches = Vec::new();
    intake.take(&mut batches);
    let Some(Batch::Merged(merged)) = batches.last() else { panic!("no overflow") };
    assert_eq!(merged.iter().map(|merged| merged.mode).collect::<Vec<_>>(), [Some(Mode::Quote); 2]);
}

#[test]
fn a_side_of_a_book_has_as_many_levels_as_allowed_and_no_more() {
    let intake = intake();
    let levels = vec![DepthLevel::default(); 3 * usize::from(MAX_DEPTH_LEVELS)];
    let quote = Quote { instrument: 1, ..Quote::default() };
    let full = Depth { quote, first_level: 0, buy_levels: MAX_DEPTH_LEVELS, sell_levels: MAX_DEPTH_LEVELS };
    assert_eq!(intake.offer_depth(&[full], &levels), 0);
    for beyond in [
        Depth { buy_levels: MAX_DEPTH_LEVELS + 1, ..full },
        Depth { sell_levels: MAX_DEPTH_LEVELS + 1, ..full },
    ] {
        assert_eq!(intake.offer_depth(&[beyond], &levels), 1);
    }
}
