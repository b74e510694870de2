//! Values of other trading days, late ticks, and what nobody asks the broker for any more.

use super::*;

const YESTERDAY_CLOSE: u64 = 1_795_687_200_000_000_000; // 2026-11-26 15:30 in India
const PRE_OPEN: u64 = 1_795_750_265_000_000_000; // 2026-11-27 09:01:05

fn of_yesterday(instrument: InstrumentId) -> Quote {
    let fields = field::LTP | field::OPEN | field::HIGH | field::VOLUME | field::AVERAGE_PRICE;
    Quote {
        instrument: instrument.0,
        fields,
        received_ts_ns: YESTERDAY_CLOSE,
        ltp: 25_900 * PRICE_SCALE,
        open: 25_900 * PRICE_SCALE,
        high: 26_200 * PRICE_SCALE,
        volume: 1_000,
        ..Quote::default()
    }
}

/// The frames of a shard, whole.
fn whole_frames(rig: &mut Rig) -> Vec<serde_json::Value> {
    rig.received(0).iter().map(|update| serde_json::from_str(&update.frame).unwrap()).collect()
}

#[test]
fn no_frame_mixes_two_trading_days() {
    let mut rig = Rig::new(0, false);
    rig.activate(FEED, SBIN, "SBIN");
    Mode::ALL.into_iter().for_each(|mode| rig.attach(0, SBIN, variant(mode)));
    let level = DepthLevel { price: PRICE_SCALE, quantity: 1, orders: 1, reserved: 0 };
    let book = Depth { quote: of_yesterday(SBIN), first_level: 0, buy_levels: 1, sell_levels: 0 };
    rig.intakes[&FEED].offer_depth(&[book], &[level]);
    // In the night the broker repeats a value: it is still of that day.
    let fields = field::LTP | field::VOLUME;
    let night = Quote { fields, received_ts_ns: PRE_OPEN - 3_600_000_000_000, ..of_yesterday(SBIN) };
    rig.intakes[&FEED].offer_quote(&[night]);
    rig.turn(0);
    let frames = whole_frames(&mut rig);
    assert_eq!(frames.len(), 5);
    assert!(frames.iter().filter(|frame| frame["mode"] == 2).all(|frame| frame["high"] == 26_200.0));
    // The first update of the next day, which has less volume than was known.
    let ltp = 26_110 * PRICE_SCALE;
    rig.intakes[&FEED].offer_quote(&[Quote { fields, ltp, volume: 0, received_ts_ns: PRE_OPEN, ..night }]);
    rig.turn(1);
    let frames = whole_frames(&mut rig);
    let modes: Vec<_> = frames.iter().map(|frame| frame["mode"].as_u64().unwrap()).collect();
    assert_eq!(modes, [1, 2, 3], "that the book is gone is news");
    for frame in frames {
        assert_eq!(
            (&frame["data"]["ltp"], &frame["data"]["volume"]),
            (&26_110.0.into(), &0.into()),
            "{frame}"
        );
        for gone in ["open", "high", "average_price"] {
            assert!(frame["data"].get(gone).is_none() && frame.get(gone).is_none(), "{frame}");
        }
        if frame["mode"] == 3 {
            assert_eq!(frame["data"]["depth"], serde_json::json!({"buy": [], "sell": []}));
        }
    }
    // Nor does the snapshot of a new client.
    rig.attach(0, SBIN, variant(Mode::Quote));
    rig.turn(2);
    assert!(whole_frames(&mut rig).iter().all(|frame| frame["data"].get("high").is_none()));
    rig.assert_balanced(FEED);
}

#[test]
fn what_comes_late_from_another_day_is_counted_and_not_applied() {
    let mut rig = Rig::new(0, false);
    rig.activate(FEED, SBIN, "SBIN");
    rig.attach(0, SBIN, variant(Mode::Quote));
    let fields = field::LTP | field::EXCHANGE_TS;
    let today = Quote { fields, exchange_ts_ns: PRE_OPEN, received_ts_ns: PRE_OPEN, ..of_yesterday(SBIN) };
    let late = Quote { ltp: 1, exchange_ts_ns: YESTERDAY_CLOSE, received_ts_ns: PRE_OPEN + 1, ..today };
    rig.intakes[&FEED].offer_quote(&[today, late, late, late]);
    rig.turn(0);
    assert_eq!(rig.frames(0).len(), 1);
    assert_eq!(rig.counters(FEED).out_of_order.get(), 3);
    // A broker that goes on so has mended its clock.
    rig.intakes[&FEED].offer_quote(&[late]);
    rig.turn(1);
    assert_eq!(rig.frames(0).len(), 1);
    // And a time of the exchange that cannot be is none.
    let far = Quote { exchange_ts_ns: PRE_OPEN + 40 * 86_400_000_000_000, received_ts_ns: PRE_OPEN, ..today };
    rig.intakes[&FEED].offer_quote(&[far, today]);
    rig.turn(2);
    assert_eq!((rig.frames(0).len(), rig.counters(FEED).out_of_order.get()), (2, 3));
    rig.assert_balanced(FEED);
}

