//! The conformance suite against the fake venues in `tests/venues`, for each broker.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::path::Path;

use adapter_conformance::{Profile, Suite, Verdict};
use adapter_noren::Noren;
use adapter_sdk::testing;

fn every_case_passes(brand: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("conformance.toml");
    let mut profile = Profile::load(&file).unwrap();
    let cache = tempfile::tempdir().unwrap();
    profile.config.insert("cache_dir".to_owned(), cache.path().to_str().unwrap().into());
    let report = Suite::for_brand(testing::module::<Noren>(), &profile, brand).unwrap().run_all();
    let others = report.results.iter().filter(|result| result.verdict != Verdict::Passed);
    assert_eq!(others.map(|result| (&result.id, &result.reason)).collect::<Vec<_>>(), [], "{report}");
}

#[test]
fn every_case_passes_at_shoonya() {
    every_case_passes("shoonya");
}

#[test]
fn every_case_passes_at_flattrade() {
    every_case_passes("flattrade");
}

#[test]
fn every_case_passes_at_zebu() {
    every_case_passes("zebu");
}

#[test]
fn every_case_passes_at_tradesmart() {
    every_case_passes("tradesmart");
}

#[test]
fn every_case_passes_at_definedge() {
    every_case_passes("definedge");
}

#[test]
fn every_case_passes_at_aliceblue() {
    every_case_passes("aliceblue");
}
