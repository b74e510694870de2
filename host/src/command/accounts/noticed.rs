//! Whether a running host has noticed what a command has changed.

use std::time::{Duration, Instant};

use anyhow::bail;

/// Longest wait for a running host to notice a change. It looks four times a second.
const NOTICED_WITHIN: Duration = Duration::from_secs(3);

/// Between questions to it.
const ASKED_EVERY: Duration = Duration::from_millis(50);

/// Waits until a running host has noticed a change; says whose connections end.
pub(super) fn see_to_it(
    before: Option<u64>,
    noticed: impl Fn() -> anyhow::Result<Option<u64>>,
) -> anyhow::Result<&'static str> {
    let deadline = Instant::now() + NOTICED_WITHIN;
    loop {
        match (before, noticed()?) {
            (_, None) => return Ok("No host runs with this data folder."),
            (Some(before), Some(now)) if now != before => {
                return Ok("The running host has seen it and closes its connections.");
            }
            // Nothing to compare with: it has begun in between, or did not answer.
            (None, Some(_)) => return Ok("Its connections close within a second."),
            _ if Instant::now() >= deadline => bail!(
                "the running host has not noticed within {} s, and may go on taking the key: restart it",
                NOTICED_WITHIN.as_secs()
            ),
            _ => std::thread::park_timeout(ASKED_EVERY),
        }
    }
}
