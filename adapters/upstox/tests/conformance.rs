//! The conformance suite against the fake venue in `tests/venues`.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::path::Path;

use adapter_conformance::{Profile, Suite, Verdict};
use adapter_sdk::testing;
use adapter_upstox::Upstox;

/// Packets of nothing but what has changed, which this broker does not have.
const HAVE_NO_MEANING: [&str; 1] = ["C03"];

#[test]
fn every_case_passes_that_has_a_meaning_for_this_broker() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("conformance.toml");
    let report = Suite::new(testing::module::<Upstox>(), Profile::load(&file).unwrap()).run_all();
    let others = report.results.iter().filter(|result| result.verdict != Verdict::Passed);
    assert_eq!(others.map(|result| result.id.as_str()).collect::<Vec<_>>(), HAVE_NO_MEANING, "{report}");
    assert!(report.is_success(), "{report}");
}
