use super::*;

fn level(price: i64) -> DepthLevel {
    DepthLevel { price, quantity: 1, orders: 1, reserved: 0 }
}

#[test]
fn a_partial_update_keeps_what_was_known_and_invents_nothing() {
    let mut entry = Entry::default();
    entry.merge_quote(&Quote { fields: field::LTP | field::OPEN, ltp: 10, open: 9, ..Quote::default() });
    entry.merge_ltp(&Ltp { fields: field::LTP, ltp: 11, volume: 99, ..Ltp::default() });
    let quote = entry.quote();
    assert_eq!((quote.ltp, quote.open, quote.volume), (11, 9, 0));
    assert_eq!(quote.fields, field::LTP | field::OPEN);
}

#[test]
fn a_negative_count_is_unknown_and_a_negative_price_is_a_price() {
    let mut entry = Entry::default();
    let fields = field::LTP | field::VOLUME | field::LAST_QUANTITY | field::OI | field::BID_SIZE;
    let sane = Quote { fields, ltp: -5, volume: 7, last_quantity: 0, oi: 9, bid_size: 3, ..Quote::default() };
    entry.merge_quote(&sane);
    let odd = Quote { volume: -1, last_quantity: i64::MIN, oi: -2, bid_size: -3, ..sane };
    assert!(entry.merge_quote(&odd).unwrap().is_visible_in(Mode::Ltp), "what was known is not true any more");
    assert_eq!((entry.quote().fields, entry.quote().ltp), (field::LTP, -5));
    assert!(!entry.merge_quote(&odd).unwrap().is_visible_in(Mode::Depth));
    let mut fresh = Entry::default();
    fresh.merge_ltp(&Ltp { fields: field::IN_LTP, ltp: -5, volume: -1, last_quantity: -1, ..Ltp::default() });
    assert_eq!(fresh.quote().fields, field::IN_LTP & !field::VOLUME & !field::LAST_QUANTITY);
    assert_eq!((fresh.quote().ltp, fresh.quote().volume), (-5, 0));
}

#[test]
fn a_book_without_prices_keeps_the_last_price() {
    let mut entry = Entry::default();
    entry.merge_ltp(&Ltp { fields: field::LTP, ltp: 11, ..Ltp::default() });
    entry.merge_depth(&Quote::default(), &[level(10)], &[level(12), level(13)]);
    let view = entry.view();
    assert_eq!((view.quote.ltp, view.buy.len(), view.sell.len()), (11, 1, 2));
    entry.merge_depth(&Quote::default(), &[], &[level(12)]);
    let view = entry.view();
    assert_eq!((view.buy.len(), view.sell.len()), (0, 1));
}

#[test]
fn the_time_of_the_exchange_does_not_outlive_its_tick() {
    let mut entry = Entry::default();
    entry.merge_ltp(&Ltp { fields: field::LTP | field::EXCHANGE_TS, exchange_ts_ns: 5, ..Ltp::default() });
    entry.merge_ltp(&Ltp { fields: field::LTP, received_ts_ns: 9, ..Ltp::default() });
    assert_eq!(entry.quote().fields & field::EXCHANGE_TS, 0);
}

#[test]
fn a_tick_speaks_of_the_time_of_the_exchange_if_that_can_be() {
    const HOUR: u64 = 3_600_000_000_000;
    let timed = |exchange_ts_ns, received_ts_ns| moment(field::EXCHANGE_TS, exchange_ts_ns, received_ts_ns);
    assert_eq!((timed(5, 7), timed(5, 0), timed(7 + HOUR, 7)), (5, 5, 7 + HOUR));
    assert_eq!((timed(8 + HOUR, 7), moment(field::LTP, 5, 7), moment(field::LTP, 5, 0)), (7, 7, 0));
}

