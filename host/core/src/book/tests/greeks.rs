//! Greeks beside the values of an instrument.

use super::*;
use crate::model::greek;

fn delta(value: i64) -> Greeks {
    Greeks { fields: greek::DELTA, delta: value, ..Greeks::default() }
}

#[test]
fn a_record_replaces_all_greeks_and_other_records_leave_them() {
    let mut entry = Entry::default();
    entry.merge_quote(&at(10, 100));
    assert!(entry.merge_greeks(&delta(5)).is_visible_in(Mode::Quote));
    entry.merge_quote(&Quote { fields: field::LTP | field::IMAGE, ..at(11, 0) });
    entry.merge_ltp(&Ltp { fields: field::LTP | field::IMAGE, ..Ltp::default() });
    assert_eq!(entry.greeks().unwrap().delta, 5, "an image is one of its own kind");
    let theta = Greeks { fields: greek::THETA, delta: 9, theta: -1, ..Greeks::default() };
    entry.merge_greeks(&theta);
    assert_eq!((entry.greeks().unwrap().fields, entry.greeks().unwrap().theta), (greek::THETA, -1));
    let changed = entry.merge_greeks(&Greeks::default());
    assert!(
        changed.is_visible_in(Mode::Depth) && !changed.is_visible_in(Mode::Ltp),
        "that they are gone is news"
    );
    assert!(entry.greeks().is_none() && entry.view().greeks.is_none());
    assert_eq!(entry.merge_greeks(&Greeks::default()), Changed::default(), "once");
    assert_eq!(entry.quote().ltp, 0);
}

#[test]
fn greeks_change_when_a_value_that_is_present_does() {
    let mut entry = Entry::default();
    entry.merge_greeks(&delta(5));
    let later = Greeks { seq: 9, received_ts_ns: 7, exchange_ts_ns: 6, theta: 3, ..delta(5) };
    assert_eq!(entry.merge_greeks(&later), Changed::default(), "what is absent or a time is no value");
    assert!(entry.merge_greeks(&delta(6)).is_visible_in(Mode::Quote));
    assert!(entry.merge_greeks(&Greeks { fields: greek::DELTA | greek::RHO, ..delta(6) }).is_beside_ticks());
}

#[test]
fn greeks_leave_the_time_of_the_values_and_bring_their_arrival() {
    let mut entry = Entry::default();
    entry.merge_quote(&Quote { received_ts_ns: 20, seq: 1, ..at(10, 100) });
    let late = Greeks {
        fields: greek::DELTA | greek::EXCHANGE_TS,
        exchange_ts_ns: 3,
        received_ts_ns: 21,
        seq: 2,
        ..delta(1)
    };
    entry.merge_greeks(&late);
    let quote = entry.quote();
    assert_eq!((quote.exchange_ts_ns, quote.received_ts_ns, quote.seq), (10, 21, 2));
    assert_eq!(quote.fields & field::EXCHANGE_TS, field::EXCHANGE_TS);
    assert_eq!(entry.moment(), 10);
    assert!(entry.merge_quote(&at(9, 99)).is_none(), "what is late stays late");
    let mut alone = Entry::default();
    alone.merge_greeks(&late);
    assert_eq!(alone.moment(), 3, "greeks alone have a time of their own");
    assert_eq!((alone.is_empty(), Entry::default().is_empty()), (false, true));
    alone.merge_greeks(&Greeks::default());
    assert!(alone.is_empty(), "there is nothing to show");
}

#[test]
fn greeks_go_with_their_day_and_with_what_is_not_asked_for() {
    let mut entry = Entry::default();
    entry.merge_greeks(&delta(1));
    assert!(entry.clear().is_visible_in(Mode::Quote));
    assert_eq!(entry.clear(), Changed::default());
    assert!(entry.greeks().is_none());
    entry.merge_greeks(&delta(1));
    entry.keep_up_to(Mode::Quote);
    assert!(entry.greeks().is_some());
    entry.keep_up_to(Mode::Ltp);
    assert!(entry.greeks().is_none());
}

#[test]
fn merged_ticks_say_of_greeks_what_they_said_and_else_nothing() {
    let mut known = Entry::default();
    known.merge_greeks(&delta(1));
    let mut ticks = Entry::default();
    ticks.merge_quote(&at(10, 100));
    assert_eq!(ticks.greeks_record(), None);
    known.merge_entry(&ticks, Some(Mode::Quote));
    assert_eq!(known.greeks().unwrap().delta, 1);
    ticks.merge_greeks(&delta(2));
    known.merge_entry(&ticks, Some(Mode::Quote));
    assert_eq!((known.greeks().unwrap().delta, known.quote().ltp), (2, 100));
    let mut gone = Entry::default();
    gone.merge_greeks(&Greeks::default());
    assert!(known.merge_entry(&gone, None).unwrap().is_visible_in(Mode::Quote));
    assert_eq!((known.greeks(), known.quote().ltp), (None, 100));
    // A clock that was set back takes them with it, also when none of these ticks had any.
    let mut restarted = Entry::default();
    for quote in [at(10, 100), at(1, 1), at(2, 2), at(3, 3), at(4, 4)] {
        restarted.merge_quote(&quote);
    }
    let mut known = Entry::default();
    known.merge_greeks(&delta(3));
    known.merge_entry(&restarted, Some(Mode::Quote));
    assert_eq!((known.greeks(), known.quote().ltp), (None, 4));
}

/// The place of greeks is made with the first, and never again.
#[test]
fn greeks_that_come_again_take_no_more_memory() {
    let mut entry = Entry::default();
    entry.merge_greeks(&delta(1));
    let place = std::ptr::from_ref(entry.greeks().unwrap());
    entry.merge_greeks(&Greeks::default());
    entry.clear();
    entry.merge_greeks(&delta(2));
    assert!(std::ptr::eq(place, entry.greeks().unwrap()));
}
