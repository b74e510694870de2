//! The adapter behind the real boundary objects, as a host would run it.

use std::time::Duration;

use adapter_sdk::{
    Mode,
    abi::{ErrorCode, OutcomeCode, Quote, StatusKind, field, greek},
    testing::{Bench, Published},
};
use adapter_sim::{
    Sim,
    feed::STRAY_INSTRUMENT,
    universe::{Date, Instrument, Kind, Universe},
};

#[expect(clippy::expect_used, reason = "each test writes its own settings")]
fn start(config_json: &str) -> Bench {
    Bench::start::<Sim>(config_json).expect("the settings are usable")
}

fn connected(config_json: &str) -> Bench {
    let bench = start(config_json);
    bench.wait_for_status(StatusKind::CONNECTED);
    bench
}

fn quote_of(tick: &Published) -> Quote {
    match tick {
        Published::Ltp(tick) => Quote::from(tick),
        Published::Quote(quote) | Published::Depth(quote, ..) => *quote,
    }
}

#[test]
fn each_mode_brings_its_kind_of_record() {
    let bench = connected(r#"{ "rate_hz": 100 }"#);
    assert_eq!(bench.subscribe(1, "NSE", "SBIN", Mode::Ltp).code, OutcomeCode::ACCEPTED);
    bench.subscribe(2, "NSE", "SBIN", Mode::Quote);
    assert_eq!(bench.subscribe_depth(3, "NSE", "SBIN", Mode::Depth, 20).depth, 20);
    let last = |instrument| bench.wait_for_ticks(instrument, 3).pop().expect("a tick");

    let Published::Ltp(ltp) = last(1) else { panic!("no last price") };
    assert_eq!(ltp.fields, field::IN_LTP | field::IMAGE);
    assert!(ltp.exchange_ts_ns <= ltp.received_ts_ns);
    let Published::Quote(quote) = last(2) else { panic!("no quote") };
    let of_derivatives = field::OI | field::OI_HIGH | field::OI_LOW;
    assert_eq!(quote.fields, field::IMAGE | field::IN_QUOTE & !of_derivatives & !field::PREV_CLOSE);
    assert_eq!(quote.change, quote.ltp - quote.close);
    let Published::Depth(quote, buy, sell) = last(3) else { panic!("no book") };
    assert_eq!((buy.len(), sell.len()), (20, 20));
    assert_eq!((quote.bid_price, quote.ask_price), (buy[0].price, sell[0].price));
    assert!(buy[0].price < sell[0].price);
}

/// An option of those that are listed today.
#[expect(clippy::expect_used, reason = "a test reports by panicking")]
fn option() -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    let universe = Universe::new(Date::in_india(u64::try_from(now.as_nanos()).expect("before 2554")));
    let is_one =
        |listed: &&Instrument| listed.exchange == "NFO" && matches!(listed.kind, Kind::Option { .. });
    universe.instruments().iter().find(is_one).expect("there are options").symbol.clone()
}

