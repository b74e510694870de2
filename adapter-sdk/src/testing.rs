//! A fake host: runs an adapter through the real boundary objects, without a host.
//!
//! ```
//! # use adapter_sdk::*;
//! # struct Nothing;
//! # struct Silent;
//! # impl Connection for Silent {
//! #     async fn subscribe(&mut self, _: &[Subscription], _: &mut TickSink) -> Result<(), AdapterError> { Ok(()) }
//! #     async fn unsubscribe(&mut self, _: &[u32]) -> Result<(), AdapterError> { Ok(()) }
//! #     async fn next(&mut self, _: &mut TickSink) -> Result<(), AdapterError> { std::future::pending().await }
//! # }
//! # impl Adapter for Nothing {
//! #     type Config = serde_json::Value;
//! #     type Connection = Silent;
//! #     fn manifest() -> Manifest { Manifest::new("nothing", "1.0.0") }
//! #     fn try_new(_: Self::Config, _: Context) -> Result<Self, AdapterError> { Ok(Self) }
//! #     async fn connect(&self, _: &Credentials) -> Result<Silent, AdapterError> { Ok(Silent) }
//! # }
//! use adapter_sdk::{abi::StatusKind, testing::Bench};
//!
//! let bench = Bench::start::<Nothing>("{}").unwrap();
//! bench.wait_for_status(StatusKind::CONNECTED);
//! let outcome = bench.subscribe(1, "NSE", "SBIN", Mode::Ltp);
//! assert!(outcome.code.is_taken());
//! ```

#![allow(
    clippy::missing_panics_doc,
    clippy::panic,
    reason = "a test kit reports by panicking, as its every method says"
)]

mod files;
mod heard;
mod names;
mod ticker;
mod two_names;
mod vectors;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use adapter_abi::{
    AdapterBox, Depth, DepthLevel, Greeks, Host, Host_TO, LogLevel, Ltp, PublishOutcome, Quote, StatusEvent,
    StatusKind, SubscriptionOutcome,
    abi_stable::{
        sabi_trait::TD_Opaque,
        std_types::{RArc, RSlice, RStr, RString},
    },
};
use parking_lot::{Condvar, Mutex};

pub use self::{
    files::FileServer,
    heard::{Health, Heard, Module, Outcome, Published, Status},
    names::{CASH, Cash, SPELLINGS, assert_cash_names},
    ticker::Ticker,
    two_names::assert_two_names,
    vectors::{FOLDER as VECTORS_FOLDER, Vectors},
};
use crate::{Adapter, AdapterError, Credentials, Login, Mode, context::Assignment, instance};

/// Longest wait for anything.
pub const SOON: Duration = Duration::from_secs(10);

/// Takes one step of logging in, as the host does it: settings and fields are JSON objects.
///
/// # Errors
/// What the adapter says.
pub fn log_in<A: Adapter>(config_json: &str, fields_json: &str) -> Result<Login, AdapterError> {
    log_in_as::<A>(&Assignment::default(), config_json, fields_json)
}

/// [`log_in`] at one of the adapter's [brands](crate::Brand).
///
/// # Errors
/// What the adapter says.
pub fn log_in_at<A: Adapter>(
    broker: &str,
    config_json: &str,
    fields_json: &str,
) -> Result<Login, AdapterError> {
    log_in_as::<A>(&Assignment::at(broker), config_json, fields_json)
}

fn log_in_as<A: Adapter>(
    assignment: &Assignment,
    config_json: &str,
    fields_json: &str,
) -> Result<Login, AdapterError> {
    let step = instance::log_in::<A>(assignment, config_json, fields_json, SOON)?;
    serde_json::from_str(&step).map_err(AdapterError::protocol)
}

/// Credentials of an account, from a JSON object.
pub fn credentials(json: &str) -> Credentials {
    Credentials::from_json(json)
}

#[derive(Debug, Default)]
struct FakeHost {
    heard: Mutex<Heard>,
    grown: Condvar,
    credentials: Mutex<String>,
}

/// The entry points of an adapter that is linked into this program, as a host finds them in its library. The
/// conformance suite takes them.
pub fn module<A: Adapter>() -> Module {
    Module(crate::export::root_module::<A>())
}

/// An adapter on a fake host. All waits have a deadline, and panic when it passes. Dropping it shuts the
/// adapter down.
pub struct Bench {
    host: Arc<FakeHost>,
    adapter: AdapterBox,
    requests: Mutex<u64>,
}

impl std::fmt::Debug for Bench {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bench").field("heard", &self.host.heard).finish_non_exhaustive()
    }
}

