//! How a case ends, and what is kept of it.

use serde::{Deserialize, Serialize};

/// Why a case ended before its last line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The adapter did something wrong, in a sentence.
    Failed(String),
    /// The profile does not offer what the case needs, in a sentence.
    Skipped(String),
}

/// What a case, or a step of it, gives.
pub(crate) type Check<T = ()> = Result<T, Stop>;

/// Ends a case as failed.
pub(crate) fn fail<T>(reason: impl Into<String>) -> Check<T> {
    Err(Stop::Failed(reason.into()))
}

/// Ends a case as skipped.
pub(crate) fn skip<T>(reason: impl Into<String>) -> Check<T> {
    Err(Stop::Skipped(reason.into()))
}

/// Ends a case as failed unless something holds.
pub(crate) fn ensure(holds: bool, reason: impl FnOnce() -> String) -> Check {
    if holds { Ok(()) } else { fail(reason()) }
}

/// How a case ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// The adapter does it right.
    Passed,
    /// The adapter does it wrong, or crashed, or took too long.
    Failed,
    /// It could not be tried with what the profile offers.
    Skipped,
}

/// One case that was tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaseResult {
    /// Stable number, such as `C03`; `C00` of a venue that did not start.
    pub id: String,
    /// Name in words.
    pub slug: String,
    /// How it ended.
    pub verdict: Verdict,
    /// Why it failed or was skipped; empty when it passed.
    pub reason: String,
    /// How long it took, in milliseconds.
    pub elapsed_ms: u64,
}
