//! The conformance suite against the fake venue in `examples/venue`.

use std::path::Path;

use adapter_conformance::{Profile, Suite, Verdict};
use adapter_sdk::testing;

use adapter_template::TemplateBroker;

/// A log-in, order updates, a single session and images, which this broker does not have.
const HAVE_NO_MEANING: [&str; 4] = ["C24", "C25", "C28", "C29"];

#[test]
fn every_case_passes_that_has_a_meaning_for_this_broker() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("conformance.toml");
    let report = Suite::new(testing::module::<TemplateBroker>(), Profile::load(&file).unwrap()).run_all();
    assert!(report.is_success(), "{report}");
    let skipped = report.results.iter().filter(|result| result.verdict == Verdict::Skipped);
    assert_eq!(skipped.map(|result| result.id.as_str()).collect::<Vec<_>>(), HAVE_NO_MEANING, "{report}");
}
