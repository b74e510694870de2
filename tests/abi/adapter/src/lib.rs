//! A bare adapter: every instrument of `NSE` that does not begin with `BAD` ticks every 20 ms.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use adapter_abi::{
    ABI_VERSION, Adapter, Adapter_TO, AdapterBox, AdapterError, AdapterMetadata, AdapterModule,
    AdapterModuleRef, Depth, DepthLevel, ErrorCode, HealthSnapshot, HostHandle, Ltp, ModuleLoader,
    OutcomeCode, Quote, StatusEvent, StatusKind, Subscription, SubscriptionOutcome,
    abi_stable::{
        library::LibHeader,
        prefix_type::PrefixTypeTrait as _,
        sabi_trait::TD_Opaque,
        std_types::{RBox, RErr, ROk, RResult, RSlice, RStr, RString},
    },
    capability, field, library_header,
};

const TICK_EVERY: Duration = Duration::from_millis(20);

extern "C" fn metadata() -> AdapterMetadata {
    #[cfg(feature = "metadata-hangs")]
    loop {
        std::thread::park();
    }
    #[cfg(feature = "metadata-panics")]
    panic!("a panic in metadata");
    #[cfg(feature = "metadata-lies")]
    return lies();
    #[cfg(not(any(feature = "metadata-hangs", feature = "metadata-panics", feature = "metadata-lies")))]
    truth()
}

/// Texts that are long, break lines and clear screens, numbers that are too large, JSON that is none.
#[cfg(feature = "metadata-lies")]
fn lies() -> AdapterMetadata {
    let text =
        |start: &str| RString::from(format!("{start}\u{1b}[2J\r\n\u{202e}\0{}", "x".repeat(1_000_000)));
    AdapterMetadata {
        name: text("sim"),
        version: text("not a version"),
        abi_version: text(ABI_VERSION),
        sdk_version: text(""),
        rustc: text("rustc"),
        capabilities: u64::MAX,
        symbols_per_connection: u32::MAX,
        connections: u32::MAX,
        config_schema_json: "{".repeat(1_000_000).into(),
        credentials_schema_json: "[".repeat(1_000_000).into(),
    }
}

/// Ends the process as soon as the system has mapped the library.
#[cfg(all(feature = "init-crashes", target_os = "linux"))]
#[used]
#[unsafe(link_section = ".init_array")]
static INIT: extern "C" fn() = {
    extern "C" fn crash() {
        std::process::abort();
    }
    crash
};

#[cfg_attr(any(feature = "metadata-hangs", feature = "metadata-panics"), allow(dead_code))]
fn truth() -> AdapterMetadata {
    AdapterMetadata {
        name: "fixture".into(),
        version: env!("CARGO_PKG_VERSION").into(),
        abi_version: ABI_VERSION.into(),
        sdk_version: "none".into(),
        rustc: "unknown".into(),
        capabilities: capability::LTP | capability::QUOTE | capability::DEPTH,
        symbols_per_connection: 1_000,
        connections: 1,
        config_schema_json: "{}".into(),
        credentials_schema_json: "".into(),
    }
}

extern "C" fn validate_config(config_json: RStr<'_>) -> RResult<(), AdapterError> {
    if config_json.as_str() == "{}" {
        ROk(())
    } else {
        let message = "the fixture has no settings: leave its config out".into();
        RErr(AdapterError { code: ErrorCode::CONFIG, message })
    }
}

extern "C" fn create(config_json: RStr<'_>, host: HostHandle) -> RResult<AdapterBox, AdapterError> {
    if let RErr(error) = validate_config(config_json) {
        return RErr(error);
    }
    let shared = Arc::new(Shared {
        host,
        wanted: Mutex::default(),
        is_stopped: AtomicBool::new(false),
        published: AtomicU64::new(0),
    });
    let instance = Instance { shared, thread: Mutex::default() };
    ROk(Adapter_TO::from_ptr(RBox::new(instance), TD_Opaque))
}

