//! What the console shows each second: the state of everything, and the last minutes as a row of samples.
//!
//! Samples are taken once a second whether somebody looks or not, so that a console that is opened after an
//! incident shows it; they cost a read of the counters. The rest is put together when somebody asks, at most
//! once in [`FRESH`], for all who ask. Bounds: [`SAMPLES`] samples, [`WINDOW`] readings of each feed,
//! [`SESSIONS_SHOWN`] sessions.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use serde::Serialize;
use tickhost_core::metrics::{Counted, FeedCounters};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::{Readiness, StatusReport, StatusSource};
use crate::{base::clock, clients::shard::Surveyed};

/// Time between two samples.
const EVERY: Duration = Duration::from_secs(1);

/// Samples that are kept: ten minutes.
const SAMPLES: usize = 600;

/// Readings over which the numbers of a feed are taken: the difference between the first and the last of
/// them.
const WINDOW: usize = 6;

/// Age up to which a state of everything is handed to the next who asks.
const FRESH: Duration = Duration::from_millis(900);

/// Sessions that are described, those first that are most behind.
pub const SESSIONS_SHOWN: usize = 200;

/// What happened in one second, over all feeds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
struct Sample {
    /// Counts from 1.
    number: u64,
    /// Milliseconds since the Unix epoch.
    at_ms: u64,
    /// Ticks that came from brokers and publishers, a second.
    ticks_per_second: f64,
    /// Ticks that were written to clients, a second.
    frames_per_second: f64,
    /// Share of updates that a newer one replaced within an interval of the throttle, as it should be.
    throttled_share: f64,
    /// Share of ticks that a newer one replaced because the host was behind.
    host_behind_share: f64,
    /// Share of frames that a newer one replaced because their client was behind.
    client_behind_share: f64,
    /// From receipt to socket, in microseconds; none when nothing was measured.
    host_p50_us: Option<u64>,
    host_p99_us: Option<u64>,
    /// From the exchange's time to the socket, likewise.
    exchange_p50_us: Option<u64>,
    exchange_p99_us: Option<u64>,
}

/// The last seconds of one feed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
struct Recent {
    feed: u32,
    ticks_per_second: f64,
    frames_per_second: f64,
    host_behind_share: f64,
    client_behind_share: f64,
    host_p50_us: Option<u64>,
    host_p99_us: Option<u64>,
    exchange_p50_us: Option<u64>,
    exchange_p99_us: Option<u64>,
}

/// Counters of a feed at one moment.
#[derive(Clone, Copy, Debug, Default)]
struct Reading {
    at: Option<Instant>,
    received: u64,
    updates: u64,
    offered: u64,
    written: u64,
    throttled: u64,
    merged: u64,
    replaced: u64,
    host: Counted,
    exchange: Counted,
}

impl Reading {
    fn take(counters: &FeedCounters, at: Instant) -> Self {
        Self {
            at: Some(at),
            received: counters.received.get(),
            updates: counters.updates.get(),
            offered: counters.offered.get(),
            written: counters.written.get(),
            throttled: counters.conflated_throttle.get(),
            merged: counters.conflated_link.get() + counters.conflated_intake.get(),
            replaced: counters.conflated_outbox.get(),
            host: counters.host_latency.read(),
            exchange: counters.exchange_latency.read(),
        }
    }

    fn since(&self, earlier: &Self) -> Self {
        Self {
            at: None,
            received: self.received.saturating_sub(earlier.received),
            updates: self.updates.saturating_sub(earlier.updates),
            offered: self.offered.saturating_sub(earlier.offered),
            written: self.written.saturating_sub(earlier.written),
            throttled: self.throttled.saturating_sub(earlier.throttled),
            merged: self.merged.saturating_sub(earlier.merged),
            replaced: self.replaced.saturating_sub(earlier.replaced),
            host: self.host.since(&earlier.host),
            exchange: self.exchange.since(&earlier.exchange),
        }
    }

    fn add(&mut self, other: &Self) {
        self.received += other.received;
        self.updates += other.updates;
        self.offered += other.offered;
        self.written += other.written;
        self.throttled += other.throttled;
        self.merged += other.merged;
        self.replaced += other.replaced;
        self.host.add(&other.host);
        self.exchange.add(&other.exchange);
    }
}

