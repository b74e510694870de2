//! Adapters, as the host knows them: where instances come from, and what they may say.
//!
//! [`AdapterInstance`] is one running adapter, wherever it runs; [`AdapterEvents`] is what it calls back. A library in
//! this process is behind them ([`loader`], `instance`, `callbacks`: the only unsafe code of the host), and so is the
//! bus; a child process can be.

mod callbacks;
pub mod connector;
mod instance;
pub mod integrity;
pub mod loader;

use std::{fmt, time::Duration};

use adapter_abi::{
    Depth, DepthLevel, ErrorCode, HealthSnapshot, Ltp, PublishOutcome, Quote, StatusEvent, Subscription,
    SubscriptionOutcome,
};
use zeroize::Zeroizing;

pub use self::loader::{Library, LibraryInfo, LoadError};

/// What an adapter answered instead of doing what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct AdapterFailure {
    /// Kind of failure.
    pub code: ErrorCode,
    /// In the adapter's words.
    pub message: String,
}

/// What one instance tells the host. Called on the adapter's thread; nothing may block.
pub trait AdapterEvents: Send + Sync + 'static {
    /// Takes trade ticks.
    fn ltp(&self, batch: &[Ltp]) -> PublishOutcome;

    /// Takes quotes.
    fn quote(&self, batch: &[Quote]) -> PublishOutcome;

    /// Takes books and the levels that they point into.
    fn depth(&self, batch: &[Depth], levels: &[DepthLevel]) -> PublishOutcome;

    /// Takes an order update, a JSON object.
    fn order_update(&self, json: &str) -> PublishOutcome;

    /// Takes a change in the instance's life.
    fn status(&self, event: StatusEvent);

    /// Takes what became of subscriptions.
    fn outcomes(&self, request: u64, outcomes: &[SubscriptionOutcome]);

    /// Gives the account's credentials, a JSON object of strings.
    fn credentials(&self) -> Zeroizing<String>;
}

/// One running adapter. Every method but [`Self::shutdown`] returns at once; outcomes come through [`AdapterEvents`].
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

    /// Counters.
    fn health(&self) -> HealthSnapshot;

    /// Ends the instance. Blocks up to the deadline, so it is called off the threads that serve.
    fn shutdown(&self, deadline: Duration);
}
