//! Unmodified client programs against the real host.

use std::process::Output;

use integration_tests::{Host, HostBuilder, python};
use serde_json::Value;

async fn output(mut command: tokio::process::Command) -> Output {
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

/// It does not ask for the state of its feed; whatever came beside ticks would reach its callback or end the program.
#[tokio::test]
async fn the_python_sdk_is_undisturbed_while_its_feed_comes_and_goes() {
    let faults = "rate_hz = 20.0\n[adapter.config.faults]\ndisconnect_every_ms = 200";
    sdk_receives(HostBuilder::new().sim(faults).start(), "quote").await;
}

#[tokio::test]
async fn a_pyzmq_publisher_reaches_a_client() {
    let host = Host::start();
    let key = host.add_user("bob", "bus");
    let Some(mut program) = python::program("zmq_publish.py") else { return };
    let mut client = integration_tests::Client::login(host.websocket, &key).await;
    assert_eq!(client.subscribe(&["NSE:SBIN"], "LTP").await["status"], "success");
    program.args(["--endpoint", &format!("tcp://{}", host.bus), "--topic", "NSE_SBIN_LTP"]);
    program.args(["--rate", "100", "--count", "500", "--heartbeat-ms", "100"]);
    let publishing = tokio::spawn(output(program));
    for _ in 0..5 {
        assert_eq!(client.tick().await["symbol"], "SBIN");
    }
    assert!(publishing.await.unwrap().status.success());
}
