//! The live feed.

use std::{
    fs,
    time::{Duration, SystemTime},
};

use adapter_sdk::{
    Mode,
    abi::{OutcomeCode, PRICE_SCALE, StatusKind, field},
    testing::{Published, SOON, assert_two_names},
};
use serde_json::json;

use crate::broker::{Broker, quote};

#[test]
fn books_quotes_and_indices_come_as_they_were_sent() {
    let broker = Broker::start();
    let bench = broker.connected(&json!({}));
    let book = bench.subscribe(1, "NSE", "SBIN", Mode::Depth);
    assert_eq!((book.code, book.depth), (OutcomeCode::ACCEPTED, 5));
    let index = bench.subscribe(2, "NSE_INDEX", "NIFTY", Mode::Depth);
    assert_eq!((index.code, index.depth), (OutcomeCode::ACCEPTED, 0));
    assert_eq!(bench.subscribe(3, "NSE", "NOSUCH", Mode::Ltp).code, OutcomeCode::UNKNOWN_INSTRUMENT);
    assert_eq!(bench.subscribe(4, "BSE_INDEX", "SENSEX", Mode::Quote).code, OutcomeCode::ACCEPTED);
    let expired = bench.subscribe(5, "NFO", "NIFTY30JAN2523500CE", Mode::Ltp);
    assert_eq!(expired.code, OutcomeCode::UNKNOWN_INSTRUMENT);
    assert!(expired.message.contains("expired"), "{}", expired.message);
    bench.wait_for("a book", |heard| {
        heard.ticks.iter().find_map(|tick| match tick {
            Published::Depth(quote, buy, sell) if quote.instrument == 1 => {
                assert_eq!((buy.len(), sell.len()), (5, 5));
                assert_eq!(Some(quote.ltp), broker.sent_ltp("NSE", "SBIN", venues::Mode::Full));
                Some(())
            }
            _ => None,
        })
    });
    for (number, exchange, symbol) in [(2, "NSE_INDEX", "NIFTY"), (4, "BSE_INDEX", "SENSEX")] {
        for tick in bench.wait_for_ticks(number, 1) {
            assert_eq!(matches!(tick, Published::Depth(..)), number == 2, "{tick:?}");
            let quote = quote(&tick).unwrap();
            assert_eq!(Some(quote.ltp), broker.sent_ltp(exchange, symbol, venues::Mode::Quote));
            // The broker fills their packets up with zeros.
            let of_trades = field::VOLUME | field::OI | field::TOTAL_BUY_QUANTITY | field::AVERAGE_PRICE;
            assert_eq!(quote.fields & of_trades, 0);
        }
    }
}

#[test]
fn two_names_of_one_instrument_tick_each_under_its_own_number() {
    let broker = Broker::start();
    let bench = broker.connected(&json!({}));
    assert_two_names(&bench, "NSE", ["SBIN", "SBIN-EQ"], || broker.venue.trade());
}

#[test]
fn what_comes_apart_is_merged() {
    let broker = Broker::start();
    let bench = broker.connected(&json!({}));
    bench.subscribe(1, "NFO", "NIFTY24DEC30FUT", Mode::Quote);
    bench.subscribe(2, "NSE", "SBIN", Mode::Quote);
    let sent = |exchange, symbol| {
        broker.venue.sent(exchange, symbol, venues::Mode::Quote).filter(|values| values.ltp != 0)
    };
    // The close of the day before is in the first quote, and in those that follow it.
    let mut before = None;
    for _ in 0..2 {
        for (number, exchange, symbol) in [(1, "NFO", "NIFTY24DEC30FUT"), (2, "NSE", "SBIN")] {
            let ticks = bench.wait_for_ticks(number, 1);
            let first = quote(&ticks[0]).unwrap();
            assert_eq!(first.fields & (field::LTP | field::CLOSE), field::LTP | field::CLOSE);
            let close = sent(exchange, symbol).unwrap().close * (PRICE_SCALE / venues::PRICE_SCALE);
            assert_eq!((first.close, first.prev_close), (close, close));
            assert_ne!(first.fields & field::IMAGE, 0);
        }
        // A quote is an image, and takes the open interest along that came before it.
        let first = quote(&bench.wait_for_ticks(1, 1)[0]).copied().unwrap();
        assert_eq!((first.fields & field::OI != 0).then_some(first.oi), before);
        // Alone it says nothing of a price that it does not have.
        let alone = bench.wait_for("open interest", |heard| {
            let mut of = heard.ticks.iter().filter(|tick| tick.instrument() == 1).filter_map(quote);
            of.find(|quote| quote.fields == field::OI).map(|quote| quote.oi)
        });
        assert_eq!(alone, sent("NFO", "NIFTY24DEC30FUT").unwrap().oi);
        before = Some(alone);
        bench.forget();
        broker.venue.trade();
    }
    // A share has none.
    let shares = bench.wait_for_ticks(2, 1);
    assert!(shares.iter().filter_map(quote).all(|quote| quote.fields & field::OI == 0));
}

