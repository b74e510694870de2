//! What can be exported to an OpenTelemetry collector, and the variables that say where to.

/// Set to `true`, it switches everything off.
pub(super) const DISABLED: &str = "OTEL_SDK_DISABLED";

/// The collector for all signals. Others of the same prefix are for one.
pub(super) const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

/// One kind of data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signal {
    Traces,
    Metrics,
}

impl Signal {
    /// Its collector, by a variable that goes before [`ENDPOINT`].
    pub(super) const fn endpoint_variable(self) -> &'static str {
        match self {
            Self::Traces => "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
            Self::Metrics => "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
        }
    }

    /// Its spelling in logs and addresses.
    #[cfg(feature = "otel")]
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Traces => "traces",
            Self::Metrics => "metrics",
        }
    }

    /// Its spelling in variables.
    #[cfg(feature = "otel")]
    pub(super) const fn variable(self) -> &'static str {
        match self {
            Self::Traces => "TRACES",
            Self::Metrics => "METRICS",
        }
    }
}
