//! Lists of instruments that are torn or damaged: what they lack is held or refused, and comes back when they
//! are whole.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests fail by panicking")]

use adapter_angel::AngelOne;
use adapter_sdk::{
    Mode,
    abi::{OutcomeCode, StatusKind},
    testing::{Bench, FileServer, SOON},
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use venues::{Options, angel::Venue};

const KEYS: [(&str, &str); 4] = [
    ("client_code", "A123456"),
    ("api_key", "key-of-the-app"),
    ("auth_token", "canary-jwt"),
    ("feed_token", "canary-feed"),
];
const FUTURE: &str = "NIFTY24DEC30FUT";

/// A broker whose list of instruments is what the test shows.
struct Place {
    venue: Venue,
    server: FileServer,
    cache: TempDir,
    /// The list that the broker has made, an object in each.
    rows: Vec<String>,
    /// After the venue, which runs in it.
    _runtime: Runtime,
}

impl Place {
    fn start() -> Self {
        let runtime = Runtime::new().unwrap();
        let options = Options { rate_hz: 0.0, instruments: 1_000, ..Options::default() };
        let venue = runtime.block_on(Venue::start(options.accepting(&KEYS))).unwrap();
        let mut place = Self {
            venue,
            server: FileServer::start().unwrap(),
            cache: tempfile::tempdir().unwrap(),
            rows: Vec::new(),
            _runtime: runtime,
        };
        // The broker's own list is the copy that a connection leaves on disk.
        let other_cache = tempfile::tempdir().unwrap();
        let url = format!("http://{}/OpenAPI_File/files/OpenAPIScripMaster.json", place.venue.address());
        place.connect(&url, &other_cache).shut_down(SOON);
        let copies = std::fs::read_dir(other_cache.path().join("angel")).unwrap();
        let copy = copies.map(|entry| entry.unwrap().path()).find(|path| path.extension().is_none()).unwrap();
        let rows: Vec<Value> = serde_json::from_slice(&std::fs::read(copy).unwrap()).unwrap();
        place.rows = rows.iter().map(Value::to_string).collect();
        place
    }

    fn connect(&self, instruments_url: &str, cache: &TempDir) -> Bench {
        let address = self.venue.address();
        let config = json!({
            "ws_url": format!("ws://{address}/smart-stream"),
            "api_url": format!("http://{address}"),
            "instruments_url": instruments_url,
            "cache_dir": cache.path(),
            "orders": false,
            "batch_interval_ms": 0,
        });
        let keys =
            serde_json::to_string(&KEYS.into_iter().collect::<std::collections::BTreeMap<_, _>>()).unwrap();
        let bench = Bench::start_with::<AngelOne>(&config.to_string(), &keys).unwrap();
        bench.wait_for_status(StatusKind::CONNECTED);
        bench
    }

    /// Connects with the list that is shown.
    fn connected(&self) -> Bench {
        self.connect(&self.server.url("/list"), &self.cache)
    }

    fn show(&self, list: impl Into<Vec<u8>>) {
        self.server.show("/list", list);
    }

    fn whole(&self) -> String {
        list(&self.rows)
    }

    /// The list with one row changed, or without it.
    fn changed(&self, symbol: &str, change: impl Fn(&str) -> Option<String>) -> String {
        let is_meant = |row: &String| row.contains(&format!(r#""symbol":"{symbol}""#));
        assert_eq!(self.rows.iter().filter(|row| is_meant(row)).count(), 1, "{symbol} stands there once");
        let rows =
            self.rows.iter().filter_map(|row| if is_meant(row) { change(row) } else { Some(row.clone()) });
        list(&rows.collect::<Vec<_>>())
    }

    /// Waits for new ticks of all of these.
    fn trade(&self, bench: &Bench, instruments: &[u32]) {
        let before = bench.heard().ticks.len();
        self.venue.trade();
        bench.wait_for("ticks of all", |heard| {
            let new = heard.ticks.get(before..)?;
            let has_ticked = |number: &u32| new.iter().any(|tick| tick.instrument() == *number);
            instruments.iter().all(has_ticked).then_some(())
        });
    }
}

fn list<T: AsRef<str>>(rows: &[T]) -> String {
    format!("[{}]", rows.iter().map(AsRef::as_ref).collect::<Vec<_>>().join(","))
}

/// So much of a text.
fn cut(text: &str, part: usize) -> String {
    text.get(..text.len() / part).unwrap().to_owned()
}

/// Has the adapter ask for the list that is shown now, and waits until it says how that is.
fn renew(bench: &Bench, is_whole: bool) -> Value {
    renew_until(bench, |state| state["is_whole"] == is_whole)
}

fn renew_until(bench: &Bench, is_meant: impl Fn(&Value) -> bool) -> Value {
    let said = bench.heard().lists.len();
    bench.renew_list();
    wait_for_list(bench, said, is_meant)
}

/// The state of a list that was said after so many others.
fn wait_for_list(bench: &Bench, said: usize, is_meant: impl Fn(&Value) -> bool) -> Value {
    bench.wait_for("a list", |heard| {
        let states =
            heard.lists.get(said..)?.iter().map(|state| serde_json::from_str::<Value>(state).unwrap());
        states.into_iter().rfind(|state| is_meant(state))
    })
}

fn wait_for_end(bench: &Bench, instrument: u32) {
    bench.wait_for("the end of an instrument", |heard| {
        let last = heard.outcomes.iter().rev().find(|(_, outcome)| outcome.instrument == instrument)?;
        (last.1.code == OutcomeCode::UNKNOWN_INSTRUMENT).then_some(())
    });
}

#[test]
fn half_a_list_at_noon_ends_nothing_that_is_live() {
    let place = Place::start();
    place.show(place.whole());
    let bench = place.connected();
    for (number, exchange, symbol) in [(1, "NFO", FUTURE), (2, "NSE", "SBIN"), (3, "NSE_INDEX", "NIFTY")] {
        assert!(bench.subscribe(number, exchange, symbol, Mode::Quote).code.is_taken());
    }
    place.trade(&bench, &[1, 2, 3]);
    let rows: Vec<&str> = place.rows.iter().map(String::as_str).collect();
    let (first, last) = rows.split_at(rows.len() / 2);
    let every_other = |skipped| rows.iter().copied().skip(skipped).step_by(2).collect::<Vec<_>>();
    let spoil = |(place, row): (usize, &&str)| {
        if place % 2 == 0 { row.replace("\",\"symbol", ",\"symbol") } else { (*row).to_owned() }
    };
    let spoilt: Vec<String> = rows.iter().enumerate().map(spoil).collect();
    assert!(serde_json::from_str::<Value>(&spoilt[0]).is_err());
    let whole = place.whole();
    for (what, half) in [
        ("the first half", list(first)),
        ("the last half", list(last)),
        ("every other row", list(&every_other(0))),
        ("the other rows", list(&every_other(1))),
        // A download that ended, within an object and within a text.
        ("a list that was cut off", cut(&whole, 2)),
        ("a list that was cut off in its beginning", cut(&whole, 10)),
        ("a text that is never closed, in every other row", list(&spoilt)),
    ] {
        place.show(half);
        let state = renew(&bench, false);
        assert!(!state["troubles"].as_array().unwrap().is_empty(), "{what}: {state}");
        place.trade(&bench, &[1, 2, 3]);
        // Also what nobody has asked for yet is held.
        let other = bench.subscribe(4, "NFO", "BANKNIFTY24DEC30FUT", Mode::Ltp);
        assert!(other.code.is_taken(), "{what}: {}", other.message);
        bench.unsubscribe(&[4]);
    }
    assert!(bench.heard().outcomes.iter().all(|(_, outcome)| outcome.code.is_taken()));
    assert!(bench.heard().statuses.iter().all(|event| event.kind != StatusKind::DISCONNECTED));
    let unknown = bench.subscribe(5, "NFO", "NIFTY99DEC30FUT", Mode::Ltp);
    assert_eq!(unknown.code, OutcomeCode::UNKNOWN_INSTRUMENT);
    assert!(unknown.message.contains("incomplete at the moment"), "{}", unknown.message);

    place.show(whole);
    renew(&bench, true);
    place.trade(&bench, &[1, 2, 3]);
    let unknown = bench.subscribe(5, "NFO", "NIFTY99DEC30FUT", Mode::Ltp);
    assert!(unknown.message.ends_with("on NFO"), "{}", unknown.message);
}

#[test]
fn a_first_list_without_derivatives_is_asked_for_again() {
    let place = Place::start();
    let is_of_nfo = |row: &&String| row.contains(r#""exch_seg":"NFO""#);
    let torn: Vec<&String> = place.rows.iter().filter(|row| !is_of_nfo(row)).collect();
    assert!(torn.len() < place.rows.len());
    place.show(list(&torn));
    let bench = place.connected();
    let state = wait_for_list(&bench, 0, |state| state["is_whole"] == false);
    assert_eq!(state["troubles"][0]["segment"], "NFO", "{state}");
    let refused = bench.subscribe(1, "NFO", FUTURE, Mode::Ltp);
    assert_eq!(refused.code, OutcomeCode::UNKNOWN_INSTRUMENT);
    assert!(refused.message.contains("incomplete at the moment (NFO)"), "{}", refused.message);
    assert!(bench.subscribe(2, "NSE", "SBIN", Mode::Ltp).code.is_taken());
    place.trade(&bench, &[2]);

    // A restart asks at once, and so does the operator.
    bench.shut_down(SOON);
    let asked = place.server.requests();
    let bench = place.connected();
    wait_for_list(&bench, 0, |state| state["is_whole"] == false);
    assert_eq!(place.server.requests(), asked + 1);
    place.show(place.whole());
    renew(&bench, true);
    assert!(bench.subscribe(1, "NFO", FUTURE, Mode::Ltp).code.is_taken());
    place.trade(&bench, &[1]);
}

#[test]
fn one_damaged_row_costs_itself_and_comes_back_when_it_is_mended() {
    let place = Place::start();
    place.show(place.whole());
    let bench = place.connected();
    let all = wait_for_list(&bench, 0, |state| state["is_whole"] == true)["instruments"].as_u64().unwrap();
    let renewed = |lacks: u64| {
        renew_until(&bench, |state| state["is_whole"] == true && state["instruments"] == all - lacks)
    };
    for (number, exchange, symbol) in [(1, "NSE", "SBIN"), (2, "NFO", FUTURE), (3, "BSE", "INFY")] {
        assert!(bench.subscribe(number, exchange, symbol, Mode::Quote).code.is_taken());
    }
    place.trade(&bench, &[1, 2, 3]);
    for (what, damaged) in [
        ("no row", place.changed("SBIN-EQ", |_| None)),
        (
            "a token that is none",
            place.changed("SBIN-EQ", |row| Some(row.replace(r#""token":"#, r#""token":NaN,"was":"#))),
        ),
        (
            "a text that is not closed",
            place.changed("SBIN-EQ", |row| Some(row.replace(r#"SBIN-EQ""#, "SBIN-EQ"))),
        ),
        ("an object that ends early", place.changed("SBIN-EQ", |row| Some(cut(row, 2)))),
        ("something else", place.changed("SBIN-EQ", |_| Some(r#"["SBIN-EQ", {}]"#.to_owned()))),
    ] {
        place.show(damaged);
        // One row less is no reason for doubt.
        renewed(1);
        wait_for_end(&bench, 1);
        place.trade(&bench, &[2, 3]);
        let refused = bench.subscribe(1, "NSE", "SBIN", Mode::Quote);
        assert_eq!(refused.code, OutcomeCode::UNKNOWN_INSTRUMENT, "{what}");
        assert!(refused.message.ends_with("not found on NSE"), "{what}: {}", refused.message);
        place.show(place.whole());
        renewed(0);
        // The host asks again for what a list had lost.
        assert!(bench.subscribe(1, "NSE", "SBIN", Mode::Quote).code.is_taken(), "{what}");
        place.trade(&bench, &[1, 2, 3]);
    }
    // A value that nobody needs may be anything.
    let odd = place.changed("SBIN-EQ", |row| {
        let row = row.replace(r#""lotsize":"#, r#""lotsize":NaN,"was":"#);
        Some(row.replace(r#""tick_size":"#, r#""tick_size":-Infinity,"more":[{}],"then":"#))
    });
    assert!(odd.contains("NaN") && odd.contains("-Infinity"));
    place.show(odd);
    renew(&bench, true);
    place.trade(&bench, &[1, 2, 3]);
}

#[test]
fn what_is_no_list_leaves_the_last_good_one_in_force() {
    let place = Place::start();
    place.show(place.whole());
    let bench = place.connected();
    assert!(bench.subscribe(1, "NSE", "SBIN", Mode::Quote).code.is_taken());
    place.trade(&bench, &[1]);
    for text in ["", "[]", "<html>maintenance</html>", r#"{"status":false,"message":"down"}"#, "[{},{},{}]"] {
        let failures = || {
            let is_one = |(_, text): &&(_, String)| text.contains("could not be renewed");
            bench.heard().logs.iter().filter(is_one).count()
        };
        let before = failures();
        place.show(text);
        bench.renew_list();
        bench.wait_for("a word on it", |heard| {
            let failed = heard.logs.iter().filter(|(_, text)| text.contains("could not be renewed"));
            (failed.count() > before).then_some(())
        });
        place.trade(&bench, &[1]);
        assert!(bench.subscribe(2, "NFO", FUTURE, Mode::Ltp).code.is_taken(), "{text}");
        bench.unsubscribe(&[2]);
    }
    assert!(bench.heard().outcomes.iter().all(|(_, outcome)| outcome.code.is_taken()));
    place.show(place.whole());
    renew(&bench, true);
    place.trade(&bench, &[1]);
}
