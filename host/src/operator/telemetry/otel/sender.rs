//! Hands encoded data to the collector.

use std::{
    error::Error,
    io::Write as _,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use adapter_time::Backoff;
use flate2::{Compression, write::GzEncoder};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use parking_lot::Mutex;
use prost::Message as _;
use reqwest::{Client, StatusCode, header, redirect::Policy};
use tickhost_core::metrics::ServerCounters;
use tokio_util::sync::CancellationToken;

use super::settings::Target;
use crate::operator::telemetry::signal::Signal;

/// Between two warnings about a collector that does not take what is sent.
const WARN_EVERY: Duration = Duration::from_mins(5);

/// Attempts at one request, where another one makes sense.
const ATTEMPTS: u32 = 3;

/// Between two attempts.
const PAUSES: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(2));

/// Of an answer, which is a few bytes, no more than this is read.
const MOST_OF_ANSWER: usize = 16 * 1_024;

/// Of what a collector says, no more than this is logged.
const MOST_OF_MESSAGE: usize = 200;

/// Why something did not arrive.
#[derive(Debug, thiserror::Error)]
pub(super) enum Undelivered {
    /// No answer. The text has no address, since that may hold a key.
    #[error("{0}")]
    Unanswered(String),
    /// It took too long.
    #[error("no answer within {} ms", .0.as_millis())]
    TooLate(Duration),
    /// An answer that is none of success.
    #[error("it answered {0}")]
    Refused(StatusCode),
    /// Success, but not for everything.
    #[error("it refused {count} items: {message:?}")]
    Partly {
        /// Spans or data points.
        count: i64,
        /// In the collector's words.
        message: String,
    },
}

impl Undelivered {
    /// Whether the same may be taken later, by the specification of OTLP.
    const fn is_retryable(&self) -> bool {
        match self {
            Self::Unanswered(_) | Self::TooLate(_) => true,
            Self::Refused(status) => matches!(status.as_u16(), 429 | 502 | 503 | 504),
            Self::Partly { .. } => false,
        }
    }
}

/// Sends the data of one signal.
#[derive(Clone, Debug)]
pub(super) struct Sender {
    client: Client,
    target: Target,
    signal: Signal,
    trouble: Arc<Trouble>,
}

impl Sender {
    /// Sends to this collector. Nothing is connected to yet.
    ///
    /// # Errors
    /// Why TLS cannot be used.
    pub(super) fn new(target: Target, signal: Signal, trouble: Arc<Trouble>) -> Result<Self, String> {
        // The host's TLS names its provider itself, so nothing else depends on this one.
        _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = Client::builder()
            .http1_only()
            .redirect(Policy::none())
            .no_gzip()
            .no_deflate()
            .timeout(target.timeout)
            .user_agent(concat!("tickhost/", env!("CARGO_PKG_VERSION")));
        if target.url.scheme() == "http" {
            // The system's certificates are not read for nothing.
            builder = builder.tls_certs_only([]);
        }
        let client = builder.build().map_err(|error| chain(&error))?;
        Ok(Self { client, target, signal, trouble })
    }

    /// Sends one request, and counts and logs when it fails. `stop` ends the pauses between attempts; without
    /// it there is one attempt.
    ///
    /// # Cancel Safety
    /// What is dropped before it has ended counts neither as sent nor as failed.
    pub(super) async fn send(&self, data: Vec<u8>, stop: Option<&CancellationToken>) {
        let data = bytes::Bytes::from(if self.target.is_gzipped { gzipped(&data) } else { data });
        let mut attempt = 1;
        loop {
            let Err(error) = self.try_once(data.clone()).await else {
                self.trouble.over(self.signal);
                return;
            };
            let again =
                stop.filter(|stop| error.is_retryable() && attempt < ATTEMPTS && !stop.is_cancelled());
            self.trouble.failed(self.signal, &error);
            let Some(stop) = again else {
                self.trouble.lost();
                return;
            };
            tokio::select! {
                () = tokio::time::sleep(PAUSES.pause(attempt - 1, rand::random())) => {}
                () = stop.cancelled() => {}
            }
            attempt += 1;
        }
    }

    async fn try_once(&self, data: bytes::Bytes) -> Result<(), Undelivered> {
        let mut request = self
            .client
            .post(self.target.url.clone())
            .headers(self.target.headers.clone())
            .header(header::CONTENT_TYPE, "application/x-protobuf");
        if self.target.is_gzipped {
            request = request.header(header::CONTENT_ENCODING, "gzip");
        }
        let failed = |error: reqwest::Error| {
            if error.is_timeout() {
                Undelivered::TooLate(self.target.timeout)
            } else {
                Undelivered::Unanswered(chain(&error.without_url()))
            }
        };
        let mut answer = request.body(data).send().await.map_err(failed)?;
        if !answer.status().is_success() {
            return Err(Undelivered::Refused(answer.status()));
        }
        let mut body = Vec::new();
        while let Some(part) = answer.chunk().await.map_err(failed)? {
            if body.len() + part.len() > MOST_OF_ANSWER {
                // It was taken; what else is said is nobody's concern.
                return Ok(());
            }
            body.extend_from_slice(&part);
        }
        // Both signals are answered in the same form. What is none is no refusal.
        let partly =
            ExportTraceServiceResponse::decode(body.as_slice()).ok().and_then(|it| it.partial_success);
        match partly.filter(|partly| partly.rejected_spans > 0) {
            None => Ok(()),
            Some(partly) => Err(Undelivered::Partly {
                count: partly.rejected_spans,
                message: partly.error_message.chars().take(MOST_OF_MESSAGE).collect(),
            }),
        }
    }
}

fn gzipped(data: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    // Writing to memory cannot fail.
    _ = encoder.write_all(data);
    encoder.finish().unwrap_or_default()
}

/// An error with its causes.
fn chain(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// How the collector does: counted always, logged rarely.
#[derive(Debug, Default)]
pub(super) struct Trouble {
    said: Mutex<Said>,
    /// The host's, once it has started.
    counters: OnceLock<Arc<ServerCounters>>,
}

#[derive(Debug, Default)]
struct Said {
    warned_at: Option<Instant>,
    /// A warning about this one was the last that was said.
    open: Option<Signal>,
    /// Failures since the last warning.
    silent: u64,
}

impl Trouble {
    /// Counts here from now on.
    pub(super) fn count_in(&self, counters: Arc<ServerCounters>) {
        // A second host in one process counts for itself.
        _ = self.counters.set(counters);
    }

    /// Spans that found no room.
    pub(super) fn dropped_span(&self) {
        if let Some(counters) = self.counters.get() {
            counters.spans_dropped.add(1);
        }
    }

    fn lost(&self) {
        if let Some(counters) = self.counters.get() {
            counters.exports_failed.add(1);
        }
    }

    fn failed(&self, signal: Signal, error: &Undelivered) {
        let now = Instant::now();
        let count = {
            let mut said = self.said.lock();
            said.silent += 1;
            if said.warned_at.is_some_and(|at| now.duration_since(at) < WARN_EVERY) {
                return;
            }
            (said.warned_at, said.open) = (Some(now), Some(signal));
            std::mem::take(&mut said.silent)
        };
        tracing::warn!(
            signal = signal.as_str(),
            %error,
            count,
            "The OpenTelemetry collector does not take what is sent; the host goes on without it"
        );
    }

    fn over(&self, signal: Signal) {
        let is_over = self.said.lock().open.take_if(|open| *open == signal).is_some();
        if is_over {
            tracing::info!(signal = signal.as_str(), "The OpenTelemetry collector takes what is sent again");
        }
    }
}
