//! Measures what stopped readers cost the others: delivery latency of healthy clients, and the host's memory,
//! with and without clients that stop reading.
//!
//! ```text
//! cargo run --release -p integration-tests --bin slow_readers
//! ```
//!
//! Ticks come from a publisher on the bus and carry the time at which they were due, so a publisher that
//! falls behind its schedule shows as latency (no coordinated omission). Every tick is sent (throttle off).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    reason = "a measuring tool reports on standard output and by panicking"
)]

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use integration_tests::{Client, Host, HostBuilder, bus::Publisher};
use serde_json::json;

const CLIENTS: usize = 20;
const STOPPED: usize = 5;
const SYMBOLS: usize = 100;
const TICKS_PER_SECOND: u64 = 2_000;
const WARM_UP: Duration = Duration::from_secs(2);
const MEASURED: Duration = Duration::from_secs(15);

struct Outcome {
    latency_us: Histogram<u64>,
    delivered: u64,
    memory_before: u64,
    memory_after: u64,
    conflated: f64,
}

#[tokio::main]
async fn main() {
    println!(
        "{CLIENTS} clients x {SYMBOLS} symbols, {TICKS_PER_SECOND} ticks/s from the bus, every tick sent, {} s each",
        MEASURED.as_secs()
    );
    println!(
        "| run | stopped | frames/s to the others | p50 us | p99 us | max us | memory before MiB | after MiB | conflated |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    for run in 1..=3 {
        for stopped in [0, STOPPED] {
            let outcome = measure(stopped).await;
            println!(
                "| {run} | {stopped} | {:.0} | {} | {} | {} | {:.1} | {:.1} | {:.0} |",
                outcome.delivered as f64 / MEASURED.as_secs_f64(),
                outcome.latency_us.value_at_quantile(0.5),
                outcome.latency_us.value_at_quantile(0.99),
                outcome.latency_us.max(),
                mib(outcome.memory_before),
                mib(outcome.memory_after),
                outcome.conflated,
            );
        }
    }
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / (1024.0 * 1024.0)
}

async fn measure(stopped: usize) -> Outcome {
    let host = HostBuilder::new()
        .env("TICKHOST_THROTTLE_MS", 0)
        // The run is shorter than a ping's deadline would allow a stopped reader to live.
        .env("WS_PING_INTERVAL", 120)
        .env("TICKHOST_LOG", "warn,tickhost=info")
        .start();
    let key = host.add_user("load", "bus");
    let start = Instant::now();
    let is_measuring = Arc::new(AtomicBool::new(false));
    let is_over = Arc::new(AtomicBool::new(false));
    let mut readers = Vec::new();
    let mut silent = Vec::new();
    for number in 0..CLIENTS {
        let client = subscribed(&host, &key).await;
        if number < stopped {
            silent.push(client);
        } else {
            readers.push(tokio::spawn(read(client, start, Arc::clone(&is_measuring), Arc::clone(&is_over))));
        }
    }
    let publishing = tokio::spawn(publish(host.bus, start, Arc::clone(&is_over)));
    tokio::time::sleep(WARM_UP).await;
    let memory_before = host.memory_bytes();
    is_measuring.store(true, Ordering::Relaxed);
    tokio::time::sleep(MEASURED).await;
    is_measuring.store(false, Ordering::Relaxed);
    let memory_after = host.memory_bytes();
    let conflated = host.metric("tickhost_feed_conflated_outbox_total").await;
    is_over.store(true, Ordering::Relaxed);
    publishing.await.expect("the publisher ends");
    let mut latency_us = Histogram::new(3).expect("a histogram");
    for reader in readers {
        latency_us.add(reader.await.expect("the reader ends")).expect("histograms of one kind");
    }
    let delivered = latency_us.len();
    Outcome { latency_us, delivered, memory_before, memory_after, conflated }
}

async fn subscribed(host: &Host, key: &str) -> Client {
    let mut client = Client::login(host.websocket, key).await;
    let names: Vec<String> = (0..SYMBOLS).map(|number| format!("NSE:S{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    assert_eq!(client.subscribe(&names, "LTP").await["status"], "success");
    client
}

async fn read(
    mut client: Client,
    start: Instant,
    is_measuring: Arc<AtomicBool>,
    is_over: Arc<AtomicBool>,
) -> Histogram<u64> {
    let mut latency_us = Histogram::new(3).expect("a histogram");
    while !is_over.load(Ordering::Relaxed) {
        let Some(tick) = client.next_within(Duration::from_millis(500)).await else { continue };
        let Some(due_us) = tick["data"]["volume"].as_u64() else { continue };
        if is_measuring.load(Ordering::Relaxed) {
            let now_us = u64::try_from(start.elapsed().as_micros()).expect("a short run");
            latency_us.record(now_us.saturating_sub(due_us)).expect("a value in range");
        }
    }
    latency_us
}

async fn publish(bus: std::net::SocketAddr, start: Instant, is_over: Arc<AtomicBool>) {
    let mut publisher = Publisher::connect(bus).await;
    let started_us = u64::try_from(start.elapsed().as_micros()).expect("a short run");
    let mut sent = 0_u64;
    while !is_over.load(Ordering::Relaxed) {
        let now_us = u64::try_from(start.elapsed().as_micros()).expect("a short run");
        loop {
            let due_us = started_us + sent * 1_000_000 / TICKS_PER_SECOND;
            if due_us > now_us {
                break;
            }
            let topic = format!("NSE_S{}_LTP", sent % SYMBOLS as u64);
            publisher.send(&topic, &json!({"ltp": 100.5, "volume": due_us})).await;
            sent += 1;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
