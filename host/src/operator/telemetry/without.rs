//! A build without the feature `otel` exports nothing, and says so to whoever expects it.

use std::sync::Arc;

use tracing_subscriber::Layer;

use super::signal::{DISABLED, ENDPOINT, Signal};
use crate::operator::status::HostStatus;

const CANNOT: &str = "an OpenTelemetry collector is named in OTEL_EXPORTER_OTLP_ENDPOINT or one like it, but this build \
    cannot export: build it with `--features otel`, or let the collector scrape /metrics";

/// Would send traces and metrics to a collector; see the feature `otel`.
#[derive(Debug)]
pub struct Export {
    is_expected: bool,
}

impl Export {
    /// Looks whether the environment asks for an export.
    pub fn of_environment() -> Self {
        Self::of(|name| std::env::var(name).ok())
    }

    fn of(variable: impl Fn(&str) -> Option<String>) -> Self {
        let is_disabled = variable(DISABLED).is_some_and(|text| text.trim().eq_ignore_ascii_case("true"));
        let endpoints = [ENDPOINT, Signal::Traces.endpoint_variable(), Signal::Metrics.endpoint_variable()];
        let has_endpoint =
            endpoints.into_iter().filter_map(variable).any(|endpoint| !endpoint.trim().is_empty());
        Self { is_expected: has_endpoint && !is_disabled }
    }

    /// What of the variables of the environment cannot be followed, for people.
    pub fn complaints() -> Vec<String> {
        Self::of_environment().is_expected.then(|| CANNOT.to_owned()).into_iter().collect()
    }

    /// Warns whoever waits for data in vain. Call it when the log is there.
    pub fn announce(&self) {
        if self.is_expected {
            tracing::warn!(detail = CANNOT, "A variable of OpenTelemetry needs attention");
        }
    }

    /// No layer takes spans.
    pub(super) fn layer<S>(&self) -> Option<Box<dyn Layer<S> + Send + Sync>> {
        _ = self;
        None
    }

    /// A host has started.
    pub fn follow(&self, _status: Arc<HostStatus>) {}

    /// The host begins to stop.
    pub fn conclude(&self) {}

    /// The host has stopped.
    pub fn stop(self) -> impl Future<Output = ()> {
        std::future::ready(())
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(&[], false)]
    #[case(&[("OTEL_EXPORTER_OTLP_ENDPOINT", " ")], false)]
    #[case(&[("OTEL_SERVICE_NAME", "x"), ("OTEL_EXPORTER_OTLP_HEADERS", "a=b")], false)]
    #[case(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c")], true)]
    #[case(&[("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://c")], true)]
    #[case(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c"), ("OTEL_SDK_DISABLED", "True")], false)]
    fn an_endpoint_is_what_makes_people_wait(#[case] pairs: &[(&str, &str)], #[case] expected: bool) {
        let variable = |name: &str| Some(pairs.iter().find(|(known, _)| *known == name)?.1.to_owned());
        assert_eq!(Export::of(variable).is_expected, expected);
    }
}
