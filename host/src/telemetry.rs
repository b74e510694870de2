//! Log output: to standard error, for people or for collectors. Nothing secret gets here; see [`Redacted`].

mod journal;

use std::{
    fmt,
    io::{self, IsTerminal as _},
};

use tracing::Subscriber;
use tracing_subscriber::{EnvFilter, Registry, fmt::MakeWriter, layer::SubscriberExt as _, reload};

use crate::config::{LogFilter, LogFormat};

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter does not parse; settings that were loaded hold only filters that do.
    #[error("the log filter is not valid: {0}")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// The process has a subscriber already.
    #[error("logging was already set up in this process")]
    AlreadySet,
    /// The filter could not be exchanged.
    #[error("the log filter cannot be changed: {0}")]
    Unchanged(#[source] reload::Error),
}

/// Changes what is logged.
#[derive(Clone, Debug)]
pub struct LogControl(reload::Handle<EnvFilter, Registry>);

impl LogControl {
    /// Logs what this filter lets pass, from now on.
    ///
    /// # Errors
    /// [`TelemetryError`]; the filter before stays then.
    pub fn set(&self, filter: &LogFilter) -> Result<(), TelemetryError> {
        self.0.reload(EnvFilter::try_new(filter.as_str())?).map_err(TelemetryError::Unchanged)
    }
}

/// Sends the log of this process to standard error. Call it once, before anything logs. Where systemd's journal reads it,
/// text has the level as the journal wants it, and no time: the journal has one.
///
/// # Errors
/// [`TelemetryError`].
pub fn init(filter: &LogFilter, format: LogFormat) -> Result<LogControl, TelemetryError> {
    let wants_colour = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let reader = match io::stderr().is_terminal() {
        true => Reader::Terminal { has_colour: wants_colour },
        false if journal::reads_standard_error() => Reader::Journal,
        false => Reader::Other,
    };
    let (subscriber, control) = subscriber(filter, format, reader, io::stderr)?;
    tracing::subscriber::set_global_default(subscriber).map_err(|_| TelemetryError::AlreadySet)?;
    Ok(control)
}

/// Who reads the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reader {
    Terminal { has_colour: bool },
    Journal,
    Other,
}

fn subscriber(
    filter: &LogFilter,
    format: LogFormat,
    reader: Reader,
    writer: impl for<'a> MakeWriter<'a> + Send + Sync + 'static,
) -> Result<(Box<dyn Subscriber + Send + Sync>, LogControl), TelemetryError> {
    let (filter, handle) = reload::Layer::new(EnvFilter::try_new(filter.as_str())?);
    let filtered = Registry::default().with(filter);
    let has_colour = reader == Reader::Terminal { has_colour: true };
    let lines = tracing_subscriber::fmt::layer().with_writer(writer).with_ansi(has_colour);
    let subscriber: Box<dyn Subscriber + Send + Sync> = match (format, reader) {
        (LogFormat::Text, Reader::Journal) => {
            let format = tracing_subscriber::fmt::format().without_time();
            Box::new(filtered.with(lines.event_format(journal::WithPriority(format))))
        }
        (LogFormat::Text, _) => Box::new(filtered.with(lines)),
        (LogFormat::Json, _) => Box::new(filtered.with(lines.json())),
    };
    Ok((subscriber, LogControl(handle)))
}

/// Something that must not be read in a log or an error: it displays as `[redacted]`, so that a value which has to
/// stand in a structure with `Debug`, or in a field of an event, cannot be printed by accident.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Redacted<T>(pub T);

impl<T> fmt::Display for Redacted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl<T> fmt::Debug for Redacted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Write, sync::Arc};

    use parking_lot::Mutex;

    use super::*;
    use crate::config::{Environment, Settings, Sources};

    #[derive(Clone, Default)]
    struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn filter(text: &str) -> LogFilter {
        let sources = Sources {
            environment: Environment::from_pairs([("TICKHOST_LOG", text)]),
            platform_data_dir: Some("/data".into()),
            ..Sources::default()
        };
        Settings::load(&sources).unwrap().log
    }

    fn logged(text: &str, format: LogFormat, reader: Reader) -> String {
        logged_then(text, format, reader, |_| {})
    }

    fn logged_then(text: &str, format: LogFormat, reader: Reader, then: impl FnOnce(&LogControl)) -> String {
        let buffer = Buffer::default();
        let writer = buffer.clone();
        let filter = filter(text);
        let (subscriber, control) = subscriber(&filter, format, reader, move || writer.clone()).unwrap();
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(count = 3, key = %Redacted("hunter2"), "Started");
            tracing::debug!("Detail");
            then(&control);
        });
        let bytes = buffer.0.lock().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn text_has_the_level_the_message_and_no_secret() {
        let text = logged("info", LogFormat::Text, Reader::Other);
        assert!(text.contains("INFO") && text.contains("Started count=3 key=[redacted]"), "{text}");
        assert!(!text.contains("Detail") && !text.contains('\u{1b}'), "{text}");
        let terminal = |has_colour| logged("info", LogFormat::Text, Reader::Terminal { has_colour });
        assert!(terminal(true).contains('\u{1b}') && !terminal(false).contains('\u{1b}'));
    }

    #[test]
    fn the_journal_gets_levels_as_numbers_and_no_time_and_objects_as_they_are() {
        let text = logged_then("debug", LogFormat::Text, Reader::Journal, |_| {
            tracing::warn!("Slow");
            tracing::error!("Lost");
        });
        let starts: Vec<_> = text.lines().map(|line| line.split("tickhost").next().unwrap()).collect();
        assert_eq!(starts, ["<6> INFO ", "<7>DEBUG ", "<4> WARN ", "<3>ERROR "], "{text}");
        let objects = logged("info", LogFormat::Json, Reader::Journal);
        assert!(objects.starts_with("{\"timestamp\":"), "{objects}");
    }

    #[test]
    fn json_is_one_object_per_line_with_its_fields_in_one_place() {
        let text = logged("warn,tickhost=debug", LogFormat::Json, Reader::Other);
        let lines: Vec<serde_json::Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0]["fields"]["count"], 3);
        assert_eq!(lines[0]["fields"]["message"], "Started");
        assert_eq!(lines[0]["fields"]["key"], "[redacted]");
    }

    #[test]
    fn another_filter_counts_at_once() {
        let text = logged_then("info", LogFormat::Text, Reader::Other, |control| {
            tracing::debug!("Before");
            control.set(&filter("debug")).unwrap();
            tracing::debug!("Between");
            control.set(&filter("error")).unwrap();
            tracing::info!("After");
        });
        assert!(text.contains("Between") && !text.contains("Before") && !text.contains("After"), "{text}");
    }

    #[test]
    fn a_redacted_value_shows_in_no_format() {
        let secret = Redacted("hunter2");
        assert_eq!(format!("{secret} {secret:?} {secret:#?}"), "[redacted] [redacted] [redacted]");
    }
}
