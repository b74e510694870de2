//! An adapter that behaves well until it is told not to.
//!
//! Tests and measurements start it in a host, wait until all is well, and then let it do the one thing that
//! its settings name, by making a file. What it does to its host is real: it writes to an address that is not
//! its own, it ends the process, it takes all memory. `tests/adapters/README.md` lists its settings and
//! faults.
//!
//! This crate exports nothing: two libraries in one binary would export the same symbol, so each library
//! beside this crate exports one of its adapters.

mod config;
mod misdeed;
mod session;
mod ticker;
mod trap;
mod venue;

use std::time::Duration;

use adapter_sdk::{
    Adapter, AdapterError, Backoff, Capability, Context, Credentials, Grant, Manifest, Refusal, Subscription,
};

use self::{config::Settings, misdeed::block_thread, trap::Trap, venue::Venue};
pub use self::{
    config::{Config, ConfigError, Fault},
    session::Session,
};

/// The only exchange whose instruments exist.
const EXCHANGE: &str = "NSE";

/// Instruments whose names begin so do not exist.
const UNKNOWN_PREFIX: &str = "BAD";

/// The instrument that [`Fault::PanicCallback`] is about.
const PANIC_SYMBOL: &str = "PANIC";

/// The adapter.
#[derive(Debug)]
pub struct Faulty {
    settings: Settings,
}

/// The same adapter, at a broker that allows one session for an account.
#[derive(Debug)]
pub struct OneSession(Faulty);

fn manifest(name: &'static str, more: &[Capability]) -> Manifest {
    let can = [&[Capability::Ltp, Capability::Quote, Capability::Depth], more].concat();
    Manifest::new(name, env!("CARGO_PKG_VERSION")).capabilities(&can).limits(3_000, 3).backoff(Backoff {
        first: Duration::from_millis(50),
        longest: Duration::from_secs(1),
        stable_after: Duration::from_secs(5),
    })
}

impl Adapter for Faulty {
    type Config = Config;
    type Connection = Session;

    fn manifest() -> Manifest {
        manifest("faulty", &[])
    }

    fn try_new(config: Config, _context: Context) -> Result<Self, AdapterError> {
        let settings = config.check().map_err(AdapterError::config)?;
        Ok(Self { settings })
    }

    fn resolve(&self, subscription: &Subscription) -> Result<Grant, Refusal> {
        let Subscription { exchange, symbol, .. } = subscription;
        let is_armed = self.settings.fault == Some(Fault::PanicCallback) && symbol == PANIC_SYMBOL;
        if is_armed && Trap::springs_now(&self.settings.when) {
            misdeed::panic_in("resolve");
        }
        if exchange == EXCHANGE && !symbol.starts_with(UNKNOWN_PREFIX) {
            Ok(Grant::as_asked(subscription))
        } else {
            Err(Refusal::UnknownInstrument(format!("Symbol {symbol} not found")))
        }
    }

    async fn connect(&self, credentials: &Credentials) -> Result<Session, AdapterError> {
        if self.settings.fault == Some(Fault::SleepInConnect) {
            if let config::When::After(delay) = self.settings.when {
                tokio::time::sleep(delay).await;
            }
            if Trap::springs_now(&self.settings.when) {
                block_thread();
            }
        }
        let venue = match &self.settings.venue {
            Some(address) => Some(Venue::connect(address).await?),
            None => None,
        };
        Ok(Session::new(&self.settings, venue, credentials))
    }
}

impl Adapter for OneSession {
    type Config = Config;
    type Connection = Session;

    fn manifest() -> Manifest {
        manifest("single", &[Capability::SingleSession])
    }

    fn try_new(config: Config, context: Context) -> Result<Self, AdapterError> {
        Faulty::try_new(config, context).map(Self)
    }

    fn resolve(&self, subscription: &Subscription) -> Result<Grant, Refusal> {
        self.0.resolve(subscription)
    }

    async fn connect(&self, credentials: &Credentials) -> Result<Session, AdapterError> {
        self.0.connect(credentials).await
    }
}
