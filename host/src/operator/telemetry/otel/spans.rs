//! Spans on their way to the collector.

use std::sync::Arc;

use opentelemetry::Context;
use opentelemetry_proto::{
    tonic::{
        collector::trace::v1::ExportTraceServiceRequest,
        common::v1::InstrumentationScope,
        resource::v1::Resource,
        trace::v1::{ResourceSpans, ScopeSpans},
    },
    transform::common::tonic::ResourceAttributesWithSchema,
};
use opentelemetry_sdk::{
    error::OTelSdkResult,
    trace::{Span, SpanData, SpanProcessor},
};
use prost::Message as _;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{
    sender::{Sender, Trouble},
    settings::SpanQueue,
};

/// Takes spans where they end, on whatever thread that is: one attempt to put it into a queue, which never
/// waits.
///
/// Producer: every thread that traces. Consumer: [`run`]. Bound: [`SpanQueue::spans`]; when it is full, a
/// span is dropped and counted.
#[derive(Debug)]
pub(super) struct Queue {
    spans: mpsc::Sender<SpanData>,
    trouble: Arc<Trouble>,
}

impl Queue {
    pub(super) fn new(shape: SpanQueue, trouble: Arc<Trouble>) -> (Self, mpsc::Receiver<SpanData>) {
        let (spans, waiting) = mpsc::channel(shape.spans);
        (Self { spans, trouble }, waiting)
    }
}

impl SpanProcessor for Queue {
    fn on_start(&self, _span: &mut Span, _context: &Context) {}

    fn on_end(&self, span: SpanData) {
        if span.span_context.is_sampled() && self.spans.try_send(span).is_err() {
            self.trouble.dropped_span();
        }
    }

    /// Nothing waits here; see [`super::Export::stop`].
    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _timeout: std::time::Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// Sends spans in batches until `stop`, then what waits.
pub(super) async fn run(
    mut spans: mpsc::Receiver<SpanData>,
    shape: SpanQueue,
    sender: Sender,
    resource: ResourceAttributesWithSchema,
    stop: CancellationToken,
) {
    loop {
        let mut batch = Vec::new();
        tokio::select! {
            count = spans.recv_many(&mut batch, shape.batch) => if count == 0 { return },
            () = stop.cancelled() => break,
        }
        let filled = async {
            while batch.len() < shape.batch {
                let room = shape.batch - batch.len();
                if spans.recv_many(&mut batch, room).await == 0 {
                    break;
                }
            }
        };
        tokio::select! {
            () = filled => {}
            () = tokio::time::sleep(shape.delay) => {}
            () = stop.cancelled() => {}
        }
        sender.send(encoded(batch, &resource), Some(&stop)).await;
    }
    loop {
        let mut batch = Vec::new();
        while batch.len() < shape.batch
            && let Ok(span) = spans.try_recv()
        {
            batch.push(span);
        }
        if batch.is_empty() {
            return;
        }
        sender.send(encoded(batch, &resource), Some(&stop)).await;
    }
}

/// A request with these spans, all of which are the host's own.
fn encoded(spans: Vec<SpanData>, resource: &ResourceAttributesWithSchema) -> Vec<u8> {
    let scope = spans.first().map(|span| InstrumentationScope::from((&span.instrumentation_scope, None)));
    let spans =
        ScopeSpans { scope, spans: spans.into_iter().map(Into::into).collect(), schema_url: String::new() };
    let request = ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(Resource { attributes: resource.attributes.0.clone(), ..Resource::default() }),
            scope_spans: vec![spans],
            schema_url: resource.schema_url.clone().unwrap_or_default(),
        }],
    };
    request.encode_to_vec()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use opentelemetry::trace::{Span as _, Tracer as _, TracerProvider as _};
    use opentelemetry_sdk::trace::SdkTracerProvider;

    use super::*;
    use tickhost_core::metrics::ServerCounters;

    #[test]
    fn a_span_that_finds_no_room_is_counted_and_nobody_waits() {
        let (trouble, counters) = (Arc::<Trouble>::default(), Arc::<ServerCounters>::default());
        trouble.count_in(Arc::clone(&counters));
        let shape = SpanQueue { spans: 3, batch: 2, delay: Duration::from_secs(5) };
        let (queue, mut waiting) = Queue::new(shape, trouble);
        let provider = SdkTracerProvider::builder().with_span_processor(queue).build();
        let tracer = provider.tracer("tickhost");
        for _ in 0..10 {
            tracer.start("operation").end();
        }
        assert_eq!(counters.spans_dropped.get(), 7);
        assert_eq!(std::iter::from_fn(|| waiting.try_recv().ok()).count(), 3);
        drop(waiting);
        tracer.start("operation").end();
        assert_eq!(counters.spans_dropped.get(), 8, "nobody sends any more");
    }
}