#[cfg(feature = "login")]
extern "C" fn login(
    _config_json: RStr<'_>,
    _fields_json: RStr<'_>,
    _deadline_ms: u32,
) -> RResult<RString, AdapterError> {
    RErr(AdapterError { code: ErrorCode::CONFIG, message: "the fixture does not log in".into() })
}

/// What came with 1.2.
#[cfg(feature = "brands")]
mod since_1_2 {
    use super::*;

    pub extern "C" fn brands() -> RString {
        "[]".into()
    }

    pub extern "C" fn validate_config_for(
        _assignment_json: RStr<'_>,
        config_json: RStr<'_>,
    ) -> RResult<(), AdapterError> {
        validate_config(config_json)
    }

    pub extern "C" fn create_for(
        _assignment_json: RStr<'_>,
        config_json: RStr<'_>,
        host: HostHandle,
    ) -> RResult<AdapterBox, AdapterError> {
        create(config_json, host)
    }

    pub extern "C" fn login_for(
        _assignment_json: RStr<'_>,
        config_json: RStr<'_>,
        fields_json: RStr<'_>,
        deadline_ms: u32,
    ) -> RResult<RString, AdapterError> {
        login(config_json, fields_json, deadline_ms)
    }

    pub extern "C" fn limits_for(_assignment_json: RStr<'_>, _config_json: RStr<'_>) -> RString {
        "{}".into()
    }
}

#[cfg(feature = "next")]
extern "C" fn motto() -> RString {
    "one function more".into()
}

struct Loader;

impl ModuleLoader for Loader {
    fn module() -> AdapterModuleRef {
        AdapterModule {
            metadata,
            validate_config,
            create,
            #[cfg(feature = "login")]
            login,
            #[cfg(feature = "brands")]
            brands: since_1_2::brands,
            #[cfg(feature = "brands")]
            validate_config_for: since_1_2::validate_config_for,
            #[cfg(feature = "brands")]
            create_for: since_1_2::create_for,
            #[cfg(feature = "brands")]
            login_for: since_1_2::login_for,
            #[cfg(feature = "brands")]
            limits_for: since_1_2::limits_for,
            #[cfg(feature = "next")]
            motto,
        }
        .leak_into_prefix()
    }
}

#[unsafe(export_name = "_1as_0lib_1header_0root_bmodule_bloader")]
static HEADER: LibHeader = library_header::<Loader>();

struct Instance {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    host: HostHandle,
    /// Mode of what is subscribed, and its ticks so far.
    wanted: Mutex<BTreeMap<u32, (u8, i64)>>,
    is_stopped: AtomicBool,
    published: AtomicU64,
}

impl Adapter for Instance {
    fn connect(&self, request: u64) -> RResult<(), AdapterError> {
        let shared = Arc::clone(&self.shared);
        let thread = std::thread::Builder::new().name("fixture".to_owned()).spawn(move || shared.run());
        match thread {
            Ok(thread) => *lock(&self.thread) = Some(thread),
            Err(error) => {
                let message = format!("cannot start a thread: {error}").into();
                return RErr(AdapterError { code: ErrorCode::UNAVAILABLE, message });
            }
        }
        self.shared.report(StatusKind::CONNECTED, request);
        ROk(())
    }

    fn subscribe(&self, request: u64, subscriptions: RSlice<'_, Subscription>) -> RResult<(), AdapterError> {
        let mut outcomes = Vec::with_capacity(subscriptions.len());
        for Subscription { instrument, mode, exchange, symbol, .. } in subscriptions.as_slice() {
            let is_known = exchange == "NSE" && !symbol.starts_with("BAD");
            if is_known {
                lock(&self.shared.wanted).entry(*instrument).or_default().0 = *mode;
            }
            outcomes.push(SubscriptionOutcome {
                instrument: *instrument,
                code: if is_known { OutcomeCode::ACCEPTED } else { OutcomeCode::UNKNOWN_INSTRUMENT },
                depth: if is_known && *mode == 3 { 2 } else { 0 },
                reserved: 0,
                message: if is_known { RString::new() } else { format!("Symbol {symbol} not found").into() },
            });
        }
        self.shared.host.subscription_outcomes(request, RSlice::from_slice(&outcomes));
        ROk(())
    }