#[test]
fn only_modes_that_show_the_difference_have_changed() {
    let mut entry = Entry::default();
    let quote = Quote { fields: field::LTP | field::OI, ltp: 1, oi: 2, ..Quote::default() };
    assert!(entry.merge_quote(&quote).unwrap().is_visible_in(Mode::Ltp));
    assert!(!entry.merge_quote(&quote).unwrap().is_visible_in(Mode::Depth));
    let changed = entry.merge_quote(&Quote { oi: 3, ..quote }).unwrap();
    assert!(!changed.is_visible_in(Mode::Ltp) && changed.is_visible_in(Mode::Quote));
    let changed = entry.merge_depth(&Quote::default(), &[level(1)], &[]).unwrap();
    assert!(!changed.is_visible_in(Mode::Quote) && changed.is_visible_in(Mode::Depth));
}

#[test]
fn a_book_that_the_broker_says_is_empty_is_gone() {
    let mut entry = Entry::default();
    let empty = Quote { fields: field::BOOK, ..Quote::default() };
    entry.merge_depth(&Quote::default(), &[], &[]);
    assert_eq!(entry.quote().fields, 0, "nothing was said of a book");
    assert!(entry.merge_depth(&empty, &[], &[]).unwrap().is_another_book(), "that there is none is news");
    assert!(!entry.merge_depth(&empty, &[], &[]).unwrap().is_another_book());
    entry.merge_depth(&Quote::default(), &[level(10)], &[]);
    assert!(
        !entry.merge_depth(&Quote::default(), &[], &[]).unwrap().is_another_book(),
        "an old build says nothing by that"
    );
    assert_eq!(entry.view().buy.len(), 1);
    assert!(entry.merge_depth(&empty, &[], &[]).unwrap().is_another_book());
    assert!(entry.view().buy.is_empty() && entry.quote().fields & field::BOOK != 0);
}

#[test]
fn what_a_full_packet_no_longer_has_is_gone() {
    let mut entry = Entry::default();
    let fields = field::LTP | field::VOLUME | field::OPEN | field::AVERAGE_PRICE | field::LAST_TRADE_TS;
    let yesterday =
        Quote { fields: fields | field::IMAGE, ltp: 1, open: 2, average_price: 3, ..Quote::default() };
    entry.merge_quote(&yesterday);
    entry.merge_depth(&Quote { fields: field::OI, oi: 5, ..Quote::default() }, &[level(1)], &[]);
    let pre_open = Quote { fields: field::LTP | field::VOLUME | field::IMAGE, ltp: 1, ..Quote::default() };
    let changed = entry.merge_quote(&pre_open).unwrap();
    assert!(changed.is_visible_in(Mode::Quote), "values that vanish are seen");
    assert!(changed.is_visible_in(Mode::Ltp), "the time of the last trade is one of them");
    assert_eq!(entry.quote().fields, field::LTP | field::VOLUME | field::BOOK);
    assert_eq!(entry.view().buy.len(), 1, "a quote says nothing of the book");
    // An image of the values of mode LTP leaves the others.
    entry.merge_quote(&Quote { fields: field::OPEN, open: 9, ..Quote::default() });
    entry.merge_ltp(&Ltp { fields: field::LTP | field::IMAGE, ltp: 8, ..Ltp::default() });
    assert_eq!(entry.quote().fields, field::LTP | field::OPEN | field::BOOK);
}

fn at(second: u64, volume: i64) -> Quote {
    let fields = field::LTP | field::VOLUME | field::EXCHANGE_TS;
    Quote { fields, ltp: volume, volume, exchange_ts_ns: second, ..Quote::default() }
}

