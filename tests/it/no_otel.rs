//! A build that cannot export to an OpenTelemetry collector.

use integration_tests::HostBuilder;

#[tokio::test]
async fn whoever_waits_for_an_export_in_vain_is_told_once() {
    let cannot = |line: &&str| line.contains("cannot export to an OpenTelemetry collector");
    let endpoint = "http://user:canary-password-1234@127.0.0.1:9";
    let host = HostBuilder::new().env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint).start();
    let log = host.log();
    assert_eq!(log.lines().filter(cannot).count(), 1, "{log}");
    assert!(!log.contains("canary-password"), "{log}");
    let quiet = HostBuilder::new().env("OTEL_SERVICE_NAME", "ticks").start();
    assert_eq!(quiet.log().lines().filter(cannot).count(), 0);
}