#[derive(Debug, Default)]
struct History {
    /// Encoded, each for all who ask.
    samples: VecDeque<(u64, String)>,
    taken: u64,
    at: Option<Instant>,
    feeds: FxHashMap<u32, VecDeque<Reading>>,
}

impl History {
    /// Takes a sample of these feeds.
    fn record(&mut self, feeds: &[(u32, Arc<FeedCounters>)], now: Instant, at_ms: u64) {
        let mut sum = Reading::default();
        for (id, counters) in feeds {
            let reading = Reading::take(counters, now);
            let readings = self.feeds.entry(*id).or_default();
            // A feed that has just begun began with nothing.
            sum.add(&reading.since(&readings.back().copied().unwrap_or_default()));
            readings.push_back(reading);
            if readings.len() > WINDOW {
                readings.pop_front();
            }
        }
        self.feeds.retain(|id, _| feeds.iter().any(|(known, _)| known == id));
        let before = self.at.replace(now);
        // The first look has nothing to be compared with.
        let Some(elapsed) = before.map(|before| now.saturating_duration_since(before)) else { return };
        self.taken += 1;
        let sample = Sample {
            number: self.taken,
            at_ms,
            ticks_per_second: rate(sum.received, elapsed),
            frames_per_second: rate(sum.written, elapsed),
            throttled_share: share(sum.throttled, sum.updates),
            host_behind_share: share(sum.merged, sum.received),
            client_behind_share: share(sum.replaced, sum.offered),
            host_p50_us: sum.host.quantile_us(500),
            host_p99_us: sum.host.quantile_us(990),
            exchange_p50_us: sum.exchange.quantile_us(500),
            exchange_p99_us: sum.exchange.quantile_us(990),
        };
        if let Ok(text) = serde_json::to_string(&sample) {
            self.samples.push_back((sample.number, text));
        }
        if self.samples.len() > SAMPLES {
            self.samples.pop_front();
        }
    }

    fn recent(&self) -> Vec<Recent> {
        let mut recent: Vec<Recent> = self.feeds.iter().map(|(id, readings)| recent(*id, readings)).collect();
        recent.sort_by_key(|recent| recent.feed);
        recent
    }

    /// Samples after that of this number, as a list in JSON.
    fn after(&self, number: u64) -> String {
        let wanted = self.samples.iter().filter(|(taken, _)| *taken > number);
        let wanted: Vec<&str> = wanted.map(|(_, text)| text.as_str()).collect();
        format!("[{}]", wanted.join(","))
    }
}

fn recent(feed: u32, readings: &VecDeque<Reading>) -> Recent {
    let (Some(first), Some(last)) = (readings.front(), readings.back()) else { return Recent::default() };
    let elapsed = match (first.at, last.at) {
        (Some(first), Some(last)) => last.saturating_duration_since(first),
        _ => Duration::ZERO,
    };
    let between = last.since(first);
    Recent {
        feed,
        ticks_per_second: rate(between.received, elapsed),
        frames_per_second: rate(between.written, elapsed),
        host_behind_share: share(between.merged, between.received),
        client_behind_share: share(between.replaced, between.offered),
        host_p50_us: between.host.quantile_us(500),
        host_p99_us: between.host.quantile_us(990),
        exchange_p50_us: between.exchange.quantile_us(500),
        exchange_p99_us: between.exchange.quantile_us(990),
    }
}

/// Rounded to a tenth: more says nothing, and takes room.
fn rate(count: u64, elapsed: Duration) -> f64 {
    if elapsed.is_zero() {
        return 0.0;
    }
    (to_f64(count) / elapsed.as_secs_f64() * 10.0).round() / 10.0
}

fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { (to_f64(part) / to_f64(whole) * 10_000.0).round() / 10_000.0 }
}

#[expect(clippy::cast_precision_loss, reason = "counts of a few seconds are far below 2^53")]
fn to_f64(count: u64) -> f64 {
    count as f64
}

/// The state of everything, as it was at one moment.
#[derive(Serialize)]
struct Now<'a> {
    at_ms: u64,
    #[serde(flatten)]
    status: &'a StatusReport,
    readiness: &'a Readiness,
    recent: Vec<Recent>,
    clients: &'a Surveyed,
}

/// What the console is told.
#[derive(Debug)]
pub(super) struct Live {
    source: Arc<dyn StatusSource>,
    history: Mutex<History>,
    /// The last state of everything. Held while it is made, so that it is made once for all who ask at that
    /// time.
    now: tokio::sync::Mutex<Option<(Instant, String)>>,
}

