//! Unmodified client programs against the real host.

use std::process::Output;

use integration_tests::{Host, HostBuilder, python};
use serde_json::Value;
use tokio::process::Command;

async fn output(mut command: Command) -> Output {
    tokio::time::timeout(std::time::Duration::from_mins(1), command.output())
        .await
        .expect("the program ends in time")
        .expect("the program runs")
}

fn events(output: &Output) -> Vec<Value> {
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

async fn sdk_receives(host: Host, mode: &str) {
    let Some(mut program) = python::program("openalgo_sdk.py") else { return };
    program.args(["--url", &format!("ws://{}", host.websocket)]).env("TICKHOST_API_KEY", host.key());
    program.args(["--symbols", "NSE:SBIN,NSE:TCS", "--mode", mode, "--count", "6", "--timeout", "30"]);
    let output = output(program).await;
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(events(&output).len() >= 6, "{}", String::from_utf8_lossy(&output.stdout));
}

#[tokio::test]
async fn the_python_sdk_gets_last_prices() {
    sdk_receives(Host::start(), "ltp").await;
}

#[tokio::test]
async fn the_python_sdk_gets_quotes() {
    sdk_receives(Host::start(), "quote").await;
}

#[tokio::test]
async fn the_python_sdk_gets_depth() {
    sdk_receives(Host::start(), "depth").await;
}

/// It does not ask for the state of its feed; whatever came beside ticks would reach its callback or end the
/// program.
#[tokio::test]
async fn the_python_sdk_is_undisturbed_while_its_feed_comes_and_goes() {
    let faults = "rate_hz = 20.0\n[adapter.config.faults]\ndisconnect_every_ms = 200";
    sdk_receives(HostBuilder::new().sim(faults).start(), "quote").await;
}

/// Publishes with pyzmq to `endpoint` until a client of the host has had five ticks.
async fn pyzmq_reaches_a_client(host: &Host, mut program: Command, endpoint: &str) {
    let key = host.add_user("bob", "bus");
    let mut client = integration_tests::Client::login(host.websocket, &key).await;
    assert_eq!(client.subscribe(&["NSE:SBIN"], "LTP").await["status"], "success");
    program.args(["--endpoint", endpoint, "--topic", "NSE_SBIN_LTP"]);
    program.args(["--rate", "100", "--count", "500", "--heartbeat-ms", "100"]);
    let publishing = tokio::spawn(output(program));
    for _ in 0..5 {
        assert_eq!(client.tick().await["symbol"], "SBIN");
    }
    let published = publishing.await.unwrap();
    assert!(published.status.success(), "{published:?}");
}

#[tokio::test]
async fn a_pyzmq_publisher_reaches_a_client() {
    let host = Host::start();
    let Some(program) = python::program("zmq_publish.py") else { return };
    pyzmq_reaches_a_client(&host, program, &format!("tcp://{}", host.bus)).await;
}

const SECRET: &str = "a secret of the bus";

#[tokio::test]
async fn a_pyzmq_publisher_that_knows_the_secret_reaches_a_client_and_others_are_told_why_not() {
    let host = HostBuilder::new().env("TICKHOST_BUS_SECRET", SECRET).start();
    let Some(mut program) = python::program("zmq_publish.py") else { return };
    program.env("TICKHOST_BUS_SECRET", SECRET);
    let endpoint = format!("tcp://{}", host.bus);
    pyzmq_reaches_a_client(&host, program, &endpoint).await;
    for (secret, why) in [
        (Some("another secret of it"), "the bus refused the secret"),
        (None, "the bus refused the handshake"),
    ] {
        let Some(mut program) = python::program("zmq_publish.py") else { return };
        program.args(["--endpoint", &endpoint, "--topic", "NSE_SBIN_LTP", "--count", "1"]);
        secret.into_iter().for_each(|secret| _ = program.env("TICKHOST_BUS_SECRET", secret));
        let refused = output(program).await;
        let said = String::from_utf8_lossy(&refused.stderr);
        assert!(!refused.status.success() && said.contains(why), "{said}");
    }
    assert!(host.status().await["bus"]["guard"]["secret"].as_u64().unwrap() >= 2);
    assert!(!host.log().contains(SECRET) && !host.log().contains("another secret"));
}

#[cfg(unix)]
#[tokio::test]
async fn a_pyzmq_publisher_reaches_a_client_by_the_unix_socket() {
    let builder = HostBuilder::new();
    let path = builder.dir().join("bus.sock");
    let host = builder.env("TICKHOST_BUS_SOCKET", path.display()).start();
    let Some(program) = python::program("zmq_publish.py") else { return };
    pyzmq_reaches_a_client(&host, program, &format!("ipc://{}", path.display())).await;
}
