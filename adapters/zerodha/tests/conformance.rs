//! The conformance suite against the fake venue in `tests/venues`.

use std::path::Path;

use adapter_conformance::{Profile, Suite, Verdict};
use adapter_sdk::testing;
use adapter_zerodha::Zerodha;

#[test]
fn every_case_that_has_a_meaning_passes() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("conformance.toml");
    let mut profile = Profile::load(&file).unwrap();
    let cache = tempfile::tempdir().unwrap();
    profile.config.insert("cache_dir".to_owned(), cache.path().to_str().unwrap().into());
    let report = Suite::new(testing::module::<Zerodha>(), profile).run_all();
    println!("{report}");
    assert!(report.is_success(), "{report}");
    // C03: every packet of this broker says all of its kind.
    assert!(report.count(Verdict::Skipped) <= 1, "{report}");
}
