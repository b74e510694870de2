//! The conformance suite against the fake venue in `tests/venues`.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::path::Path;

use adapter_conformance::{Profile, Suite, Verdict};
use adapter_fyers::Fyers;
use adapter_sdk::testing;

#[test]
fn every_case_passes() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("conformance.toml");
    let report = Suite::new(testing::module::<Fyers>(), Profile::load(&file).unwrap()).run_all();
    let others = report.results.iter().filter(|result| result.verdict != Verdict::Passed);
    assert_eq!(others.map(|result| (&result.id, &result.reason)).collect::<Vec<_>>(), [], "{report}");
}
