//! The conformance suite against the fake venue in `tests/venues`.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::path::Path;

use adapter_angel::AngelOne;
use adapter_conformance::{Profile, Suite, Verdict};
use adapter_sdk::testing;

/// Packets that hold nothing but what changed, which this broker does not have; a word to a session whose
/// place another takes.
const HAVE_NO_MEANING: [&str; 2] = ["C03", "C28"];

#[test]
fn every_case_passes_that_has_a_meaning_for_this_broker() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("conformance.toml");
    let report = Suite::new(testing::module::<AngelOne>(), Profile::load(&file).unwrap()).run_all();
    let of = |verdict| {
        let results = report.results.iter().filter(move |result| result.verdict == verdict);
        results.map(|result| (result.id.as_str(), result.reason.as_str())).collect::<Vec<_>>()
    };
    assert_eq!(of(Verdict::Failed), [], "{report}");
    assert_eq!(
        of(Verdict::Skipped).iter().map(|(id, _)| *id).collect::<Vec<_>>(),
        HAVE_NO_MEANING,
        "{report}"
    );
}
