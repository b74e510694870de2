//! Credentials that an adapter shows wherever it can, and where they must not be.

use integration_tests::{Host, HostBuilder, host::assert_ok, process, wait_until};
use serde_json::json;

use super::{Entry, bystander::Bystander, faults::Victim, name_of, plugins};

const TOKEN: &str = "t0ken-7f3a9c5512e84b6d";
const PIN: &str = "930417";

#[tokio::test]
async fn credentials_are_seen_by_nobody_whatever_an_adapter_does_with_them() {
    for isolation in ["process", "in-process"] {
        shown_nowhere(isolation).await;
    }
}

async fn shown_nowhere(isolation: &str) {
    let entry = Entry { library: "adapter_faulty", fault: "log_secret", more: "" };
    let builder = HostBuilder::new().env("TICKHOST_THROTTLE_MS", 0).env("TICKHOST_LOG", "debug");
    let text = plugins(isolation, &[entry], builder.dir());
    let host = builder.plugins(&text).start();
    let name = name_of(entry.library, entry.fault);
    let key = host.add_user(&name, &name);
    let credentials = json!({"access_token": TOKEN, "pin": PIN}).to_string();
    assert_ok(&host.run(&["account", "set", &name, &name], &credentials));
    let bystander = Bystander::watch(&host).await;
    let mut victim = Victim::login(&entry, &host, &key).await;
    victim.subscribe(&["NSE:SBIN", "NSE:SECRET1"]).await;
    victim.is_live().await;
    let processes = process::adapters_of(host.pid());
    std::fs::write(&victim.trigger, "").unwrap();
    // Every frame until the feed is back, and then those about the symbol that was refused.
    let mut seen = Vec::new();
    let mut is_refused = false;
    let mut is_lost = false;
    let mut is_back = false;
    while !(is_refused && is_back) {
        let message = victim.client.next().await;
        is_refused |= message.to_string().contains("not entitled");
        is_lost |= message["state"] == "connecting";
        is_back |= is_lost && message["state"] == "live";
        seen.push(message.to_string());
    }
    victim.tick().await;
    wait_until("the adapter's words are in the log", || async { host.log().contains("Logged in with") })
        .await;
    let frames = seen.join("\n");
    assert!(frames.contains("not entitled with [redacted]"), "{frames}");
    assert!(frames.contains("GET /login?token=[redacted] was reset"), "{frames}");
    let status =
        host.get("/status").await.body + &host.get("/metrics").await.body + &host.get("/readyz").await.body;
    let mut places =
        vec![("a frame", frames), ("the operator's port", status), ("the log", log_of(&host, isolation))];
    for process in &processes {
        places.push(("what the system tells of its process", process.told_by_system()));
    }
    assert_eq!(processes.len(), if isolation == "process" { 2 } else { 0 });
    for (place, text) in places {
        for secret in [TOKEN, PIN] {
            assert!(!text.contains(secret), "{isolation}: {secret} is in {place}:\n{text}");
        }
    }
    assert_eq!(victim.feed().await["restarts"], 0);
    bystander.noticed_nothing().await;
}

/// What the host wrote. What a library within the host writes to the host's streams by itself, nobody can
/// hold back.
fn log_of(host: &Host, isolation: &str) -> String {
    let is_of_host = |line: &&str| isolation == "process" || line.starts_with('{');
    host.log().lines().filter(is_of_host).collect::<Vec<_>>().join("\n")
}