impl Live {
    pub(super) fn new(source: Arc<dyn StatusSource>) -> Arc<Self> {
        Arc::new(Self { source, history: Mutex::default(), now: tokio::sync::Mutex::default() })
    }

    /// Takes samples until `shutdown`.
    pub(super) async fn record(self: Arc<Self>, shutdown: CancellationToken) {
        let mut beat = tokio::time::interval(EVERY);
        beat.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            tokio::select! {
                _ = beat.tick() => {}
                () = shutdown.cancelled() => return,
            }
            let feeds = self.source.feed_counters();
            self.history.lock().record(&feeds, Instant::now(), clock::unix_millis());
        }
    }

    /// The state of everything with the samples after that of this number, as JSON; none when the host
    /// failed.
    pub(super) async fn document(&self, after: u64) -> Option<String> {
        let mut now = self.now.lock().await;
        let is_fresh = now.as_ref().is_some_and(|(made, _)| made.elapsed() < FRESH);
        if !is_fresh {
            *now = Some((Instant::now(), self.state().await?));
        }
        let (_, state) = now.as_ref()?;
        let samples = self.history.lock().after(after);
        // The state is an object: it gets one more member.
        Some(format!("{},\"samples\":{samples}}}", state.strip_suffix('}')?))
    }

    async fn state(&self) -> Option<String> {
        let clients = self.source.clients(SESSIONS_SHOWN).await;
        let (status, readiness) = (self.source.status(), self.source.ready());
        let recent = self.history.lock().recent();
        let now = Now {
            at_ms: clock::unix_millis(),
            status: &status,
            readiness: &readiness,
            recent,
            clients: &clients,
        };
        serde_json::to_string(&now).ok()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn samples(history: &History, after: u64) -> Vec<Value> {
        serde_json::from_str(&history.after(after)).unwrap()
    }

    #[test]
    fn a_sample_holds_what_came_since_the_one_before() {
        let counters = Arc::<FeedCounters>::default();
        counters.received.add(1_000);
        let feeds = [(1, Arc::clone(&counters))];
        let (mut history, start) = (History::default(), Instant::now());
        history.record(&feeds, start, 0);
        assert!(samples(&history, 0).is_empty());
        counters.received.add(50);
        counters.offered.add(200);
        counters.written.add(150);
        counters.conflated_outbox.add(20);
        counters.conflated_link.add(10);
        counters.updates.add(10);
        counters.conflated_throttle.add(5);
        counters.host_latency.record(400_000);
        history.record(&feeds, start + Duration::from_secs(2), 7_000);
        let all = samples(&history, 0);
        let sample = all.last().unwrap();
        assert_eq!((&sample["number"], &sample["at_ms"]), (&1.into(), &7_000.into()));
        assert_eq!((&sample["ticks_per_second"], &sample["frames_per_second"]), (&25.0.into(), &75.0.into()));
        let shares = ["throttled_share", "host_behind_share", "client_behind_share"];
        assert_eq!(shares.map(|name| sample[name].as_f64()), [Some(0.5), Some(0.2), Some(0.1)]);
        assert!(sample["host_p99_us"].as_u64().is_some_and(|us| (300..=500).contains(&us)), "{sample}");
        assert!(sample["exchange_p50_us"].is_null());
        let recent = history.recent();
        assert_eq!(recent.first().map(|recent| (recent.feed, recent.ticks_per_second)), Some((1, 25.0)));
    }

    #[test]
    fn no_more_samples_are_kept_than_there_is_room_for_and_only_newer_ones_are_given() {
        let (mut history, start) = (History::default(), Instant::now());
        for second in 0..=(SAMPLES as u64 + 5) {
            history.record(&[], start + Duration::from_secs(second), second);
        }
        let all = samples(&history, 0);
        assert_eq!((all.len(), &all[0]["number"]), (SAMPLES, &6.into()));
        assert_eq!(samples(&history, SAMPLES as u64 + 4).len(), 1);
        assert!(samples(&history, u64::MAX).is_empty());
    }

    #[test]
    fn a_feed_that_ended_leaves_nothing() {
        let (mut history, start) = (History::default(), Instant::now());
        history.record(&[(1, Arc::default())], start, 0);
        history.record(&[], start, 0);
        assert!(history.recent().is_empty() && history.feeds.is_empty());
    }
}
