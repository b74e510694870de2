//! A build that cannot export to an OpenTelemetry collector.

use integration_tests::{HostBuilder, host::assert_ok};

#[tokio::test]
async fn whoever_waits_for_an_export_in_vain_is_told_once() {
    let cannot = |line: &&str| line.contains("this build cannot export");
    let endpoint = "http://user:canary-password-1234@127.0.0.1:9";
    let builder = HostBuilder::new().env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint);
    let checked = builder.run(&["check"], "");
    assert_ok(&checked);
    assert_eq!(String::from_utf8_lossy(&checked.stdout).lines().filter(cannot).count(), 1);
    let host = builder.start();
    let log = host.log();
    assert_eq!(log.lines().filter(cannot).count(), 1, "{log}");
    assert!(!log.contains("canary-password"), "{log}");
    let quiet = HostBuilder::new().env("OTEL_SERVICE_NAME", "ticks").start();
    assert_eq!(quiet.log().lines().filter(cannot).count(), 0);
}
