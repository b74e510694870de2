//! Faults that end the process, each in a process of its own: this test binary again, with limits from a
//! shell.

use std::{
    os::unix::process::ExitStatusExt as _,
    process::{Command, ExitStatus},
};

use adapter_sdk::Mode;

use crate::connected;

const SIGABRT: i32 = 6;
const SIGKILL: i32 = 9;
const SIGSEGV: i32 = 11;
const SIGXCPU: i32 = 24;

/// Ticks after which a fault that does not end the process counts as survived: two seconds.
const SURVIVED: usize = 200;

/// Runs in the child only.
#[test]
#[ignore = "ends the process that it runs in"]
fn child() {
    let fault = std::env::var("FAULT").unwrap();
    let bench = connected(&format!(r#"{{"rate_hz": 100, "fault": "{fault}", "after_ms": 50}}"#));
    bench.subscribe(1, "NSE", "SBIN", Mode::Ltp);
    bench.wait_for_ticks(1, SURVIVED);
}

fn end_of(fault: &str, limit: &str) -> ExitStatus {
    let this = std::env::current_exe().expect("this test");
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", &format!("ulimit -c 0; {limit} exec \"$0\" \"$@\"")]).arg(this);
    shell.args(["--ignored", "--exact", "instance::deaths::child"]).env("FAULT", fault);
    shell.output().expect("a shell").status
}

#[test]
fn each_fault_ends_the_process_in_its_own_way() {
    assert_eq!(end_of("segfault", "").signal(), Some(SIGSEGV));
    assert_eq!(end_of("abort", "").signal(), Some(SIGABRT));
    assert_eq!(end_of("exit", "").code(), Some(3));
    assert_eq!(end_of("panic_escape", "").signal(), Some(SIGABRT));
    assert_eq!(end_of("memory_leak", "ulimit -v 600000;").signal(), Some(SIGABRT));
}

#[test]
fn an_adapter_without_descriptors_ticks_on() {
    assert!(end_of("descriptor_leak", "ulimit -n 100;").success());
    assert!(end_of("stdout_noise", "").success());
}

#[test]
fn a_computation_without_end_takes_all_the_time_there_is() {
    let signal = end_of("endless_loop", "ulimit -t 1;").signal();
    assert!([Some(SIGKILL), Some(SIGXCPU)].contains(&signal), "{signal:?}");
}
