//! What the standard variables of OpenTelemetry ask for. Those of the resource and of the sampler are read by
//! the SDK.

use std::{fmt, str::FromStr, time::Duration};

use reqwest::{
    Url,
    header::{HeaderMap, HeaderName, HeaderValue},
};

use crate::operator::telemetry::signal::{DISABLED, ENDPOINT, Signal};

/// Longest time for one request, and between two exports; a day would be a mistake of units.
const LONGEST_MS: u64 = 3_600_000;

/// Samplers that the SDK knows.
const SAMPLERS: [&str; 6] = [
    "always_on",
    "always_off",
    "traceidratio",
    "parentbased_always_on",
    "parentbased_always_off",
    "parentbased_traceidratio",
];

/// What is exported, where to, and how.
#[derive(Debug)]
pub(super) struct ExportSettings {
    pub(super) traces: Option<Target>,
    pub(super) metrics: Option<Target>,
    /// Between two exports of metrics.
    pub(super) metric_interval: Duration,
    pub(super) spans: SpanQueue,
    /// Mistakes, each a sentence that names its variable and shows no value.
    pub(super) complaints: Vec<String>,
}

/// Where the data of one signal goes.
#[derive(Clone)]
pub(super) struct Target {
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    /// Longest time for one request.
    pub(super) timeout: Duration,
    pub(super) is_gzipped: bool,
}

/// How spans wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SpanQueue {
    /// Spans that may wait; more are dropped and counted.
    pub(super) spans: usize,
    /// Spans in one request.
    pub(super) batch: usize,
    /// Longest wait of a span for others.
    pub(super) delay: Duration,
}

impl Target {
    /// The collector, without what a path, a query or a name before an `@` may give away.
    pub(super) fn origin(&self) -> String {
        self.url.origin().ascii_serialization()
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target").field("origin", &self.origin()).finish_non_exhaustive()
    }
}

impl ExportSettings {
    /// Reads variables by name.
    pub(super) fn read(variable: impl Fn(&str) -> Option<String>) -> Self {
        let mut reader = Reader { variable, complaints: Vec::new() };
        let is_disabled = reader.text(DISABLED).is_some_and(|text| text.eq_ignore_ascii_case("true"));
        let (traces, metrics) = if is_disabled {
            (None, None)
        } else {
            (reader.target(Signal::Traces), reader.target(Signal::Metrics))
        };
        let spans = SpanQueue {
            spans: reader.whole("OTEL_BSP_MAX_QUEUE_SIZE", 2_048, 1, 1_000_000),
            batch: reader.whole("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 512, 1, 100_000),
            delay: reader.millis("OTEL_BSP_SCHEDULE_DELAY", 5_000),
        };
        let metric_interval = reader.millis("OTEL_METRIC_EXPORT_INTERVAL", 60_000);
        reader.check_words();
        Self { traces, metrics, metric_interval, spans, complaints: reader.complaints }
    }
}

struct Reader<F> {
    variable: F,
    complaints: Vec<String>,
}

impl<F: Fn(&str) -> Option<String>> Reader<F> {
    /// The value of a variable. An empty one is as good as none, by the specification.
    fn text(&self, name: &str) -> Option<String> {
        (self.variable)(name).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
    }

    /// The variable of one signal, or that of all.
    fn of_signal(&self, signal: Signal, ending: &str) -> Option<(String, String)> {
        let own = format!("OTEL_EXPORTER_OTLP_{}_{ending}", signal.variable());
        let common = format!("OTEL_EXPORTER_OTLP_{ending}");
        [own, common].into_iter().find_map(|name| Some((self.text(&name)?, name)))
    }

