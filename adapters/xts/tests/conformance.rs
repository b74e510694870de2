//! The conformance suite against the fake venues in `tests/venues`, for each broker.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::path::Path;

use adapter_conformance::{Profile, Suite, Verdict};
use adapter_sdk::testing;
use adapter_xts::Xts;

/// Whole messages say everything; messages of what has changed nothing of what they leave out.
const WHOLE: [&str; 1] = ["C03"];
const PARTIAL: [&str; 1] = ["C29"];

fn every_case_passes(brand: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("conformance.toml");
    let profile = Profile::load(&file).unwrap();
    let report = Suite::for_brand(testing::module::<Xts>(), &profile, brand).unwrap().run_all();
    assert!(report.is_success(), "{report}");
    let skipped = if brand == "wisdom" { PARTIAL } else { WHOLE };
    let others = report.results.iter().filter(|result| result.verdict == Verdict::Skipped);
    assert_eq!(others.map(|result| result.id.as_str()).collect::<Vec<_>>(), skipped, "{report}");
}

#[test]
fn every_case_passes_at_compositedge() {
    every_case_passes("compositedge");
}

#[test]
fn every_case_passes_at_fivepaisaxts() {
    every_case_passes("fivepaisaxts");
}

#[test]
fn every_case_passes_at_ibulls() {
    every_case_passes("ibulls");
}

#[test]
fn every_case_passes_at_iifl() {
    every_case_passes("iifl");
}

#[test]
fn every_case_passes_at_jainamxts() {
    every_case_passes("jainamxts");
}

#[test]
fn every_case_passes_at_rmoney() {
    every_case_passes("rmoney");
}

#[test]
fn every_case_passes_at_wisdom() {
    every_case_passes("wisdom");
}
