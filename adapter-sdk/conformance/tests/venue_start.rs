//! How the program of a fake venue is started, and what is said when it does not start.

#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::tests_outside_test_module,
    missing_docs,
    reason = "an integration test"
)]

use std::path::Path;

use adapter_conformance::{Profile, try_venue};

/// A profile whose venue is a script for the shell.
fn profile(script: &str) -> Profile {
    let instrument = |symbol: &str| format!(r#"{{ exchange = "NSE", symbol = "{symbol}" }}"#);
    let text = format!(
        "venue = ['sh', '-c', '''{script}''']\ninstruments = [{}, {}, {}]",
        instrument("A"),
        instrument("B"),
        instrument("C")
    );
    Profile::parse(&text, Path::new(".")).unwrap()
}

#[test]
fn a_venue_does_not_hear_which_crate_cargo_tests() {
    assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some(), "run this by cargo");
    let said =
        try_venue(&profile("env | cut -d= -f1 | grep CARGO >&2; echo PATH: ${PATH:+kept} >&2; exit 3"));
    let said = said.unwrap_err();
    assert!(!said.contains("CARGO_MANIFEST_DIR") && !said.contains("CARGO_PKG_NAME"), "{said}");
    assert!(said.contains("PATH: kept"), "{said}");
}
