//! Spans: what the host does that an operator may wait for.

use tracing::Span;

/// A span of this name and kind (`server`, `client`, `internal`), with these fields. [`end`] says how it
/// ended.
///
/// Names of fields are those of OpenTelemetry's conventions, and `tickhost.…` for what is the host's own.
macro_rules! operation {
    ($name:literal, $kind:literal $(, $($fields:tt)+)?) => {
        tracing::debug_span!(
            $name,
            otel.kind = $kind,
            otel.status_code = tracing::field::Empty,
            tickhost.result = tracing::field::Empty,
            "error.type" = tracing::field::Empty,
            $($($fields)+)?
        )
    };
}

pub(crate) use operation;

/// Notes how an operation ended: well, or in an error of this kind, which is one of a few words and no
/// message.
pub(crate) fn end(span: &Span, result: Result<(), &'static str>) {
    span.record("tickhost.result", result.err().unwrap_or("ok"));
    if let Err(kind) = result {
        span.record("error.type", kind);
        span.record("otel.status_code", "error");
    }
}
