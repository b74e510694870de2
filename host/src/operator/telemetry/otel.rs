//! Sends traces and metrics to an OpenTelemetry collector, over OTLP with protobuf in HTTP.
//!
//! One thread of its own does all of it: no thread that serves waits for a collector, whatever that does.
//! Spans come to it through a bounded queue, metrics are read when they are due. Only spans of the host
//! itself are taken, so what the HTTP client does here makes none.

mod metrics;
mod sender;
mod settings;
mod spans;

use std::{fmt, sync::Arc, time::Duration};

use opentelemetry::{InstrumentationScope, KeyValue, trace::TracerProvider as _};
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_sdk::{
    Resource,
    resource::{EnvResourceDetector, TelemetryResourceDetector},
    trace::{SdkTracer, SdkTracerProvider},
};
use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tracing::{Subscriber, level_filters::LevelFilter};
use tracing_opentelemetry::OpenTelemetryLayer;
use tracing_subscriber::{Layer, filter::FilterFn, registry::LookupSpan};

use self::{
    sender::{Sender, Trouble},
    settings::ExportSettings,
    spans::Queue,
};
use super::signal::Signal;
use crate::operator::status::HostStatus;

/// Who measured it, by the word of what is sent, and the name of the service unless the operator gives
/// another.
const SCOPE: &str = "tickhost";

/// Longest time in which what waits is sent when the host has stopped.
const STOP_PATIENCE: Duration = Duration::from_secs(3);

/// Sends traces and metrics to a collector, if the environment names one.
#[derive(Debug)]
pub struct Export {
    complaints: Vec<String>,
    running: Option<Running>,
}

struct Running {
    tracer: Option<SdkTracer>,
    started: Mutex<Option<oneshot::Sender<Arc<HostStatus>>>>,
    trouble: Arc<Trouble>,
    /// The collectors of traces and metrics.
    origins: [Option<String>; 2],
    /// Metrics are sent once more, and then not again.
    conclude: CancellationToken,
    /// What waits is sent, and then nothing more.
    stop: CancellationToken,
    ended: oneshot::Receiver<()>,
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running").field("origins", &self.origins).finish_non_exhaustive()
    }
}

impl Export {
    /// Begins to export as the variables of the environment say; connects to nothing if they name no
    /// collector.
    pub fn of_environment() -> Self {
        let settings = ExportSettings::read(|name| std::env::var(name).ok());
        let mut export = Self { complaints: Vec::new(), running: None };
        if settings.traces.is_some() || settings.metrics.is_some() {
            match Running::start(&settings) {
                Ok(running) => export.running = Some(running),
                Err(reason) => {
                    export.complaints.push(format!("{reason}; nothing is exported"));
                }
            }
        }
        export.complaints.extend(settings.complaints);
        export
    }

    /// What of the variables of the environment cannot be followed, for people.
    pub fn complaints() -> Vec<String> {
        ExportSettings::read(|name| std::env::var(name).ok()).complaints
    }

    /// Says what is exported, and what of the variables cannot be followed. Call it when the log is there.
    pub fn announce(&self) {
        for complaint in &self.complaints {
            tracing::warn!(detail = complaint, "A variable of OpenTelemetry needs attention");
        }
        if let Some(Running { origins: [traces, metrics], .. }) = &self.running {
            tracing::info!(traces, metrics, "Exporting to an OpenTelemetry collector");
        }
    }

    /// What takes the spans; none if no traces are exported.
    pub(super) fn layer<S>(&self) -> Option<Box<dyn Layer<S> + Send + Sync>>
    where
        S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
    {
        let tracer = self.running.as_ref()?.tracer.clone()?;
        // Events go to the log alone: what they say of users and symbols is for whoever runs the host.
        let own_spans = FilterFn::new(|metadata| metadata.is_span() && metadata.target().starts_with(SCOPE))
            .with_max_level_hint(LevelFilter::DEBUG);
        let layer = OpenTelemetryLayer::new(tracer)
            .with_location(false)
            .with_target(false)
            .with_threads(false)
            .with_context_activation(false);
        Some(layer.with_filter(own_spans).boxed())
    }

