//! Lists of instruments, of which one file is no good.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests fail by panicking")]

#[path = "broker/harness.rs"]
mod harness;

use adapter_sdk::{
    Mode,
    abi::OutcomeCode,
    testing::{Bench, FileServer},
};
use serde_json::{Value, json};

use self::harness::Broker;

const CASH: &str = "\
10100000003045,STATE BANK OF INDIA,0,1,0.05,,0915-1530:,2026-10-03,,NSE:SBIN-EQ,10,10,3045,SBIN,3045,-1.0,XX,None,None,0,0.0
";
const CURRENCY: &str = "\
10129912291234,USDINR 29 Dec 99 FUT,16,1,0.0025,,0900-1700:,2026-10-03,4102182000,NSE:USDINR99DECFUT,10,12,1234,USDINR,1,-1.0,XX,None,None,0,0.0
";
const FUTURE: &str = "USDINR29DEC99FUT";

fn wait_for_list(bench: &Bench, is_whole: bool) -> Value {
    bench.wait_for("a list", |heard| {
        let last: Value = serde_json::from_str(heard.lists.last()?).unwrap();
        (last["is_whole"] == is_whole).then_some(last)
    })
}

#[test]
fn one_empty_file_leaves_the_other_segments_serving_and_is_named() {
    let (broker, server) = (Broker::start(), FileServer::start().unwrap());
    let config =
        json!({"instruments_url": server.url(""), "lists": ["NSE_CM", "NSE_CD"], "symbol_tokens": "list"});
    server.show("/NSE_CM.csv", CASH);
    for damaged in ["", "<html>maintenance</html>"] {
        server.show("/NSE_CD.csv", damaged);
        let bench = broker.connected(&config);
        let state = wait_for_list(&bench, false);
        assert_eq!(state["troubles"][0]["segment"], "NSE_CD", "{state}");
        let reason = state["troubles"][0]["reason"].as_str().unwrap();
        assert!(reason.contains("file NSE_CD.csv of the list cannot be had"), "{reason}");
        assert!(bench.subscribe(1, "NSE", "SBIN", Mode::Ltp).code.is_taken());
        let refused = bench.subscribe(2, "CDS", FUTURE, Mode::Ltp);
        assert_eq!(refused.code, OutcomeCode::UNKNOWN_INSTRUMENT);
        assert!(refused.message.contains("incomplete at the moment (NSE_CD)"), "{}", refused.message);
    }
    server.show("/NSE_CD.csv", CURRENCY);
    let bench = broker.connected(&config);
    wait_for_list(&bench, true);
    assert!(bench.subscribe(2, "CDS", FUTURE, Mode::Ltp).code.is_taken());
    // The last good copy serves for one that comes to nothing now.
    server.show("/NSE_CD.csv", "");
    bench.renew_list();
    let state = wait_for_list(&bench, false);
    assert!(state["troubles"][0]["reason"].as_str().unwrap().contains("last good copy is used"), "{state}");
    assert!(bench.subscribe(3, "CDS", FUTURE, Mode::Quote).code.is_taken());
    assert!(bench.heard().outcomes.iter().all(|(_, outcome)| outcome.code.is_taken()));
}
