//! Greeks: who gets a frame of them, when, and of which day they are.

use serde_json::{Value, json};

use super::*;
use crate::model::{Greeks, greek};

const CALL: InstrumentId = InstrumentId::new(5, 0);
const YESTERDAY_CLOSE: u64 = 1_795_687_200_000_000_000; // 2026-11-26 15:30 in India
const PRE_OPEN: u64 = 1_795_750_265_000_000_000; // 2026-11-27 09:01:05

fn delta(thousandths: i64) -> Greeks {
    Greeks {
        instrument: CALL.0,
        fields: greek::DELTA,
        delta: thousandths * PRICE_SCALE / 1_000,
        ..Greeks::default()
    }
}

fn rig(interval_ms: u64, modes: &[Mode]) -> Rig {
    let rig = Rig::new(interval_ms, false);
    rig.activate(FEED, CALL, "NIFTY28NOV2624500CE");
    modes.iter().for_each(|mode| rig.attach(0, CALL, variant(*mode)));
    rig
}

/// Mode, last price and delta of each frame; null for what is not there.
fn frames(rig: &mut Rig) -> Vec<Value> {
    let frames = rig.received(0).into_iter().map(|update| {
        let frame: Value = serde_json::from_str(&update.frame).unwrap();
        json!([frame["mode"], frame["data"]["ltp"], frame["data"]["greeks"]["delta"]])
    });
    frames.collect()
}

fn depth(price: i64) -> ([Depth; 1], [DepthLevel; 1]) {
    let level = DepthLevel { price: PRICE_SCALE, quantity: 1, orders: 1, reserved: 0 };
    ([Depth { quote: quote(CALL, price), first_level: 0, buy_levels: 1, sell_levels: 0 }], [level])
}

#[test]
fn greeks_alone_are_news_for_those_who_see_them_and_for_nobody_else() {
    let mut rig = rig(0, &Mode::ALL);
    let (book, levels) = depth(100);
    rig.intakes[&FEED].offer_depth(&book, &levels);
    rig.turn(0);
    assert_eq!(frames(&mut rig), [json!([1, 100.0, null]), json!([2, 100.0, null]), json!([3, 100.0, null])]);
    rig.intakes[&FEED].offer_greeks(&[delta(500)]);
    rig.turn(1);
    assert_eq!(frames(&mut rig), [json!([2, 100.0, 0.5]), json!([3, 100.0, 0.5])]);
    rig.intakes[&FEED].offer_greeks(&[Greeks { seq: 9, received_ts_ns: 9, ..delta(500) }]);
    rig.turn(2);
    assert!(frames(&mut rig).is_empty(), "the same once more is none");
    rig.intakes[&FEED].offer_quote(&[quote(CALL, 101)]);
    rig.turn(3);
    assert_eq!(
        frames(&mut rig),
        [json!([1, 101.0, null]), json!([2, 101.0, 0.5])],
        "they stay beside new values"
    );
    rig.intakes[&FEED].offer_greeks(&[Greeks { fields: 0, ..delta(0) }]);
    rig.turn(4);
    assert_eq!(
        frames(&mut rig),
        [json!([2, 101.0, null]), json!([3, 101.0, null])],
        "that there are none is news"
    );
    let counters = rig.counters(FEED);
    assert_eq!((counters.received.get(), counters.routed.get(), counters.empty.get()), (5, 5, 0));
    rig.assert_balanced(FEED);
}

#[test]
fn greeks_and_ticks_of_one_instrument_keep_their_order() {
    let mut rig = rig(0, &[Mode::Quote]);
    rig.intakes[&FEED].offer_quote(&[quote(CALL, 1)]);
    rig.intakes[&FEED].offer_greeks(&[delta(1), delta(2)]);
    rig.intakes[&FEED].offer_quote(&[quote(CALL, 2)]);
    rig.turn(0);
    let expected = [(1.0, Value::Null), (1.0, json!(0.001)), (1.0, json!(0.002)), (2.0, json!(0.002))];
    assert_eq!(frames(&mut rig), expected.map(|(ltp, delta)| json!([2, ltp, delta])));
}

#[test]
fn greeks_wait_for_their_interval_and_the_last_ones_arrive() {
    let mut rig = rig(50, &[Mode::Ltp, Mode::Quote]);
    rig.intakes[&FEED].offer_quote(&[quote(CALL, 1)]);
    rig.intakes[&FEED].offer_greeks(&(1..=9).map(delta).collect::<Vec<_>>());
    rig.turn(0);
    assert_eq!(frames(&mut rig), [json!([1, 1.0, null]), json!([2, 1.0, null])], "the first at once");
    assert_eq!(rig.counters(FEED).conflated_throttle.get(), 8);
    rig.turn(50 * MS);
    assert_eq!(frames(&mut rig), [json!([2, 1.0, 0.009])]);
    rig.assert_balanced(FEED);
}

#[test]
fn every_record_of_greeks_reaches_who_wants_every_tick() {
    let mut rig = rig(50, &[]);
    rig.attach(0, CALL, variant(Mode::Quote).lossless());
    rig.intakes[&FEED].offer_greeks(&(1..=9).map(delta).collect::<Vec<_>>());
    rig.turn(0);
    assert_eq!(frames(&mut rig).len(), 9);
}

