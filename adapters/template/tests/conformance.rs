//! The conformance suite against the fake venue in `examples/venue`.

use std::path::Path;

use adapter_conformance::{Profile, Suite, Verdict};
use adapter_sdk::testing;
use adapter_template::TemplateBroker;

#[test]
fn every_case_passes_and_none_is_skipped() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("conformance.toml");
    let report = Suite::new(testing::module::<TemplateBroker>(), Profile::load(&file).unwrap()).run_all();
    assert!(report.is_success(), "{report}");
    assert_eq!(report.count(Verdict::Skipped), 0, "{report}");
}