    /// A host has started: its metrics are sent from now on.
    pub fn follow(&self, status: Arc<HostStatus>) {
        let Some(running) = &self.running else { return };
        running.trouble.count_in(Arc::clone(&status.counters));
        if let Some(started) = running.started.lock().take() {
            // Without metrics nobody waits for it.
            _ = started.send(status);
        }
    }

    /// The host begins to stop: sends its metrics as they are, while feeds are still among them.
    pub fn conclude(&self) {
        if let Some(running) = &self.running {
            running.conclude.cancel();
        }
    }

    /// The host has stopped: sends what waits, in 3 s at most. A collector that takes longer gets less.
    pub async fn stop(self) {
        let Some(Running { conclude, stop, ended, .. }) = self.running else { return };
        conclude.cancel();
        stop.cancel();
        if tokio::time::timeout(STOP_PATIENCE, ended).await.is_err() {
            tracing::warn!(
                "The OpenTelemetry collector does not take the last of what is sent; leaving it behind"
            );
        }
    }
}

impl Running {
    fn start(settings: &ExportSettings) -> Result<Self, String> {
        let (resource, trouble) = (resource(), Arc::<Trouble>::default());
        let shown = ResourceAttributesWithSchema::from(&resource);
        let (conclude, stop) = (CancellationToken::new(), CancellationToken::new());
        let (started, has_started) = oneshot::channel();
        let (end, ended) = oneshot::channel::<()>();

        let sender = |signal, target: &Option<settings::Target>| {
            let Some(target) = target.clone() else { return Ok(None) };
            Sender::new(target, signal, Arc::clone(&trouble)).map(Some)
        };
        let (traces, figures) =
            (sender(Signal::Traces, &settings.traces)?, sender(Signal::Metrics, &settings.metrics)?);
        let (mut tracer, mut sending_spans) = (None, None);
        if let Some(sender) = traces {
            let (queue, waiting) = Queue::new(settings.spans, Arc::clone(&trouble));
            let provider =
                SdkTracerProvider::builder().with_resource(resource).with_span_processor(queue).build();
            let scope = InstrumentationScope::builder(SCOPE).with_version(env!("CARGO_PKG_VERSION")).build();
            tracer = Some(provider.tracer_with_scope(scope));
            sending_spans = Some(spans::run(waiting, settings.spans, sender, copy(&shown), stop.clone()));
        }
        let sending_metrics = figures.map(|sender| {
            metrics::run(has_started, settings.metric_interval, sender, shown, conclude.clone())
        });

        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| format!("cannot start a thread: {error}"))?;
        let work = async move {
            let spans = async {
                if let Some(sending) = sending_spans {
                    sending.await;
                }
            };
            let metrics = async {
                if let Some(sending) = sending_metrics {
                    sending.await;
                }
            };
            tokio::join!(spans, metrics);
        };
        std::thread::Builder::new()
            .name("otel".to_owned())
            .spawn(move || {
                runtime.block_on(work);
                drop(end);
            })
            .map_err(|error| format!("cannot start a thread: {error}"))?;
        let origins =
            [&settings.traces, &settings.metrics].map(|target| target.as_ref().map(settings::Target::origin));
        Ok(Self { tracer, started: Mutex::new(Some(started)), trouble, origins, conclude, stop, ended })
    }
}

fn copy(resource: &ResourceAttributesWithSchema) -> ResourceAttributesWithSchema {
    ResourceAttributesWithSchema {
        attributes: opentelemetry_proto::transform::common::tonic::Attributes(resource.attributes.0.clone()),
        schema_url: resource.schema_url.clone(),
    }
}

/// What sends: the host in its version, and whatever the operator says of it, who has the last word.
fn resource() -> Resource {
    let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    let resource = Resource::builder_empty()
        .with_service_name(SCOPE)
        .with_attribute(version)
        .with_detector(Box::new(TelemetryResourceDetector))
        .with_detector(Box::new(EnvResourceDetector::new()));
    match std::env::var("OTEL_SERVICE_NAME") {
        Ok(name) if !name.is_empty() => resource.with_service_name(name).build(),
        _ => resource.build(),
    }
}