#[test]
fn a_tick_whose_time_and_volume_are_both_older_is_refused() {
    let mut entry = Entry::default();
    entry.merge_quote(&at(10, 100));
    assert_eq!(entry.merge_quote(&at(9, 99)), None);
    assert_eq!(entry.quote(), &at(10, 100));
    let late_trade = Ltp::from(&at(9, 99));
    assert!(entry.merge_ltp(&late_trade).is_none());
    assert!(entry.merge_depth(&at(9, 99), &[level(1)], &[]).is_none());
    assert!(entry.view().buy.is_empty(), "nor its book");
    for fine in [at(10, 99), at(10, 100), at(9, 100), at(9, 101), at(11, 50)] {
        let mut entry = entry.clone();
        assert!(entry.merge_quote(&fine).is_some(), "{fine:?}");
        assert_eq!(entry.quote(), &fine);
    }
    // Without a volume, or with one that cannot be, nobody knows whether it is older.
    for unknown in
        [Quote { fields: field::LTP | field::EXCHANGE_TS, ..at(9, 7) }, Quote { volume: -1, ..at(9, 7) }]
    {
        assert!(entry.clone().merge_quote(&unknown).is_some(), "{unknown:?}");
    }
    // The newest time counts, not the last.
    entry.merge_quote(&at(10, 100));
    entry.merge_quote(&at(8, 101));
    assert!(entry.merge_quote(&at(9, 100)).is_none());
}

#[test]
fn a_clock_that_was_set_back_is_followed_after_three_ticks() {
    let mut entry = Entry::default();
    entry.merge_depth(
        &Quote { fields: at(0, 0).fields | field::HIGH, high: 7, ..at(1_000, 100) },
        &[level(1)],
        &[],
    );
    for second in 1..=3 {
        assert!(entry.merge_quote(&at(second, 10)).is_none());
    }
    let changed = entry.merge_quote(&at(4, 10)).unwrap();
    assert!(changed.is_another_book());
    assert_eq!(entry.quote().fields, at(0, 0).fields | field::BOOK, "what was wrong is gone");
    assert_eq!((entry.quote().exchange_ts_ns, entry.quote().volume), (4, 10));
    assert!(entry.merge_quote(&at(5, 11)).is_some());
    assert!(entry.merge_quote(&at(4, 10)).is_none(), "time runs forward from there");
    // Late ticks that come one by one between others are never believed.
    for second in 6..20 {
        assert!(entry.merge_quote(&at(second, 12)).is_some());
        assert!(entry.merge_quote(&at(second - 1, 11)).is_none());
    }
}

#[test]
fn ticks_without_a_time_do_not_interrupt_late_ones_and_do_not_count() {
    let untimed = Quote { fields: field::LTP | field::HIGH, high: 9, ..Quote::default() };
    let other_clock = Quote { exchange_ts_ns: 5, ..at(5, 101) };
    for between in [untimed, other_clock] {
        let mut entry = Entry::default();
        entry.merge_quote(&at(10, 100));
        for second in 1..=3 {
            assert!(entry.merge_quote(&at(second, 10)).is_none());
            assert!(entry.merge_quote(&between).is_some());
        }
        assert!(entry.merge_quote(&at(4, 10)).is_some(), "the fourth is believed");
    }
    let mut entry = Entry::default();
    entry.merge_quote(&at(10, 100));
    for second in 1..=9 {
        assert!(entry.merge_quote(&at(second, 10)).is_none());
        assert!(entry.merge_quote(&at(10, 100)).is_some(), "one in time interrupts");
    }
}

#[test]
fn what_the_broker_is_not_asked_for_any_more_is_forgotten() {
    let mut entry = Entry::default();
    let everything = Quote { fields: field::LTP | field::OPEN, ..Quote::default() };
    entry.merge_depth(&everything, &[level(1)], &[level(2)]);
    entry.keep_up_to(Mode::Depth);
    assert_eq!((entry.quote().fields, entry.view().sell.len()), (everything.fields | field::BOOK, 1));
    entry.keep_up_to(Mode::Quote);
    assert_eq!((entry.quote().fields, entry.view().buy.len()), (everything.fields, 0));
    entry.keep_up_to(Mode::Ltp);
    assert_eq!(entry.quote().fields, field::LTP);
}

mod greeks;
mod model;
