//! Lists of instruments that lack something, while a connection is up.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests fail by panicking")]

use std::fs;

use adapter_sdk::{
    Mode,
    abi::{OutcomeCode, StatusKind},
    testing::{Bench, FileServer, SOON},
};
use adapter_zerodha::Zerodha;
use serde_json::{Value, json};
use venues::{Options, zerodha::Venue};

const KEYS: [(&str, &str); 2] = [("api_key", "testkey"), ("access_token", "canary-token")];
const FUTURE: &str = "NIFTY24DEC30FUT";

fn wait_for_list(bench: &Bench, is_whole: bool) -> Value {
    bench.wait_for("a list", |heard| {
        let last: Value = serde_json::from_str(heard.lists.last()?).unwrap();
        (last["is_whole"] == is_whole).then_some(last)
    })
}

#[test]
fn half_a_list_at_noon_ends_nothing_that_is_live() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let options = Options { rate_hz: 0.0, instruments: 1_000, ..Options::default() };
    let venue = runtime.block_on(Venue::start(options.accepting(&KEYS))).unwrap();
    let (server, cache) = (FileServer::start().unwrap(), tempfile::tempdir().unwrap());
    let connected = |instruments_url: String| {
        let config = json!({
            "ws_url": format!("ws://{}", venue.address()), "api_url": format!("http://{}", venue.address()),
            "instruments_url": instruments_url, "cache_dir": cache.path(), "batch_interval_ms": 10,
        });
        let keys = r#"{"access_token":"testkey:canary-token"}"#;
        let bench = Bench::start_with::<Zerodha>(&config.to_string(), keys).unwrap();
        bench.wait_for_status(StatusKind::CONNECTED);
        bench
    };
    connected(format!("http://{}/instruments", venue.address())).shut_down(SOON);
    let copies = fs::read_dir(cache.path().join("zerodha")).unwrap().map(|entry| entry.unwrap().path());
    let copy = copies.into_iter().find(|path| path.extension().is_none()).unwrap();
    let whole = fs::read_to_string(copy).unwrap();
    let (header, rows) = whole.split_once('\n').unwrap();
    let rows: Vec<&str> = rows.lines().collect();
    let list = |rows: &[&str]| format!("{header}\n{}\n", rows.join("\n"));

    server.show("/instruments", whole.as_str());
    let bench = connected(server.url("/instruments"));
    for (number, exchange, symbol) in [(1, "NFO", FUTURE), (2, "NSE", "SBIN"), (3, "NSE_INDEX", "NIFTY")] {
        assert!(bench.subscribe(number, exchange, symbol, Mode::Quote).code.is_taken());
    }
    // The first half, the last half, every other row, and a list whose last row was cut off.
    let every_other: Vec<&str> = rows.iter().copied().step_by(2).collect();
    let every_other_one: Vec<&str> = rows.iter().copied().skip(1).step_by(2).collect();
    let (first, last) = rows.split_at(rows.len() / 2);
    let cut = list(first);
    for half in
        [list(first), list(last), list(&every_other), list(&every_other_one), cut.trim_end().to_owned()]
    {
        server.show("/instruments", half);
        let said = bench.heard().lists.len();
        bench.renew_list();
        bench.wait_for("a list", |heard| (heard.lists.len() > said).then_some(()));
        assert!(!wait_for_list(&bench, false)["troubles"].as_array().unwrap().is_empty());
    }
    let before = bench.heard().ticks.len();
    venue.trade();
    bench.wait_for("ticks of all", |heard| {
        let new = heard.ticks.get(before..)?;
        [1, 2, 3].iter().all(|number| new.iter().any(|tick| tick.instrument() == *number)).then_some(())
    });
    assert!(bench.heard().outcomes.iter().all(|(_, outcome)| outcome.code.is_taken()));
    let unknown = bench.subscribe(4, "NFO", "NIFTY99DEC30FUT", Mode::Ltp);
    assert_eq!(unknown.code, OutcomeCode::UNKNOWN_INSTRUMENT);
    assert!(unknown.message.contains("incomplete at the moment"), "{}", unknown.message);

    server.show("/instruments", whole.as_str());
    bench.renew_list();
    wait_for_list(&bench, true);
}
