//! What goes to an OpenTelemetry collector, and what a collector can do to the host: nothing.

use std::time::{Duration, Instant};

use integration_tests::{
    Client, Host, HostBuilder,
    collector::{Collector, Figures, Manner, Seen, read_page},
    host::assert_ok,
    wait_until,
};
use serde_json::json;

/// Stands in a header that only the collector may see.
const TOKEN: &str = "canary-collector-token-31337";
const WRONG_KEY: &str = "canary-wrong-key-0123456789abcdef";

const REFUSED: &str = "The OpenTelemetry collector does not take what is sent; the host goes on without it";

/// A host that exports to this collector, soon.
fn builder(endpoint: &str) -> HostBuilder {
    HostBuilder::new()
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
        .env("OTEL_METRIC_EXPORT_INTERVAL", 100)
        .env("OTEL_BSP_SCHEDULE_DELAY", 50)
}

/// Waits for a span, and gives it.
async fn span(collector: &Collector, name: &str, fits: impl Fn(&Seen) -> bool) -> Seen {
    let found = || collector.spans(name).into_iter().find(|span| fits(span));
    wait_until(&format!("a span {name}"), || async { found().is_some() }).await;
    found().unwrap()
}

/// Whether both say the same, but for what differs from one moment to the next, and for the last digit of
/// what is written and read.
fn is_same(mut page: Figures, mut export: Figures) -> bool {
    for figures in [&mut page, &mut export] {
        figures.retain(|(name, _), _| name != "tickhost_uptime_seconds");
    }
    let is_close = |(a, b): (&f64, &f64)| (a - b).abs() <= a.abs() * 1e-15;
    page.keys().eq(export.keys()) && page.values().zip(export.values()).all(is_close)
}

#[tokio::test]
async fn a_collector_gets_the_figures_of_the_metrics_page() {
    let collector = Collector::start(Manner::Takes).await;
    let host = builder(collector.endpoint())
        .env("OTEL_SERVICE_NAME", "ticks")
        .env("OTEL_RESOURCE_ATTRIBUTES", "service.name=other,deployment.environment.name=test")
        .env("OTEL_EXPORTER_OTLP_HEADERS", format!("authorization=Bearer%20{TOKEN}"))
        .env("OTEL_EXPORTER_OTLP_METRICS_COMPRESSION", "gzip")
        .env("OTEL_TRACES_EXPORTER", "none")
        .env("TICKHOST_LOG", "trace")
        .start();
    let mut client = Client::login(host.websocket, &host.key()).await;
    client.subscribe(&["NSE:SBIN", "NSE:TCS"], "Quote").await;
    for _ in 0..20 {
        client.tick().await;
    }
    client.send(&json!({"action": "unsubscribe_all"})).await;
    client.find(|message| message["type"] == "unsubscribe").await;
    let page = async || read_page(&host.get("/metrics").await.body);
    wait_until("both say the same", || async { is_same(page().await, collector.figures()) }).await;

    let figures = collector.figures();
    let value = |name: &str| -> f64 {
        let of_name = figures.iter().filter(|((known, _), _)| known == name);
        of_name.map(|(_, value)| value).sum()
    };
    assert!(value("tickhost_feed_received_total") >= 20.0);
    assert_eq!(value("tickhost_server_auth_ok_total"), 1.0);
    assert!(value("tickhost_feed_host_latency_seconds_count") > 0.0, "a histogram counts");
    assert!(value("tickhost_feed_last_tick_timestamp_seconds") > 1.0e9);
    assert_eq!(value("tickhost_sessions"), 1.0);

    for resource in collector.resources() {
        assert_eq!(resource["service.name"], "ticks");
        assert_eq!(resource["service.version"], env!("CARGO_PKG_VERSION"));
        assert_eq!(resource["deployment.environment.name"], "test");
        assert_eq!(resource["telemetry.sdk.language"], "rust");
    }
    for headers in collector.headers() {
        assert_eq!(headers["authorization"], format!("Bearer {TOKEN}"));
        assert_eq!(headers["content-encoding"], "gzip");
    }
    assert_eq!(host.messages("Exporting to an OpenTelemetry collector").len(), 1);
    let log = host.log();
    assert!(log.contains("\"level\":\"DEBUG\"") && !log.contains(TOKEN), "the log says all that it can say");
    assert!(!collector.text().contains("SBIN"));
    assert!(collector.spans("session.login").is_empty(), "no traces were asked for");
}

