//! How the program of a fake venue is started, and what is said when it does not start.

#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::tests_outside_test_module,
    missing_docs,
    reason = "an integration test"
)]

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

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

/// Cargo runs what it built by becoming it, and looks at every file of the workspace before: once is enough.
#[test]
#[cfg(target_os = "linux")]
fn a_venue_that_cargo_runs_is_started_without_it_from_then_on() {
    let folder = tempfile::tempdir().unwrap();
    let hello = r#"{"venue":1,"listening":"nowhere","commands":[],"values":[]}"#;
    fs::write(folder.path().join("hello"), format!("{hello}\n")).unwrap();
    let venue = "cat hello; read end";
    let cargo = folder.path().join("cargo");
    fs::write(&cargo, format!("#!/bin/sh\necho built >> built\nexec sh -c '{venue}' venue \"$@\"\n"))
        .unwrap();
    fs::set_permissions(&cargo, fs::Permissions::from_mode(0o700)).unwrap();
    let mut profile = profile("");
    profile.dir = folder.path().to_owned();
    profile.venue = Some([cargo.to_str().unwrap(), "run", "--", "an argument"].map(str::to_owned).to_vec());
    let program = try_venue(&profile).unwrap().unwrap();
    assert_eq!(program[..2], ["sh", "-c"]);
    assert_eq!(program[3..], ["venue", "run", "--", "an argument"]);
    profile.venue = Some(program.clone());
    assert_eq!(try_venue(&profile).unwrap(), Some(program));
    assert_eq!(fs::read_to_string(folder.path().join("built")).unwrap(), "built\n");
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
