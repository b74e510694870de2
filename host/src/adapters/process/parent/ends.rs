//! Ends of processes, and how they are described.

use std::process::ExitStatus;

use adapter_abi::{ErrorCode, StatusEvent, StatusKind};

#[cfg(unix)]
use super::super::signal_name;
use crate::config::ResourceLimits;

/// Why a process is over.
pub(super) enum End {
    /// The library has ended, and said how.
    Reported(StatusKind, ErrorCode, String),
    /// The host ends it, for this reason.
    Killed(ErrorCode, String),
    /// Its cache folder holds too much, which is said here.
    Overfull(String),
    /// It ended without a word.
    Gone,
    /// As it was told.
    Stopped,
}

/// One sentence about an end.
pub(super) fn describe(
    end: End,
    status: Option<ExitStatus>,
    limits: &ResourceLimits,
    cache_mb: u32,
) -> StatusEvent {
    match end {
        End::Stopped => ending(StatusKind::STOPPED, ErrorCode::NONE, String::new()),
        End::Reported(kind, code, message) => ending(kind, code, message),
        End::Killed(code, message) => ending(StatusKind::FAILED, code, message),
        End::Overfull(message) => ending(StatusKind::FAILED, ErrorCode::OTHER, message),
        End::Gone => {
            let message = status.map_or_else(
                || "its process closed its streams".to_owned(),
                |status| how_it_ended(status, limits, cache_mb),
            );
            ending(StatusKind::FAILED, ErrorCode::OTHER, message)
        }
    }
}

/// How a process ended, for people.
fn how_it_ended(status: ExitStatus, limits: &ResourceLimits, cache_mb: u32) -> String {
    #[cfg(unix)]
    {
        use std::os::unix::process::ExitStatusExt as _;

        if let Some(signal) = status.signal() {
            let name = signal_name(signal);
            let hint = match name.as_str() {
                "SIGABRT" => format!(" (an abort, or an allocation beyond its {} MiB)", limits.memory_mb),
                "SIGXFSZ" => format!(" (a file beyond its {cache_mb} MiB)"),
                _ => String::new(),
            };
            return format!("its process crashed with {name}{hint}");
        }
    }
    #[cfg(not(unix))]
    let _no_signals_here = (limits, cache_mb);
    match status.code() {
        Some(code) => format!("its process ended by itself with exit code {code}"),
        None => "its process ended by itself".to_owned(),
    }
}

pub(super) fn ending(kind: StatusKind, code: ErrorCode, message: String) -> StatusEvent {
    StatusEvent { kind, code, request: 0, retry_in_ms: 0, message: message.into() }
}
