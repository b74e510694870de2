//! Who holds what: several shards, several feeds, and what stays of those that leave.

use super::*;

const TCS: InstrumentId = InstrumentId::new(4, 0);

fn prices(rig: &mut Rig, shard: usize) -> Vec<f64> {
    rig.frames(shard).into_iter().map(|(.., price)| price).collect()
}

#[test]
fn a_shard_that_lets_go_takes_nothing_from_the_other() {
    let mut rig = Rig::new(50, false);
    rig.activate(FEED, SBIN, "SBIN");
    [0, 1].into_iter().for_each(|shard| rig.attach(shard, SBIN, ltp()));
    rig.intakes[&FEED].offer_ltp(&[tick(SBIN, 1), tick(SBIN, 2)]);
    rig.turn(0);
    assert_eq!((prices(&mut rig, 0), prices(&mut rig, 1)), (vec![1.0], vec![1.0]));
    rig.detach(0, SBIN, ltp());
    rig.turn(1);
    assert_eq!(rig.counters(FEED).abandoned.get(), 0, "the other still waits for it");
    rig.turn(50 * MS);
    assert_eq!((prices(&mut rig, 0), prices(&mut rig, 1)), (vec![], vec![2.0]));
    rig.detach(1, SBIN, ltp());
    rig.turn(51 * MS);
    assert_eq!(rig.server.streams.get(), 0);
}

#[test]
fn a_shard_that_never_held_a_key_gives_up_nothing() {
    let mut rig = Rig::new(0, false);
    rig.activate(FEED, SBIN, "SBIN");
    rig.attach(1, SBIN, variant(Mode::Quote));
    // Of a stream that nobody holds, of one that another shard holds, and of an instrument that is not there.
    rig.detach(0, SBIN, ltp());
    rig.detach(0, SBIN, variant(Mode::Quote));
    rig.detach(0, TCS, ltp());
    rig.intakes[&FEED].offer_quote(&[quote(SBIN, 1)]);
    rig.turn(0);
    assert_eq!(rig.server.streams.get(), 1);
    assert_eq!(prices(&mut rig, 1), [1.0]);
}

#[test]
fn a_feed_that_closes_takes_its_own_instruments_and_no_others() {
    let mut rig = Rig::new(0, false);
    rig.activate(FEED, SBIN, "SBIN");
    rig.activate(OTHER, TCS, "TCS");
    [SBIN, TCS].into_iter().for_each(|instrument| rig.attach(0, instrument, ltp()));
    rig.turn(0);
    assert_eq!(rig.server.streams.get(), 2);
    rig.handle.send(Command::CloseFeed { feed: FEED });
    rig.intakes[&FEED].offer_ltp(&[tick(SBIN, 1)]);
    rig.intakes[&OTHER].offer_ltp(&[tick(TCS, 2)]);
    rig.turn(1);
    assert_eq!((prices(&mut rig, 0), rig.server.streams.get()), (vec![2.0], 1));
    rig.attach(0, SBIN, variant(Mode::Quote));
    rig.turn(2);
    assert_eq!(rig.server.streams.get(), 1, "its instruments are gone");
}

#[test]
fn what_waits_when_an_instrument_leaves_is_accounted_for() {
    let mut rig = Rig::new(50, false);
    rig.activate(FEED, SBIN, "SBIN");
    Mode::ALL.into_iter().for_each(|mode| rig.attach(0, SBIN, variant(mode)));
    rig.intakes[&FEED].offer_quote(&[quote(SBIN, 1), quote(SBIN, 2)]);
    rig.turn(0);
    assert_eq!((rig.counters(FEED).waiting.get(), rig.counters(FEED).active.get()), (2, 1));
    rig.handle.send(Command::Deactivate { instrument: SBIN });
    rig.turn(1);
    assert_eq!((rig.counters(FEED).abandoned.get(), rig.counters(FEED).active.get()), (2, 0));
    assert_eq!((rig.router.next_due(), rig.server.streams.get()), (None, 0));
}

