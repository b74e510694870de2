//! Those who do nothing wrong: clients of two accounts and log-ins, and what an attack costs them.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use hdrhistogram::Histogram;
use integration_tests::bus::Publisher;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::{
    raw::Raw,
    target::{self, Target},
};

/// Symbols of the healthy publisher.
const SYMBOLS: u64 = 10;

/// Its ticks a second.
const TICKS_PER_SECOND: u64 = 200;

/// What is going on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub(crate) enum Phase {
    /// Nobody attacks.
    Rest = 1,
    /// Somebody does.
    Attack,
    /// It is over.
    After,
}

/// Microseconds, at rest and under attack.
///
/// The first of four is for what comes before any phase.
pub(crate) struct Latencies([Mutex<Histogram<u64>>; 4]);

impl Default for Latencies {
    fn default() -> Self {
        Self([(); 4].map(|()| Mutex::new(Histogram::new(3).expect("a histogram"))))
    }
}

impl Latencies {
    fn record(&self, phase: usize, us: u64) {
        self.0[phase].lock().unwrap().record(us).expect("a value in range");
    }
}

impl fmt::Display for Latencies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |phase: Phase| {
            let histogram = self.0[phase as usize].lock().unwrap();
            let at = |quantile| histogram.value_at_quantile(quantile) as f64 / 1_000.0;
            (at(0.5), at(0.99))
        };
        let ((rest, rest99), (attack, attack99)) = (ms(Phase::Rest), ms(Phase::Attack));
        write!(f, "{rest:.1} / {rest99:.1}; {attack:.1} / {attack99:.1}")
    }
}

/// What was found.
#[derive(Default)]
pub(crate) struct Found {
    /// From the moment at which a tick was due at the publisher to the client.
    pub(crate) bus: Latencies,
    /// From the time in a tick of the simulated exchange to the client.
    pub(crate) other: Latencies,
    /// From the beginning of a connection to the answer to its key.
    pub(crate) logins: Latencies,
    /// Log-ins with a good key that did not succeed.
    pub(crate) refused: AtomicU64,
    /// Ticks that a client of the bus did not get, and clients that lost their connection.
    pub(crate) lost: AtomicU64,
    /// Frames that came twice, or that show what belongs to another instrument.
    pub(crate) wrong: AtomicU64,
    /// Frames that came.
    pub(crate) frames: AtomicU64,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        write!(
            f,
            "frames {}, lost {}, twice or misrouted {}, log-ins refused {}; bus {}, other account {}, log-in {}",
            count(&self.frames),
            count(&self.lost),
            count(&self.wrong),
            count(&self.refused),
            self.bus,
            self.other,
            self.logins
        )
    }
}

/// What the healthy tasks share.
#[derive(Clone)]
struct Shared {
    found: Arc<Found>,
    phase: Arc<AtomicUsize>,
    began: Instant,
}

impl Shared {
    fn phase(&self) -> usize {
        self.phase.load(Ordering::Relaxed)
    }
}

/// Healthy clients at work.
pub(crate) struct Healthy {
    shared: Shared,
    tasks: Vec<JoinHandle<()>>,
}

impl Healthy {
    /// Logs in so many clients of the bus, two of the simulated exchange, and starts the publisher.
    pub(crate) async fn start(target: &Target, clients: usize) -> Self {
        let shared = Shared { found: Arc::default(), phase: Arc::default(), began: Instant::now() };
        let mut tasks = Vec::new();
        let address = target.host.websocket;
        for _ in 0..clients {
            let raw = Raw::login(address, &target::bus_key()).await.expect("a healthy client is let in");
            tasks.push(tokio::spawn(read_bus(subscribed(raw, published()).await, shared.clone())));
        }
        for _ in 0..2 {
            let raw = Raw::login(address, &target::other_key()).await.expect("a healthy client is let in");
            tasks.push(tokio::spawn(read_other(subscribed(raw, simulated()).await, shared.clone())));
        }
        let publisher = Publisher::connect(target.host.bus).await;
        tasks.push(tokio::spawn(publish(publisher, shared.clone())));
        tasks.push(tokio::spawn(log_in(address, target::bus_key(), shared.clone())));
        Self { shared, tasks }
    }

    /// Says what is going on from now on.
    pub(crate) fn enter(&self, phase: Phase) {
        self.shared.phase.store(phase as usize, Ordering::Relaxed);
    }