#[test]
fn options_have_greeks_in_modes_that_show_them() {
    let bench = connected(r#"{ "rate_hz": 100 }"#);
    let option = option();
    for (instrument, symbol, mode) in
        [(1, &*option, Mode::Quote), (2, &option, Mode::Depth), (3, &option, Mode::Ltp)]
    {
        assert!(bench.subscribe(instrument, "NFO", symbol, mode).code.is_taken());
    }
    bench.subscribe(4, "NSE", "SBIN", Mode::Quote);
    for instrument in [1, 2] {
        let greeks = bench.wait_for_greeks(instrument, 3).pop().expect("greeks");
        let fields = greek::IN_GREEKS & !greek::RHO | greek::EXCHANGE_TS;
        assert_eq!(greeks.fields, fields, "{greeks:?}");
        assert!(greeks.exchange_ts_ns <= greeks.received_ts_ns);
        assert!(
            greeks.implied_volatility > 1_000_000_000 && greeks.delta.abs() <= 1_000_000_000,
            "{greeks:?}"
        );
    }
    bench.wait_for_ticks(3, 3);
    bench.wait_for_ticks(4, 3);
    assert!(bench.heard().greeks.iter().all(|(_, greeks)| greeks.instrument < 3));
}

#[test]
fn the_first_tick_does_not_wait_for_the_rate() {
    let bench = connected(r#"{ "rate_hz": 0.1 }"#);
    bench.subscribe(1, "NSE", "SBIN", Mode::Ltp);
    assert_eq!(bench.wait_for_ticks(1, 1).len(), 1);
}

#[test]
fn depth_is_granted_in_the_steps_that_there_are() {
    let bench = connected("{}");
    for (asked, granted) in [(5, 5), (20, 20), (30, 30), (50, 50), (200, 50), (1, 5), (29, 20)] {
        let outcome = bench.subscribe_depth(1, "NSE", "SBIN", Mode::Depth, asked);
        assert_eq!(outcome.depth, granted, "asked for {asked}");
    }
    assert_eq!(bench.subscribe(2, "NSE", "SBIN", Mode::Quote).depth, 0);
}

#[test]
fn an_index_comes_without_trades_and_with_an_empty_book() {
    let bench = connected("{}");
    assert_eq!(bench.subscribe(1, "NSE_INDEX", "NIFTY", Mode::Depth).depth, 0);
    let first = bench.wait_for_ticks(1, 1).remove(0);
    let Published::Depth(quote, buy, sell) = &first else { panic!("no book: {first:?}") };
    assert!(buy.is_empty() && sell.is_empty());
    let expected = field::LTP
        | field::EXCHANGE_TS
        | field::OPEN
        | field::HIGH
        | field::LOW
        | field::CLOSE
        | field::CHANGE
        | field::CHANGE_PERCENT;
    assert_eq!(quote.fields, expected | field::IMAGE | field::BOOK);
}

#[test]
fn what_is_not_listed_is_refused_by_name_even_before_the_login() {
    let bench = start(
        r#"{ "faults": { "connect_delay_ms": 60000 },
             "instruments_extra": [{ "exchange": "NSE", "symbol": "BADLUCK" }] }"#,
    );
    for (exchange, symbol) in [("NSE", "BAD1"), ("NSE", "BADLUCK"), ("NSE", "NOSUCH"), ("NASDAQ", "SBIN")] {
        let outcome = bench.subscribe(1, exchange, symbol, Mode::Ltp);
        assert_eq!(outcome.code, OutcomeCode::UNKNOWN_INSTRUMENT);
        assert_eq!(outcome.message.as_str(), format!("Symbol {symbol} not found"));
    }
    assert_eq!(bench.subscribe(2, "NSE", "SBIN", Mode::Ltp).code, OutcomeCode::ACCEPTED);
    assert!(bench.heard().statuses.iter().all(|event| event.kind == StatusKind::CONNECTING));
}

#[test]
fn two_instances_with_one_seed_say_the_same() {
    let prices = || {
        let bench = connected(r#"{ "seed": 11, "rate_hz": 200 }"#);
        bench.subscribe(1, "CRYPTO", "BTC_INR", Mode::Ltp);
        let ticks = bench.wait_for_ticks(1, 20);
        ticks.iter().take(20).map(|tick| quote_of(tick).ltp).collect::<Vec<_>>()
    };
    assert_eq!(prices(), prices());
}

#[test]
fn an_instrument_that_is_unsubscribed_falls_silent() {
    let bench = connected(r#"{ "rate_hz": 500 }"#);
    bench.subscribe(1, "NSE", "SBIN", Mode::Ltp);
    bench.subscribe(2, "NSE", "TCS", Mode::Ltp);
    bench.wait_for_ticks(1, 5);
    bench.unsubscribe(&[1]);
    // Commands are taken in order: with this outcome the one before it is done.
    bench.subscribe(3, "NSE", "INFY", Mode::Ltp);
    bench.forget();
    bench.wait_for_ticks(2, 50);
    assert!(bench.heard().ticks.iter().all(|tick| tick.instrument() != 1));
}

#[test]
fn many_due_ticks_share_a_batch() {
    let bench = connected(r#"{ "rate_hz": 1000 }"#);
    for (instrument, symbol) in (1_u32..).zip(["SBIN", "TCS", "INFY", "ITC", "LT", "WIPRO", "NTPC", "ONGC"]) {
        bench.subscribe(instrument, "NSE", symbol, Mode::Ltp);
    }
    bench.wait_for("a batch of several", |heard| heard.batches.iter().any(|size| *size >= 4).then_some(()));
}

#[test]
fn a_lost_connection_comes_back_with_its_subscriptions_and_the_day_goes_on() {
    let bench = connected(r#"{ "rate_hz": 50, "faults": { "disconnect_every_ms": 100 } }"#);
    bench.subscribe(1, "NSE", "SBIN", Mode::Quote);
    let lost = bench.wait_for_status(StatusKind::DISCONNECTED);
    assert_eq!(lost.code, ErrorCode::NETWORK);
    assert!(lost.retry_in_ms > 0 && lost.message.contains("disconnect_every_ms"));
    let before = bench.wait_for_ticks(1, 1).len();
    bench.wait_for("a second connection", |heard| {
        let connects = heard.statuses.iter().filter(|event| event.kind == StatusKind::CONNECTED);
        (connects.count() >= 2).then_some(())
    });
    let ticks = bench.wait_for_ticks(1, before + 5);
    let volumes: Vec<_> = ticks.iter().map(|tick| quote_of(tick).volume).collect();
    assert!(volumes.is_sorted(), "{volumes:?}");
    assert!(ticks.iter().all(|tick| quote_of(tick).open == quote_of(&ticks[0]).open));
}

#[test]
fn a_refused_login_is_an_authentication_error() {
    let bench = start(r#"{ "faults": { "auth_failure": "always" } }"#);
    let failed = bench.wait_for_status(StatusKind::AUTH_FAILED);
    assert_eq!((failed.code, failed.retry_in_ms), (ErrorCode::AUTH, 0));
    assert_eq!(bench.health().connects, 0);
}

#[test]
fn a_first_refused_login_is_followed_by_a_good_one() {
    let bench = start(r#"{ "faults": { "auth_failure": "first" } }"#);
    bench.wait_for_status(StatusKind::CONNECTED);
    let failures = bench.heard().statuses.into_iter().filter(|event| event.code == ErrorCode::AUTH);
    assert_eq!(failures.count(), 1);
}

#[test]
fn a_mute_connection_stays_up_and_sends_nothing() {
    let bench = connected(r#"{ "rate_hz": 500, "faults": { "mute_after_ms": 0 } }"#);
    bench.subscribe(1, "NSE", "SBIN", Mode::Ltp);
    // Twenty ticks of an instance that is not mute take longer than the same number here would.
    let other = connected(r#"{ "rate_hz": 500 }"#);
    other.subscribe(1, "NSE", "SBIN", Mode::Ltp);
    other.wait_for_ticks(1, 20);
    assert!(bench.heard().ticks.is_empty());
    assert!(bench.health().is_connected);
}

#[test]
fn stray_ticks_come_beside_the_others() {
    let bench = connected(r#"{ "rate_hz": 100, "faults": { "stray_ticks": true } }"#);
    bench.subscribe(1, "NSE", "SBIN", Mode::Quote);
    bench.wait_for_ticks(STRAY_INSTRUMENT, 3);
    bench.wait_for_ticks(1, 3);
}

#[test]
fn a_panic_ends_the_instance_and_nothing_else() {
    let calm = connected(r#"{ "rate_hz": 100 }"#);
    calm.subscribe(1, "NSE", "SBIN", Mode::Ltp);
    for stage in ["connect", "subscribe", "next"] {
        let bench = start(&format!(r#"{{ "rate_hz": 100, "faults": {{ "panic_in": "{stage}" }} }}"#));
        if stage != "connect" {
            bench.wait_for_status(StatusKind::CONNECTED);
            assert!(bench.subscribe(1, "NSE", "PANIC", Mode::Ltp).code.is_taken());
        }
        let failed = bench.wait_for_status(StatusKind::FAILED);
        assert_eq!(failed.code, ErrorCode::PANICKED, "{failed:?}");
        assert!(bench.shut_down(Duration::from_secs(5)));
    }
    calm.forget();
    calm.wait_for_ticks(1, 3);
}

#[test]
fn wrong_settings_are_refused_with_every_reason() {
    for (config, reasons) in [
        (r#"{ "rate_hz": 0, "latency_ms": 99999999 }"#, &["rate_hz is 0", "latency_ms is 99999999"][..]),
        (r#"{ "sed": 1 }"#, &["unknown field `sed`", "`seed`"]),
        (
            r#"{ "instruments_extra": [{ "exchange": "NSE", "symbol": "SBIN" }] }"#,
            &["NSE:SBIN, which exists already"],
        ),
    ] {
        let error = Bench::start::<Sim>(config).expect_err("must be refused");
        assert_eq!(error.code(), ErrorCode::CONFIG);
        for reason in reasons {
            assert!(error.to_string().contains(reason), "`{reason}` is not in: {error}");
        }
    }
}

#[test]
fn an_extra_instrument_trades() {
    let bench = connected(
        r#"{ "instruments_extra": [
            { "exchange": "NFO", "symbol": "NIFTY28NOV2624500CE", "price": 1600.55, "lot": 75 }
        ] }"#,
    );
    bench.subscribe(1, "NFO", "NIFTY28NOV2624500CE", Mode::Quote);
    let quote = quote_of(&bench.wait_for_ticks(1, 1)[0]);
    assert!((1_500..1_750).contains(&(quote.ltp / 1_000_000_000)), "{}", quote.ltp);
    assert_eq!(quote.last_quantity % 75, 0);
}