#[test]
fn an_outdated_number_deactivates_nobody() {
    let mut rig = Rig::new(0, false);
    let next = InstrumentId::new(3, 1);
    rig.activate(FEED, next, "TCS");
    rig.attach(0, next, ltp());
    rig.handle.send(Command::Deactivate { instrument: SBIN });
    rig.intakes[&FEED].offer_ltp(&[tick(next, 7)]);
    rig.turn(0);
    assert_eq!(prices(&mut rig, 0), [7.0]);
}

#[test]
fn an_instrument_that_takes_the_place_of_another_leaves_nothing_of_it() {
    let mut rig = Rig::new(50, false);
    rig.activate(FEED, SBIN, "SBIN");
    rig.attach(0, SBIN, ltp());
    rig.intakes[&FEED].offer_ltp(&[tick(SBIN, 1), tick(SBIN, 2)]);
    rig.turn(0);
    rig.activate(FEED, InstrumentId::new(3, 1), "TCS");
    rig.turn(1);
    let counters = rig.counters(FEED);
    assert_eq!((counters.active.get(), counters.abandoned.get(), rig.server.streams.get()), (0, 1, 0));
}

#[test]
fn an_instrument_is_counted_as_active_once_however_often_its_values_go() {
    let mut rig = Rig::new(0, false);
    rig.activate(FEED, SBIN, "SBIN");
    let open = Quote { instrument: SBIN.0, fields: field::OPEN, open: 1, ..Quote::default() };
    for turn in 0..3 {
        rig.intakes[&FEED].offer_quote(&[open]);
        rig.turn(turn);
        assert_eq!(rig.counters(FEED).active.get(), 1);
        // Nothing of what is known is of this mode.
        rig.handle.send(Command::Raise { instrument: SBIN, from: Mode::Ltp });
    }
    rig.handle.send(Command::Deactivate { instrument: SBIN });
    rig.turn(9);
    assert_eq!(rig.counters(FEED).active.get(), 0);
}

#[test]
fn lossless_streams_get_every_tick_whatever_the_throttle_holds_back() {
    let mut rig = Rig::new(50, false);
    rig.activate(FEED, SBIN, "SBIN");
    rig.attach(0, SBIN, ltp());
    rig.attach(1, SBIN, ltp().lossless());
    rig.intakes[&FEED].offer_ltp(&[tick(SBIN, 1), tick(SBIN, 2), tick(SBIN, 3)]);
    rig.turn(0);
    assert_eq!((prices(&mut rig, 0), prices(&mut rig, 1)), (vec![1.0], vec![1.0, 2.0, 3.0]));
}

#[test]
fn who_wants_every_tick_is_told_how_many_were_merged_before_the_router() {
    let mut rig = Rig::new(0, false);
    rig.activate(FEED, SBIN, "SBIN");
    rig.attach(0, SBIN, ltp().lossless());
    let flood = vec![tick(TCS, 1); crate::intake::QUEUE_LIMIT_BYTES / size_of::<Ltp>()];
    rig.intakes[&FEED].offer_ltp(&flood);
    rig.intakes[&FEED].offer_ltp(&[tick(SBIN, 1), tick(SBIN, 2), tick(SBIN, 3)]);
    rig.turn(0);
    let received = rig.received(0);
    let missed: Vec<u32> = received.iter().map(|update| update.missed).collect();
    assert_eq!(missed, [2]);
    assert!(received[0].frame.contains("\"ltp\":3.0,"), "{}", received[0].frame);
}

#[test]
fn a_feed_that_is_retuned_is_spaced_by_the_new_interval() {
    let mut rig = Rig::new(50, false);
    rig.activate(FEED, SBIN, "SBIN");
    rig.attach(0, SBIN, ltp());
    rig.handle.send(Command::Retune { feed: FEED, interval: Duration::from_millis(10), has_hours: true });
    rig.intakes[&FEED].offer_ltp(&[tick(SBIN, 1), tick(SBIN, 2)]);
    rig.turn(0);
    assert_eq!(rig.router.next_due(), Some(10 * MS));
    rig.turn(10 * MS);
    assert_eq!(prices(&mut rig, 0), [1.0, 2.0]);
}

