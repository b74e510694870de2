//! A host whose log nobody reads any more: a paused terminal, a stuck collector, a full disk behind a pipe.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use integration_tests::{Client, HostBuilder};
use serde_json::Value;

/// More lines than the pipe of a process and what may wait before it hold.
const SESSIONS: usize = 2_000;

/// Ends with the test, however it ends.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _reaped = self.0.wait();
    }
}

#[tokio::test]
async fn ticks_and_log_ins_go_on_while_nobody_reads_the_log() {
    let host = HostBuilder::new().env("TICKHOST_LOG", "debug");
    // Writes plugins.toml.
    host.run(&["check"], "");
    let mut child = host
        .command(&["run"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map(Running)
        .unwrap();
    let mut log = BufReader::new(child.0.stderr.take().unwrap());
    let mut line = String::new();
    let address = loop {
        line.clear();
        assert!(log.read_line(&mut line).unwrap() > 0, "the host has ended");
        let said: Value = serde_json::from_str(&line).unwrap_or_default();
        if said["fields"]["message"] == "Serving" {
            break said["fields"]["websocket"].as_str().unwrap().parse().unwrap();
        }
    };
    let key = std::fs::read_to_string(host.dir().join("data/demo.key")).unwrap();
    let mut client = Client::login(address, key.trim()).await;
    client.subscribe(&["NSE:SBIN"], "LTP").await;
    // From here on `log` is read by nobody.
    let coming_and_going = async {
        for _ in 0..SESSIONS {
            drop(Client::connect(address).await);
        }
    };
    tokio::time::timeout(Duration::from_mins(1), coming_and_going).await.expect("the host takes connections");
    let began = Instant::now();
    Client::login(address, key.trim()).await;
    while let Some(_before) = client.next_within(Duration::ZERO).await {}
    client.tick().await;
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    drop(log);
}