impl Bench {
    /// Makes an instance and tells it to connect.
    ///
    /// # Errors
    /// What the adapter says against its configuration.
    pub fn start<A: Adapter>(config_json: &str) -> Result<Self, AdapterError> {
        Self::start_with::<A>(config_json, "{}")
    }

    /// The same with credentials, a JSON object of strings.
    ///
    /// # Errors
    /// What the adapter says against its configuration.
    pub fn start_with<A: Adapter>(config_json: &str, credentials_json: &str) -> Result<Self, AdapterError> {
        Self::start_as::<A>(&Assignment::default(), config_json, credentials_json)
    }

    /// [`Self::start_with`] at one of the adapter's [brands](crate::Brand).
    ///
    /// # Errors
    /// What the adapter says against its configuration, or against the brand.
    pub fn start_at<A: Adapter>(
        broker: &str,
        config_json: &str,
        credentials_json: &str,
    ) -> Result<Self, AdapterError> {
        Self::start_as::<A>(&Assignment::at(broker), config_json, credentials_json)
    }

    fn start_as<A: Adapter>(
        assignment: &Assignment,
        config_json: &str,
        credentials_json: &str,
    ) -> Result<Self, AdapterError> {
        let host = Arc::new(FakeHost {
            credentials: Mutex::new(credentials_json.to_owned()),
            ..FakeHost::default()
        });
        let handle = Host_TO::from_ptr(RArc::new(Callbacks(Arc::clone(&host))), TD_Opaque);
        let adapter = instance::create::<A>(assignment, config_json, handle)?;
        let bench = Self { host, adapter, requests: Mutex::new(0) };
        let connected = bench.adapter.connect(bench.next_request());
        assert!(connected.is_ok(), "{connected:?}");
        Ok(bench)
    }

    /// Subscribes to one instrument with five levels, and waits for its outcome.
    pub fn subscribe(&self, instrument: u32, exchange: &str, symbol: &str, mode: Mode) -> Outcome {
        self.subscribe_depth(instrument, exchange, symbol, mode, if mode == Mode::Depth { 5 } else { 0 })
    }

    /// Subscribes to one instrument with so many levels, and waits for its outcome.
    pub fn subscribe_depth(
        &self,
        instrument: u32,
        exchange: &str,
        symbol: &str,
        mode: Mode,
        depth: u16,
    ) -> Outcome {
        let request = self.next_request();
        let wanted = adapter_abi::Subscription {
            instrument,
            mode: match mode {
                Mode::Ltp => 1,
                Mode::Quote => 2,
                Mode::Depth => 3,
            },
            reserved: 0,
            depth,
            exchange: exchange.into(),
            symbol: symbol.into(),
        };
        let sent = self.adapter.subscribe(request, RSlice::from_slice(&[wanted]));
        assert!(sent.is_ok(), "{sent:?}");
        self.wait_for("an outcome", |heard| {
            let mut outcomes = heard.outcomes.iter();
            outcomes.find(|(number, _)| *number == request).map(|(_, outcome)| outcome.clone())
        })
    }

    /// Unsubscribes.
    pub fn unsubscribe(&self, instruments: &[u32]) {
        let sent = self.adapter.unsubscribe(self.next_request(), RSlice::from_slice(instruments));
        assert!(sent.is_ok(), "{sent:?}");
    }

    /// Gives the adapter new credentials, and tells it so.
    pub fn change_credentials(&self, credentials_json: &str) {
        credentials_json.clone_into(&mut self.host.credentials.lock());
        self.adapter.credentials_changed();
    }

    /// Asks for a new list of instruments, as the operator does.
    pub fn renew_list(&self) {
        self.adapter.renew_list();
    }

    /// Counters of the instance.
    pub fn health(&self) -> Health {
        self.adapter.health().into()
    }

    /// Everything that was said so far.
    pub fn heard(&self) -> Heard {
        self.host.heard.lock().clone()
    }

    /// Forgets what was said so far.
    pub fn forget(&self) {
        *self.host.heard.lock() = Heard::default();
    }

    /// Waits until `find` finds something in what was said.
    pub fn wait_for<T>(&self, what: &str, find: impl Fn(&Heard) -> Option<T>) -> T {
        let deadline = Instant::now() + SOON;
        let mut heard = self.host.heard.lock();
        loop {
            if let Some(found) = find(&heard) {
                return found;
            }
            let is_late = self.host.grown.wait_until(&mut heard, deadline).timed_out();
            assert!(
                !is_late,
                "waited {SOON:?} for {what}; heard {} ticks, {:?}, {:?}",
                heard.ticks.len(),
                heard.statuses,
                heard.logs
            );
        }
    }

    /// Waits for a status event of this kind.
    pub fn wait_for_status(&self, kind: StatusKind) -> Status {
        self.wait_for("a status", |heard| heard.statuses.iter().find(|event| event.kind == kind).cloned())
    }

