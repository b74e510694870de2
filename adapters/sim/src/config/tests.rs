use serde_json::json;

use super::*;
use crate::universe::{Date, Universe};

fn read(settings: serde_json::Value) -> Result<Config, serde_json::Error> {
    serde_json::from_value(settings)
}

fn problems(settings: serde_json::Value) -> String {
    read(settings).expect("well-formed").check().expect_err("must be refused").to_string()
}

#[test]
fn nothing_set_is_fine_and_refuses_bad_symbols_only() {
    let settings = read(json!({})).expect("well-formed").check().expect("usable");
    assert_eq!(settings.seed, 1);
    assert!(settings.faults.refuses("BAD1"));
    assert!(!settings.faults.refuses("SBIN"));
    assert!(settings.faults.panic.is_none());
    assert!(settings.instruments_extra.is_empty());
}

#[test]
fn the_nearest_rate_wins() {
    let config = read(json!({ "rate_hz": 4, "rates": { "NSE": 10, "NSE:SBIN": 0.5 } })).expect("well-formed");
    let rates = config.check().expect("usable").rates;
    let universe = Universe::new(Date::new(2025, 12, 1));
    let interval_ms =
        |exchange, symbol| rates.interval(universe.find(exchange, symbol).expect("listed").1).as_millis();
    assert_eq!(interval_ms("NSE", "SBIN"), 2_000);
    assert_eq!(interval_ms("NSE", "TCS"), 100);
    assert_eq!(interval_ms("BSE", "SBIN"), 250);
}

#[test]
fn every_problem_is_named_with_its_place_and_what_is_allowed() {
    let text = problems(json!({
        "rate_hz": 0.01,
        "rates": { "NSE:SBIN": 5000, "LSE": 1 },
        "latency_ms": 90_000,
        "faults": { "disconnect_every_ms": 1, "connect_delay_ms": 70_000, "panic_on_symbol": "" },
        "instruments_extra": [
            { "exchange": "NSE", "symbol": "A B" },
            { "exchange": "NYSE", "symbol": "IBM" },
            { "exchange": "NSE", "symbol": "COARSE", "price": 10, "tick": 1 },
            { "exchange": "NSE", "symbol": "LOT", "lot": 0 },
        ],
    }));
    for expected in [
        "rate_hz is 0.01, but must be between 0.1 and 1000",
        "rates.\"NSE:SBIN\" is 5000, but must be between 0.1 and 1000",
        "rates.\"LSE\" names the exchange `LSE`, but must name one of NSE, BSE",
        "latency_ms is 90000, but must be between 0 and 60000",
        "faults.disconnect_every_ms is 1, but must be between 10 and 86400000",
        "faults.connect_delay_ms is 70000, but must be between 0 and 60000",
        "faults.panic_on_symbol is ``, but must have 1 to 64",
        "instruments_extra[0].symbol is `A B`",
        "instruments_extra[1].exchange names the exchange `NYSE`",
        "instruments_extra[2].price must be at least 20 times",
        "instruments_extra[3].lot is 0, but must be between 1 and 1000000",
    ] {
        assert!(text.contains(expected), "`{expected}` is not in: {text}");
    }
}

#[test]
fn numbers_that_are_none_are_refused() {
    let config = Config { rate_hz: f64::NAN, ..Config::default() };
    assert!(config.check().is_err());
}

#[test]
fn misspelt_settings_are_refused() {
    for settings in [
        json!({ "rate": 2 }),
        json!({ "faults": { "mute": 1 } }),
        json!({ "faults": { "panic_in": "sleep" } }),
        json!({ "instruments_extra": [{ "exchange": "NSE", "symbol": "X", "prize": 1 }] }),
    ] {
        assert!(read(settings.clone()).is_err(), "{settings}");
    }
}

#[test]
fn refused_logins_are_counted_or_named() {
    let count = |value| {
        read(json!({ "faults": { "auth_failure": value } })).map(|config| config.faults.auth_failure.0)
    };
    assert_eq!(count(json!("never")).expect("word"), 0);
    assert_eq!(count(json!("first")).expect("word"), 1);
    assert_eq!(count(json!("always")).expect("word"), u32::MAX);
    assert_eq!(count(json!(3)).expect("number"), 3);
    for wrong in [json!("sometimes"), json!(-1), json!(5_000_000_000_u64), json!(true)] {
        let error = count(wrong).expect_err("must be refused").to_string();
        assert!(error.contains("`never`, `first`, `always` or how many"), "{error}");
    }
}

#[test]
fn a_panic_is_armed_for_one_stage_and_symbol() {
    let faults =
        |settings| read(json!({ "faults": settings })).expect("well-formed").check().expect("usable").faults;
    let next = faults(json!({ "panic_in": "next" }));
    assert!(next.panics(Stage::Next, "PANIC"));
    assert!(!next.panics(Stage::Next, "SBIN") && !next.panics(Stage::Subscribe, "PANIC"));
    let other = faults(json!({ "panic_in": "subscribe", "panic_on_symbol": "SBIN" }));
    assert!(other.panics(Stage::Subscribe, "SBIN") && !other.panics(Stage::Subscribe, "PANIC"));
    assert_eq!(faults(json!({ "panic_on_symbol": "SBIN" })).panic, other.panic);
    assert!(faults(json!({ "panic_in": "connect" })).panics(Stage::Connect, ""));
}

#[test]
fn an_extra_instrument_is_of_the_kind_of_its_exchange() {
    let config = read(json!({ "instruments_extra": [
        { "exchange": "NSE", "symbol": "ACME", "price": 12.5 },
        { "exchange": "NSE_INDEX", "symbol": "ACMEX" },
        { "exchange": "CRYPTO", "symbol": "ACME_INR", "tick": 0.01 },
        { "exchange": "NFO", "symbol": "NIFTY28NOV2624500CE", "lot": 75 },
    ] }));
    let extra = config.expect("well-formed").check().expect("usable").instruments_extra;
    let kinds: Vec<_> = extra.iter().map(|instrument| instrument.kind).collect();
    assert_eq!(kinds, [Kind::Equity, Kind::Index, Kind::Crypto, Kind::Future { days: 30 }]);
    assert_eq!(extra[0].spot.price, 12_500_000_000);
    assert_eq!(extra[2].tick, 10_000_000);
}

#[test]
fn the_schema_names_every_setting() {
    let schema: serde_json::Value = serde_json::from_str(crate::CONFIG_SCHEMA).expect("JSON");
    let names = |value: &serde_json::Value| {
        let mut names: Vec<_> = value["properties"].as_object().expect("table").keys().cloned().collect();
        names.sort();
        names
    };
    // Serde lists the names that it knows when it meets another.
    let known = |settings| {
        let text = read(settings).expect_err("must be refused").to_string();
        let list = text.split_once("expected one of ").expect("a list").1.to_owned();
        let mut names: Vec<_> = list.split(", ").map(|name| name.trim_matches('`').to_owned()).collect();
        names.sort();
        names
    };
    assert_eq!(names(&schema), known(json!({ "?": 0 })));
    assert_eq!(names(&schema["properties"]["faults"]), known(json!({ "faults": { "?": 0 } })));
    let extra = &schema["properties"]["instruments_extra"]["items"];
    assert_eq!(names(extra), known(json!({ "instruments_extra": [{ "?": 0 }] })));
    assert_eq!(extra["properties"]["exchange"]["enum"], json!(EXCHANGES));
}
