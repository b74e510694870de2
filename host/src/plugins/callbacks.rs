//! The host's side of the boundary: what an adapter calls. A panic in here must not unwind into the library.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use adapter_abi::{
    Depth, DepthLevel, Host, Host_TO, HostHandle, LogLevel, Ltp, PublishOutcome, Quote, StatusEvent,
    SubscriptionOutcome,
    abi_stable::{
        sabi_trait::TD_Opaque,
        std_types::{RArc, RSlice, RStr, RString},
    },
};
use parking_lot::Mutex;
use tracing::level_filters::LevelFilter;

use super::AdapterEvents;
use crate::clock;

/// Log lines that one instance may write in a second; the rest are counted.
const LINES_PER_SECOND: u32 = 50;

/// Makes the handle that an instance gets.
pub(super) fn host_handle(label: &str, events: Arc<dyn AdapterEvents>) -> HostHandle {
    let callbacks = Callbacks { label: label.to_owned(), events, lines: Mutex::default() };
    Host_TO::from_ptr(RArc::new(callbacks), TD_Opaque)
}

struct Callbacks {
    label: String,
    events: Arc<dyn AdapterEvents>,
    lines: Mutex<Lines>,
}

/// Log lines of the present second.
#[derive(Default)]
struct Lines {
    second: u64,
    written: u32,
    suppressed: u32,
}

impl Callbacks {
    fn guarded<T: Default>(&self, what: &str, body: impl FnOnce() -> T) -> T {
        catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|_| {
            tracing::error!(target: "adapter", instance = self.label, what, "A callback of the host panicked");
            T::default()
        })
    }

    /// Whether one more line may be written, and how many were not since the last one.
    fn may_log(&self, second: u64) -> Option<u32> {
        let mut lines = self.lines.lock();
        if lines.second != second {
            lines.second = second;
            lines.written = 0;
        }
        if lines.written >= LINES_PER_SECOND {
            lines.suppressed += 1;
            return None;
        }
        lines.written += 1;
        Some(std::mem::take(&mut lines.suppressed))
    }
}

impl Host for Callbacks {
    fn publish_ltp(&self, batch: RSlice<'_, Ltp>) -> PublishOutcome {
        self.guarded("publish_ltp", || self.events.ltp(batch.as_slice()))
    }

    fn publish_quote(&self, batch: RSlice<'_, Quote>) -> PublishOutcome {
        self.guarded("publish_quote", || self.events.quote(batch.as_slice()))
    }

    fn publish_depth(&self, batch: RSlice<'_, Depth>, levels: RSlice<'_, DepthLevel>) -> PublishOutcome {
        self.guarded("publish_depth", || self.events.depth(batch.as_slice(), levels.as_slice()))
    }

    fn publish_order_update(&self, update_json: RStr<'_>) -> PublishOutcome {
        self.guarded("publish_order_update", || self.events.order_update(update_json.as_str()))
    }

    fn status(&self, event: StatusEvent) {
        self.guarded("status", || self.events.status(event));
    }

    fn subscription_outcomes(&self, request: u64, outcomes: RSlice<'_, SubscriptionOutcome>) {
        self.guarded("subscription_outcomes", || self.events.outcomes(request, outcomes.as_slice()));
    }

    fn credentials(&self) -> RString {
        self.guarded("credentials", || RString::from(self.events.credentials().as_str()))
    }

    fn max_log_level(&self) -> LogLevel {
        match LevelFilter::current().into_level() {
            None | Some(tracing::Level::ERROR) => LogLevel::ERROR,
            Some(tracing::Level::WARN) => LogLevel::WARN,
            Some(tracing::Level::INFO) => LogLevel::INFO,
            Some(tracing::Level::DEBUG) => LogLevel::DEBUG,
            Some(tracing::Level::TRACE) => LogLevel::TRACE,
        }
    }

    fn log(&self, level: LogLevel, target: RStr<'_>, message: RStr<'_>, fields_json: RStr<'_>) {
        let Some(suppressed) = self.may_log(clock::unix_nanos() / 1_000_000_000) else { return };
        let (instance, module, line) = (self.label.as_str(), target.as_str(), message.as_str());
        let fields = fields_json.as_str();
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

    struct Silent;

    impl AdapterEvents for Silent {
        fn ltp(&self, _: &[Ltp]) -> PublishOutcome {
            panic!("a fault of the host")
        }

        fn quote(&self, _: &[Quote]) -> PublishOutcome {
            PublishOutcome::default()
        }

        fn depth(&self, _: &[Depth], _: &[DepthLevel]) -> PublishOutcome {
            PublishOutcome::default()
        }

        fn order_update(&self, _: &str) -> PublishOutcome {
            PublishOutcome::default()
        }

        fn status(&self, _: StatusEvent) {}

        fn outcomes(&self, _: u64, _: &[SubscriptionOutcome]) {}

        fn credentials(&self) -> zeroize::Zeroizing<String> {
            zeroize::Zeroizing::default()
        }
    }

    #[test]
    fn a_panic_of_the_host_does_not_reach_the_library() {
        let handle = host_handle("test", Arc::new(Silent));
        assert_eq!(handle.publish_ltp(RSlice::from_slice(&[Ltp::default()])), PublishOutcome::default());
    }

    #[test]
    fn a_talkative_adapter_is_cut_short_and_the_rest_is_counted() {
        let callbacks = Callbacks { label: String::new(), events: Arc::new(Silent), lines: Mutex::default() };
        let written = (0..200).filter(|_| callbacks.may_log(1).is_some()).count();
        assert_eq!(written, LINES_PER_SECOND as usize);
        assert_eq!(callbacks.may_log(2), Some(200 - LINES_PER_SECOND));
        assert_eq!(callbacks.may_log(2), Some(0));
    }
}
