//! Deep books.

use adapter_sdk::{
    Mode,
    abi::{ErrorCode, OutcomeCode, PRICE_SCALE, StatusKind, field},
    testing::{Bench, Heard, Published},
};
use serde_json::json;

use crate::broker::{Broker, Way, late_outcomes};

/// The latest book with so many levels on both sides.
fn book(heard: &Heard, instrument: u32, levels: usize) -> Option<(Vec<i64>, Vec<i64>)> {
    heard.ticks.iter().rev().find_map(|tick| match tick {
        Published::Depth(quote, buy, sell) if quote.instrument == instrument => {
            let prices =
                |side: &[adapter_sdk::abi::DepthLevel]| side.iter().map(|level| level.price).collect();
            (buy.len() == levels && sell.len() == levels).then(|| (prices(buy), prices(sell)))
        }
        _ => None,
    })
}

fn wait_for_book(bench: &Bench, instrument: u32, levels: usize) -> (Vec<i64>, Vec<i64>) {
    bench.wait_for(&format!("a book of {levels} levels"), |heard| book(heard, instrument, levels))
}

/// The prices that the broker sent last on a feed.
fn sent(broker: &Broker, symbol: &str, levels: u8) -> (Vec<i64>, Vec<i64>) {
    let values = broker.venue.sent("NSE", symbol, venues::Mode::Deep(levels)).unwrap();
    let scale = PRICE_SCALE / venues::PRICE_SCALE;
    let prices = |side: &venues::Side| {
        side.iter().take(levels.into()).map(|level| level.price * scale).collect::<Vec<i64>>()
    };
    (prices(&values.bids), prices(&values.asks))
}

#[test]
fn books_are_as_deep_as_was_granted_with_the_values_of_the_live_feed_beside_them() {
    let broker = Broker::start();
    let bench = broker.connected(&json!({"depth": 200}));
    let ask = |number, exchange, symbol, levels| {
        let outcome = bench.subscribe_depth(number, exchange, symbol, Mode::Depth, levels);
        assert_eq!(outcome.code, OutcomeCode::ACCEPTED);
        outcome.depth
    };
    assert_eq!(ask(1, "NSE", "SBIN", 20), 20);
    assert_eq!(ask(2, "NSE", "INFY", 200), 200);
    assert_eq!(ask(3, "NSE", "TCS", 200), 20);
    assert_eq!(ask(4, "NFO", "NIFTY24DEC30FUT", 50), 20);
    assert_eq!(ask(5, "BSE", "SBIN", 20), 5);
    assert_eq!(ask(6, "NSE_INDEX", "NIFTY", 20), 0);
    assert_eq!(ask(7, "NSE", "ITC", 5), 5);
    for (number, levels) in [(1, 20), (2, 200), (3, 20), (4, 20), (5, 5), (7, 5)] {
        wait_for_book(&bench, number, levels);
    }
    assert_eq!(wait_for_book(&bench, 1, 20), sent(&broker, "SBIN", 20));
    assert_eq!(wait_for_book(&bench, 2, 200), sent(&broker, "INFY", 200));
    // Price, volume and the rest come on the live feed, and reach those who want a book.
    bench.wait_for("a price beside a book", |heard| {
        heard.ticks.iter().find_map(|tick| match tick {
            Published::Depth(quote, buy, _) if quote.instrument == 1 && quote.fields & field::LTP != 0 => {
                assert!(buy.is_empty(), "the live feed's five levels must not replace twenty");
                assert_eq!(quote.fields & (field::BOOK | field::IMAGE), field::IMAGE, "nor empty them");
                assert_ne!(quote.fields & field::VOLUME, 0);
                Some(())
            }
            _ => None,
        })
    });
    assert!(bench.heard().ticks.iter().all(
        |tick| !matches!(tick, Published::Depth(quote, buy, _) if quote.instrument == 1 && buy.len() == 5)
    ));
    assert!(!format!("{:?}", bench.heard()).contains("canary"));
    let open = broker.venue.report().open;
    assert_eq!(open, 3, "live, 20 and 200 levels");
}

#[test]
fn a_book_that_nobody_wants_any_more_is_filtered_and_its_place_is_free() {
    let broker = Broker::start();
    let bench = broker.connected(&json!({"depth": 200}));
    let ask = |number, symbol| bench.subscribe_depth(number, "NSE", symbol, Mode::Depth, 200).depth;
    assert_eq!(ask(1, "SBIN"), 200);
    wait_for_book(&bench, 1, 200);
    bench.unsubscribe(&[1]);
    assert_eq!(ask(2, "INFY"), 200);
    assert_eq!(wait_for_book(&bench, 2, 200), sent(&broker, "INFY", 200));
    bench.forget();
    broker.venue.trade();
    wait_for_book(&bench, 2, 200);
    assert!(bench.heard().ticks.iter().all(|tick| tick.instrument() == 2));
    // A lesser mode leaves the depth feed too.
    bench.subscribe(2, "NSE", "INFY", Mode::Quote);
    assert_eq!(ask(3, "TCS"), 200);
    wait_for_book(&bench, 3, 200);
    bench.forget();
    broker.venue.trade();
    wait_for_book(&bench, 3, 200);
    assert!(
        bench
            .heard()
            .ticks
            .iter()
            .all(|tick| tick.instrument() == 3 || !matches!(tick, Published::Depth(..)))
    );
}