#[test]
fn a_flood_of_one_feed_lets_the_others_have_their_turn() {
    let mut rig = Rig::new(0, false);
    rig.activate(FEED, SBIN, "SBIN");
    rig.activate(OTHER, TCS, "TCS");
    rig.attach(0, SBIN, ltp());
    rig.attach(1, TCS, ltp());
    let batch = vec![tick(SBIN, 1); 512];
    let batches_per_turn = 4_096 / batch.len();
    (0..3 * batches_per_turn).for_each(|_| _ = rig.intakes[&FEED].offer_ltp(&batch));
    rig.intakes[&OTHER].offer_ltp(&[tick(TCS, 2)]);
    let mut turns = Vec::new();
    for turn in 0..3 {
        rig.turn(turn);
        turns.push((rig.received(0).len() / batch.len(), rig.received(1).len()));
    }
    assert_eq!(turns, [(batches_per_turn, 1), (batches_per_turn, 0), (batches_per_turn, 0)]);
}

#[test]
fn what_an_adapter_says_again_under_another_mode_is_a_tick_of_its_own() {
    let mut rig = Rig::new(0, false);
    rig.activate(FEED, SBIN, "SBIN");
    rig.attach(0, SBIN, ltp());
    rig.intakes[&FEED].offer_quote(&[quote(SBIN, 1)]);
    rig.intakes[&FEED].offer_ltp(&[tick(SBIN, 1)]);
    rig.turn(0);
    assert_eq!(prices(&mut rig, 0), [1.0, 1.0]);
}

#[test]
fn an_update_without_anything_to_show_in_its_mode_is_counted_and_not_sent() {
    let mut rig = Rig::new(0, false);
    rig.activate(FEED, SBIN, "SBIN");
    rig.attach(0, SBIN, ltp());
    let open = Quote { instrument: SBIN.0, fields: field::OPEN, open: 1, ..Quote::default() };
    rig.intakes[&FEED].offer_quote(&[open, open]);
    rig.turn(0);
    assert_eq!((rig.frames(0).len(), rig.counters(FEED).empty.get()), (0, 2));
}

#[test]
fn a_quote_is_no_news_for_those_who_look_at_the_book() {
    let mut rig = Rig::new(0, false);
    rig.activate(FEED, SBIN, "SBIN");
    rig.attach(0, SBIN, variant(Mode::Depth));
    let level = DepthLevel { price: PRICE_SCALE, quantity: 1, orders: 1, reserved: 0 };
    let book = Depth { quote: quote(SBIN, 1), first_level: 0, buy_levels: 1, sell_levels: 0 };
    rig.intakes[&FEED].offer_depth(&[book], &[level]);
    rig.intakes[&FEED].offer_quote(&[quote(SBIN, 2)]);
    rig.turn(0);
    assert_eq!(prices(&mut rig, 0), [1.0]);
    assert_eq!(rig.counters(FEED).updates.get(), 1);
}

#[test]
fn a_frame_is_measured_by_the_times_that_its_tick_has() {
    let mut rig = Rig::new(0, false);
    rig.activate(FEED, SBIN, "SBIN");
    rig.attach(0, SBIN, ltp());
    let timed = Ltp { exchange_ts_ns: 5, received_ts_ns: 7, ..tick(SBIN, 1) };
    // The second says that its time is none.
    let both = [Ltp { fields: timed.fields | field::EXCHANGE_TS, ..timed }, timed];
    rig.intakes[&FEED].offer_ltp(&both);
    rig.turn(0);
    let times: Vec<Times> = rig.received(0).iter().map(|update| update.times).collect();
    let [with, without] = [5, 0].map(|exchange_ns| Times { received_ns: 7, exchange_ns });
    assert_eq!(times, [with, without]);
}
