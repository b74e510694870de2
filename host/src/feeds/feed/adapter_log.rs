//! Log lines of adapters: cut short when there are too many of them, and without the account's secrets.

use adapter_abi::LogLevel;
use parking_lot::Mutex;
use tracing::level_filters::LevelFilter;

use super::shared_credentials::CurrentCredentials;
use crate::base::log_rate::LogRate;

/// Log lines that one instance may write in a second; the rest are counted.
const LINES_PER_SECOND: u32 = 50;

/// Where the log lines of one instance go.
#[derive(Debug)]
pub(super) struct AdapterLog {
    label: String,
    /// By the second.
    lines: Mutex<LogRate>,
}

/// The most verbose level that is kept.
pub(super) fn most_verbose_level() -> LogLevel {
    match LevelFilter::current().into_level() {
        None | Some(tracing::Level::ERROR) => LogLevel::ERROR,
        Some(tracing::Level::WARN) => LogLevel::WARN,
        Some(tracing::Level::INFO) => LogLevel::INFO,
        Some(tracing::Level::DEBUG) => LogLevel::DEBUG,
        Some(tracing::Level::TRACE) => LogLevel::TRACE,
    }
}

impl AdapterLog {
    /// The log of the instance with this label.
    pub(super) fn new(label: &str) -> Self {
        Self { label: label.to_owned(), lines: Mutex::new(LogRate::new(LINES_PER_SECOND)) }
    }

    /// Writes a line of the second `second`, if it may.
    pub(super) fn write(
        &self,
        second: u64,
        level: LogLevel,
        (module, message, fields): (&str, &str, &str),
        credentials: &CurrentCredentials,
    ) {
        let Some(suppressed) = self.lines.lock().may_write(second) else { return };
        let (line, fields) = (credentials.redacted(message), credentials.redacted(fields));
        let (instance, fields) = (self.label.as_str(), &*fields);
        match level {
            LogLevel::ERROR => {
                tracing::error!(target: "adapter", instance, module, fields, suppressed, "{line}");
            }
            LogLevel::WARN => {
                tracing::warn!(target: "adapter", instance, module, fields, suppressed, "{line}");
            }
            LogLevel::INFO => {
                tracing::info!(target: "adapter", instance, module, fields, suppressed, "{line}");
            }
            LogLevel::DEBUG => {
                tracing::debug!(target: "adapter", instance, module, fields, suppressed, "{line}");
            }
            _ => tracing::trace!(target: "adapter", instance, module, fields, suppressed, "{line}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_talkative_adapter_is_cut_short_and_the_rest_is_counted() {
        let log = AdapterLog::new("test");
        let written = (0..200).filter(|_| log.lines.lock().may_write(1).is_some()).count();
        assert_eq!(written, LINES_PER_SECOND as usize);
        assert_eq!(log.lines.lock().may_write(2), Some(200 - LINES_PER_SECOND));
        assert_eq!(log.lines.lock().may_write(2), Some(0));
    }
}
