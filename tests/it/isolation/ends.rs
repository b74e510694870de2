//! Ends: of an adapter that fails again and again, of a feed whose adapter does not want to end, and of the
//! host.

use std::time::{Duration, Instant};

use integration_tests::{Client, Host, HostBuilder, SOON, process, wait_until};
use serde_json::{Value, json};

use super::{Entry, bystander::Bystander, faults::Victim, name_of, plugins, trigger_of};

/// After the end of a host nothing of it may be left for longer than this.
const GONE_WITHIN: Duration = Duration::from_secs(3);

/// Failures within half a minute that open the circuit.
const FAILURES: usize = 5;

const fn entry(library: &'static str, fault: &'static str) -> Entry {
    Entry { library, fault, more: "" }
}

fn start(isolation: &str, entries: &[Entry], env: &[(&str, u32)]) -> Host {
    let mut builder = HostBuilder::new().env("TICKHOST_THROTTLE_MS", 0);
    for (name, value) in env {
        builder = builder.env(name, *value);
    }
    let text = plugins(isolation, entries, builder.dir());
    builder.plugins(&text).start()
}

/// A client of the adapter, and ticks that come.
async fn victim<'a>(host: &'a Host, entry: &Entry) -> Victim<'a> {
    let name = name_of(entry.library, entry.fault);
    let key = host.add_user(&name, &name);
    let mut victim = Victim::login(entry, host, &key).await;
    victim.subscribe(&["NSE:SBIN"]).await;
    victim.is_live().await;
    victim
}

#[tokio::test]
async fn what_crashes_again_and_again_is_left_alone_for_a_while_and_everybody_is_told() {
    let segfault = entry("adapter_faulty", "segfault");
    let host = start("process", &[segfault], &[]);
    let bystander = Bystander::watch(&host).await;
    let mut victim = victim(&host, &segfault).await;
    for failure in 1..=FAILURES {
        std::fs::write(&victim.trigger, "").unwrap();
        wait_until("the adapter crashes", || async { !victim.trigger.exists() }).await;
        if failure < FAILURES {
            wait_until("the adapter is started again", || async {
                let feed = victim.feed().await;
                feed["restarts"] == failure && feed["state"] == "live"
            })
            .await;
        }
    }
    let words = "crashed with SIGSEGV (it fails again and again; next attempt in";
    let is_told = |message: &Value| message["message"].as_str().is_some_and(|text| text.contains(words));
    let told = victim.until("the client is told", is_told).await;
    assert_eq!(told["state"], "down");
    assert!(told["retry_in_ms"].as_u64().is_some_and(|pause| pause > 5_000), "{told}");
    let feed = victim.feed().await;
    assert_eq!((&feed["state"], &feed["restarts"]), (&json!("down"), &json!(FAILURES - 1)), "{feed}");
    assert!(feed["last_error"].as_str().is_some_and(|text| text.contains(words)), "{feed}");
    assert_eq!(host.get("/readyz").await.status, 503);
    // It is not started while it is left alone, and its client is served nevertheless.
    assert_eq!(process::adapters_of(host.pid()).len(), 1, "the bystander's alone");
    victim.client.send(&json!({"action": "ping"})).await;
    victim.until("an answer", |message| message["type"] == "pong").await;
    bystander.noticed_nothing().await;
}

#[tokio::test]
async fn a_library_that_hangs_when_it_is_looked_at_keeps_nobody_from_starting() {
    let hang = entry("adapter_raw", "hang_in_validate");
    let builder = HostBuilder::new().env("TICKHOST_THROTTLE_MS", 0);
    std::fs::write(trigger_of(builder.dir(), "raw_hang_in_validate"), "").unwrap();
    let text = plugins("process", &[hang], builder.dir());
    let host = builder.plugins(&text).start();
    let bystander = Bystander::watch(&host).await;
    let adapter = host.status().await["adapters"][1].clone();
    assert_eq!((&adapter["name"], &adapter["state"]), (&json!("raw_hang_in_validate"), &json!("failed")));
    let said = adapter["error"].as_str().unwrap();
    assert!(said.contains("within 5 s"), "{said}");
    bystander.noticed_nothing().await;
}