    fn unsubscribe(&self, _request: u64, instruments: RSlice<'_, u32>) -> RResult<(), AdapterError> {
        let mut wanted = lock(&self.shared.wanted);
        instruments.iter().for_each(|instrument| {
            wanted.remove(instrument);
        });
        ROk(())
    }

    fn credentials_changed(&self) {}

    fn health(&self) -> HealthSnapshot {
        let now = unix_nanos();
        HealthSnapshot {
            connected: lock(&self.thread).is_some().into(),
            published: self.shared.published.load(Ordering::Relaxed),
            connects: 1,
            last_packet_ts_ns: now,
            last_turn_ts_ns: now,
            ..HealthSnapshot::default()
        }
    }

    fn shutdown(&self, _deadline_ms: u32) {
        self.shared.is_stopped.store(true, Ordering::Relaxed);
        if let Some(thread) = lock(&self.thread).take() {
            thread.thread().unpark();
            let _ended = thread.join();
        }
        self.shared.report(StatusKind::STOPPED, 0);
    }

    #[cfg(feature = "next")]
    fn pause(&self) -> u32 {
        2
    }
}

impl Shared {
    fn run(&self) {
        // A host that is older than this method has the default, which is called without a crossing.
        #[cfg(feature = "next")]
        self.host.remark("one method more".into());
        while !self.is_stopped.load(Ordering::Relaxed) {
            std::thread::park_timeout(TICK_EVERY);
            self.publish();
        }
    }

    fn publish(&self) {
        let now = unix_nanos();
        let mut ticks: Vec<(u8, Quote)> = Vec::new();
        for (instrument, (mode, seq)) in &mut *lock(&self.wanted) {
            *seq += 1;
            let quote = Quote {
                instrument: *instrument,
                fields: field::LTP | field::VOLUME | field::EXCHANGE_TS,
                received_ts_ns: now,
                exchange_ts_ns: now,
                ltp: 100_000_000_000 + *seq,
                volume: *seq,
                ..Quote::default()
            };
            ticks.push((*mode, quote));
        }
        for (mode, quote) in &ticks {
            match mode {
                1 => self.host.publish_ltp(RSlice::from_slice(&[Ltp::from(quote)])),
                2 => self.host.publish_quote(RSlice::from_slice(&[*quote])),
                _ => {
                    let level = |price| DepthLevel { price, quantity: 10, orders: 1, reserved: 0 };
                    let levels = [quote.ltp - 1, quote.ltp - 2, quote.ltp + 1, quote.ltp + 2].map(level);
                    let book = Depth { quote: *quote, first_level: 0, buy_levels: 2, sell_levels: 2 };
                    self.host.publish_depth(RSlice::from_slice(&[book]), RSlice::from_slice(&levels))
                }
            };
        }
        self.published.fetch_add(ticks.len() as u64, Ordering::Relaxed);
        #[cfg(feature = "brands")]
        self.publish_greeks(now);
    }

    /// What came with 1.2. A host that is older has the default, which is called without a crossing.
    #[cfg(feature = "brands")]
    fn publish_greeks(&self, now: u64) {
        use adapter_abi::{Greeks, greek};

        let wanted = lock(&self.wanted);
        for (instrument, (_, seq)) in wanted.iter().filter(|(_, (mode, _))| *mode > 1) {
            let greeks = Greeks {
                instrument: *instrument,
                fields: greek::DELTA | greek::THETA | greek::IMPLIED_VOLATILITY,
                received_ts_ns: now,
                delta: 500_000_000 + *seq,
                theta: -2_250_000_000,
                implied_volatility: 14_500_000_000,
                ..Greeks::default()
            };
            self.host.publish_greeks(RSlice::from_slice(&[greeks]));
        }
    }

    fn report(&self, kind: StatusKind, request: u64) {
        let (code, message) = (ErrorCode::NONE, RString::new());
        self.host.status(StatusEvent { kind, code, request, retry_in_ms: 0, message });
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn unix_nanos() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
