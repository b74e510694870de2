//! The stages that a tick passes, each alone. A figure is the cost of one tick, or of one subscriber of one.
//!
//! ```text
//! cargo bench -p tickhost
//! ```
//!
//! | bench | what a regression means |
//! |---|---|
//! | `bus` | fewer ticks a second from publishers; the parser stands before everything else on the router's thread |
//! | `link` | the same for adapters in processes of their own, the default; both ends of their connection, on two threads |
//! | `book` | a cost for each tick, held or not, once the router has taken it |
//! | `route` | fewer ticks a second that the router can take, whatever becomes of them |
//! | `encode` | the same, for ticks that somebody holds; once for each kind of frame, not for each subscriber |
//! | `throttle` | a cost for each tick of an instrument that is throttled |
//! | `index`, `outbox` | a cost for each subscriber of each tick: what decides how many clients a core serves |

#![allow(
    missing_docs,
    clippy::expect_used,
    reason = "the macros of the benchmark write functions without comments, and a benchmark may end by panicking"
)]

use std::{
    hint::black_box,
    sync::{Arc, Condvar, Mutex},
    time::Duration,
};

use adapter_abi::{
    Depth, DepthLevel, Greeks, LogLevel, Ltp, PublishOutcome, Quote, StatusEvent, SubscriptionOutcome, field,
};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use secrecy::SecretString;
use tickhost::{
    adapters::{AdapterEvents, process::measured},
    bus::{BusReader, BusSettings, BusSink, BusVerdict, CacheScope, Invalidated, OrderVerdict},
};
use tickhost_core::{
    book::Entry,
    calendar::Calendars,
    index::Index,
    intake::Intake,
    mailbox::{Mailbox, SessionId},
    metrics::FeedCounters,
    model::{DepthClass, FeedId, InstrumentId, Key, Mode, TickView, Variant},
    outbox::{Outbox, OutboxLimits},
    protocol::{
        encode::{EncodeOptions, Label, market_data},
        order::OrderUpdate,
    },
    router::{Command, Names, Router, RouterHandle},
    throttle::{Spacing, Throttle},
};
use tokio_tungstenite::tungstenite::Utf8Bytes;

const FEED: FeedId = FeedId(1);
const INSTRUMENTS: u32 = 1_000;

fn key(slot: u32, mode: Mode) -> Key {
    Key { instrument: InstrumentId::new(slot, 1), variant: Variant::new(mode, DepthClass::Five, false) }
}

/// A thousand ticks of as many instruments in one batch, from the intake to the shard's mailbox.
fn route(c: &mut Criterion) {
    let mut group = c.benchmark_group("route");
    group.throughput(Throughput::Elements(u64::from(INSTRUMENTS)));
    for (name, is_held) in [("nobody_holds", false), ("held", true)] {
        let mailbox = Arc::<Mailbox>::default();
        let handle = RouterHandle::new();
        let mut router = Router::new(
            &[Arc::clone(&mailbox)],
            EncodeOptions::default(),
            Arc::default(),
            Calendars::default(),
        );
        let counters = Arc::<FeedCounters>::default();
        let intake = Intake::new(FEED, Arc::clone(&counters), Arc::clone(&handle.doorbell));
        let interval = Duration::ZERO;
        handle.send(Command::OpenFeed {
            feed: FEED,
            interval,
            counters,
            repeats_modes: false,
            has_hours: true,
        });
        for slot in 0..INSTRUMENTS {
            let Key { instrument, .. } = key(slot, Mode::Ltp);
            let names =
                Names { exchange: "NSE".into(), symbol: format!("S{slot}").into(), broker: "sim".into() };
            handle.send(Command::Activate { feed: FEED, instrument, names });
            if is_held {
                handle.send(Command::Attach { shard: 0, key: key(slot, Mode::Ltp), session: SessionId(1) });
            }
        }
        let ticks: Vec<Ltp> = (0..INSTRUMENTS)
            .map(|slot| Ltp {
                instrument: key(slot, Mode::Ltp).instrument.0,
                fields: field::LTP | field::VOLUME,
                ltp: 625_500_000_000,
                volume: 1_500_000,
                received_ts_ns: 1_795_460_000_000_000_000,
                ..Ltp::default()
            })
            .collect();
        let mut updates = Vec::new();
        let mut now = 0;
        group.bench_function(name, |b| {
            b.iter(|| {
                now += 1;
                intake.offer_ltp(black_box(&ticks));
                router.turn(&handle, now);
                mailbox.take(&mut updates);
                updates.clear();
            });
        });
    }
    group.finish();
}

