//! The conformance suite, on what the profile beside this crate offers.

use std::path::Path;

use adapter_conformance::{Profile, Suite, Verdict};
use adapter_sdk::testing;
use adapter_sim::Sim;

/// Cases about packets, silence, log-ins, orders and lists, which an exchange without a network side does not
/// have.
const WITHOUT_MEANING: [&str; 12] =
    ["C03", "C04", "C07", "C15", "C19", "C24", "C25", "C26", "C27", "C28", "C29", "C30"];

#[test]
fn every_case_that_has_a_meaning_here_passes() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("conformance.toml");
    let report = Suite::new(testing::module::<Sim>(), Profile::load(&file).unwrap()).run_all();
    assert!(report.is_success(), "{report}");
    let skipped = report.results.iter().filter(|result| result.verdict == Verdict::Skipped);
    let skipped: Vec<&str> = skipped.map(|result| result.id.as_str()).collect();
    assert_eq!(skipped, WITHOUT_MEANING, "{report}");
}
