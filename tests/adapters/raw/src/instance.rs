//! One instance: a thread that publishes, and calls that do what the settings ask for.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use adapter_abi::{
    Adapter, Adapter_TO, AdapterBox, AdapterError, Depth, ErrorCode, HealthSnapshot, HostHandle, Ltp,
    OutcomeCode, Quote, StatusEvent, StatusKind, Subscription, SubscriptionOutcome,
    abi_stable::{
        sabi_trait::TD_Opaque,
        std_types::{RBox, ROk, RResult, RSlice, RString},
    },
    field,
};
use parking_lot::Mutex;

use crate::{
    config::{Config, Fault},
    garbage, reports,
};

/// Between two ticks of each instrument.
const TICK_EVERY: Duration = Duration::from_millis(20);

/// Between two looks of the thread.
const LOOK_EVERY: Duration = Duration::from_millis(5);

pub(crate) struct Instance {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    config: Config,
    host: HostHandle,
    /// Ticks so far of what is subscribed, by its mode and number.
    wanted: Mutex<BTreeMap<u32, (u8, u64)>>,
    is_connected: AtomicBool,
    is_stopped: AtomicBool,
    published: AtomicU64,
}

impl Instance {
    /// Makes an instance that waits for `connect`.
    pub(crate) fn start(config: Config, host: HostHandle) -> AdapterBox {
        config.maybe_hang(Fault::HangInCreate);
        let shared = Arc::new(Shared {
            config,
            host,
            wanted: Mutex::default(),
            is_connected: AtomicBool::new(false),
            is_stopped: AtomicBool::new(false),
            published: AtomicU64::new(0),
        });
        let thread = {
            let shared = Arc::clone(&shared);
            // Without a thread it is an adapter that never ticks.
            std::thread::Builder::new().name("adapter-raw".to_owned()).spawn(move || shared.run()).ok()
        };
        Adapter_TO::from_ptr(RBox::new(Self { shared, thread: Mutex::new(thread) }), TD_Opaque)
    }
}

impl Adapter for Instance {
    fn connect(&self, request: u64) -> RResult<(), AdapterError> {
        self.shared.config.maybe_hang(Fault::HangInConnect);
        self.shared.is_connected.store(true, Ordering::Relaxed);
        self.shared.report(StatusKind::CONNECTED, request);
        ROk(())
    }

    fn subscribe(&self, request: u64, subscriptions: RSlice<'_, Subscription>) -> RResult<(), AdapterError> {
        let Shared { config, host, wanted, .. } = &*self.shared;
        config.maybe_hang(Fault::HangInSubscribe);
        if config.springs(Fault::PanicInCall) {
            panic_across();
        }
        let mut outcomes = Vec::with_capacity(subscriptions.len());
        for Subscription { instrument, mode, exchange, symbol, .. } in subscriptions.as_slice() {
            let is_known = exchange == "NSE" && !symbol.starts_with("BAD");
            if is_known {
                wanted.lock().entry(*instrument).or_default().0 = *mode;
            }
            outcomes.push(SubscriptionOutcome {
                instrument: *instrument,
                code: if is_known { OutcomeCode::ACCEPTED } else { OutcomeCode::UNKNOWN_INSTRUMENT },
                depth: 0,
                reserved: 0,
                message: RString::new(),
            });
        }
        host.subscription_outcomes(request, RSlice::from_slice(&outcomes));
        ROk(())
    }

    fn unsubscribe(&self, _request: u64, instruments: RSlice<'_, u32>) -> RResult<(), AdapterError> {
        self.shared.config.maybe_hang(Fault::HangInUnsubscribe);
        let mut wanted = self.shared.wanted.lock();
        instruments.iter().for_each(|instrument| {
            wanted.remove(instrument);
        });
        ROk(())
    }

    fn credentials_changed(&self) {}

    fn health(&self) -> HealthSnapshot {
        self.shared.config.maybe_hang(Fault::HangInHealth);
        let now = unix_nanos();
        HealthSnapshot {
            connected: self.shared.is_connected.load(Ordering::Relaxed).into(),
            published: self.shared.published.load(Ordering::Relaxed),
            connects: 1,
            last_packet_ts_ns: now,
            last_turn_ts_ns: now,
            ..HealthSnapshot::default()
        }
    }

    fn shutdown(&self, _deadline_ms: u32) {
        self.shared.config.maybe_hang(Fault::HangInShutdown);
        if self.shared.config.springs(Fault::PublishAfterShutdown) {
            return;
        }
        self.shared.is_stopped.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.lock().take() {
            thread.thread().unpark();
            // It does nothing that can panic.
            let _ended = thread.join();
        }
        self.shared.report(StatusKind::STOPPED, 0);
    }
}

impl Shared {
    fn run(&self) {
        let mut next_tick = Instant::now();
        let mut garbles = false;
        let mut reports_falsely = false;
        while !self.is_stopped.load(Ordering::Relaxed) {
            std::thread::park_timeout(LOOK_EVERY);
            if !self.is_connected.load(Ordering::Relaxed) || Instant::now() < next_tick {
                continue;
            }
            next_tick = Instant::now() + TICK_EVERY;
            garbles |= self.config.springs(Fault::GarbageRecords);
            reports_falsely |= self.config.springs(Fault::FalseReports);
            let known = self.publish();
            if garbles {
                garbage::publish(&self.host, &known);
            }
            if reports_falsely {
                reports::send(&self.host, &known);
            }
        }
    }

    /// Publishes one tick of each instrument, and gives their numbers.
    fn publish(&self) -> Vec<u32> {
        let now = unix_nanos();
        let mut ticks: Vec<(u8, Quote)> = Vec::new();
        for (instrument, (mode, seq)) in &mut *self.wanted.lock() {
            *seq += 1;
            let number = i64::try_from(*seq).unwrap_or(i64::MAX);
            let quote = Quote {
                instrument: *instrument,
                fields: field::LTP | field::VOLUME | field::EXCHANGE_TS,
                received_ts_ns: now,
                exchange_ts_ns: now,
                ltp: 100_000_000_000 + number % 1_000 * 50_000_000,
                volume: number,
                ..Quote::default()
            };
            ticks.push((*mode, quote));
        }
        for (mode, quote) in &ticks {
            match mode {
                1 => self.host.publish_ltp(RSlice::from_slice(&[Ltp::from(quote)])),
                2 => self.host.publish_quote(RSlice::from_slice(&[*quote])),
                _ => {
                    let book = Depth { quote: *quote, ..Depth::default() };
                    self.host.publish_depth(RSlice::from_slice(&[book]), RSlice::EMPTY)
                }
            };
        }
        self.published.fetch_add(ticks.len() as u64, Ordering::Relaxed);
        ticks.into_iter().map(|(_, quote)| quote.instrument).collect()
    }

    fn report(&self, kind: StatusKind, request: u64) {
        let (code, message) = (ErrorCode::NONE, RString::new());
        self.host.status(StatusEvent { kind, code, request, retry_in_ms: 0, message });
    }
}

#[expect(clippy::panic, reason = "the fault is that an adapter does this")]
fn panic_across() {
    panic!("a panic in a call of the host, because the settings ask for it");
}

fn unix_nanos() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
