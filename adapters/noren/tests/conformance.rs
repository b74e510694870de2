//! The conformance suite against the fake venues in `tests/venues`, for each broker.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::path::Path;

use adapter_conformance::{Profile, Suite, Verdict};
use adapter_noren::Noren;
use adapter_sdk::testing;

/// The venue has no page to log in on and replaces no session by a word, and a message says nothing of what it leaves out.
const WITHOUT_MEANING: [&str; 3] = ["C24", "C28", "C29"];

/// The same, where order updates come on a socket of their own, which is not served.
const WITHOUT_ORDERS: [&str; 4] = ["C24", "C25", "C28", "C29"];

fn every_case_passes(brand: &str, skipped: &[&str]) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("conformance.toml");
    let profile = Profile::load(&file).unwrap();
    let report = Suite::for_brand(testing::module::<Noren>(), &profile, brand).unwrap().run_all();
    assert!(report.is_success(), "{report}");
    let others = report.results.iter().filter(|result| result.verdict == Verdict::Skipped);
    assert_eq!(others.map(|result| result.id.as_str()).collect::<Vec<_>>(), skipped, "{report}");
}

#[test]
fn every_case_passes_at_shoonya() {
    every_case_passes("shoonya", &WITHOUT_MEANING);
}

#[test]
fn every_case_passes_at_flattrade() {
    every_case_passes("flattrade", &WITHOUT_MEANING);
}

#[test]
fn every_case_passes_at_zebu() {
    every_case_passes("zebu", &WITHOUT_MEANING);
}

#[test]
fn every_case_passes_at_tradesmart() {
    every_case_passes("tradesmart", &WITHOUT_MEANING);
}

#[test]
fn every_case_passes_at_definedge() {
    every_case_passes("definedge", &WITHOUT_MEANING);
}

#[test]
fn every_case_passes_at_aliceblue() {
    every_case_passes("aliceblue", &WITHOUT_ORDERS);
}
