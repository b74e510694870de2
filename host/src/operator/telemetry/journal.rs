//! Lines for systemd's journal: it has a time for each line, and takes its level from a number in front of
//! it.

use std::fmt;

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::{
    fmt::{
        FmtContext,
        format::{FormatEvent, FormatFields, Writer},
    },
    registry::LookupSpan,
};

/// Variable with the device and inode of the stream that the journal reads, where one does.
#[cfg(target_os = "linux")]
const VARIABLE: &str = "JOURNAL_STREAM";

/// Whether the journal reads standard error. Who starts the host may have set the variable and led the stream
/// elsewhere, into a file for example; so the two are compared.
#[cfg(target_os = "linux")]
pub(super) fn reads_standard_error() -> bool {
    let Ok(stat) = rustix::fs::fstat(std::io::stderr()) else { return false };
    std::env::var(VARIABLE).is_ok_and(|stream| names(&stream, stat.st_dev, stat.st_ino))
}

/// There is none on this platform.
#[cfg(not(target_os = "linux"))]
pub(super) fn reads_standard_error() -> bool {
    false
}

#[cfg(target_os = "linux")]
fn names(stream: &str, device: u64, inode: u64) -> bool {
    stream
        .split_once(':')
        .is_some_and(|(left, right)| left.parse() == Ok(device) && right.parse() == Ok(inode))
}

/// Puts syslog's number of the level in front of each line; the journal takes it off. So
/// `journalctl --priority=warning` shows what it says.
#[derive(Clone, Copy, Debug)]
pub(super) struct WithPriority<F>(pub(super) F);

impl<S, N, F> FormatEvent<S, N> for WithPriority<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        write!(writer, "<{}>", priority(*event.metadata().level()))?;
        self.0.format_event(context, writer, event)
    }
}

fn priority(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        _ => 7,
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn only_the_stream_that_is_named_is_the_journal() {
        assert!(names("8:42", 8, 42));
        for other in ["8:43", "9:42", "8", "", ":", "8:", ":42", "8:42:1", "-8:42", "a:b", " 8:42"] {
            assert!(!names(other, 8, 42), "{other:?}");
        }
    }
}
