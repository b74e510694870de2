//! A case in a process of its own ends in a result, whatever becomes of the process.

#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::tests_outside_test_module,
    missing_docs,
    reason = "an integration test"
)]

use std::{
    process::Command,
    time::{Duration, Instant},
};

use adapter_conformance::{CASES, CaseResult, Verdict, hand_over, run_isolated, run_limited};

fn shell(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    command
}

fn result(reason: &str) -> CaseResult {
    CaseResult {
        id: CASES[0].id.to_owned(),
        slug: CASES[0].slug.to_owned(),
        verdict: Verdict::Skipped,
        reason: reason.to_owned(),
        elapsed_ms: 7,
    }
}

fn printed(result: &CaseResult) -> String {
    let mut line = Vec::new();
    hand_over(result, &mut line).unwrap();
    String::from_utf8(line).unwrap()
}

#[test]
fn a_result_is_found_among_what_a_library_prints() {
    let handed = result("no \"venue\"");
    let script = format!("echo noise; printf 'half a line'; cat <<'END'\n{}END\necho more", printed(&handed));
    assert_eq!(run_isolated(&CASES[0], &mut shell(&script), &[]), handed);
}

#[test]
fn a_crash_is_a_failed_case_that_names_the_signal_and_what_was_said_last() {
    let crashed =
        run_isolated(&CASES[0], &mut shell("echo 'free(): invalid pointer' >&2; kill -SEGV $$"), &[]);
    assert_eq!(crashed.verdict, Verdict::Failed);
    assert_eq!(crashed.reason, "crashed with SIGSEGV: free(): invalid pointer");
}

#[test]
fn a_crash_after_the_result_is_a_failed_case_too() {
    let script = format!("cat <<'END'\n{}END\nkill -ABRT $$", printed(&result("")));
    assert_eq!(run_isolated(&CASES[0], &mut shell(&script), &[]).reason, "crashed with SIGABRT");
}

#[test]
fn an_exit_is_a_failed_case() {
    assert_eq!(
        run_isolated(&CASES[0], &mut shell("exit 3"), &[]).reason,
        "ended the process with exit code 3"
    );
    let quiet = run_isolated(&CASES[0], &mut shell("exit 0"), &[]);
    assert_eq!(quiet.reason, "ended the process before the case was over");
}

#[test]
fn a_process_that_hangs_is_ended_at_its_limit() {
    let started = Instant::now();
    let ended = run_limited(&mut shell("exec sleep 60"), Duration::from_millis(100));
    assert_eq!(ended.unwrap_err(), "did not end in 100ms");
    assert!(started.elapsed() < Duration::from_secs(30));
}

#[test]
fn a_secret_that_is_printed_is_a_failed_case() {
    let script = format!("echo token-of-today >&2; cat <<'END'\n{}END", printed(&result("")));
    let leaked = run_isolated(&CASES[0], &mut shell(&script), &["nobody's", "token-of-today"]);
    assert_eq!(
        (leaked.verdict, leaked.reason.as_str()),
        (Verdict::Failed, "a secret of the profile was printed")
    );
}

/// Lists and other files of one case are none of the next, and none of the user's.
#[test]
fn what_a_case_writes_where_adapters_write_is_gone_when_it_has_ended() {
    let outside = tempfile::tempdir().unwrap();
    let said = outside.path().join("said");
    let script = format!(
        "for dir in \"$TICKHOST_CACHE_DIR\" \"$XDG_CACHE_HOME\" \"$TMPDIR\"; do touch \"$dir/list\" && echo \"$dir\"; done >{}; \
         cat <<'END'\n{}END",
        said.display(),
        printed(&result(""))
    );
    run_isolated(&CASES[0], &mut shell(&script), &[]);
    let folders: Vec<std::path::PathBuf> =
        std::fs::read_to_string(said).unwrap().lines().map(Into::into).collect();
    assert_eq!(folders.len(), 3);
    for folder in folders {
        assert!(folder.starts_with(std::env::temp_dir()) && !folder.exists(), "{}", folder.display());
    }
}

#[test]
fn a_program_that_is_not_there_is_a_sentence() {
    let missing = run_limited(&mut Command::new("/nowhere/program"), Duration::from_secs(1));
    assert!(missing.unwrap_err().starts_with("cannot start a process: "));
}