#[test]
fn what_is_of_no_kind_that_is_known_is_passed_over_and_what_is_broken_is_counted() {
    let broker = Broker::start();
    let bench = broker.connected(&json!({}));
    bench.subscribe(1, "NSE", "SBIN", Mode::Ltp);
    bench.wait_for_ticks(1, 1);
    for (code, bytes) in [(0, 8), (1, 40), (3, 112), (200, 30)] {
        broker.venue.own(&json!({"unknown": {"code": code, "bytes": bytes}})).unwrap();
    }
    broker.venue.own(&json!({"market_status": "NSE_EQ"})).unwrap();
    broker.venue.text("a word");
    bench.forget();
    broker.venue.trade();
    bench.wait_for_ticks(1, 1);
    assert_eq!(bench.health().undecodable, 0);
    broker.venue.binary(&[2, 16, 0]);
    broker.venue.binary(&[2, 16, 0, 6, 1, 0, 0, 0, 0, 0, 128, 63, 0, 0, 0, 0]);
    bench.forget();
    broker.venue.trade();
    bench.wait_for_ticks(1, 1);
    assert_eq!(bench.health().undecodable, 2);
    assert_eq!(bench.health().connects, 1);
}

#[test]
fn how_the_bytes_are_cut_up_does_not_matter() {
    let broker = Broker::start();
    for bytes in [1, 7, 1_000] {
        broker.venue.set_split(bytes);
        broker.venue.set_fragmented(bytes > 1);
        broker.venue.set_stacked(bytes > 7);
        let bench = broker.connected(&json!({}));
        for (number, symbol) in [(1, "SBIN"), (2, "INFY"), (3, "MRF")] {
            bench.subscribe(number, "NSE", symbol, Mode::Depth);
            let ticks = bench.wait_for_ticks(number, 1);
            let sent = broker.sent_ltp("NSE", symbol, venues::Mode::Full);
            assert_eq!(quote(&ticks[0]).map(|quote| quote.ltp), sent);
        }
        bench.forget();
        broker.venue.trade();
        for (number, symbol) in [(1, "SBIN"), (2, "INFY"), (3, "MRF")] {
            let ticks = bench.wait_for_ticks(number, 1);
            let sent = broker.sent_ltp("NSE", symbol, venues::Mode::Full);
            assert_eq!(quote(&ticks[0]).map(|quote| quote.ltp), sent);
        }
        assert_eq!(bench.health().undecodable, 0);
    }
}

#[test]
fn everything_is_subscribed_in_messages_of_a_hundred_and_again_after_a_loss() {
    let broker = Broker::start();
    let bench = broker.connected(&json!({}));
    let shares = broker.venue.some("NSE", 250);
    for (number, share) in (1..).zip(&shares) {
        let mode = [Mode::Ltp, Mode::Quote, Mode::Depth][number as usize % 3];
        assert!(bench.subscribe(number, "NSE", &share.symbol, mode).code.is_taken());
    }
    let all = || {
        bench.wait_for("a tick of each", |heard| {
            let ticked: std::collections::BTreeSet<u32> =
                heard.ticks.iter().map(Published::instrument).collect();
            (ticked.len() >= shares.len()).then_some(())
        });
    };
    all();
    bench.forget();
    broker.venue.disconnect();
    bench.wait_for_status(StatusKind::CONNECTED);
    bench.forget();
    all();
    let report = broker.venue.report();
    assert!(report.subscribes.iter().all(|count| *count <= 100), "{:?}", report.subscribes);
    assert_eq!(report.subscribed.len(), shares.len());
}

#[test]
fn a_mode_that_was_left_does_not_come_back_by_late_packets() {
    let broker = Broker::start();
    let bench = broker.connected(&json!({}));
    bench.subscribe(1, "NSE", "SBIN", Mode::Depth);
    bench.wait_for_ticks(1, 1);
    bench.subscribe(1, "NSE", "SBIN", Mode::Ltp);
    let of_ltp = |heard: &adapter_sdk::testing::Heard| {
        heard.ticks.iter().any(|tick| matches!(tick, Published::Ltp(_))).then_some(())
    };
    bench.wait_for("a last price", of_ltp);
    bench.forget();
    let values = broker.venue.sent("NSE", "SBIN", venues::Mode::Full).unwrap();
    broker.venue.stray(&[("NSE", "SBIN", venues::Mode::Full, values)]).unwrap();
    bench.wait_for_ticks(1, 1);
    assert!(bench.heard().ticks.iter().all(|tick| matches!(tick, Published::Ltp(_))));
    bench.unsubscribe(&[1]);
    bench.subscribe(2, "NSE", "INFY", Mode::Ltp);
    bench.wait_for_ticks(2, 1);
    bench.forget();
    let values = broker.venue.sent("NSE", "SBIN", venues::Mode::Full).unwrap();
    broker.venue.stray(&[("NSE", "SBIN", venues::Mode::Full, values)]).unwrap();
    broker.venue.trade();
    bench.wait_for_ticks(2, 1);
    assert!(bench.heard().ticks.iter().all(|tick| tick.instrument() == 2));
}

