//! The conformance suite against the fake venues in `tests/venues`, for each broker.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::path::Path;

use adapter_conformance::{Profile, Suite, Verdict};
use adapter_noren::Noren;
use adapter_sdk::testing;

/// A message says nothing of what it leaves out.
const WITHOUT_MEANING: [&str; 1] = ["C29"];

fn every_case_passes(brand: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("conformance.toml");
    let profile = Profile::load(&file).unwrap();
    let report = Suite::for_brand(testing::module::<Noren>(), &profile, brand).unwrap().run_all();
    assert!(report.is_success(), "{report}");
    let others = report.results.iter().filter(|result| result.verdict == Verdict::Skipped);
    assert_eq!(others.map(|result| result.id.as_str()).collect::<Vec<_>>(), WITHOUT_MEANING, "{report}");
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