#[tokio::test]
async fn a_collector_learns_where_the_time_went() {
    let collector = Collector::start(Manner::Takes).await;
    let mut host = builder(collector.endpoint()).start();
    let key = host.key();
    let mut client = Client::connect(host.websocket).await;
    client.authenticate(WRONG_KEY).await;
    client.authenticate(&key).await;
    client.subscribe(&["NSE:SBIN", "NSE:NO_SUCH_THING", "CRYPTO:BTC_INR"], "LTP").await;
    client.tick().await;

    let refused = span(&collector, "session.login", |span| span.has_failed).await;
    assert_eq!(refused.attribute("error.type"), "AUTHENTICATION_ERROR");
    let login = span(&collector, "session.login", |span| !span.has_failed).await;
    assert_eq!(login.attribute("tickhost.result"), "ok");
    let check = span(&collector, "accounts.check_key", |span| span.parent == login.id).await;
    assert!(check.took_ns > 0 && check.took_ns <= login.took_ns, "{check:?} {login:?}");
    let subscribe = span(&collector, "session.subscribe", |_| true).await;
    assert_eq!(
        (subscribe.attribute("tickhost.requested"), subscribe.attribute("tickhost.mode")),
        ("3", "LTP")
    );
    assert_eq!(subscribe.attribute("tickhost.granted"), "2");

    let start = span(&collector, "host.start", |_| true).await;
    let load = span(&collector, "adapter.load", |_| true).await;
    assert_eq!((load.attribute("tickhost.adapter"), &load.parent), ("sim", &start.id));
    let connect = span(&collector, "feed.connect", |span| !span.has_failed).await;
    assert_eq!((connect.attribute("tickhost.broker"), connect.attribute("tickhost.result")), ("sim", "ok"));

    host.get(&format!("/nothing/{TOKEN}?token={TOKEN}")).await;
    host.get(&format!("/status?token={TOKEN}")).await;
    let status = span(&collector, "GET /status", |_| true).await;
    assert_eq!(
        (status.attribute("http.route"), status.attribute("http.response.status_code")),
        ("/status", "200")
    );
    span(&collector, "http.request", |span| span.attribute("http.response.status_code") == "404").await;

    assert_ok(&host.run(&["adapters", "reload", "sim"], ""));
    let command = span(&collector, "POST /adapters/{name}/reload", |_| true).await;
    span(&collector, "adapter.load", |span| span.parent == command.id).await;
    let swap = span(&collector, "adapter.swap", |_| true).await;
    assert_eq!((swap.attribute("tickhost.result"), swap.has_failed), ("ok", false));
    host.reload().await;
    span(&collector, "host.reload", |span| span.attribute("tickhost.refused") == "0").await;

    // The counts of spans do not follow those of ticks: a hundred of these make none.
    for _ in 0..100 {
        client.tick().await;
    }
    assert!(host.terminate().await.success());
    span(&collector, "host.stop", |_| true).await;
    assert_eq!(collector.spans("session.login").len(), 2);
    assert_eq!(collector.spans("session.subscribe").len(), 1);

    let told = collector.text();
    for secret in [key.as_str(), WRONG_KEY, TOKEN, "SBIN", "BTC", "NO_SUCH_THING", "demo"] {
        assert!(!told.contains(secret), "a collector is told {secret}");
    }
}

#[tokio::test]
async fn what_waits_is_sent_before_the_host_ends() {
    let collector = Collector::start(Manner::Takes).await;
    let mut host = builder(collector.endpoint())
        .env("OTEL_METRIC_EXPORT_INTERVAL", 3_600_000)
        .env("OTEL_BSP_SCHEDULE_DELAY", 3_600_000)
        .start();
    let mut client = Client::login(host.websocket, &host.key()).await;
    client.subscribe(&["NSE:SBIN"], "LTP").await;
    client.tick().await;
    assert_eq!(collector.requests(), 0, "nothing was due");
    assert!(host.terminate().await.success());
    let received = |(name, _): &(String, _)| name == "tickhost_feed_received_total";
    let ticks: f64 =
        collector.figures().iter().filter(|(name, _)| received(name)).map(|(_, value)| value).sum();
    assert!(ticks >= 1.0, "the feeds were still there");
    for name in ["host.start", "session.login", "host.stop"] {
        assert_eq!(collector.spans(name).len(), 1, "{name}");
    }
}

// Elsewhere the system's certificates are not in a file.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_collector_with_a_certificate_has_to_show_one_that_the_system_trusts() {
    let certificate = integration_tests::tls::Certificate::generate();
    let collector = Collector::start_encrypted(&certificate).await;
    let host = builder(collector.endpoint()).start();
    wait_until("the certificate is refused", || async { !host.messages(REFUSED).is_empty() }).await;
    assert_eq!(collector.requests(), 0);
    drop(host);
    let builder = builder(collector.endpoint());
    certificate.write(builder.dir());
    let trusted = builder.dir().join("certificate.pem").display().to_string();
    let host = builder.env("SSL_CERT_FILE", trusted).start();
    span(&collector, "host.start", |_| true).await;
    wait_until("metrics come", || async { !collector.figures().is_empty() }).await;
    assert!(host.messages(REFUSED).is_empty(), "{}", host.log());
}

