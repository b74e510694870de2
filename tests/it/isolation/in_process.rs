//! The faults that a host survives that runs the library itself.

use super::faults::{
    Effect::{Crash, Hang, Nothing},
    When::{Live, Start, Subscribe, Unsubscribe},
    all_at_once, faulty, raw,
};

const LOOP: &str = "its loop has not turned for 4 s";
const CALL: &str = "a call into the library did not return for 4 s";

#[tokio::test]
async fn what_panics_is_started_again_and_nobody_else_notices() {
    all_at_once(
        "in-process",
        &[
            faulty("panic_callback", Subscribe("PANIC"), Crash("a panic in `resolve`")),
            faulty("panic_task", Live, Crash("a panic in `next`")),
        ],
    )
    .await;
}

#[tokio::test]
async fn what_hangs_is_noticed_and_left_behind_and_nobody_else_notices() {
    all_at_once(
        "in-process",
        &[
            faulty("endless_loop", Live, Hang(LOOP)),
            faulty("sleep_in_connect", Start, Hang(LOOP)),
            faulty("sleep_in_next", Live, Hang(LOOP)),
            raw("hang_in_create", Start, Hang(CALL)),
            raw("hang_in_connect", Start, Hang(CALL)),
            raw("hang_in_subscribe", Subscribe("TCS"), Hang(CALL)),
            raw("hang_in_unsubscribe", Unsubscribe, Hang(CALL)),
            raw("hang_in_health", Live, Hang(CALL)),
        ],
    )
    .await;
}

#[tokio::test]
async fn what_talks_nonsense_goes_on_and_nobody_else_notices() {
    all_at_once(
        "in-process",
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
    all_at_once("in-process", &[faulty("tick_flood", Live, Nothing).with("throttle_ms = 50")]).await;
    all_at_once("in-process", &[raw("false_reports", Live, Nothing)]).await;
}
