//! A synthetic exchange as a Tickhost adapter: a market for newcomers, demonstrations and tests.
//!
//! It has no network side. What it sends follows from a seed, so that two runs see the same prices; what goes
//! wrong follows from its settings. `README.md` describes both. In the order of the data:
//!
//! 1. [`universe`]: what trades;
//! 2. [`market`]: what each instrument's next tick holds;
//! 3. [`feed`]: which instrument ticks when;
//! 4. [`SimConnection`]: ticks into the SDK's sink.
//!
//! ```
//! use adapter_sim::{market::Simulated, universe::{Date, Universe}};
//!
//! let universe = Universe::new(Date::new(2025, 12, 1));
//! let (_, instrument) = universe.find("NFO", "NIFTY30DEC25FUT").ok_or("not listed")?;
//! let mut simulated = Simulated::new(42, instrument);
//! simulated.advance(1_764_570_600_000_000_000);
//! let view = simulated.view();
//! assert!(view.low <= view.ltp && view.ltp <= view.high);
//! # Ok::<(), &str>(())
//! ```
#![forbid(unsafe_code)]

pub mod config;
mod connection;
pub mod feed;
pub mod market;
pub mod universe;

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

use adapter_sdk::{
    Adapter, AdapterError, Capability, Context, Credentials, Grant, ListReporter, ListState, Manifest, Mode,
    Refusal, Subscription, instruments::publish_names, tracing,
};

pub use self::connection::SimConnection;
use self::{
    config::{Config, ConfigError, Problem, Settings, Stage, plain_instrument},
    market::Market,
    universe::{Date, PRICE_SCALE, Universe},
};

/// JSON Schema of [`Config`].
pub const CONFIG_SCHEMA: &str = include_str!("../config.schema.json");

/// Numbers of book levels that are granted, smallest first.
const DEPTHS: [u16; 4] = [5, 20, 30, 50];

/// The synthetic exchange.
#[derive(Debug)]
pub struct Sim {
    settings: Rc<Settings>,
    market: Rc<RefCell<Market>>,
    logins_refused: Cell<u32>,
    lists: ListReporter,
}

impl Sim {
    /// Makes the exchange as it stands on a day.
    ///
    /// # Errors
    ///
    /// Names everything that is wrong with the settings.
    pub fn try_on(config: &Config, today: Date) -> Result<Self, ConfigError> {
        let settings = config.check()?;
        let mut universe = Universe::new(today);
        let mut problems = Vec::new();
        for extra in &settings.instruments_extra {
            if !universe.add(extra.clone()) {
                problems.push(Problem::NameTaken { name: extra.name() });
            }
        }
        if !problems.is_empty() {
            return Err(ConfigError { problems });
        }
        let at_symbol = settings.faults.panic.as_ref().filter(|panic| panic.stage != Stage::Connect);
        if let Some(panic) = at_symbol {
            let is_listed = universe.instruments().iter().any(|instrument| instrument.symbol == panic.symbol);
            if !is_listed {
                let (price, tick) = (100 * PRICE_SCALE, PRICE_SCALE / 20);
                universe.add(plain_instrument("NSE", &panic.symbol, price, tick, 1));
            }
        }
        let market = Market::new(settings.seed, universe);
        Ok(Self {
            settings: Rc::new(settings),
            market: Rc::new(RefCell::new(market)),
            logins_refused: Cell::new(0),
            lists: ListReporter::default(),
        })
    }
}

impl Adapter for Sim {
    type Config = Config;
    type Connection = SimConnection;

    fn manifest() -> Manifest {
        Manifest::new("sim", env!("CARGO_PKG_VERSION"))
            .capabilities(&[Capability::Ltp, Capability::Quote, Capability::Depth])
            // No limits: an exchange that is made up takes whatever the host's settings say.
            .config_schema(CONFIG_SCHEMA)
    }

    fn try_new(config: Config, context: Context) -> Result<Self, AdapterError> {
        let today = Date::in_india(connection::unix_now_ns());
        let sim = Self::try_on(&config, today).map_err(AdapterError::config)?;
        {
            let market = sim.market.borrow();
            let names = market.universe().instruments().iter();
            let names = names.map(|instrument| (instrument.exchange, instrument.symbol.as_str()));
            if let Err(error) = publish_names("sim", names) {
                tracing::warn!(%error, "The names of instruments could not be written for the console");
            }
        }
        Ok(Self { lists: context.lists(), ..sim })
    }

    async fn prepare(&self, _credentials: &Credentials) -> Result<(), AdapterError> {
        // Made with the instance, of nothing that could be torn.
        self.lists.say(&ListState {
            is_whole: true,
            instruments: self.market.borrow().universe().instruments().len(),
            fetched_at: connection::unix_now_ns() / 1_000_000_000,
            ..ListState::default()
        });
        Ok(())
    }

    fn resolve(&self, subscription: &Subscription) -> Result<Grant, Refusal> {
        let Subscription { exchange, symbol, mode, depth, .. } = subscription;
        let market = self.market.borrow();
        let listed = market.universe().find(exchange, symbol).map(|(_, instrument)| instrument);
        match listed.filter(|_| !self.settings.faults.refuses(symbol)) {
            Some(instrument) if *mode == Mode::Depth && instrument.kind.has_book() => {
                Ok(Grant::of_levels(granted_depth(*depth)))
            }
            Some(_) => Ok(Grant::of_levels(0)),
            None => Err(Refusal::UnknownInstrument(format!("Symbol {symbol} not found"))),
        }
    }

    async fn connect(&self, _credentials: &Credentials) -> Result<SimConnection, AdapterError> {
        let faults = &self.settings.faults;
        if !faults.connect_delay.is_zero() {
            tokio::time::sleep(faults.connect_delay).await;
        }
        if faults.panics(Stage::Connect, "") {
            feed::simulated_panic(Stage::Connect);
        }
        let refused = self.logins_refused.get();
        let config::AuthFailures(wanted) = faults.auth_failures;
        if refused < wanted {
            // Never reaches `u32::MAX`, which stands for all of them.
            self.logins_refused.set(refused.saturating_add(1).min(u32::MAX - 1));
            return Err(AdapterError::auth(
                "simulated refusal of the login, because faults.auth_failure is set",
            ));
        }
        Ok(SimConnection::new(Rc::clone(&self.settings), Rc::clone(&self.market)))
    }
}

/// The largest number of levels there is that is not above the one asked for, or the smallest there is.
fn granted_depth(asked: u16) -> u16 {
    let [smallest, ..] = DEPTHS;
    DEPTHS.into_iter().rev().find(|depth| *depth <= asked).unwrap_or(smallest)
}

adapter_sdk::export_adapter!(Sim);