/// Bodies of the bus into records, handed to a sink that only looks at them. A figure is one tick.
fn bus(c: &mut Criterion) {
    let listen = (std::net::Ipv4Addr::LOCALHOST, 0).into();
    let mut reader = BusReader::new(BusSettings::new(listen, "unused".into()), Arc::default());
    let mut sink = LastPrice(0);
    let values = |n: u32| {
        format!(
            "\"ltp\":{}.05,\"volume\":{},\"last_trade_quantity\":75,\"timestamp\":1795460000000",
            100 + n,
            1_500_000 + n
        )
    };
    let single: Vec<(String, String)> =
        (0..INSTRUMENTS).map(|n| (format!("NSE_S{n}_LTP"), format!("{{{}}}", values(n)))).collect();
    let batches: Vec<String> = (0..INSTRUMENTS / 50)
        .map(|batch| {
            let elements = (0..50).map(|place| {
                let n = batch * 50 + place;
                format!("{{\"exchange\":\"NSE\",\"symbol\":\"S{n}\",{}}}", values(n))
            });
            format!("[{}]", elements.collect::<Vec<_>>().join(","))
        })
        .collect();
    for body in &batches {
        reader.read(b"NSE_BATCH_LTP", body.as_bytes(), &mut sink);
    }
    assert_eq!(sink.0, 1_099_050_000_000, "the last tick was read");
    let mut group = c.benchmark_group("bus");
    group.throughput(Throughput::Elements(u64::from(INSTRUMENTS)));
    group.bench_function("single", |b| {
        b.iter(|| {
            for (topic, body) in &single {
                reader.read(black_box(topic.as_bytes()), black_box(body.as_bytes()), &mut sink);
            }
        });
    });
    group.bench_function("batches_of_50", |b| {
        b.iter(|| {
            for body in &batches {
                reader.read(b"NSE_BATCH_LTP", black_box(body.as_bytes()), &mut sink);
            }
        });
    });
    group.finish();
}

struct LastPrice(i64);

impl BusSink for LastPrice {
    fn tick(&mut self, _exchange: &str, _symbol: &str, _mode: Mode, tick: TickView<'_>) -> BusVerdict {
        self.0 = tick.quote.ltp;
        BusVerdict::Accepted
    }

    fn order_update(&mut self, _user_id: &str, _update: &OrderUpdate<'_>) -> OrderVerdict {
        OrderVerdict::UnknownUser
    }

    fn cache_invalidate(&mut self, _scope: CacheScope, _user_id: &str) -> Invalidated {
        Invalidated::Unknown
    }

    fn flush(&mut self) {}
}

/// From the intake of an adapter's process to what the host does with ticks, over the socket between them. A
/// figure is one tick, of a thousand that are offered in batches and waited for together.
fn link(c: &mut Criterion) {
    let mut group = c.benchmark_group("link");
    group.throughput(Throughput::Elements(u64::from(INSTRUMENTS)));
    for (name, batch) in [("LTP/batches_of_10", 10), ("LTP/batches_of_250", 250)] {
        let directory = tempfile::tempdir().expect("a folder");
        let arrived = Arc::<Arrived>::default();
        let intake = measured::open(directory.path(), Arc::clone(&arrived) as _).expect("a connection");
        let ticks: Vec<Ltp> = (0..INSTRUMENTS)
            .map(|slot| Ltp { instrument: slot, fields: field::LTP, ltp: 625_500_000_000, ..Ltp::default() })
            .collect();
        group.bench_function(name, |b| {
            b.iter(|| {
                for part in ticks.chunks(batch) {
                    intake.offer_ltp(black_box(part));
                }
                arrived.wait_for(ticks.len());
            });
        });
    }
    group.finish();
}

/// Counts what comes out of the connection.
#[derive(Default)]
struct Arrived {
    ticks: Mutex<usize>,
    more: Condvar,
}

impl Arrived {
    /// Waits for so many ticks, and begins to count again.
    fn wait_for(&self, count: usize) {
        let ticks = self.ticks.lock().expect("nobody panicked");
        let mut ticks = self.more.wait_while(ticks, |ticks| *ticks < count).expect("nobody panicked");
        *ticks = 0;
    }
}

impl AdapterEvents for Arrived {
    fn ltp(&self, batch: &[Ltp]) -> PublishOutcome {
        *self.ticks.lock().expect("nobody panicked") += batch.len();
        self.more.notify_one();
        PublishOutcome::default()
    }

    fn quote(&self, _: &[Quote]) -> PublishOutcome {
        PublishOutcome::default()
    }

    fn depth(&self, _: &[Depth], _: &[DepthLevel]) -> PublishOutcome {
        PublishOutcome::default()
    }

    fn greeks(&self, _: &[Greeks]) -> PublishOutcome {
        PublishOutcome::default()
    }

    fn order_update(&self, _: &str) -> PublishOutcome {
        PublishOutcome::default()
    }

    fn status(&self, _: StatusEvent) {}

    fn outcomes(&self, _: u64, _: &[SubscriptionOutcome]) {}

    fn credentials(&self) -> SecretString {
        SecretString::default()
    }

