//! The suite has to be able to fail: an adapter with one vice at a time, and the case that must find it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    clippy::tests_outside_test_module,
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    reason = "an integration test, with a broker of its own"
)]

mod broker;

use std::path::Path;

use adapter_conformance::{CASES, CaseResult, Profile, Suite, Verdict};
use adapter_sdk::testing;

use self::broker::{
    adapter::{Broker, Vice},
    blocking,
    venue::Memory,
};

const PROFILE: &str = r#"
    instruments = [
        { exchange = "NSE", symbol = "A" },
        { exchange = "NSE", symbol = "B" },
        { exchange = "NSE", symbol = "C" },
    ]
    odd = [{ exchange = "NSE", symbol = "D_E" }, { exchange = "NSE", symbol = "F-G" }, { exchange = "NSE", symbol = "H I" }]
    unknown = { exchange = "NSE", symbol = "NOSUCH" }
    [config]
    venue = "{venue}"
    [credentials]
    valid = { token = "of today" }
    renewed = { token = "of tomorrow" }
    wrong = { token = "of yesterday" }
    [bulk]
    exchange = "NSE"
    pattern = "S{n}"
    count = 100
    largest_message = 50
    [limits]
    stall_ms = 300
    depth = 20
    price_decimals = 4
    time_resolution_ns = 1
    reconnects = 200
"#;

/// Which case finds what.
const CAUGHT: [(&str, Vice); 23] = [
    ("C01", Vice::KeepsHandles),
    ("C02", Vice::InventsZeros),
    ("C03", Vice::WipesOnPartial),
    ("C04", Vice::ReadsFirstPacketOnly),
    ("C05", Vice::KeepsToken),
    ("C06", Vice::RetriesBlindly),
    ("C07", Vice::NoticesNoStall),
    ("C08", Vice::SubscribesOneByOne),
    ("C09", Vice::NeverLowersModes),
    ("C10", Vice::HangsUpAtZero),
    ("C11", Vice::StopsSlowly),
    ("C12", Vice::LeaksDescriptors),
    ("C13", Vice::SendsLocalTime),
    ("C14", Vice::CutsSymbols),
    ("C15", Vice::TakesQuietForDead),
    ("C16", Vice::PromisesDepth),
    ("C17", Vice::CountsInFloats),
    ("C18", Vice::LogsTokens),
    ("C19", Vice::PanicsAtNonsense),
    ("C20", Vice::TakesAnySetting),
    ("C21", Vice::ForgetsAdditions),
    ("C22", Vice::KnowsEverySymbol),
    ("C23", Vice::BlocksCalls),
];

/// The suite for an adapter with a vice, or without.
fn suite(vice: Option<Vice>) -> Suite {
    let mut profile = Profile::parse(PROFILE, Path::new(".")).unwrap();
    if let Some(vice) = vice {
        profile.config.insert("vice".to_owned(), format!("{vice:?}").into());
    }
    let module =
        if vice == Some(Vice::BlocksCalls) { blocking::module() } else { testing::module::<Broker>() };
    Suite::new(module, profile).with_venue(|| Ok(Box::new(Memory::start())))
}

fn run(id: &str, vice: Option<Vice>) -> CaseResult {
    let case = CASES.iter().find(|case| case.id == id).unwrap();
    suite(vice).run(case)
}

// One test, because the case that counts descriptors counts those of the whole process.
#[test]
fn every_vice_is_caught_by_its_case_and_an_adapter_without_passes_all() {
    let sound = suite(None).run_all();
    assert_eq!(sound.count(Verdict::Passed), CASES.len(), "{sound}");
    // Most of the time is spent in waiting for what does not come.
    let results: Vec<(Vice, CaseResult)> = std::thread::scope(|scope| {
        let running: Vec<_> =
            CAUGHT.iter().map(|(id, vice)| (*vice, scope.spawn(|| run(id, Some(*vice))))).collect();
        running.into_iter().map(|(vice, thread)| (vice, thread.join().unwrap())).collect()
    });
    for (vice, result) in &results {
        println!("{vice:?}: {result}");
    }
    for (vice, result) in results {
        assert_eq!(result.verdict, Verdict::Failed, "{vice:?}: {result}");
    }
}
