//! Carries the adapter's `tracing` events and panics to the host. Without it they are lost: a library has
//! statics of its own, so the host's subscriber does not see them.

use std::{cell::RefCell, fmt::Write as _, sync::Once};

use adapter_abi::{LogLevel, abi_stable::std_types::RStr};
use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
    level_filters::LevelFilter,
};
use tracing_subscriber::{
    Registry,
    layer::{Context, Layer, SubscriberExt as _},
    registry::LookupSpan,
};

use crate::sink::Handle;

/// Longest message and longest list of fields that are carried over.
const MAX_BYTES: usize = 4_096;

thread_local! {
    static HOST: RefCell<Option<Handle>> = const { RefCell::new(None) };
}

/// While it lives, events and panics of this thread go to the host.
pub(crate) struct Bridge {
    _default: tracing::subscriber::DefaultGuard,
}

impl Bridge {
    pub(crate) fn install(host: &Handle) -> Self {
        HOST.set(Some(host.clone()));
        report_panics();
        let level = level_filter(host.0.max_log_level());
        let subscriber = Registry::default().with(ToHost(host.clone()).with_filter(level));
        Self { _default: tracing::subscriber::set_default(subscriber) }
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        HOST.set(None);
    }
}

fn level_filter(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::ERROR => LevelFilter::ERROR,
        LogLevel::WARN => LevelFilter::WARN,
        LogLevel::INFO => LevelFilter::INFO,
        LogLevel::DEBUG => LevelFilter::DEBUG,
        LogLevel::TRACE => LevelFilter::TRACE,
        _ => LevelFilter::OFF,
    }
}

/// Reports panics of adapter threads to their host instead of standard error; others as before.
fn report_panics() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let is_ours = HOST.with_borrow(|host| {
                let Some(host) = host else { return false };
                let mut message = info.to_string();
                cut(&mut message);
                host.0.log(
                    LogLevel::ERROR,
                    RStr::from("panic"),
                    RStr::from(message.as_str()),
                    RStr::from("{}"),
                );
                true
            });
            if !is_ours {
                before(info);
            }
        }));
    });
}

struct ToHost(Handle);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for ToHost {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let mut lines = Lines::default();
        event.record(&mut lines);
        let level = match *event.metadata().level() {
            Level::ERROR => LogLevel::ERROR,
            Level::WARN => LogLevel::WARN,
            Level::INFO => LogLevel::INFO,
            Level::DEBUG => LogLevel::DEBUG,
            Level::TRACE => LogLevel::TRACE,
        };
        cut(&mut lines.message);
        let fields = serde_json::to_string(&lines.fields).unwrap_or_else(|_| "{}".to_owned());
        let fields = if fields.len() > MAX_BYTES { "{}" } else { fields.as_str() };
        let target = event.metadata().target();
        self.0.0.log(level, RStr::from(target), RStr::from(lines.message.as_str()), RStr::from(fields));
    }
}

#[derive(Default)]
struct Lines {
    message: String,
    fields: serde_json::Map<String, serde_json::Value>,
}

impl Visit for Lines {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        let mut text = String::new();
        // Writing to a string cannot fail; a Debug that fails shows what it wrote.
        let _shown = write!(text, "{value:?}");
        if field.name() == "message" {
            self.message = text;
        } else {
            self.fields.insert(field.name().to_owned(), text.into());
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.fields.insert(field.name().to_owned(), value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.fields.insert(field.name().to_owned(), value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.fields.insert(field.name().to_owned(), value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.fields.insert(field.name().to_owned(), value.into());
    }
}

fn cut(text: &mut String) {
    text.truncate(text.floor_char_boundary(MAX_BYTES));
}
