//! Adapters, as the host knows them: where instances come from, and what they may say.
//!
//! [`AdapterInstance`] is one running adapter, wherever it runs; [`AdapterEvents`] is what it calls back.
//! Behind them is a process of its own ([`process`]), a library in this process ([`connector`], kept at arm's
//! length by [`driver`]), or the bus. Unsafe code of the host is in [`loader`], which opens libraries, and
//! where a process locks itself in (`process::cage`).

mod assignment;
mod brand;
mod callbacks;
pub mod connector;
mod deep_books;
pub mod driver;
mod info;
mod instance;
pub mod integrity;
pub mod journal;
pub mod loader;
mod login;
pub mod process;
pub(crate) mod secrets;
pub mod watchdog;

use std::{fmt, time::Duration};

use adapter_abi::{
    Depth, DepthLevel, ErrorCode, Greeks, HealthSnapshot, LogLevel, Ltp, PublishOutcome, Quote, StatusEvent,
    Subscription, SubscriptionOutcome,
};
use secrecy::SecretString;

pub use self::{
    assignment::Assignment,
    brand::{BrandInfo, UnknownBrand},
    info::LibraryInfo,
    loader::{Library, LoadError},
    login::{LoginStep, Question},
};

/// What an adapter answered instead of doing what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct AdapterFailure {
    /// Kind of failure.
    pub code: ErrorCode,
    /// In the adapter's words.
    pub message: String,
}

/// Longest JSON that an adapter may say of its list, in bytes.
pub const MAX_LIST_STATE_BYTES: usize = 64 * 1_024;

/// What one instance tells the host. Called on the adapter's thread; nothing may block.
pub trait AdapterEvents: Send + Sync + 'static {
    /// Takes trade ticks.
    fn ltp(&self, batch: &[Ltp]) -> PublishOutcome;

    /// Takes quotes.
    fn quote(&self, batch: &[Quote]) -> PublishOutcome;

    /// Takes books and the levels that they point into.
    fn depth(&self, batch: &[Depth], levels: &[DepthLevel]) -> PublishOutcome;

    /// Takes greeks.
    fn greeks(&self, batch: &[Greeks]) -> PublishOutcome;

    /// Takes an order update, a JSON object.
    fn order_update(&self, json: &str) -> PublishOutcome;

    /// Takes a change in the instance's life.
    fn status(&self, event: StatusEvent);

    /// Takes what became of subscriptions.
    fn outcomes(&self, request: u64, outcomes: &[SubscriptionOutcome]);

    /// Takes what there is to say of the list of instruments, a JSON object that may hold anything.
    fn list(&self, _state_json: &str) {}

    /// Gives the account's credentials, a JSON object of strings.
    fn credentials(&self) -> SecretString;

    /// The most verbose level of log lines that somebody wants.
    fn log_level(&self) -> LogLevel;

    /// Takes a log line. `fields_json` is a JSON object.
    fn log(&self, level: LogLevel, target: &str, message: &str, fields_json: &str);

    /// Counts ticks that were merged into newer ones on their way here.
    fn replaced(&self, count: u32);

    /// Counts malformed ticks that were left out on their way here.
    fn invalid(&self, count: u64);

    /// Counts events that were lost on their way here.
    fn lost(&self, count: u64);
}

/// One running adapter. Every method but [`Self::shutdown`] returns at once; outcomes come through
/// [`AdapterEvents`].
pub trait AdapterInstance: fmt::Debug + Send + Sync {
    /// Starts to connect, and keeps the connection up from then on.
    ///
    /// # Errors
    /// When the adapter does not take commands.
    fn connect(&self, request: u64) -> Result<(), AdapterFailure>;

    /// Adds instruments, or changes their mode.
    ///
    /// # Errors
    /// When the adapter does not take commands.
    fn subscribe(&self, request: u64, subscriptions: &[Subscription]) -> Result<(), AdapterFailure>;

    /// Drops instruments.
    ///
    /// # Errors
    /// When the adapter does not take commands.
    fn unsubscribe(&self, request: u64, instruments: &[u32]) -> Result<(), AdapterFailure>;

    /// Says that [`AdapterEvents::credentials`] has something new.
    fn credentials_changed(&self);

    /// Asks for the list of instruments again at once. What knows no such list does nothing.
    fn renew_list(&self) {}

    /// Counters.
    fn health(&self) -> HealthSnapshot;

    /// What its process uses; none when it has none of its own.
    fn usage(&self) -> Option<process::Usage> {
        None
    }

    /// Ends the instance. Blocks up to the deadline, so it is called off the threads that serve.
    fn shutdown(&self, deadline: Duration);
}
