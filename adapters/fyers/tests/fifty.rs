//! Books of fifty levels, against a broker on this machine.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests fail by panicking")]

#[path = "broker/harness.rs"]
mod harness;

use adapter_sdk::{
    Mode,
    abi::OutcomeCode,
    testing::{Bench, Published},
};
use serde_json::json;

use self::harness::{Book, Broker, later, wait_for_book};

fn wait_for_depth(bench: &Bench, instrument: u32, depth: u16) {
    bench.wait_for("another depth", |heard| {
        let mut late = heard.outcomes.iter().filter(|(request, _)| *request == 0);
        late.any(|(_, outcome)| (outcome.instrument, outcome.depth) == (instrument, depth)).then_some(())
    });
}

#[test]
fn fifty_levels_come_by_their_own_socket_for_as_many_as_it_takes() {
    let broker = Broker::start();
    let bench = broker.connected(&json!({ "depth_50": true }));
    for (number, symbol) in (1..).zip(["SBIN", "INFY", "MRF", "ITC", "TCS"]) {
        let outcome = bench.subscribe_depth(number, "NSE", symbol, Mode::Depth, 50);
        assert_eq!((outcome.code, outcome.depth), (OutcomeCode::ACCEPTED, 50), "{symbol}");
    }
    // Where the broker has no more levels, or no more room, there are five.
    assert_eq!(bench.subscribe_depth(6, "BSE", "SBIN", Mode::Depth, 50).depth, 5);
    assert_eq!(bench.subscribe_depth(7, "NSE", "RELIANCE", Mode::Depth, 50).depth, 50);
    assert_eq!(later(&bench, 7).depth, 5);
    for number in [6, 7] {
        let (_, buy, _) = wait_for_book(&bench, number, |_| true);
        assert_eq!(buy.len(), 5);
    }
    wait_for_book(&bench, 1, |(_, buy, _)| buy.len() > 5);
    broker.book("SBIN", 777, 50);
    let (quote, buy, sell) =
        wait_for_book(&bench, 1, |(_, buy, _)| buy.first().is_some_and(|best| best.price == 776_950_000_000));
    assert_eq!((buy.len(), sell.len()), (50, 50));
    assert_eq!((sell[49].price, sell[49].quantity), (779_500_000_000, 60));
    assert!(quote.ltp > 0, "with the price of the data socket beside it");
}

#[test]
fn a_change_that_is_lost_leads_to_a_whole_book() {
    let broker = Broker::start();
    let bench = broker.connected(&json!({ "depth_50": true }));
    bench.subscribe_depth(1, "NSE", "SBIN", Mode::Depth, 50);
    wait_for_book(&bench, 1, |(_, buy, _)| buy.len() > 5);
    let best = |(_, buy, _): &Book| buy.first().filter(|_| buy.len() > 5).map(|best| best.price);
    broker.book("SBIN", 700, 50);
    wait_for_book(&bench, 1, |book| best(book) == Some(699_950_000_000));
    broker.own(&json!({ "lose": 1 }));
    broker.venue.trade();
    broker.venue.trade();
    // It is subscribed again, and begins with what the broker has by now; until then there is the one of five
    // levels.
    bench.wait_for("another whole book", |heard| {
        let deep = heard.ticks.iter().rev().find_map(|tick| match tick {
            Published::Depth(quote, buy, sell) => best(&(*quote, buy.clone(), sell.clone())),
            _ => None,
        });
        let has_gap = heard.logs.iter().any(|(_, line)| line.contains("asking for the whole book"));
        (has_gap && deep != Some(699_950_000_000)).then_some(())
    });
    broker.book("SBIN", 777, 50);
    let (_, buy, sell) = wait_for_book(&bench, 1, |(_, buy, _)| {
        buy.len() == 50 && buy.first().is_some_and(|best| best.price == 776_950_000_000)
    });
    assert_eq!((buy[49].price, sell[49].price), (774_500_000_000, 779_500_000_000));
}

#[test]
fn without_the_second_socket_there_are_five_levels_and_clients_know_it() {
    let broker = Broker::start();
    let address = broker.venue.address();
    let nowhere = format!("ws://{address}/nowhere");
    let bench = broker.connected(&json!({ "depth_50": true, "tbt_url": nowhere }));
    assert_eq!(bench.subscribe_depth(1, "NSE", "SBIN", Mode::Depth, 50).depth, 50);
    wait_for_depth(&bench, 1, 5);
    let (_, buy, _) = wait_for_book(&bench, 1, |_| true);
    assert_eq!(buy.len(), 5);
}