    /// Where a signal goes: nowhere unless an endpoint is set. The default of the specification, a collector
    /// on this machine, would make every build with this feature knock at a port where most often nobody is.
    fn target(&mut self, signal: Signal) -> Option<Target> {
        let own = signal.endpoint_variable();
        let (text, name) = match self.text(own) {
            Some(text) => (text, own),
            None => (self.text(ENDPOINT)?, ENDPOINT),
        };
        let exporter = format!("OTEL_{}_EXPORTER", signal.variable());
        match self.text(&exporter).as_deref() {
            None | Some("otlp") => {}
            Some("none") => return None,
            Some(_) => return self.complain(format!("{exporter} must be otlp or none; nothing is exported")),
        }
        if let Some((protocol, name)) = self.of_signal(signal, "PROTOCOL")
            && protocol != "http/protobuf"
        {
            return self.complain(format!("{name} must be http/protobuf; nothing is exported"));
        }
        let is_own = name == own;
        let url = Url::parse(&text).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let Some(mut url) = url.filter(Url::has_host) else {
            return self.complain(format!(
                "{name} must be an address with http:// or https://; nothing is exported"
            ));
        };
        if !is_own {
            let path = format!("{}/v1/{}", url.path().trim_end_matches('/'), signal.as_str());
            url.set_path(&path);
        }
        let headers = match self.of_signal(signal, "HEADERS") {
            None => HeaderMap::new(),
            Some((text, name)) => match headers(&text) {
                Some(headers) => headers,
                None => {
                    return self.complain(format!(
                        "{name} must be names and values such as key=value,key=value; nothing is exported"
                    ));
                }
            },
        };
        let is_gzipped = match self.of_signal(signal, "COMPRESSION") {
            None => false,
            Some((text, _)) if text == "none" => false,
            Some((text, _)) if text == "gzip" => true,
            Some((_, name)) => {
                self.complaints.push(format!("{name} must be gzip or none; nothing is compressed"));
                false
            }
        };
        let timeout = match self.of_signal(signal, "TIMEOUT") {
            Some((_, name)) => self.millis(&name, 10_000),
            None => Duration::from_secs(10),
        };
        Some(Target { url, headers, timeout, is_gzipped })
    }

    fn complain<T>(&mut self, complaint: String) -> Option<T> {
        self.complaints.push(complaint);
        None
    }

    fn millis(&mut self, name: &str, default: u64) -> Duration {
        Duration::from_millis(self.whole(name, default, 1, LONGEST_MS))
    }

    fn whole<N: FromStr + PartialOrd + fmt::Display + Copy>(
        &mut self,
        name: &str,
        default: N,
        least: N,
        most: N,
    ) -> N {
        let Some(text) = self.text(name) else { return default };
        if let Some(value) = text.parse().ok().filter(|value| (least..=most).contains(value)) {
            return value;
        }
        self.complaints
            .push(format!("{name} must be a whole number between {least} and {most}; {default} is taken"));
        default
    }

    /// Words of which only some mean something here.
    fn check_words(&mut self) {
        let sampler = self.text("OTEL_TRACES_SAMPLER");
        if sampler.is_some_and(|sampler| !SAMPLERS.contains(&sampler.as_str())) {
            let known = SAMPLERS.join(", ");
            self.complaints
                .push(format!("OTEL_TRACES_SAMPLER must be one of {known}; every trace is sampled"));
        }
        let temporality = self.text("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE");
        if temporality.is_some_and(|temporality| !temporality.eq_ignore_ascii_case("cumulative")) {
            self.complaints.push(
                "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE: metrics are cumulative; let the collector make \
                 differences of them"
                    .to_owned(),
            );
        }
    }
}

/// Headers as `key=value,key=value`, with values percent-encoded where they have to be.
fn headers(text: &str) -> Option<HeaderMap> {
    let mut headers = HeaderMap::new();
    for entry in text.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
        let (name, value) = entry.split_once('=')?;
        let name = HeaderName::from_str(name.trim()).ok()?;
        let mut value = HeaderValue::from_bytes(&decoded(value.trim())?).ok()?;
        // Most often a key: no library shows it.
        value.set_sensitive(true);
        headers.append(name, value);
    }
    Some(headers)
}

