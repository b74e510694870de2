//! Every fault, in a process of its own.

use super::faults::{
    Effect::{Crash, Hang, Nothing},
    When::{Live, Start, Subscribe, Unsubscribe},
    all_at_once, faulty, raw,
};

const LOOP: &str = "its loop has not turned for 4 s";
const CALL: &str = "a call into the library did not return for 4 s";

#[tokio::test]
async fn what_crashes_is_started_again_and_nobody_else_notices() {
    all_at_once(
        "process",
        &[
            faulty("segfault", Live, Crash("crashed with SIGSEGV")),
            faulty("abort", Live, Crash("crashed with SIGABRT")),
            faulty("exit", Live, Crash("ended by itself with exit code 3")),
            faulty("panic_callback", Subscribe("PANIC"), Crash("a panic in `resolve`")),
            faulty("panic_task", Live, Crash("a panic in `next`")),
            faulty("panic_escape", Live, Crash("crashed with SIGABRT")),
            raw("panic_in_call", Subscribe("TCS"), Crash("ended by itself with exit code 1")),
            #[cfg(target_os = "linux")]
            faulty("end_link", Live, Crash("closed its connection for ticks")),
        ],
    )
    .await;
}

#[tokio::test]
async fn what_hangs_is_noticed_and_killed_and_nobody_else_notices() {
    all_at_once(
        "process",
        &[
            faulty("endless_loop", Live, Hang(LOOP)),
            faulty("sleep_in_connect", Start, Hang(LOOP)),
            faulty("sleep_in_next", Live, Hang(LOOP)),
            raw("hang_in_create", Start, Hang(CALL)),
            raw("hang_in_connect", Start, Hang(CALL)),
            raw("hang_in_subscribe", Subscribe("TCS"), Hang(CALL)),
            raw("hang_in_unsubscribe", Unsubscribe, Hang(CALL)),
            raw("hang_in_health", Live, Hang("no sign of life for 4 s")),
        ],
    )
    .await;
}

#[tokio::test]
async fn what_takes_too_much_is_ended_and_nobody_else_notices() {
    let out_of_memory = "crashed with SIGABRT (an abort, or an allocation beyond its 256 MiB)";
    all_at_once(
        "process",
        &[
            faulty("memory_leak", Live, Crash(out_of_memory)).with("memory_mb = 256"),
            faulty("descriptor_leak", Live, Crash("used up its 256 descriptors")).with("descriptors = 256"),
        ],
    )
    .await;
}

#[tokio::test]
async fn what_talks_nonsense_goes_on_and_nobody_else_notices() {
    all_at_once(
        "process",
        &[
            faulty("garbage_records", Live, Nothing),
            faulty("stray_ids", Live, Nothing),
            faulty("stdout_noise", Live, Nothing),
            raw("garbage_records", Live, Nothing),
        ],
    )
    .await;
}

#[tokio::test]
async fn what_talks_too_much_goes_on_and_nobody_else_notices() {
    // With the usual spacing of updates for the one that floods: without it a debug build has work for
    // seconds.
    all_at_once("process", &[faulty("tick_flood", Live, Nothing).with("throttle_ms = 50")]).await;
    all_at_once("process", &[raw("false_reports", Live, Nothing)]).await;
}
