//! Faults that go on until the process ends, or until they have done enough harm.

use std::{fs::File, path::PathBuf, thread::JoinHandle, time::Duration};

use adapter_sdk::{Level, Price, Tick, TickSink};
use rand::RngExt as _;
use tokio::time::Instant;

use crate::{
    config::{Fault, Settings, When},
    ticker::Ticker,
};

/// Between two steps.
const STEP_EVERY: Duration = Duration::from_millis(10);

/// Memory taken in one step.
const MEMORY_STEP: usize = 16 * 1_024 * 1_024;

/// The leak stops here: a test whose host has no limit is to fail, and not the machine that it runs on.
const MEMORY_MOST: usize = 8 * 1_024 * 1_024 * 1_024;

/// Files opened in one step.
const FILES_STEP: usize = 100;

/// Threads started in one step.
const THREADS_STEP: usize = 10;

/// Threads stop here, for the machine's sake.
const THREADS_MOST: usize = 4_096;

/// Stack of a thread that only waits.
const STACK_BYTES: usize = 64 * 1_024;

/// How long a flood lasts that no file keeps up.
const FLOOD: Duration = Duration::from_secs(2);

/// Ticks in one step of a flood.
const FLOOD_STEP: usize = 1_024;

/// Records in one step that make no sense.
const GARBAGE_STEP: usize = 32;

/// A fault that goes on.
#[derive(Debug)]
pub(crate) struct Ongoing {
    kind: Kind,
    next_step: Instant,
}

#[derive(Debug)]
enum Kind {
    Memory { taken: usize },
    Descriptors { open: Vec<File> },
    Threads { started: Vec<JoinHandle<()>> },
    Flood { until: Instant, while_exists: Option<PathBuf> },
    Garbage,
    Stray,
}

impl Ongoing {
    /// Begins it, if it is one that goes on.
    pub(crate) fn begin(settings: &Settings, now: Instant) -> Option<Self> {
        let kind = match settings.fault? {
            Fault::MemoryLeak => Kind::Memory { taken: 0 },
            Fault::DescriptorLeak => Kind::Descriptors { open: Vec::new() },
            Fault::ThreadLeak => Kind::Threads { started: Vec::new() },
            Fault::TickFlood => {
                let while_exists = match &settings.when {
                    When::Triggered(file) => Some(file.clone()),
                    When::After(_) => None,
                };
                Kind::Flood { until: now + FLOOD, while_exists }
            }
            Fault::GarbageRecords => Kind::Garbage,
            Fault::StrayIds => Kind::Stray,
            _ => return None,
        };
        Some(Self { kind, next_step: now })
    }

    /// When [`Self::step`] is to be called.
    pub(crate) const fn next_step(&self) -> Instant {
        self.next_step
    }

    /// Whether it has come to its end.
    pub(crate) fn is_over(&self, now: Instant) -> bool {
        match &self.kind {
            Kind::Flood { while_exists: Some(file), .. } => !file.exists(),
            Kind::Flood { until, while_exists: None } => now >= *until,
            _ => false,
        }
    }

    /// Does a little more harm. True when it published something.
    pub(crate) fn step(
        &mut self,
        now: Instant,
        ts_ns: u64,
        ticker: &mut Ticker,
        sink: &mut TickSink,
    ) -> bool {
        self.next_step = now + STEP_EVERY;
        match &mut self.kind {
            Kind::Memory { taken } => {
                if *taken < MEMORY_MOST {
                    // Not zero, so that each page is written and the system has to find it.
                    // A leak that nobody looks at is none to an optimiser.
                    std::hint::black_box(vec![1_u8; MEMORY_STEP].leak());
                    *taken += MEMORY_STEP;
                }
                false
            }
            Kind::Descriptors { open } => {
                open.extend((0..FILES_STEP).map_while(|_| File::open("/dev/null").ok()));
                false
            }
            Kind::Threads { started } => {
                let room = THREADS_MOST.saturating_sub(started.len()).min(THREADS_STEP);
                started.extend((0..room).map_while(|_| parked_thread()));
                false
            }
            Kind::Flood { .. } => {
                let did_publish = ticker.flood(FLOOD_STEP, ts_ns, sink);
                if did_publish {
                    self.next_step = now;
                }
                did_publish
            }
            Kind::Garbage => {
                (0..GARBAGE_STEP).for_each(|_| publish_garbage(ticker, sink));
                true
            }
            Kind::Stray => {
                publish_stray(ts_ns, ticker, sink);
                true
            }
        }
    }
}

fn parked_thread() -> Option<JoinHandle<()>> {
    let park = || {
        loop {
            std::thread::park();
        }
    };
    std::thread::Builder::new().stack_size(STACK_BYTES).spawn(park).ok()
}

/// A record of any values, under a number that is anything or one of those that are subscribed.
fn publish_garbage(ticker: &Ticker, sink: &mut TickSink) {
    let mut rng = rand::rng();
    let known: Vec<u32> = ticker.wanted().map(|(instrument, _)| instrument).collect();
    let instrument = match known.get(rng.random_range(0..=known.len())) {
        Some(known) => *known,
        None => rng.random(),
    };
    let mut price = || Price::from_nanos(rng.random());
    let (ltp, open, bid, change) = (price(), price(), price(), price());
    let tick = Tick::new(instrument)
        .ltp(ltp)
        .open(open)
        .bid_price(bid)
        .change_percent(change)
        .volume(rng.random())
        .oi(i64::MIN)
        .exchange_ts_ns(u64::MAX)
        .last_trade_ts_ns(rng.random())
        .received_ts_ns(rng.random());
    match rng.random_range(0..3) {
        0 => sink.ltp(&tick),
        1 => sink.quote(&tick),
        _ => {
            let mut side = || -> Vec<Level> {
                (0..rng.random_range(0..300))
                    .map(|_| Level {
                        price: Price::from_nanos(rng.random()),
                        quantity: rng.random(),
                        orders: Some(rng.random()),
                    })
                    .collect()
            };
            let (buy, sell) = (side(), side());
            sink.depth(&tick, &buy, &sell);
        }
    }
}

/// Ticks of numbers that were never subscribed here: some far off, and the neighbours of those that are,
/// which may be somebody else's.
fn publish_stray(ts_ns: u64, ticker: &Ticker, sink: &mut TickSink) {
    // The lower bits of a host's number are a place in a table; those above tell who holds the place.
    const NEXT_HOLDER: u32 = 1 << 20;
    let neighbours = ticker.wanted().flat_map(|(own, _)| [own ^ NEXT_HOLDER, own ^ 1, own.wrapping_add(1)]);
    for stray in neighbours.take(GARBAGE_STEP).chain([0, u32::MAX]).filter(|stray| !ticker.wants(*stray)) {
        let price = Price::from_nanos(666_000_000_000);
        sink.ltp(&Tick::new(stray).ltp(price).volume(666).exchange_ts_ns(ts_ns));
    }
}