#[test]
fn where_hours_do_not_matter_there_are_no_days() {
    let mut rig = Rig::new(0, false);
    let counters = Arc::clone(rig.intakes[&FEED].counters());
    let (feed, interval) = (FEED, Duration::ZERO);
    rig.handle.send(Command::OpenFeed { feed, interval, counters, repeats_modes: false, has_hours: false });
    rig.activate(FEED, SBIN, "SBIN");
    rig.attach(0, SBIN, variant(Mode::Quote));
    let update = Quote { fields: field::LTP, received_ts_ns: PRE_OPEN, ..of_yesterday(SBIN) };
    rig.intakes[&FEED].offer_quote(&[of_yesterday(SBIN), update]);
    rig.turn(0);
    assert!(whole_frames(&mut rig).iter().all(|frame| frame["high"] == 26_200.0));
    // Until they do: then the days are those of the values.
    rig.handle.send(Command::Retune { feed, interval, has_hours: true });
    rig.intakes[&FEED].offer_quote(&[of_yesterday(SBIN), update]);
    rig.turn(1);
    let last = whole_frames(&mut rig).pop().unwrap();
    assert!(last.get("high").is_none(), "{last}");
}

#[test]
fn another_calendar_changes_the_days_but_no_values() {
    let mut rig = Rig::new(0, false);
    rig.activate(FEED, SBIN, "SBIN");
    rig.attach(0, SBIN, variant(Mode::Quote));
    rig.intakes[&FEED].offer_quote(&[of_yesterday(SBIN)]);
    rig.turn(0);
    // One in which the next day is none.
    let holiday = "[[market]]\nname = \"equity\"\nexchanges = [\"NSE\"]\nsessions = [\"09:15-15:30\"]\n\
                   pre_open_minutes = 15\nholidays = [\"2026-11-27\"]\n";
    let text = format!("covers = {{ from = \"2026-01-01\", to = \"2026-12-31\" }}\n{holiday}");
    rig.calendars.put(Calendar::parse(&text).unwrap());
    let update = Quote { fields: field::LTP, received_ts_ns: PRE_OPEN, ..of_yesterday(SBIN) };
    rig.intakes[&FEED].offer_quote(&[update]);
    rig.turn(1);
    assert!(whole_frames(&mut rig).iter().all(|frame| frame["high"] == 26_200.0), "it is a holiday");
    rig.calendars.put(Calendar::built_in());
    rig.intakes[&FEED].offer_quote(&[update]);
    rig.turn(2);
    assert!(whole_frames(&mut rig).iter().all(|frame| frame.get("high").is_none()), "it is none");
}

#[test]
fn a_tick_older_than_what_is_known_is_counted_and_not_applied() {
    let mut rig = Rig::new(0, false);
    rig.activate(FEED, SBIN, "SBIN");
    rig.attach(0, SBIN, ltp());
    let at = |time: u64, volume: i64| Ltp {
        fields: field::LTP | field::VOLUME | field::EXCHANGE_TS,
        exchange_ts_ns: PRE_OPEN + time,
        received_ts_ns: PRE_OPEN,
        volume,
        ..tick(SBIN, volume)
    };
    rig.intakes[&FEED].offer_ltp(&[at(5, 50), at(4, 40), at(6, 60)]);
    rig.turn(0);
    let prices: Vec<f64> = rig.frames(0).into_iter().map(|(.., price)| price).collect();
    assert_eq!(prices, [50.0, 60.0]);
    assert_eq!((rig.counters(FEED).out_of_order.get(), rig.counters(FEED).routed.get()), (1, 2));
    rig.assert_balanced(FEED);
}

#[test]
fn who_asks_for_more_again_is_not_shown_what_was_known_then() {
    for (repeats_modes, expected) in [(false, 1), (true, 2)] {
        let mut rig = Rig::new(0, repeats_modes);
        rig.activate(FEED, SBIN, "SBIN");
        let level = DepthLevel { price: PRICE_SCALE, quantity: 1, orders: 1, reserved: 0 };
        let book = Depth { quote: quote(SBIN, 1), first_level: 0, buy_levels: 1, sell_levels: 0 };
        rig.intakes[&FEED].offer_depth(&[book], &[level]);
        rig.turn(0);
        rig.handle.send(Command::Raise { instrument: SBIN, from: Mode::Ltp });
        Mode::ALL
            .into_iter()
            .filter(|mode| *mode != Mode::Quote)
            .for_each(|mode| rig.attach(0, SBIN, variant(mode)));
        rig.turn(1);
        // The bus goes on whoever holds what.
        assert_eq!(rig.frames(0).len(), expected);
    }
}
