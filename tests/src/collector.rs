//! An OpenTelemetry collector on this machine: it decodes what it is sent and keeps it.

use std::{
    collections::BTreeMap,
    fmt,
    io::{self, Read as _},
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::post,
    serve::Listener,
};
use opentelemetry_proto::tonic::{
    collector::{
        metrics::v1::ExportMetricsServiceRequest,
        trace::v1::{ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse},
    },
    common::v1::{KeyValue, any_value::Value},
    metrics::v1::{metric, number_data_point},
    trace::v1::{Span, status::StatusCode as SpanStatus},
};
use prost::Message;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use crate::tls::{self, Certificate};

/// Labels of a sample, by name.
pub type Labels = BTreeMap<String, String>;

/// What a page of `/metrics` or an export of metrics says: values by name and labels. Histograms stand as
/// Prometheus shows them.
pub type Figures = BTreeMap<(String, Labels), f64>;

/// How a collector answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// As it should.
    Takes,
    /// It reads and never answers.
    Hangs,
    /// With 400: nothing of it is to be sent again.
    Refuses,
    /// With 503 to the first request, then as it should.
    IsBusyFirst,
    /// It takes all of it and says that it has not taken 3.
    TakesInPart,
}

/// A running collector.
#[derive(Debug)]
pub struct Collector {
    endpoint: String,
    received: Arc<Received>,
}

/// A port with TLS.
struct Encrypted {
    port: TcpListener,
    acceptor: TlsAcceptor,
}

impl Listener for Encrypted {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let Ok((stream, peer)) = self.port.accept().await else { continue };
            if let Ok(stream) = self.acceptor.accept(stream).await {
                return (stream, peer);
            }
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.port.local_addr()
    }
}

#[derive(Debug)]
struct Received {
    manner: Manner,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    requests: usize,
    spans: Vec<Seen>,
    /// The newest.
    figures: Figures,
    resources: Vec<Labels>,
    headers: Vec<Labels>,
    /// Everything as text, to be searched.
    text: String,
}

/// A span.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Its name.
    pub name: String,
    /// Its number.
    pub id: Vec<u8>,
    /// That of the one around it, empty without.
    pub parent: Vec<u8>,
    /// Its attributes.
    pub attributes: Labels,
    /// Whether it counts as failed.
    pub has_failed: bool,
    /// Nanoseconds that it took.
    pub took_ns: u64,
}

impl Seen {
    /// An attribute; empty without.
    pub fn attribute(&self, name: &str) -> &str {
        self.attributes.get(name).map_or("", String::as_str)
    }
}

impl Collector {
    /// Starts one.
    pub async fn start(manner: Manner) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let endpoint = format!("http://{}", port.local_addr().expect("an address"));
        Self::serve(port, endpoint, manner)
    }

    /// Starts one that shows this certificate.
    pub async fn start_encrypted(certificate: &Certificate) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let endpoint = format!("https://localhost:{}", port.local_addr().expect("an address").port());
        let port = Encrypted { port, acceptor: tls::acceptor(certificate) };
        Self::serve(port, endpoint, Manner::Takes)
    }

    fn serve<L: Listener<Addr: fmt::Debug>>(port: L, endpoint: String, manner: Manner) -> Self {
        let received = Arc::new(Received { manner, kept: Mutex::default() });
        let routes = Router::new()
            .route("/v1/traces", post(traces))
            .route("/v1/metrics", post(metrics))
            .with_state(Arc::clone(&received));
        tokio::spawn(async move { axum::serve(port, routes).await });
        Self { endpoint, received }
    }

    /// What `OTEL_EXPORTER_OTLP_ENDPOINT` is set to.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Requests that came.
    pub fn requests(&self) -> usize {
        self.received.kept.lock().unwrap().requests
    }

    /// All spans of a name so far.
    pub fn spans(&self, name: &str) -> Vec<Seen> {
        let kept = self.received.kept.lock().unwrap();
        kept.spans.iter().filter(|span| span.name == name).cloned().collect()
    }

    /// The newest metrics.
    pub fn figures(&self) -> Figures {
        self.received.kept.lock().unwrap().figures.clone()
    }

    /// Who sent each request, by its resource.
    pub fn resources(&self) -> Vec<Labels> {
        self.received.kept.lock().unwrap().resources.clone()
    }

    /// Headers of each request.
    pub fn headers(&self) -> Vec<Labels> {
        self.received.kept.lock().unwrap().headers.clone()
    }

    /// Everything that came, as text.
    pub fn text(&self) -> String {
        self.received.kept.lock().unwrap().text.clone()
    }
}

impl Received {
    /// The body of an answer.
    fn said(&self) -> Vec<u8> {
        let partial_success = (self.manner == Manner::TakesInPart)
            .then(|| ExportTracePartialSuccess { rejected_spans: 3, error_message: "too\nmany".to_owned() });
        ExportTraceServiceResponse { partial_success }.encode_to_vec()
    }

    /// Notes a request and gives its message, if there is something to answer.
    async fn take<M: Message + Default>(&self, headers: &HeaderMap, body: &Bytes) -> Result<M, StatusCode> {
        {
            let mut kept = self.kept.lock().unwrap();
            kept.requests += 1;
            let headers = headers
                .iter()
                .map(|(name, value)| (name.to_string(), value.to_str().expect("text").to_owned()));
            kept.headers.push(headers.collect());
            if self.manner == Manner::IsBusyFirst && kept.requests == 1 {
                return Err(StatusCode::SERVICE_UNAVAILABLE);
            }
        }
        match self.manner {
            Manner::Takes | Manner::IsBusyFirst | Manner::TakesInPart => {}
            Manner::Hangs => std::future::pending().await,
            Manner::Refuses => return Err(StatusCode::BAD_REQUEST),
        }
        assert_eq!(headers["content-type"], "application/x-protobuf");
        let mut plain = Vec::new();
        if headers.get("content-encoding").is_some_and(|encoding| encoding == "gzip") {
            flate2::read::GzDecoder::new(body.as_ref()).read_to_end(&mut plain).expect("gzip");
        } else {
            plain.extend_from_slice(body);
        }
        let message = M::decode(plain.as_slice()).expect("a message of OTLP");
        self.kept.lock().unwrap().text.push_str(&String::from_utf8_lossy(&plain));
        Ok(message)
    }
}

