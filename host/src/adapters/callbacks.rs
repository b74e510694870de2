//! The host's side of the boundary: what an adapter calls. A panic in here must not unwind into the library.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use adapter_abi::{
    Depth, DepthLevel, Greeks, Host, Host_TO, HostHandle, LogLevel, Ltp, PublishOutcome, Quote, StatusEvent,
    SubscriptionOutcome,
    abi_stable::{
        sabi_trait::TD_Opaque,
        std_types::{RArc, RSlice, RStr, RString},
    },
};

use secrecy::ExposeSecret as _;

use super::AdapterEvents;

/// Makes the handle that an instance gets.
pub(super) fn host_handle(label: &str, events: Arc<dyn AdapterEvents>) -> HostHandle {
    let callbacks = Callbacks { label: label.to_owned(), events };
    Host_TO::from_ptr(RArc::new(callbacks), TD_Opaque)
}

struct Callbacks {
    label: String,
    events: Arc<dyn AdapterEvents>,
}

impl Callbacks {
    fn guarded<T: Default>(&self, what: &str, body: impl FnOnce() -> T) -> T {
        catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|_| {
            tracing::error!(target: "adapter", instance = self.label, what, "A callback of the host panicked");
            T::default()
        })
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

    fn publish_greeks(&self, batch: RSlice<'_, Greeks>) -> PublishOutcome {
        self.guarded("publish_greeks", || self.events.greeks(batch.as_slice()))
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

    fn instrument_list(&self, state_json: RStr<'_>) {
        self.guarded("instrument_list", || self.events.list(state_json.as_str()));
    }

    fn credentials(&self) -> RString {
        self.guarded("credentials", || RString::from(self.events.credentials().expose_secret()))
    }

    fn max_log_level(&self) -> LogLevel {
        catch_unwind(AssertUnwindSafe(|| self.events.log_level())).unwrap_or(LogLevel::ERROR)
    }

    fn log(&self, level: LogLevel, target: RStr<'_>, message: RStr<'_>, fields_json: RStr<'_>) {
        self.guarded("log", || {
            self.events.log(level, target.as_str(), message.as_str(), fields_json.as_str());
        });
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

        fn greeks(&self, _: &[Greeks]) -> PublishOutcome {
            PublishOutcome::default()
        }

        fn order_update(&self, _: &str) -> PublishOutcome {
            PublishOutcome::default()
        }

        fn status(&self, _: StatusEvent) {}

        fn outcomes(&self, _: u64, _: &[SubscriptionOutcome]) {}

        fn credentials(&self) -> secrecy::SecretString {
            secrecy::SecretString::default()
        }

        fn log_level(&self) -> LogLevel {
            LogLevel::ERROR
        }

        fn log(&self, _: LogLevel, _: &str, _: &str, _: &str) {}

        fn replaced(&self, _: u32) {}

        fn invalid(&self, _: u64) {}

        fn lost(&self, _: u64) {}
    }

    #[test]
    fn a_panic_of_the_host_does_not_reach_the_library() {
        let handle = host_handle("test", Arc::new(Silent));
        assert_eq!(handle.publish_ltp(RSlice::from_slice(&[Ltp::default()])), PublishOutcome::default());
    }
}
