//! Programs that are started from what cargo started, and may be cargo themselves.

use std::{env, ffi::OsStr, process::Command};

/// Begins the names of variables in which cargo says what crate it runs.
const OF_A_CRATE: [&str; 3] = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_"];

/// More of these. `CARGO` is the program itself, `OUT_DIR` what a build script has made.
const OF_A_RUN: [&str; 5] =
    ["CARGO", "CARGO_CRATE_NAME", "CARGO_PRIMARY_PACKAGE", "CARGO_TARGET_TMPDIR", "OUT_DIR"];

/// Lets a program begin as if a person had started it, and no `cargo test` or `cargo run`: without the
/// variables in which cargo says what crate it runs.
///
/// Build scripts ask to be run again when such a variable has changed, and so a cargo within a cargo would
/// build C libraries such as those of TLS again each time, and the outer one again after it. What a person
/// sets stays: `CARGO_HOME`, `CARGO_TARGET_DIR`, `CARGO_NET_OFFLINE`, profiles, registries, wrappers of the
/// compiler.
///
/// ```
/// use std::process::Command;
///
/// let mut cargo = Command::new("cargo");
/// adapter_conformance::as_by_hand(cargo.args(["build", "--example", "venue"]));
/// ```
pub fn as_by_hand(command: &mut Command) -> &mut Command {
    for (name, _) in env::vars_os().filter(|(name, _)| is_of_cargo(name)) {
        command.env_remove(name);
    }
    command
}

fn is_of_cargo(name: &OsStr) -> bool {
    let Some(name) = name.to_str() else { return false };
    OF_A_RUN.contains(&name) || OF_A_CRATE.iter().any(|start| name.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cargo_says_of_a_crate_is_left_out_and_what_a_person_sets_stays() {
        for name in ["CARGO", "CARGO_MANIFEST_DIR", "CARGO_PKG_NAME", "CARGO_BIN_EXE_venue", "OUT_DIR"] {
            assert!(is_of_cargo(OsStr::new(name)), "{name}");
        }
        for name in [
            "CARGO_HOME",
            "CARGO_TARGET_DIR",
            "CARGO_NET_OFFLINE",
            "CARGO_TERM_COLOR",
            "CARGO_PROFILE_DEV_DEBUG",
            "CARGO_BUILD_JOBS",
            "CARGO_REGISTRIES_MINE_INDEX",
            "RUSTC_WRAPPER",
            "PATH",
        ] {
            assert!(!is_of_cargo(OsStr::new(name)), "{name}");
        }
    }
}