/// The bytes that a percent-encoded text stands for; none if a `%` stands before anything but two digits.
fn decoded(text: &str) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let byte = if byte == b'%' {
            let mut digit = || char::from(bytes.next()?).to_digit(16);
            u8::try_from(digit()? * 16 + digit()?).ok()?
        } else {
            byte
        };
        decoded.push(byte);
    }
    Some(decoded)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn read(pairs: &[(&str, &str)]) -> ExportSettings {
        ExportSettings::read(|name| {
            pairs.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        })
    }

    fn urls(settings: &ExportSettings) -> [Option<&str>; 2] {
        [&settings.traces, &settings.metrics].map(|target| target.as_ref().map(|target| target.url.as_str()))
    }

    #[rstest]
    #[case(&[], [None, None])]
    #[case(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "")], [None, None])]
    #[case(
        &[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318")],
        [Some("http://c:4318/v1/traces"), Some("http://c:4318/v1/metrics")]
    )]
    #[case(
        &[("OTEL_EXPORTER_OTLP_ENDPOINT", " https://c/otlp/ "), ("OTEL_TRACES_EXPORTER", "none")],
        [None, Some("https://c/otlp/v1/metrics")]
    )]
    #[case(
        &[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c"), ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://t/as/is")],
        [Some("http://t/as/is"), Some("http://c/v1/metrics")]
    )]
    #[case(
        &[("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://m"), ("OTEL_METRICS_EXPORTER", "otlp")],
        [None, Some("http://m/")]
    )]
    #[case(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c"), ("OTEL_SDK_DISABLED", "TRUE")], [None, None])]
    fn nothing_is_sent_anywhere_unless_somebody_says_where(
        #[case] pairs: &[(&str, &str)],
        #[case] expected: [Option<&str>; 2],
    ) {
        let settings = read(pairs);
        assert_eq!(urls(&settings), expected);
        assert!(settings.complaints.is_empty(), "{:?}", settings.complaints);
    }

    #[rstest]
    #[case("OTEL_EXPORTER_OTLP_ENDPOINT", "c:4318", false)]
    #[case("OTEL_EXPORTER_OTLP_ENDPOINT", "unix:/hunter2", false)]
    #[case("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", false)]
    #[case("OTEL_EXPORTER_OTLP_HEADERS", "authorization", false)]
    #[case("OTEL_EXPORTER_OTLP_HEADERS", "a b=hunter2", false)]
    #[case("OTEL_EXPORTER_OTLP_HEADERS", "a=%0Ahunter2", false)]
    #[case("OTEL_EXPORTER_OTLP_HEADERS", "a=hunter2%f", false)]
    #[case("OTEL_METRICS_EXPORTER", "prometheus", false)]
    #[case("OTEL_EXPORTER_OTLP_TIMEOUT", "10s", true)]
    #[case("OTEL_EXPORTER_OTLP_COMPRESSION", "zstd", true)]
    #[case("OTEL_METRIC_EXPORT_INTERVAL", "0", true)]
    #[case("OTEL_BSP_MAX_QUEUE_SIZE", "-1", true)]
    #[case("OTEL_TRACES_SAMPLER", "sometimes", true)]
    #[case("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "delta", true)]
    fn a_mistake_is_named_without_its_value(#[case] name: &str, #[case] value: &str, #[case] is_sent: bool) {
        let settings = read(&[(name, value), ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c")]);
        assert!(settings.complaints.iter().all(|complaint| complaint.contains(name)), "{settings:?}");
        assert!(!settings.complaints.is_empty() && !format!("{settings:?}").contains("hunter2"));
        assert_eq!(settings.metrics.is_some(), is_sent, "{settings:?}");
    }

    #[test]
    fn what_is_said_is_followed() {
        let settings = read(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://user:hunter2@c/"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=a%3Db%2Cc , other = d"),
            ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "x=y"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "2500"),
            ("OTEL_EXPORTER_OTLP_METRICS_COMPRESSION", "gzip"),
            ("OTEL_METRIC_EXPORT_INTERVAL", "500"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "7"),
        ]);
        assert!(settings.complaints.is_empty(), "{:?}", settings.complaints);
        assert!(!format!("{settings:?}").contains("hunter2"), "{settings:?}");
        assert_eq!((settings.metric_interval, settings.spans.spans), (Duration::from_millis(500), 7));
        let (traces, metrics) = (settings.traces.unwrap(), settings.metrics.unwrap());
        assert_eq!(
            (&traces.headers["x"], traces.headers.len(), traces.is_gzipped),
            (&"y".parse().unwrap(), 1, false)
        );
        assert_eq!(metrics.headers["api-key"], "a=b,c");
        assert_eq!(metrics.headers["other"], "d");
        assert_eq!((metrics.timeout, metrics.is_gzipped), (Duration::from_millis(2_500), true));
    }
}
