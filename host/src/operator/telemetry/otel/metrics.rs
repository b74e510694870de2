//! The metrics of `/metrics` in the form of the collector: the same names, labels as attributes, and
//! cumulative values since the start of the host. Built from the same walk, not from counters of their own;
//! the SDK's instruments could not take histograms that are counted elsewhere.

use std::{sync::Arc, time::Duration};

use opentelemetry_proto::{
    tonic::{
        collector::metrics::v1::ExportMetricsServiceRequest,
        common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value},
        metrics::v1::{
            AggregationTemporality, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint,
            ResourceMetrics, ScopeMetrics, Sum, metric, number_data_point,
        },
        resource::v1::Resource,
    },
    transform::common::tonic::ResourceAttributesWithSchema,
};
use prost::Message as _;
use tickhost_core::metrics::{Counted, Families, Kind};
use tokio::{
    sync::oneshot,
    time::{Instant, MissedTickBehavior},
};
use tokio_util::sync::CancellationToken;

use super::{SCOPE, sender::Sender};
use crate::{base::clock, operator::status::HostStatus};

const CUMULATIVE: i32 = AggregationTemporality::Cumulative as i32;

/// Sends the metrics of a host once it has started, at each interval until `conclude`, and then once more.
pub(super) async fn run(
    started: oneshot::Receiver<Arc<HostStatus>>,
    interval: Duration,
    sender: Sender,
    resource: ResourceAttributesWithSchema,
    conclude: CancellationToken,
) {
    let Ok(status) = started.await else { return };
    let start_ns = clock::unix_nanos().saturating_sub(nanos(status.clock.uptime()));
    let mut looks = tokio::time::interval_at(Instant::now() + interval, interval);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let look = || {
        let mut request = Request::new(start_ns, clock::unix_nanos());
        status.each_metric(&mut request);
        request.encoded(&resource)
    };
    loop {
        tokio::select! {
            _ = looks.tick() => {}
            () = conclude.cancelled() => break,
        }
        tokio::select! {
            // One attempt: the next values hold all that these do.
            () = sender.send(look(), None) => {}
            () = conclude.cancelled() => break,
        }
    }
    sender.send(look(), None).await;
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// A request that is filled by a walk.
#[derive(Debug)]
struct Request {
    start_ns: u64,
    now_ns: u64,
    metrics: Vec<Metric>,
    kind: Kind,
}

impl Request {
    const fn new(start_ns: u64, now_ns: u64) -> Self {
        Self { start_ns, now_ns, metrics: Vec::new(), kind: Kind::Gauge }
    }

    fn begin(&mut self, name: &str, help: &str, data: metric::Data) {
        // The unit of what is counted has no name; that of times is in their names, as Prometheus has it.
        let unit = if name.ends_with("_seconds") { "s" } else { "" };
        self.metrics.push(Metric {
            name: name.to_owned(),
            description: help.to_owned(),
            unit: unit.to_owned(),
            data: Some(data),
            ..Metric::default()
        });
    }

    /// The request, without the families that have no values.
    fn encoded(mut self, resource: &ResourceAttributesWithSchema) -> Vec<u8> {
        self.metrics.retain(|metric| match &metric.data {
            Some(metric::Data::Gauge(gauge)) => !gauge.data_points.is_empty(),
            Some(metric::Data::Sum(sum)) => !sum.data_points.is_empty(),
            Some(metric::Data::Histogram(histogram)) => !histogram.data_points.is_empty(),
            _ => false,
        });
        let scope = InstrumentationScope {
            name: SCOPE.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ..InstrumentationScope::default()
        };
        let request = ExportMetricsServiceRequest {
            resource_metrics: vec![ResourceMetrics {
                resource: Some(Resource { attributes: resource.attributes.0.clone(), ..Resource::default() }),
                scope_metrics: vec![ScopeMetrics {
                    scope: Some(scope),
                    metrics: self.metrics,
                    schema_url: String::new(),
                }],
                schema_url: resource.schema_url.clone().unwrap_or_default(),
            }],
        };
        request.encode_to_vec()
    }
}

impl Families for Request {
    fn family(&mut self, name: &str, kind: Kind, help: &str) {
        self.kind = kind;
        let data = match kind {
            Kind::Counter => metric::Data::Sum(Sum {
                data_points: Vec::new(),
                aggregation_temporality: CUMULATIVE,
                is_monotonic: true,
            }),
            Kind::Gauge | Kind::Time => metric::Data::Gauge(Gauge::default()),
        };
        self.begin(name, help, data);
    }

    fn histograms(&mut self, name: &str, help: &str) {
        let data = Histogram { data_points: Vec::new(), aggregation_temporality: CUMULATIVE };
        self.begin(name, help, metric::Data::Histogram(data));
    }

    fn number(&mut self, labels: &[(&str, &str)], value: u64) {
        let value = if self.kind == Kind::Time {
            // As exact as `/metrics` is.
            number_data_point::Value::AsDouble(Duration::from_millis(value / 1_000_000).as_secs_f64())
        } else {
            number_data_point::Value::AsInt(i64::try_from(value).unwrap_or(i64::MAX))
        };
        let point = NumberDataPoint {
            attributes: attributes(labels),
            start_time_unix_nano: if self.kind == Kind::Counter { self.start_ns } else { 0 },
            time_unix_nano: self.now_ns,
            value: Some(value),
            ..NumberDataPoint::default()
        };
        match self.metrics.last_mut().and_then(|metric| metric.data.as_mut()) {
            Some(metric::Data::Sum(sum)) => sum.data_points.push(point),
            Some(metric::Data::Gauge(gauge)) => gauge.data_points.push(point),
            _ => {}
        }
    }

    fn histogram(&mut self, labels: &[(&str, &str)], counted: &Counted) {
        let (bounds, counts): (Vec<Option<u64>>, Vec<u64>) = counted.shown().unzip();
        let seconds = |us: u64| Duration::from_micros(us).as_secs_f64();
        let point = HistogramDataPoint {
            attributes: attributes(labels),
            start_time_unix_nano: self.start_ns,
            time_unix_nano: self.now_ns,
            count: counts.iter().sum(),
            sum: Some(seconds(counted.sum_us)),
            explicit_bounds: bounds.into_iter().flatten().map(seconds).collect(),
            bucket_counts: counts,
            ..HistogramDataPoint::default()
        };
        if let Some(metric::Data::Histogram(histogram)) =
            self.metrics.last_mut().and_then(|metric| metric.data.as_mut())
        {
            histogram.data_points.push(point);
        }
    }
}

fn attributes(labels: &[(&str, &str)]) -> Vec<KeyValue> {
    labels
        .iter()
        .map(|(name, value)| KeyValue {
            key: (*name).to_owned(),
            value: Some(AnyValue { value: Some(any_value::Value::StringValue((*value).to_owned())) }),
            ..KeyValue::default()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tickhost_core::metrics::Histogram as Durations;

    fn families() -> Vec<Metric> {
        let mut request = Request::new(1, 2);
        let durations = Durations::default();
        for us in [9, 90, 100, 101, 500_000_000] {
            durations.record(us * 1_000);
        }
        request.family("things_total", Kind::Counter, "Things.");
        request.number(&[("reason", "a")], 3);
        request.number(&[("reason", "b")], u64::MAX);
        request.family("last_timestamp_seconds", Kind::Time, "The last.");
        request.number(&[], 1_705_294_800_123_456_789);
        request.histograms("latency_seconds", "How long.");
        request.histogram(&[("feed", "1")], &durations.read());
        request.family("nothing", Kind::Gauge, "Without a value.");
        let encoded = request.encoded(&ResourceAttributesWithSchema::default());
        let request = ExportMetricsServiceRequest::decode(encoded.as_slice()).unwrap();
        request.resource_metrics[0].scope_metrics[0].metrics.clone()
    }

    #[test]
    fn each_kind_becomes_what_a_collector_expects_of_it() {
        let metrics = families();
        let names: Vec<_> =
            metrics.iter().map(|metric| (metric.name.as_str(), metric.unit.as_str())).collect();
        assert_eq!(names, [("things_total", ""), ("last_timestamp_seconds", "s"), ("latency_seconds", "s")]);
        let Some(metric::Data::Sum(sum)) = &metrics[0].data else { panic!("{metrics:?}") };
        let values: Vec<_> = sum.data_points.iter().map(|point| point.value.unwrap()).collect();
        assert_eq!(
            values,
            [number_data_point::Value::AsInt(3), number_data_point::Value::AsInt(i64::MAX)],
            "what is too large stays the largest, and does not become negative"
        );
        assert!(sum.is_monotonic && sum.aggregation_temporality == CUMULATIVE);
        assert_eq!((sum.data_points[0].start_time_unix_nano, sum.data_points[0].time_unix_nano), (1, 2));
        let Some(metric::Data::Gauge(gauge)) = &metrics[1].data else { panic!("{metrics:?}") };
        assert_eq!(gauge.data_points[0].value, Some(number_data_point::Value::AsDouble(1_705_294_800.123)));
    }

    #[test]
    fn a_histogram_has_one_more_count_than_bounds_and_loses_nothing() {
        let metrics = families();
        let Some(metric::Data::Histogram(histogram)) = &metrics[2].data else { panic!("{metrics:?}") };
        let point = &histogram.data_points[0];
        assert_eq!((point.bucket_counts.len(), point.explicit_bounds.len()), (22, 21));
        assert!(point.explicit_bounds.is_sorted());
        let counted: Vec<_> =
            point.bucket_counts.iter().zip(&point.explicit_bounds).filter(|it| *it.0 > 0).collect();
        assert_eq!(counted, [(&1, &0.000_01), (&2, &0.000_1), (&1, &0.000_2)]);
        assert_eq!((point.bucket_counts[21], point.count, point.sum), (1, 5, Some(500.000_3)));
    }
}
