//! Log output: to standard error, for people or for collectors. Nothing secret gets here; see [`Redacted`].
//! With the feature `otel`, traces and metrics go to an OpenTelemetry collector as well; see [`Export`].
//!
//! Spans are of level debug: they are where an operator asks what took so long, and no tick ever makes one.
//! They say how many and how it ended, never which symbol, whose key or what text.

mod aside;
mod journal;
#[cfg(feature = "otel")]
mod otel;
mod signal;
#[cfg(not(feature = "otel"))]
mod without;

use std::{
    fmt,
    io::{self, IsTerminal as _},
    sync::OnceLock,
    time::Duration,
};

use tracing::Subscriber;
use tracing_subscriber::{
    EnvFilter, Layer, Registry,
    filter::Filtered,
    fmt::{MakeWriter, writer::BoxMakeWriter},
    layer::{Layered, SubscriberExt as _},
    registry::LookupSpan,
    reload,
};

use self::aside::Aside;
#[cfg(feature = "otel")]
pub use self::otel::Export;
#[cfg(not(feature = "otel"))]
pub use self::without::Export;
use crate::config::{LogFilter, LogFormat};

/// Where the log of this process is left.
static LOG: OnceLock<Aside> = OnceLock::new();

/// Longest wait for the last lines to be written.
const LAST_WORDS: Duration = Duration::from_secs(1);

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

/// Sends the log of this process to standard error, and its spans where `export` sends them. Call it once,
/// before anything logs. Where systemd's journal reads the log, text has the level as the journal wants it,
/// and no time: the journal has one.
///
/// # Errors
/// [`TelemetryError`].
pub fn init(filter: &LogFilter, format: LogFormat, export: &Export) -> Result<LogControl, TelemetryError> {
    let wants_colour = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let reader = match io::stderr().is_terminal() {
        true => Reader::Terminal { has_colour: wants_colour },
        false if journal::reads_standard_error() => Reader::Journal,
        false => Reader::Other,
    };
    // Without a thread for it, whoever logs writes.
    let aside = Aside::new(io::stderr()).ok();
    let writer = match &aside {
        Some(aside) => BoxMakeWriter::new(aside.clone()),
        None => BoxMakeWriter::new(io::stderr),
    };
    let (subscriber, control) = subscriber(filter, format, reader, writer, export.layer())?;
    tracing::subscriber::set_global_default(subscriber).map_err(|_| TelemetryError::AlreadySet)?;
    if let Some(aside) = aside {
        // The first one counts, as with the subscriber.
        let _first = LOG.set(aside);
    }
    Ok(control)
}

/// Lets what was logged reach standard error before the process ends, if somebody reads it.
pub fn flush() {
    if let Some(log) = LOG.get() {
        log.flush(LAST_WORDS);
    }
}

/// Who reads the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reader {
    Terminal { has_colour: bool },
    Journal,
    Other,
}

/// A layer that is known only at the start.
type Boxed<S> = Box<dyn Layer<S> + Send + Sync>;

/// What the layer of the log is above.
type Lines = Layered<Filtered<Boxed<Registry>, reload::Layer<EnvFilter, Registry>, Registry>, Registry>;

fn subscriber(
    filter: &LogFilter,
    format: LogFormat,
    reader: Reader,
    writer: impl for<'a> MakeWriter<'a> + Send + Sync + 'static,
    spans: Option<Boxed<Lines>>,
) -> Result<(Box<dyn Subscriber + Send + Sync>, LogControl), TelemetryError> {
    let (filter, handle) = reload::Layer::new(EnvFilter::try_new(filter.as_str())?);
    let subscriber: Box<dyn Subscriber + Send + Sync> = match spans {
        // What the log does not show does not exist then.
        None => Box::new(Registry::default().with(filter).with(lines(format, reader, writer))),
        Some(spans) => {
            let lines = lines(format, reader, writer).with_filter(filter);
            Box::new(Registry::default().with(lines).with(spans))
        }
    };
    Ok((subscriber, LogControl(handle)))
}

fn lines<S: Subscriber + for<'a> LookupSpan<'a>>(
    format: LogFormat,
    reader: Reader,
    writer: impl for<'a> MakeWriter<'a> + Send + Sync + 'static,
) -> Boxed<S> {
    let has_colour = reader == Reader::Terminal { has_colour: true };
    let lines = tracing_subscriber::fmt::layer().with_writer(writer).with_ansi(has_colour);
    match (format, reader) {
        (LogFormat::Text, Reader::Journal) => {
            let format = tracing_subscriber::fmt::format().without_time();
            lines.event_format(journal::WithPriority(format)).boxed()
        }
        (LogFormat::Text, _) => lines.boxed(),
        (LogFormat::Json, _) => lines.json().boxed(),
    }
}

/// Something that must not be read in a log or an error: it displays as `[redacted]`, so that a value which
/// has to stand in a structure with `Debug`, or in a field of an event, cannot be printed by accident.
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
        logged_beside(None, text, format, reader, then)
    }

    /// What the log shows while this layer takes spans.
    fn logged_beside(
        spans: Option<Boxed<Lines>>,
        text: &str,
        format: LogFormat,
        reader: Reader,
        then: impl FnOnce(&LogControl),
    ) -> String {
        let buffer = Buffer::default();
        let writer = buffer.clone();
        let filter = filter(text);
        let (subscriber, control) =
            subscriber(&filter, format, reader, move || writer.clone(), spans).unwrap();
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

    /// Keeps the names of spans.
    #[derive(Clone, Default)]
    struct Names(Arc<Mutex<Vec<&'static str>>>);

    impl<S: Subscriber> Layer<S> for Names {
        fn on_new_span(
            &self,
            attributes: &tracing::span::Attributes<'_>,
            _id: &tracing::span::Id,
            _context: tracing_subscriber::layer::Context<'_, S>,
        ) {
            self.0.lock().push(attributes.metadata().name());
        }
    }

    #[test]
    fn spans_are_taken_whatever_the_log_shows_and_the_log_follows_its_filter_alone() {
        let names = Names::default();
        let spans: Boxed<Lines> = Box::new(names.clone());
        let text = logged_beside(Some(spans), "info", LogFormat::Json, Reader::Other, |control| {
            let one = crate::base::span::operation!("one", "internal");
            one.in_scope(|| tracing::info!("Within"));
            control.set(&filter("debug")).unwrap();
            tracing::debug!("Between");
            crate::base::span::operation!("two", "internal").in_scope(|| tracing::debug!("Inside"));
            control.set(&filter("off")).unwrap();
            let three = crate::base::span::operation!("three", "internal");
            three.in_scope(|| tracing::error!("After"));
        });
        assert_eq!(*names.0.lock(), ["one", "two", "three"]);
        let lines: Vec<serde_json::Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let shown: Vec<_> = lines
            .iter()
            .map(|line| (line["fields"]["message"].as_str().unwrap(), line["span"]["name"].as_str()))
            .collect();
        assert_eq!(
            shown,
            [("Started", None), ("Within", None), ("Between", None), ("Inside", Some("two"))],
            "{text}"
        );
    }

    #[test]
    fn a_redacted_value_shows_in_no_format() {
        let secret = Redacted("hunter2");
        assert_eq!(format!("{secret} {secret:?} {secret:#?}"), "[redacted] [redacted] [redacted]");
    }
}
