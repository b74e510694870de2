//! Ticks of the adapter's own.

use std::collections::HashMap;

use adapter_sdk::{
    Mode,
    abi::{OutcomeCode, StatusKind, field},
    testing::{Bench, Published},
};
use fault_kit::{Faulty, OneSession};

use crate::{connected, last_prices};

#[test]
fn ticks_are_numbered_from_one_and_their_values_follow_from_the_number() {
    let bench = connected(r#"{"rate_hz": 500}"#);
    assert_eq!(bench.subscribe(1, "NSE", "SBIN", Mode::Ltp).code, OutcomeCode::ACCEPTED);
    for (seq, tick) in (1_i64..).zip(last_prices(&bench.wait_for_ticks(1, 1_200))) {
        assert_eq!((tick.volume, tick.ltp), (seq, 100_000_000_000 + seq % 1_000 * 50_000_000));
        assert_eq!(tick.fields, field::LTP | field::VOLUME | field::EXCHANGE_TS);
        assert!(tick.exchange_ts_ns <= tick.received_ts_ns);
    }
}

#[test]
fn each_mode_brings_its_kind_of_record() {
    let bench = connected(r#"{"rate_hz": 100}"#);
    bench.subscribe(2, "NSE", "SBIN", Mode::Quote);
    assert_eq!(bench.subscribe_depth(3, "NSE", "TCS", Mode::Depth, 20).depth, 20);
    assert!(
        matches!(bench.wait_for_ticks(2, 1)[0], Published::Quote(quote) if quote.open == 100_000_000_000)
    );
    let book = bench.wait_for_ticks(3, 1).remove(0);
    let Published::Depth(quote, buy, sell) = book else { panic!("no book: {book:?}") };
    assert_eq!((buy.len(), sell.len()), (20, 20));
    assert!(buy[0].price < quote.ltp && quote.ltp < sell[0].price);
    assert!(buy.is_sorted_by(|better, worse| better.price > worse.price));
}

#[test]
fn what_does_not_exist_is_refused() {
    let bench = connected("{}");
    for (exchange, symbol) in [("NSE", "BAD"), ("NSE", "BADLUCK"), ("BSE", "SBIN")] {
        let outcome = bench.subscribe(1, exchange, symbol, Mode::Ltp);
        assert_eq!(outcome.code, OutcomeCode::UNKNOWN_INSTRUMENT, "{exchange}:{symbol}");
    }
}

#[test]
fn an_instrument_that_was_unsubscribed_and_comes_back_starts_over_at_its_own_rate() {
    let bench = connected(r#"{"rate_hz": 200}"#);
    bench.subscribe(1, "NSE", "SBIN", Mode::Ltp);
    bench.subscribe(2, "NSE", "TCS", Mode::Ltp);
    bench.wait_for_ticks(1, 5);
    bench.unsubscribe(&[1]);
    // Commands are taken in order: with this outcome the one before it is done.
    bench.subscribe(3, "NSE", "INFY", Mode::Ltp);
    bench.forget();
    bench.wait_for_ticks(2, 20);
    assert!(bench.heard().ticks.iter().all(|tick| tick.instrument() != 1));
    bench.subscribe(1, "NSE", "SBIN", Mode::Ltp);
    assert_eq!(last_prices(&bench.wait_for_ticks(1, 1))[0].volume, 1);
    bench.forget();
    let ticks = bench.wait_for("as many ticks of the other", |heard| {
        let of = |number| heard.ticks.iter().filter(|tick| tick.instrument() == number).count();
        (of(2) >= 100).then(|| of(1))
    });
    assert!((60..=150).contains(&ticks), "{ticks} ticks beside 100");
}

#[test]
fn many_instruments_share_batches_and_keep_the_rate() {
    let bench = connected(r#"{"rate_hz": 1000}"#);
    for instrument in 1..=20 {
        bench.subscribe(instrument, "NSE", &format!("S{instrument}"), Mode::Ltp);
    }
    bench.forget();
    bench.wait_for_ticks(20, 200);
    let heard = bench.heard();
    let mut counts: HashMap<u32, usize> = HashMap::new();
    heard.ticks.iter().for_each(|tick| *counts.entry(tick.instrument()).or_default() += 1);
    let (fewest, most) = (counts.values().min().unwrap(), counts.values().max().unwrap());
    assert!(counts.len() == 20 && *most < fewest * 2, "{counts:?}");
    assert!(heard.batches.len() * 4 < heard.ticks.len(), "{} batches", heard.batches.len());
}

#[test]
fn one_session_is_the_same_adapter() {
    let bench = Bench::start::<OneSession>(r#"{"rate_hz": 100}"#).unwrap();
    bench.wait_for_status(StatusKind::CONNECTED);
    bench.subscribe(1, "NSE", "SBIN", Mode::Ltp);
    bench.wait_for_ticks(1, 3);
}

#[test]
fn wrong_settings_are_refused_with_the_reason() {
    let error = Bench::start::<Faulty>(r#"{"rate_hz": 20000}"#).expect_err("must be refused");
    assert!(error.to_string().contains("rate_hz is 20000"), "{error}");
}