    fn log_level(&self) -> LogLevel {
        LogLevel::ERROR
    }

    fn log(&self, _: LogLevel, _: &str, _: &str, _: &str) {}

    fn replaced(&self, _: u32) {}

    fn invalid(&self, _: u64) {}

    fn lost(&self, _: u64) {}
}

fn book(c: &mut Criterion) {
    let side = [DepthLevel { price: 625_450_000_000, quantity: 120, orders: 3, reserved: 0 }; 5];
    let quote = Quote { fields: field::IN_QUOTE, ltp: 625_500_000_000, ..Quote::default() };
    let mut entry = Entry::default();
    let mut price = 0;
    let mut group = c.benchmark_group("book");
    group.bench_function("LTP", |b| {
        b.iter(|| {
            price += 50_000_000;
            let fields = field::LTP | field::VOLUME;
            entry.merge_ltp(black_box(&Ltp { fields, ltp: price, ..Ltp::default() }))
        });
    });
    group.bench_function("Quote", |b| {
        b.iter(|| {
            price += 50_000_000;
            entry.merge_quote(black_box(&Quote { ltp: price, ..quote }))
        });
    });
    group.bench_function("Depth", |b| {
        b.iter(|| {
            price += 50_000_000;
            entry.merge_depth(black_box(&Quote { ltp: price, ..quote }), black_box(&side), &side)
        });
    });
    group.finish();
}

fn encode(c: &mut Criterion) {
    let quote = Quote {
        fields: field::IN_QUOTE,
        ltp: 625_500_000_000,
        open: 620_000_000_000,
        high: 628_000_000_000,
        low: 618_500_000_000,
        close: 622_000_000_000,
        volume: 1_500_000,
        exchange_ts_ns: 1_705_294_800_123_000_000,
        last_trade_ts_ns: 1_705_294_800_000_000_000,
        ..Quote::default()
    };
    let side = [DepthLevel { price: 625_450_000_000, quantity: 120, orders: 3, reserved: 0 }; 5];
    let label = Label::new("SBIN", "NSE", "zerodha", None);
    let mut out = Vec::with_capacity(8_192);
    let mut group = c.benchmark_group("encode");
    for mode in Mode::ALL {
        let variant = key(0, mode).variant;
        group.bench_function(mode.label(), |b| {
            b.iter(|| {
                out.clear();
                let view = TickView { quote: black_box(&quote), buy: &side, sell: &side, greeks: None };
                market_data(&mut out, &label, variant, view, EncodeOptions::default(), false)
            });
        });
    }
    group.finish();
}

fn throttle(c: &mut Criterion) {
    let mut throttle: Throttle<Key> = Throttle::new(Duration::from_millis(50));
    let mut spacings: Vec<(Key, Spacing)> =
        (0..INSTRUMENTS).map(|slot| (key(slot, Mode::Ltp), Spacing::default())).collect();
    let mut now = 0;
    let mut group = c.benchmark_group("throttle");
    group.throughput(Throughput::Elements(u64::from(INSTRUMENTS)));
    group.bench_function("offer", |b| {
        b.iter(|| {
            now += 1_000_000;
            for (key, spacing) in &mut spacings {
                black_box(throttle.offer(*key, spacing, now));
            }
        });
    });
    group.finish();
}

fn index(c: &mut Criterion) {
    let mut index: Index<u32, ()> = Index::default();
    for slot in 0..INSTRUMENTS {
        for session in 0..20 {
            index.insert(key(slot, Mode::Ltp), session, || ());
        }
    }
    let mut slot = 0;
    c.bench_function("index/subscribers", |b| {
        b.iter(|| {
            slot = (slot + 617) % INSTRUMENTS;
            index.subscribers(black_box(key(slot, Mode::Ltp))).map(|(sessions, ())| sessions.len())
        });
    });
}

fn outbox(c: &mut Criterion) {
    let frame = Utf8Bytes::from("x".repeat(286));
    let mut group = c.benchmark_group("outbox");
    let mut outbox = Outbox::new(OutboxLimits::default());
    group.bench_function("offer_and_pop", |b| {
        b.iter(|| {
            outbox.offer(key(1, Mode::Ltp), frame.clone(), 0);
            outbox.pop_tick()
        });
    });
    let mut behind = Outbox::new(OutboxLimits::default());
    for place in 0..2_000 {
        behind.offer(key(place % 100, Mode::Ltp), frame.clone(), 0);
    }
    let mut place = 0;
    group.bench_function("conflate", |b| {
        b.iter(|| {
            place = (place + 1) % 100;
            behind.offer(key(place, Mode::Ltp), frame.clone(), 0)
        });
    });
    group.finish();
}

// The connection comes last: its threads live on, and beside other threads an allocation costs more.
criterion_group!(benches, bus, book, route, encode, throttle, index, outbox, link);
criterion_main!(benches);
