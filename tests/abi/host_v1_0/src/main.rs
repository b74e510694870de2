//! The least host there is, of ABI 1.0: `fixture-host LIBRARY` loads an adapter as a real host does,
//! subscribes to three instruments, waits for their ticks, ends it, and says what came. Ends with 1 and a
//! sentence when something is wrong.

use std::{
    collections::BTreeMap,
    path::Path,
    process::ExitCode,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use adapter_abi::{
    AdapterModuleRef, Depth, DepthLevel, Host, Host_TO, LogLevel, Ltp, OutcomeCode, PublishOutcome, Quote,
    StatusEvent, StatusKind, Subscription, SubscriptionOutcome,
    abi_stable::{
        StableAbi,
        abi_stability::abi_checking::check_layout_compatibility,
        library::{IsLayoutChecked, RawLibrary, RootModule as _, lib_header_from_raw_library},
        sabi_trait::TD_Opaque,
        std_types::{RArc, RSlice, RStr, RString},
    },
};

/// Longest wait for anything.
const SOON: Duration = Duration::from_secs(20);

/// Ticks of each instrument that are waited for.
const TICKS: usize = 5;

#[derive(Clone, Default)]
struct Notebook(Arc<Mutex<Heard>>);

#[derive(Default)]
struct Heard {
    /// Ticks by number and kind of record.
    ticks: BTreeMap<(u32, &'static str), usize>,
    outcomes: BTreeMap<u32, OutcomeCode>,
    statuses: Vec<StatusKind>,
    trouble: Vec<String>,
}

impl Notebook {
    fn note<T>(&self, write: impl FnOnce(&mut Heard) -> T) -> T {
        write(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn count(&self, kind: &'static str, quotes: impl Iterator<Item = Quote>) -> PublishOutcome {
        let accepted = self.note(|heard| {
            let mut accepted = 0;
            for quote in quotes {
                *heard.ticks.entry((quote.instrument, kind)).or_default() += 1;
                accepted += 1;
                if quote.ltp <= 0 || quote.received_ts_ns == 0 {
                    heard.trouble.push(format!("a tick of {} makes no sense: {quote:?}", quote.instrument));
                }
            }
            accepted
        });
        PublishOutcome { accepted, ..PublishOutcome::default() }
    }

    fn wait_for(&self, what: &str, is_there: impl Fn(&Heard) -> bool) -> Result<(), String> {
        let deadline = Instant::now() + SOON;
        while !self.note(|heard| is_there(heard)) {
            if Instant::now() >= deadline {
                let seen = self.note(|heard| format!("{:?}, {:?}", heard.ticks, heard.outcomes));
                return Err(format!("waited {SOON:?} for {what}; there were {seen}"));
            }
            std::thread::park_timeout(Duration::from_millis(5));
        }
        Ok(())
    }
}

impl Host for Notebook {
    fn publish_ltp(&self, batch: RSlice<'_, Ltp>) -> PublishOutcome {
        self.count("ltp", batch.iter().map(Quote::from))
    }

    fn publish_quote(&self, batch: RSlice<'_, Quote>) -> PublishOutcome {
        self.count("quote", batch.iter().copied())
    }

    fn publish_depth(&self, batch: RSlice<'_, Depth>, levels: RSlice<'_, DepthLevel>) -> PublishOutcome {
        for book in batch.iter() {
            let end =
                book.first_level as usize + usize::from(book.buy_levels) + usize::from(book.sell_levels);
            if end == 0 || end > levels.len() {
                let trouble = format!("a book of {} levels has {end}", levels.len());
                self.note(|heard| heard.trouble.push(trouble));
            }
        }
        self.count("depth", batch.iter().map(|book| book.quote))
    }

    fn publish_order_update(&self, _update_json: RStr<'_>) -> PublishOutcome {
        PublishOutcome::default()
    }

    fn status(&self, event: StatusEvent) {
        self.note(|heard| heard.statuses.push(event.kind));
    }

    fn subscription_outcomes(&self, request: u64, outcomes: RSlice<'_, SubscriptionOutcome>) {
        self.note(|heard| {
            heard.outcomes.extend(outcomes.iter().map(|outcome| (outcome.instrument, outcome.code)));
            if request != 2 {
                heard.trouble.push(format!("outcomes answer request {request}"));
            }
        });
    }

    fn credentials(&self) -> RString {
        "{}".into()
    }

    fn max_log_level(&self) -> LogLevel {
        LogLevel::INFO
    }

    fn log(&self, _level: LogLevel, _target: RStr<'_>, _message: RStr<'_>, _fields_json: RStr<'_>) {}
}

/// Loads a library as the host does: major version, both directions of the layout check, unchecked
/// initialisation.
fn load(file: &Path) -> Result<AdapterModuleRef, String> {
    let raw = RawLibrary::load_at(file).map_err(|error| format!("cannot load it: {error}"))?;
    // Never unloaded: everything that follows has addresses in it.
    let raw: &'static RawLibrary = Box::leak(Box::new(raw));
    // SAFETY: the header lives as long as the library, which is never unloaded.
    let header =
        unsafe { lib_header_from_raw_library(raw) }.map_err(|error| format!("it has no header: {error}"))?;
    let major = |version: &str| version.split('.').next().unwrap_or_default().to_owned();
    let (theirs, ours) =
        (header.version_strings().version.as_str(), AdapterModuleRef::VERSION_STRINGS.version);
    if major(theirs) != major(ours.as_str()) {
        return Err(format!("it was built for adapter-abi {theirs}, this host has {ours}"));
    }
    let IsLayoutChecked::Yes(their_layout) = header.root_mod_consts().layout() else {
        return Err("it does not describe the layout of its types".to_owned());
    };
    let our_layout = <AdapterModuleRef as StableAbi>::LAYOUT;
    let forward = check_layout_compatibility(our_layout, their_layout);
    if let (Err(forward), Err(_)) = (forward, check_layout_compatibility(their_layout, our_layout)) {
        return Err(format!("its types are laid out differently: {forward}"));
    }
    // SAFETY: one of the layouts extends the other, as was just checked, and the major version is the same.
    unsafe { header.init_root_module_with_unchecked_layout::<AdapterModuleRef>() }
        .map_err(|error| format!("it could not be initialised: {error}"))
}

fn wanted(instrument: u32, mode: u8, symbol: &str) -> Subscription {
    let depth = if mode == 3 { 5 } else { 0 };
    Subscription { instrument, mode, reserved: 0, depth, exchange: "NSE".into(), symbol: symbol.into() }
}

fn run(file: &Path) -> Result<(), String> {
    let module = load(file)?;
    let metadata = module.metadata()();
    println!("name {} abi {}", metadata.name, metadata.abi_version);
    let refused = |what: &str, error: adapter_abi::AdapterError| format!("{what} failed: {}", error.message);
    module.validate_config()("{}".into()).into_result().map_err(|error| refused("validate_config", error))?;
    let notebook = Notebook::default();
    let host = Host_TO::from_ptr(RArc::new(notebook.clone()), TD_Opaque);
    let adapter =
        module.create()("{}".into(), host).into_result().map_err(|error| refused("create", error))?;
    adapter.connect(1).into_result().map_err(|error| refused("connect", error))?;
    notebook.wait_for("the connection", |heard| heard.statuses.contains(&StatusKind::CONNECTED))?;
    let all = [wanted(1, 1, "SBIN"), wanted(2, 2, "TCS"), wanted(3, 3, "INFY"), wanted(4, 1, "BAD1")];
    adapter
        .subscribe(2, RSlice::from_slice(&all))
        .into_result()
        .map_err(|error| refused("subscribe", error))?;
    notebook.wait_for("outcomes", |heard| heard.outcomes.len() == all.len())?;
    let outcomes = notebook.note(|heard| heard.outcomes.values().map(|code| code.0).collect::<Vec<_>>());
    println!("outcomes {outcomes:?}");
    for (instrument, kind) in [(1, "ltp"), (2, "quote"), (3, "depth")] {
        notebook.wait_for("ticks", |heard| heard.ticks.get(&(instrument, kind)) >= Some(&TICKS))?;
        println!("ticks {kind}");
    }
    if adapter.health().published == 0 {
        return Err("its counters say that nothing was published".to_owned());
    }
    adapter
        .unsubscribe(3, RSlice::from_slice(&[1, 2, 3]))
        .into_result()
        .map_err(|error| refused("unsubscribe", error))?;
    adapter.credentials_changed();
    adapter.shutdown(5_000);
    notebook.wait_for("the end", |heard| heard.statuses.contains(&StatusKind::STOPPED))?;
    match notebook.note(|heard| std::mem::take(&mut heard.trouble)) {
        trouble if trouble.is_empty() => Ok(()),
        trouble => Err(trouble.join("; ")),
    }
}

fn main() -> ExitCode {
    let Some(file) = std::env::args_os().nth(1) else {
        eprintln!("usage: fixture-host LIBRARY");
        return ExitCode::from(2);
    };
    match run(Path::new(&file)) {
        Ok(()) => {
            println!("ended");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{}: {error}", file.display());
            ExitCode::FAILURE
        }
    }
}