    /// What was found until now.
    pub(crate) fn found(&self) -> &Found {
        &self.shared.found
    }

    /// Ends, and gives what was found.
    pub(crate) async fn stop(self) -> Arc<Found> {
        for task in self.tasks {
            task.abort();
            _ = task.await;
        }
        self.shared.found
    }
}

/// What the healthy publisher publishes.
fn published() -> Vec<String> {
    (0..SYMBOLS).map(|place| format!("NSE:H{place}")).collect()
}

/// Of what the simulated exchange has.
fn simulated() -> Vec<String> {
    ["RELIANCE", "SBIN", "INFY", "TCS"].map(|symbol| format!("NSE:{symbol}")).into()
}

async fn subscribed(mut raw: Raw, names: Vec<String>) -> Raw {
    assert!(raw.send(&json!({"action": "subscribe", "symbols": names, "mode": "LTP"})).await);
    let answer = raw.find(|message| message["type"] == "subscribe").await.expect("an acknowledgement");
    assert_eq!(answer["status"], "success", "{answer}");
    raw
}

/// Publishes numbered ticks: the price is a hundred times the number and the place of the symbol, the volume
/// the moment at which the tick was due.
async fn publish(mut publisher: Publisher, shared: Shared) {
    for tick in 0_u64.. {
        let due = Duration::from_micros(tick * 1_000_000 / TICKS_PER_SECOND);
        tokio::time::sleep_until((shared.began + due).into()).await;
        let (number, place) = (tick / SYMBOLS, tick % SYMBOLS);
        let body = json!({"ltp": number * 100 + place + 1, "volume": due.as_micros() as u64});
        publisher.send(&format!("NSE_H{place}_LTP"), &body).await;
    }
}

async fn read_bus(mut raw: Raw, shared: Shared) {
    let mut last: HashMap<u64, u64> = HashMap::new();
    while let Some(frame) = raw.find(|message| message["type"] == "market_data").await {
        let phase = shared.phase();
        let found = &shared.found;
        let symbol =
            frame["symbol"].as_str().and_then(|symbol| symbol.strip_prefix('H')?.parse::<u64>().ok());
        let (Some(price), Some(due_us), Some(symbol)) =
            (frame["data"]["ltp"].as_f64(), frame["data"]["volume"].as_u64(), symbol)
        else {
            found.wrong.fetch_add(1, Ordering::Relaxed);
            continue;
        };
        found.frames.fetch_add(1, Ordering::Relaxed);
        let price = price as u64;
        let (number, place) = (price / 100, (price % 100).saturating_sub(1));
        if place != symbol {
            found.wrong.fetch_add(1, Ordering::Relaxed);
            continue;
        }
        if let Some(before) = last.insert(place, number) {
            match number.checked_sub(before) {
                Some(0) | None => _ = found.wrong.fetch_add(1, Ordering::Relaxed),
                Some(step) => _ = found.lost.fetch_add(step - 1, Ordering::Relaxed),
            }
        }
        let now_us = shared.began.elapsed().as_micros() as u64;
        found.bus.record(phase, now_us.saturating_sub(due_us));
    }
    shared.found.lost.fetch_add(1, Ordering::Relaxed);
}

async fn read_other(mut raw: Raw, shared: Shared) {
    while let Some(frame) = raw.find(|message| message["type"] == "market_data").await {
        let Some(at_ms) = time_of(&frame) else { continue };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a present time").as_micros() as u64;
        shared.found.other.record(shared.phase(), now.saturating_sub(at_ms * 1_000));
    }
    shared.found.lost.fetch_add(1, Ordering::Relaxed);
}

fn time_of(frame: &Value) -> Option<u64> {
    frame["data"]["timestamp"].as_u64()
}

async fn log_in(address: std::net::SocketAddr, key: String, shared: Shared) {
    let mut pace = tokio::time::interval(Duration::from_millis(250));
    loop {
        pace.tick().await;
        let (phase, began) = (shared.phase(), Instant::now());
        if Raw::login(address, &key).await.is_some() {
            shared.found.logins.record(phase, began.elapsed().as_micros() as u64);
        } else {
            shared.found.refused.fetch_add(1, Ordering::Relaxed);
        }
    }
}
