//! The conformance suite against the fake venue in `tests/venues`.

use std::path::Path;

use adapter_conformance::{Profile, Suite, Verdict};
use adapter_sdk::testing;
use adapter_zerodha::Zerodha;

/// What does not pass, and why it cannot: this broker has no packets with what changed alone, allows several
/// sessions, and ends none without being asked.
const WITHOUT_MEANING: [&str; 2] = ["C03", "C28"];

#[test]
fn every_case_that_has_a_meaning_passes() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("conformance.toml");
    let report = Suite::new(testing::module::<Zerodha>(), Profile::load(&file).unwrap()).run_all();
    println!("{report}");
    let others = report.results.iter().filter(|result| result.verdict != Verdict::Passed);
    let others: Vec<&str> = others.map(|result| result.id.as_str()).collect();
    assert_eq!(others, WITHOUT_MEANING, "{report}");
}