type Answer = (StatusCode, Vec<u8>);

async fn traces(State(received): State<Arc<Received>>, headers: HeaderMap, body: Bytes) -> Answer {
    let request: ExportTraceServiceRequest = match received.take(&headers, &body).await {
        Ok(request) => request,
        Err(status) => return (status, Vec::new()),
    };
    let mut kept = received.kept.lock().unwrap();
    for resource_spans in request.resource_spans {
        kept.resources.push(labels(&resource_spans.resource.expect("a resource").attributes));
        for scope in resource_spans.scope_spans {
            assert_eq!(scope.scope.expect("a scope").name, "tickhost");
            kept.spans.extend(scope.spans.into_iter().map(seen));
        }
    }
    (StatusCode::OK, received.said())
}

async fn metrics(State(received): State<Arc<Received>>, headers: HeaderMap, body: Bytes) -> Answer {
    let request: ExportMetricsServiceRequest = match received.take(&headers, &body).await {
        Ok(request) => request,
        Err(status) => return (status, Vec::new()),
    };
    let mut kept = received.kept.lock().unwrap();
    kept.figures.clear();
    for resource_metrics in request.resource_metrics {
        kept.resources.push(labels(&resource_metrics.resource.expect("a resource").attributes));
        for metric in resource_metrics.scope_metrics.into_iter().flat_map(|scope| scope.metrics) {
            add(&mut kept.figures, &metric.name, metric.data.expect("values"));
        }
    }
    (StatusCode::OK, received.said())
}

fn seen(span: Span) -> Seen {
    assert!(span.events.is_empty(), "what is logged goes to the log alone");
    Seen {
        name: span.name,
        id: span.span_id,
        parent: span.parent_span_id,
        attributes: labels(&span.attributes),
        has_failed: span.status.is_some_and(|status| status.code() == SpanStatus::Error),
        took_ns: span.end_time_unix_nano - span.start_time_unix_nano,
    }
}

fn labels(attributes: &[KeyValue]) -> Labels {
    let text = |attribute: &KeyValue| match attribute.value.clone().and_then(|value| value.value) {
        Some(Value::StringValue(text)) => text,
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::BoolValue(flag)) => flag.to_string(),
        other => panic!("{} is {other:?}", attribute.key),
    };
    attributes.iter().map(|attribute| (attribute.key.clone(), text(attribute))).collect()
}

/// Adds a family.
fn add(figures: &mut Figures, name: &str, data: metric::Data) {
    let mut put = |ending: &str, labels: Labels, value: f64| {
        let before = figures.insert((format!("{name}{ending}"), labels), value);
        assert!(before.is_none(), "{name}{ending} stands twice");
    };
    let points = match data {
        metric::Data::Gauge(gauge) => gauge.data_points,
        metric::Data::Sum(sum) => {
            assert!(sum.is_monotonic && sum.aggregation_temporality == 2, "{name} is a counter");
            assert!(
                sum.data_points
                    .iter()
                    .all(|point| (1..point.time_unix_nano).contains(&point.start_time_unix_nano))
            );
            sum.data_points
        }
        metric::Data::Histogram(histogram) => {
            for point in histogram.data_points {
                let labels = labels(&point.attributes);
                assert_eq!(point.bucket_counts.len(), point.explicit_bounds.len() + 1);
                let bounds = point.explicit_bounds.iter().map(f64::to_string);
                let mut below = 0;
                for (bound, count) in bounds.chain(["+Inf".to_owned()]).zip(point.bucket_counts) {
                    below += count;
                    let mut labels = labels.clone();
                    labels.insert("le".to_owned(), bound);
                    put("_bucket", labels, as_f64(below));
                }
                assert_eq!(below, point.count);
                put("_count", labels.clone(), as_f64(point.count));
                put("_sum", labels, point.sum.expect("a sum"));
            }
            return;
        }
        other => panic!("{name} is {other:?}"),
    };
    for point in points {
        let value = match point.value.expect("a value") {
            number_data_point::Value::AsDouble(value) => value,
            number_data_point::Value::AsInt(value) => as_f64(u64::try_from(value).expect("not below zero")),
        };
        put("", labels(&point.attributes), value);
    }
}

/// As a page of text, read again, has it.
fn as_f64(value: u64) -> f64 {
    value.to_string().parse().expect("a number")
}

/// Reads a page of `/metrics`, whose labels have nothing to be escaped here.
pub fn read_page(page: &str) -> Figures {
    let lines = page.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let (sample, value) = line.rsplit_once(' ').expect("a value");
            let (name, labels) = sample.split_once('{').unwrap_or((sample, ""));
            let labels =
                labels.trim_end_matches('}').split(',').filter(|label| !label.is_empty()).map(|label| {
                    let (name, value) = label.split_once('=').expect("a label");
                    (name.to_owned(), value.trim_matches('"').to_owned())
                });
            ((name.to_owned(), labels.collect()), value.parse().expect("a number"))
        })
        .collect()
}