#[test]
fn the_fifty_first_of_a_socket_gets_five_levels() {
    let broker = Broker::start();
    let bench = broker.connected(&json!({"depth": 20}));
    let shares = broker.venue.some("NSE", 51);
    for (number, share) in (1..).zip(&shares) {
        let outcome = bench.subscribe_depth(number, "NSE", &share.symbol, Mode::Depth, 20);
        assert_eq!(outcome.depth, if number == 51 { 5 } else { 20 });
    }
    for number in [1, 25, 50] {
        wait_for_book(&bench, number, 20);
    }
    wait_for_book(&bench, 51, 5);
    assert_eq!(broker.venue.report().open, 2);
    // One goes, another comes: the socket takes no more, and is reopened.
    bench.unsubscribe(&[1]);
    let outcome = bench.subscribe_depth(51, "NSE", &shares[50].symbol, Mode::Depth, 20);
    assert_eq!(outcome.depth, 20);
    wait_for_book(&bench, 51, 20);
    wait_for_book(&bench, 50, 20);
    assert!(late_outcomes(&bench.heard(), 51).is_empty());
}

#[test]
fn a_lost_socket_leaves_five_levels_and_says_so_until_it_is_back() {
    let broker = Broker::start();
    let way = Way::to(&broker);
    let depth20_url = format!("ws://{}/twentydepth", way.address);
    let bench = broker.connected(&json!({"depth": 20, "depth20_url": depth20_url}));
    assert_eq!(bench.subscribe_depth(1, "NSE", "SBIN", Mode::Depth, 20).depth, 20);
    wait_for_book(&bench, 1, 20);
    bench.forget();
    way.cut();
    let granted = |levels: u16| {
        bench.wait_for(&format!("a grant of {levels} levels"), |heard| {
            let late = late_outcomes(heard, 1);
            late.first().filter(|one| one.code == OutcomeCode::ACCEPTED && one.depth == levels).map(|_| ())
        });
    };
    granted(5);
    // What is fed no more is gone at once, and not when the live feed's next book comes.
    wait_for_book(&bench, 1, 0);
    wait_for_book(&bench, 1, 5);
    let levels = |tick: &Published| match tick {
        Published::Depth(quote, buy, _) if quote.fields & field::BOOK != 0 => Some(buy.len()),
        _ => None,
    };
    let seen: Vec<usize> =
        bench.heard().ticks.iter().filter_map(levels).skip_while(|count| *count == 20).collect();
    assert!(seen.starts_with(&[0, 5]), "{seen:?}");
    assert!(!format!("{:?}", bench.heard()).contains("canary"));
    assert_eq!(bench.health().connects, 1, "the live feed does not notice");
    bench.forget();
    way.mend();
    granted(20);
    assert_eq!(wait_for_book(&bench, 1, 20), sent(&broker, "SBIN", 20));
    // And the live feed brings a quote again, without a book.
    bench.forget();
    broker.venue.trade();
    wait_for_book(&bench, 1, 20);
    assert!(book(&bench.heard(), 1, 5).is_none());
}

#[test]
fn a_feed_that_the_account_is_not_entitled_to_is_not_promised_again() {
    let broker = Broker::start();
    let bench = broker.connected(&json!({"depth": 20}));
    broker.venue.refuse(venues::Refusal { is_rest: false, status: 401, times: 1_000 });
    assert_eq!(bench.subscribe_depth(1, "NSE", "SBIN", Mode::Depth, 20).depth, 20);
    bench.wait_for("a grant of 5 levels", |heard| {
        late_outcomes(heard, 1).first().filter(|one| one.depth == 5).map(|_| ())
    });
    wait_for_book(&bench, 1, 5);
    assert_eq!(bench.subscribe_depth(2, "NSE", "INFY", Mode::Depth, 20).depth, 5);
    wait_for_book(&bench, 2, 5);
    assert_eq!(bench.health().connects, 1);
}

#[test]
fn one_socket_too_many_ends_the_oldest_connection_and_none_of_the_others() {
    let broker = Broker::start();
    let [oldest, other, newest] = [(); 3].map(|()| broker.connected(&json!({"depth": 20})));
    for bench in [&oldest, &other, &newest] {
        assert_eq!(bench.subscribe_depth(1, "NSE", "SBIN", Mode::Depth, 20).depth, 20);
        wait_for_book(bench, 1, 20);
    }
    let status = oldest.wait_for_status(StatusKind::DISCONNECTED);
    assert_eq!(status.code, ErrorCode::RATE_LIMITED, "{}", status.message);
    assert!(status.message.contains("five sockets") && status.retry_in_ms >= 30_000, "{status:?}");
    for bench in [&other, &newest] {
        bench.forget();
        broker.venue.trade();
        wait_for_book(bench, 1, 20);
        assert_eq!(bench.health().connects, 1);
    }
}