/// Makes the list on disk one of three days ago, in which SBIN and MRF have each other's ids and ITC is not
/// listed.
fn make_list_old(broker: &Broker) {
    broker.connected(&json!({})).shut_down(SOON);
    let folder = broker.cache.path().join("dhan");
    let mut files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let path = files.find(|path| path.extension().is_none()).unwrap();
    let id = |symbol| (broker.venue.key("NSE", symbol).unwrap() & 0xffff_ffff).to_string();
    let (sbin, mrf) = (id("SBIN"), id("MRF"));
    let rows = fs::read_to_string(&path).unwrap();
    let rows = rows.lines().filter(|row| !row.contains(",ITC,"));
    let rows = rows.map(|row| {
        let mut cells: Vec<&str> = row.split(',').collect();
        if row.starts_with("NSE,E,") && cells[2] == sbin {
            cells[2] = &mrf;
        } else if row.starts_with("NSE,E,") && cells[2] == mrf {
            cells[2] = &sbin;
        }
        cells.join(",") + "\n"
    });
    fs::write(&path, rows.collect::<String>()).unwrap();
    let file = fs::File::options().write(true).open(&path).unwrap();
    file.set_modified(SystemTime::now() - Duration::from_hours(72)).unwrap();
}

/// Whether a tick shows a price that its instrument can have. MRF costs a hundred times as much as SBIN.
fn is_plausible(tick: &Published, symbol: &str) -> bool {
    let rupees = quote(tick).unwrap().ltp / PRICE_SCALE;
    match symbol {
        "SBIN" => (500..2_000).contains(&rupees),
        "MRF" => (50_000..300_000).contains(&rupees),
        _ => (300..900).contains(&rupees),
    }
}

#[test]
fn ids_of_another_day_never_show_a_strange_price() {
    let broker = Broker::start();
    make_list_old(&broker);
    let bench = broker.connect(&json!({}), "canary-token");
    assert_eq!(bench.subscribe(4, "NSE", "NOSUCH", Mode::Quote).code, OutcomeCode::UNKNOWN_INSTRUMENT);
    for (number, symbol) in [(1, "SBIN"), (2, "MRF"), (3, "ITC")] {
        assert!(bench.subscribe(number, "NSE", symbol, Mode::Quote).code.is_taken());
        let ticks = bench.wait_for_ticks(number, 1);
        assert!(ticks.iter().all(|tick| is_plausible(tick, symbol)), "{symbol}: {ticks:?}");
    }
}

#[test]
fn a_new_list_moves_what_is_subscribed_to_its_new_ids() {
    let broker = Broker::start();
    make_list_old(&broker);
    // Not to be had at first; the operator has said that an old one is good enough.
    broker.venue.refuse(venues::Refusal { is_rest: true, status: 503, times: 1 });
    let bench = broker.connected(&json!({"outdated_list": "use"}));
    for (number, symbol) in [(1, "SBIN"), (2, "MRF")] {
        assert!(bench.subscribe(number, "NSE", symbol, Mode::Quote).code.is_taken());
    }
    for (number, symbol) in [(1, "SBIN"), (2, "MRF")] {
        bench.wait_for("the right price", |heard| {
            let mut of = heard.ticks.iter().filter(|tick| tick.instrument() == number);
            of.any(|tick| is_plausible(tick, symbol)).then_some(())
        });
    }
    bench.forget();
    broker.venue.trade();
    for (number, symbol) in [(1, "SBIN"), (2, "MRF")] {
        let ticks = bench.wait_for_ticks(number, 1);
        assert!(ticks.iter().all(|tick| is_plausible(tick, symbol)), "{symbol}: {ticks:?}");
    }
    assert_eq!(bench.health().connects, 1);
}

#[test]
fn a_list_that_cannot_be_had_keeps_it_from_connecting_unless_the_operator_says_otherwise() {
    let broker = Broker::start();
    broker.connected(&json!({})).shut_down(SOON);
    let folder = broker.cache.path().join("dhan");
    for entry in fs::read_dir(folder).unwrap() {
        let file = fs::File::options().write(true).open(entry.unwrap().path()).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_hours(72)).unwrap();
    }
    let refusal = venues::Refusal { is_rest: true, status: 503, times: 1_000 };
    broker.venue.refuse(refusal);
    let bench = broker.connect(&json!({}), "canary-token");
    let status = bench.wait_for_status(StatusKind::DISCONNECTED);
    assert!(status.message.contains("503"), "{}", status.message);
    drop(bench);
    let bench = broker.connected(&json!({"outdated_list": "use"}));
    bench.subscribe(1, "NSE", "SBIN", Mode::Ltp);
    bench.wait_for_ticks(1, 1);
}
