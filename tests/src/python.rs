//! Real client programs in Python. They need a virtual environment with the clients' packages, whose
//! interpreter `TICKHOST_PYTHON` names; `.ci/run` makes one. Without it these tests say so and pass, unless
//! `TICKHOST_REQUIRE_CLIENTS` is set.

use std::{path::PathBuf, process::Stdio};

use tokio::process::Command;

/// The interpreter, when there is one.
pub fn interpreter() -> Option<PathBuf> {
    let python = std::env::var_os("TICKHOST_PYTHON").map(PathBuf::from);
    let is_required = std::env::var_os("TICKHOST_REQUIRE_CLIENTS").is_some();
    assert!(python.is_some() || !is_required, "TICKHOST_REQUIRE_CLIENTS is set, but TICKHOST_PYTHON is not");
    python
}

/// A client program of `tests/clients`, ready to be given arguments; none without an interpreter.
pub fn program(name: &str) -> Option<Command> {
    let Some(python) = interpreter() else {
        #[expect(clippy::print_stderr, reason = "a skipped test must not look like one that ran")]
        {
            eprintln!("SKIPPED: {name} needs TICKHOST_PYTHON, see .ci/run");
        }
        return None;
    };
    let mut command = Command::new(python);
    command.arg(PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/clients")).join(name));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    Some(command)
}