#[test]
fn a_snapshot_has_the_greeks_that_are_known_until_the_broker_is_not_asked_for_them() {
    let mut rig = rig(0, &[]);
    rig.intakes[&FEED].offer_quote(&[quote(CALL, 1)]);
    rig.intakes[&FEED].offer_greeks(&[delta(250)]);
    rig.turn(0);
    assert_eq!(rig.counters(FEED).active.get(), 1);
    rig.attach(0, CALL, variant(Mode::Quote));
    rig.turn(1);
    assert_eq!(frames(&mut rig), [json!([2, 1.0, 0.25])]);
    rig.handle.send(Command::Raise { instrument: CALL, from: Mode::Ltp });
    rig.attach(0, CALL, variant(Mode::Quote));
    rig.turn(2);
    assert_eq!(frames(&mut rig), [json!([2, 1.0, null])]);
}

#[test]
fn an_instrument_of_which_there_are_only_greeks_has_ticked_and_has_a_snapshot() {
    let mut rig = rig(0, &[]);
    rig.intakes[&FEED].offer_greeks(&[Greeks { received_ts_ns: 5_000_000, ..delta(250) }]);
    rig.turn(0);
    assert_eq!(rig.counters(FEED).active.get(), 1);
    Mode::ALL.into_iter().for_each(|mode| rig.attach(0, CALL, variant(mode)));
    rig.turn(1);
    let frame: Value = serde_json::from_str(&rig.received(0).pop().unwrap().frame).unwrap();
    assert_eq!(
        (&frame["mode"], &frame["data"]["timestamp"]),
        (&json!(2), &json!(5)),
        "its time is its arrival"
    );
}

#[test]
fn greeks_go_with_their_day() {
    let mut rig = rig(0, &[Mode::Quote]);
    let at = |at_ns| Greeks { received_ts_ns: at_ns, ..delta(500) };
    rig.intakes[&FEED].offer_quote(&[Quote { received_ts_ns: YESTERDAY_CLOSE, ..quote(CALL, 1) }]);
    rig.intakes[&FEED].offer_greeks(&[at(YESTERDAY_CLOSE)]);
    rig.turn(0);
    assert_eq!(frames(&mut rig).last(), Some(&json!([2, 1.0, 0.5])));
    rig.intakes[&FEED].offer_quote(&[Quote { received_ts_ns: PRE_OPEN, ..quote(CALL, 2) }]);
    rig.turn(1);
    assert_eq!(frames(&mut rig), [json!([2, 2.0, null])]);
    // And the first greeks of a day find nothing of the day before.
    rig.intakes[&FEED].offer_greeks(&[at(PRE_OPEN + 24 * 3_600 * 1_000_000_000 * 3)]);
    rig.turn(2);
    assert_eq!(frames(&mut rig), [json!([2, null, 0.5])]);
}

#[test]
fn greeks_of_a_day_that_is_over_are_late_however_many_come() {
    let mut rig = rig(0, &[Mode::Quote]);
    rig.intakes[&FEED].offer_quote(&[Quote { received_ts_ns: PRE_OPEN, ..quote(CALL, 1) }]);
    let fields = greek::DELTA | greek::EXCHANGE_TS;
    let late = Greeks { fields, exchange_ts_ns: YESTERDAY_CLOSE, received_ts_ns: PRE_OPEN, ..delta(500) };
    rig.intakes[&FEED].offer_greeks(&[late; 20]);
    rig.turn(0);
    assert_eq!(frames(&mut rig), [json!([2, 1.0, null])]);
    assert_eq!(rig.counters(FEED).out_of_order.get(), 20);
}

#[test]
fn greeks_that_merged_on_their_way_arrive_with_the_last_of_the_ticks() {
    for has_ticks in [true, false] {
        let mut rig = rig(0, &Mode::ALL);
        rig.turn(0);
        let filler = vec![tick(InstrumentId(1), 1); crate::intake::QUEUE_LIMIT_BYTES / size_of::<Ltp>()];
        rig.intakes[&FEED].offer_ltp(&filler);
        for number in 1..=9 {
            if has_ticks {
                rig.intakes[&FEED].offer_ltp(&[tick(CALL, number)]);
            }
            rig.intakes[&FEED].offer_greeks(&[delta(number)]);
        }
        while frames_are_due(&rig) {
            rig.turn(1);
        }
        let expected = if has_ticks {
            vec![json!([1, 9.0, null]), json!([2, 9.0, 0.009])]
        } else {
            vec![json!([2, null, 0.009])]
        };
        assert_eq!(frames(&mut rig), expected, "ticks beside them: {has_ticks}");
        rig.assert_balanced(FEED);
    }
}

/// Whether the router has not taken all yet.
fn frames_are_due(rig: &Rig) -> bool {
    let c = rig.counters(FEED);
    c.received.get() != c.routed.get() + c.conflated_intake.get() + c.dropped_unsubscribed.get()
}

#[test]
fn greeks_between_the_modes_that_a_publisher_repeats_make_no_repeats() {
    let mut rig = Rig::new(0, true);
    rig.activate(FEED, CALL, "NIFTY28NOV2624500CE");
    Mode::ALL.into_iter().for_each(|mode| rig.attach(0, CALL, variant(mode)));
    let (book, levels) = depth(7);
    rig.intakes[&FEED].offer_ltp(&[tick(CALL, 7)]);
    rig.intakes[&FEED].offer_quote(&[quote(CALL, 7)]);
    rig.intakes[&FEED].offer_greeks(&[delta(1)]);
    rig.intakes[&FEED].offer_depth(&book, &levels);
    rig.intakes[&FEED].offer_greeks(&[delta(1)]);
    rig.turn(0);
    let expected =
        [json!([1, 7.0, null]), json!([2, 7.0, null]), json!([2, 7.0, 0.001]), json!([3, 7.0, 0.001])];
    assert_eq!(frames(&mut rig), expected);
    rig.assert_balanced(FEED);
}