/// What still runs of these after the time that they have.
async fn left_of(processes: &[process::Process], ended: Instant) -> Vec<process::Process> {
    loop {
        let left: Vec<_> = processes.iter().filter(|process| process.is_alive()).cloned().collect();
        if left.is_empty() || ended.elapsed() > GONE_WITHIN {
            return left;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn nothing_is_left_of_a_host_that_was_killed() {
    // One that is well, one that computes for ever, one that does not want to end.
    let entries = [
        entry("adapter_faulty", "stray_ids"),
        entry("adapter_faulty", "endless_loop"),
        entry("adapter_raw", "hang_in_shutdown"),
    ];
    let mut host = start("process", &entries, &[]);
    for entry in &entries {
        let victim = victim(&host, entry).await;
        if entry.fault != "stray_ids" {
            std::fs::write(&victim.trigger, "").unwrap();
        }
    }
    wait_until("one computes", || async { !trigger_of(host.dir(), "faulty_endless_loop").exists() }).await;
    let processes = process::adapters_of(host.pid());
    assert_eq!(processes.len(), entries.len(), "{processes:?}");
    // For people who look for what computes for ever.
    for process in &processes {
        let name = process.name();
        assert!(name.starts_with("adapter-faulty_") || name.starts_with("adapter-raw_"), "{name}");
    }
    host.kill();
    let left = left_of(&processes, Instant::now()).await;
    assert!(left.is_empty(), "still there after {GONE_WITHIN:?}: {left:?}");
}

#[tokio::test]
async fn a_host_that_is_told_to_stop_stops_in_time_whatever_its_adapters_do() {
    for isolation in ["process", "in-process"] {
        let entries = [
            entry("adapter_faulty", "sleep_in_next"),
            entry("adapter_raw", "hang_in_shutdown"),
            entry("adapter_raw", "publish_after_shutdown"),
        ];
        let mut host = start(isolation, &entries, &[("TICKHOST_SHUTDOWN_SECONDS", 2)]);
        for entry in &entries {
            let victim = victim(&host, entry).await;
            std::fs::write(&victim.trigger, "").unwrap();
        }
        wait_until("one sleeps", || async { !trigger_of(host.dir(), "faulty_sleep_in_next").exists() }).await;
        let processes = process::adapters_of(host.pid());
        assert_eq!(processes.len(), if isolation == "process" { entries.len() } else { 0 }, "{processes:?}");
        let asked = Instant::now();
        let status = host.terminate().await;
        let took = asked.elapsed();
        assert!(status.success(), "{isolation}: {status}");
        assert!(took < GONE_WITHIN + Duration::from_secs(2), "{isolation}: it took {took:?}");
        assert!(left_of(&processes, asked).await.is_empty(), "{isolation}: processes are left");
    }
}

#[tokio::test]
async fn ticks_after_the_end_reach_nobody_and_the_next_feed_is_well() {
    for isolation in ["process", "in-process"] {
        let late = entry("adapter_raw", "publish_after_shutdown");
        let host = start(isolation, &[late], &[("TICKHOST_FEED_LINGER_SECONDS", 0)]);
        let bystander = Bystander::watch(&host).await;
        let name = name_of(late.library, late.fault);
        let key = host.add_user(&name, &name);
        std::fs::write(trigger_of(host.dir(), &name), "").unwrap();
        let mut client = Client::login(host.websocket, &key).await;
        client.subscribe(&["NSE:SBIN"], "LTP").await;
        let first = client.tick().await;
        client.close().await;
        wait_until("the feed has ended", || async {
            !host.status().await["feeds"].as_array().unwrap().iter().any(|feed| feed["adapter"] == name)
        })
        .await;
        wait_until("the adapter was told", || async { !trigger_of(host.dir(), &name).exists() }).await;
        let mut client = Client::login(host.websocket, &key).await;
        client.subscribe(&["NSE:SBIN"], "LTP").await;
        // The new instance counts from one; an old one that is heard would count on in between.
        let mut last = 0;
        for _ in 0..30 {
            let number = client.tick().await["data"]["volume"].as_u64().unwrap();
            assert!(number > last && number < last + 20, "{isolation}: {number} after {last}; {first}");
            last = number;
        }
        bystander.noticed_nothing().await;
    }
}

#[tokio::test]
async fn threads_that_an_adapter_leaves_behind_end_with_it() {
    let leak = Entry { more: "threads = 32", ..entry("adapter_faulty", "thread_leak") };
    let mut host = start("process", &[leak], &[]);
    let bystander = Bystander::watch(&host).await;
    let mut victim = victim(&host, &leak).await;
    std::fs::write(&victim.trigger, "").unwrap();
    let of_victim =
        || process::adapters_of(host.pid()).into_iter().find(|one| one.arguments.ends_with("thread_leak"));
    wait_until("threads are started", || async { of_victim().is_some_and(|process| process.threads() > 16) })
        .await;
    // The system keeps the limit for all but the superuser; ticks go on in both cases.
    let until = Instant::now() + Duration::from_secs(1);
    while Instant::now() < until {
        victim.tick().await;
    }
    assert_eq!(victim.feed().await["restarts"], 0);
    bystander.noticed_nothing().await;
    drop(victim);
    let processes = process::adapters_of(host.pid());
    assert_eq!(processes.len(), 2);
    let stopping = Instant::now();
    assert!(host.terminate().await.success());
    assert!(stopping.elapsed() < SOON && left_of(&processes, Instant::now()).await.is_empty());
}