#[tokio::test]
async fn a_collector_that_hangs_keeps_nobody_waiting() {
    let collector = Collector::start(Manner::Hangs).await;
    let mut host = builder(collector.endpoint()).start();
    let mut client = Client::login(host.websocket, &host.key()).await;
    client.subscribe(&["NSE:SBIN"], "LTP").await;
    // Both signals are stuck by now, and the host serves.
    wait_until("the collector has both", || async { collector.requests() >= 2 }).await;
    for _ in 0..20 {
        client.tick().await;
    }
    assert_eq!(host.get("/readyz").await.status, 200);
    drop(client);
    let asked = Instant::now();
    assert!(host.terminate().await.success());
    let took = asked.elapsed();
    assert!(took < Duration::from_secs(8), "{took:?}");
    assert!(host.log().contains("leaving it behind"), "{}", host.log());
}

#[tokio::test]
async fn a_collector_that_is_not_there_is_named_once() {
    // A port that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut host = builder(&format!("http://{port}")).start();
    let mut client = Client::login(host.websocket, &host.key()).await;
    client.subscribe(&["NSE:SBIN"], "LTP").await;
    let failed = async || host.metric("tickhost_server_exports_failed_total").await;
    wait_until("exports fail", || async { failed().await >= 5.0 }).await;
    client.tick().await;
    let warnings = host.messages(REFUSED);
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(!warnings[0].to_string().contains("http://"), "an address may hold a key: {warnings:?}");
    assert!(host.terminate().await.success());
}

#[tokio::test]
async fn what_a_collector_refuses_is_not_sent_again() {
    let collector = Collector::start(Manner::Refuses).await;
    let host = builder(collector.endpoint()).env("OTEL_METRICS_EXPORTER", "none").start();
    let failed = async || host.metric("tickhost_server_exports_failed_total").await;
    wait_until("the collector refuses", || async { failed().await >= 1.0 }).await;
    let warnings = host.messages(REFUSED);
    assert_eq!((warnings.len(), &warnings[0]["error"]), (1, &json!("it answered 400 Bad Request")));
}

#[tokio::test]
async fn a_collector_that_is_busy_gets_the_same_again() {
    let collector = Collector::start(Manner::IsBusyFirst).await;
    let mut host = builder(collector.endpoint()).env("OTEL_METRICS_EXPORTER", "none").start();
    span(&collector, "host.start", |_| true).await;
    assert_eq!(collector.spans("host.start").len(), 1);
    assert_eq!(host.metric("tickhost_server_exports_failed_total").await, 0.0);
    let again = || host.messages("The OpenTelemetry collector takes what is sent again").len();
    wait_until("the end of it is said", || async { again() == 1 }).await;
    assert_eq!(host.messages(REFUSED).len(), 1);
    assert!(host.terminate().await.success());
}

#[tokio::test]
async fn what_a_collector_takes_in_part_is_said_in_its_words() {
    let collector = Collector::start(Manner::TakesInPart).await;
    let host = builder(collector.endpoint()).start();
    wait_until("the collector is not content", || async { !host.messages(REFUSED).is_empty() }).await;
    assert_eq!(host.messages(REFUSED)[0]["error"], r#"it refused 3 items: "too\nmany""#);
}

#[tokio::test]
async fn a_sampler_that_takes_no_trace_leaves_the_metrics() {
    let collector = Collector::start(Manner::Takes).await;
    let host = builder(collector.endpoint()).env("OTEL_TRACES_SAMPLER", "always_off").start();
    let mut client = Client::login(host.websocket, &host.key()).await;
    client.subscribe(&["NSE:SBIN"], "LTP").await;
    client.tick().await;
    wait_until("metrics come", || async { !collector.figures().is_empty() }).await;
    drop(client);
    drop(host);
    assert!(collector.spans("session.login").is_empty() && collector.spans("host.start").is_empty());
}

#[tokio::test]
async fn without_an_endpoint_nothing_is_exported() {
    for (name, value) in [
        ("OTEL_SERVICE_NAME", "ticks"),
        ("OTEL_SDK_DISABLED", "true"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
    ] {
        let mut builder = HostBuilder::new().env(name, value);
        if name != "OTEL_SERVICE_NAME" {
            builder = builder.env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9");
        }
        let host: Host = builder.start();
        assert!(host.messages("Exporting to an OpenTelemetry collector").is_empty());
        let complaints = host.messages("A variable of OpenTelemetry needs attention");
        assert_eq!(!complaints.is_empty(), value == "grpc", "{complaints:?}");
        #[cfg(target_os = "linux")]
        for thread in std::fs::read_dir(format!("/proc/{}/task", host.pid())).unwrap() {
            let name = std::fs::read_to_string(thread.unwrap().path().join("comm")).unwrap_or_default();
            assert_ne!(name.trim(), "otel", "a thread for nothing");
        }
    }
}
