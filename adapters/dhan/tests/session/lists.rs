//! Lists of instruments that lack something.

use std::fs;

use adapter_sdk::{
    Mode,
    abi::{OutcomeCode, StatusKind},
    testing::{Bench, FileServer, SOON},
};
use serde_json::{Value, json};

use crate::broker::Broker;

const FUTURE: &str = "NIFTY24DEC30FUT";

/// The list of the venue, and one of the same without the rows of the derivatives segment.
fn lists(broker: &Broker) -> (String, String) {
    broker.connected(&json!({})).shut_down(SOON);
    let files = fs::read_dir(broker.cache.path().join("dhan")).unwrap().map(|entry| entry.unwrap().path());
    let copy = files.into_iter().find(|path| path.extension().is_none()).unwrap();
    let whole = fs::read_to_string(copy).unwrap();
    let torn: String = whole.split_inclusive('\n').filter(|row| !row.starts_with("NSE,D,")).collect();
    (whole, torn)
}

fn wait_for_list(bench: &Bench, is_whole: bool) -> Value {
    bench.wait_for("a list", |heard| {
        let last: Value = serde_json::from_str(heard.lists.last()?).unwrap();
        (last["is_whole"] == is_whole).then_some(last)
    })
}

#[test]
fn a_first_list_without_derivatives_is_asked_for_again() {
    let broker = Broker::start();
    let (whole, torn) = lists(&broker);
    let (server, cache) = (FileServer::start().unwrap(), tempfile::tempdir().unwrap());
    server.show("/list", torn);
    let config = json!({"instruments_url": server.url("/list"), "cache_dir": cache.path()});
    let bench = broker.connected(&config);
    let state = wait_for_list(&bench, false);
    assert_eq!(state["troubles"][0]["segment"], "NFO", "{state}");
    let refused = bench.subscribe(1, "NFO", FUTURE, Mode::Ltp);
    assert_eq!(refused.code, OutcomeCode::UNKNOWN_INSTRUMENT);
    assert!(refused.message.contains("incomplete at the moment (NFO)"), "{}", refused.message);
    assert!(bench.subscribe(2, "NSE", "SBIN", Mode::Ltp).code.is_taken());

    // A restart asks at once, and so does the operator.
    bench.shut_down(SOON);
    let asked = server.requests();
    let bench = broker.connected(&config);
    wait_for_list(&bench, false);
    assert_eq!(server.requests(), asked + 1);
    server.show("/list", whole);
    bench.renew_list();
    wait_for_list(&bench, true);
    assert!(bench.subscribe(1, "NFO", FUTURE, Mode::Ltp).code.is_taken());
    broker.venue.trade();
    bench.wait_for_ticks(1, 1);
    assert!(bench.subscribe(3, "NFO", "NIFTY99DEC30FUT", Mode::Ltp).message.ends_with("on NFO"));
}

#[test]
fn what_is_live_stays_when_a_list_lacks_it_and_what_is_really_gone_ends() {
    let broker = Broker::start();
    let (whole, torn) = lists(&broker);
    let (server, cache) = (FileServer::start().unwrap(), tempfile::tempdir().unwrap());
    server.show("/list", whole.as_str());
    let config = json!({"instruments_url": server.url("/list"), "cache_dir": cache.path()});
    let bench = broker.connected(&config);
    assert!(bench.subscribe(1, "NFO", FUTURE, Mode::Ltp).code.is_taken());
    broker.venue.trade();
    bench.wait_for_ticks(1, 1);
    server.show("/list", torn);
    bench.renew_list();
    wait_for_list(&bench, false);
    // Also what nobody has asked for yet, and after a restart.
    assert!(bench.subscribe(2, "NFO", "BANKNIFTY24DEC30FUT", Mode::Ltp).code.is_taken());
    let before = bench.heard().ticks.len();
    broker.venue.trade();
    bench.wait_for("ticks of both", |heard| {
        let new = heard.ticks.get(before..)?;
        [1, 2].iter().all(|number| new.iter().any(|tick| tick.instrument() == *number)).then_some(())
    });
    assert!(bench.heard().outcomes.iter().all(|(_, outcome)| outcome.code.is_taken()));
    assert!(bench.heard().statuses.iter().all(|event| event.kind != StatusKind::DISCONNECTED));
    bench.shut_down(SOON);
    let bench = broker.connected(&config);
    wait_for_list(&bench, false);
    assert!(bench.subscribe(1, "NFO", FUTURE, Mode::Ltp).code.is_taken());

    // One row less is no reason for doubt.
    let gone: String =
        whole.split_inclusive('\n').filter(|row| !row.contains(",NIFTY-Dec2030-FUT,")).collect();
    assert_ne!(gone, whole);
    server.show("/list", gone);
    bench.renew_list();
    wait_for_list(&bench, true);
    bench.wait_for("the end of the future", |heard| {
        let last = heard.outcomes.iter().rev().find(|(_, outcome)| outcome.instrument == 1)?;
        (last.1.code == OutcomeCode::UNKNOWN_INSTRUMENT).then_some(())
    });
}