    /// Waits until so many ticks of an instrument came; gives all of them.
    pub fn wait_for_ticks(&self, instrument: u32, count: usize) -> Vec<Published> {
        self.wait_for("ticks", |heard| {
            let ticks: Vec<Published> =
                heard.ticks.iter().filter(|tick| tick.instrument() == instrument).cloned().collect();
            (ticks.len() >= count).then_some(ticks)
        })
    }

    /// Waits until so many records of greeks of an instrument came; gives all of them.
    pub fn wait_for_greeks(&self, instrument: u32, count: usize) -> Vec<Greeks> {
        self.wait_for("greeks", |heard| {
            let of_it = heard.greeks.iter().map(|(_, greeks)| *greeks);
            let greeks: Vec<Greeks> = of_it.filter(|greeks| greeks.instrument == instrument).collect();
            (greeks.len() >= count).then_some(greeks)
        })
    }

    /// Shuts the instance down; says whether its thread ended within the deadline.
    pub fn shut_down(&self, deadline: Duration) -> bool {
        let started = Instant::now();
        self.adapter.shutdown(u32::try_from(deadline.as_millis()).unwrap_or(u32::MAX));
        started.elapsed() < deadline
    }

    fn next_request(&self) -> u64 {
        let mut requests = self.requests.lock();
        *requests += 1;
        *requests
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.shut_down(SOON);
    }
}

struct Callbacks(Arc<FakeHost>);

impl Callbacks {
    fn hear(&self, note: impl FnOnce(&mut Heard)) {
        note(&mut self.0.heard.lock());
        self.0.grown.notify_all();
    }

    fn take(&self, count: usize, ticks: impl Iterator<Item = Published>) -> PublishOutcome {
        self.hear(|heard| {
            heard.batches.push(count);
            heard.ticks.extend(ticks);
        });
        PublishOutcome { accepted: u32::try_from(count).unwrap_or(u32::MAX), ..PublishOutcome::default() }
    }
}

impl Host for Callbacks {
    fn publish_ltp(&self, batch: RSlice<'_, Ltp>) -> PublishOutcome {
        self.take(batch.len(), batch.iter().map(|tick| Published::Ltp(*tick)))
    }

    fn publish_quote(&self, batch: RSlice<'_, Quote>) -> PublishOutcome {
        self.take(batch.len(), batch.iter().map(|quote| Published::Quote(*quote)))
    }

    fn publish_depth(&self, batch: RSlice<'_, Depth>, levels: RSlice<'_, DepthLevel>) -> PublishOutcome {
        let levels = levels.as_slice();
        self.take(
            batch.len(),
            batch.iter().map(|book| {
                let rest = levels.iter().skip(book.first_level as usize);
                let buy = rest.clone().take(book.buy_levels.into()).copied().collect();
                let sell = rest.skip(book.buy_levels.into()).take(book.sell_levels.into()).copied().collect();
                Published::Depth(book.quote, buy, sell)
            }),
        )
    }

    fn publish_greeks(&self, batch: RSlice<'_, Greeks>) -> PublishOutcome {
        self.hear(|heard| {
            let before = heard.ticks.len();
            heard.batches.push(batch.len());
            heard.greeks.extend(batch.iter().map(|greeks| (before, *greeks)));
        });
        PublishOutcome {
            accepted: u32::try_from(batch.len()).unwrap_or(u32::MAX),
            ..PublishOutcome::default()
        }
    }

    fn publish_order_update(&self, update_json: RStr<'_>) -> PublishOutcome {
        self.hear(|heard| heard.orders.push(update_json.to_string()));
        PublishOutcome { accepted: 1, ..PublishOutcome::default() }
    }

    fn status(&self, event: StatusEvent) {
        self.hear(|heard| heard.statuses.push(event.into()));
    }

    fn subscription_outcomes(&self, request: u64, outcomes: RSlice<'_, SubscriptionOutcome>) {
        self.hear(|heard| heard.outcomes.extend(outcomes.iter().map(|outcome| (request, outcome.into()))));
    }

    fn instrument_list(&self, state_json: RStr<'_>) {
        self.hear(|heard| heard.lists.push(state_json.to_string()));
    }

    fn credentials(&self) -> RString {
        self.0.credentials.lock().as_str().into()
    }

    fn max_log_level(&self) -> LogLevel {
        LogLevel::DEBUG
    }

    fn log(&self, level: LogLevel, target: RStr<'_>, message: RStr<'_>, fields_json: RStr<'_>) {
        self.hear(|heard| heard.logs.push((level, format!("{target}: {message} {fields_json}"))));
    }
}
