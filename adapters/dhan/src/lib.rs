//! Dhan, by way of `DhanHQ` version 2, as a Tickhost adapter. It gives market data, and places no orders.
//!
//! In the order of the data: `names` and [`list`] (what an instrument is called there) → `login` and `auth`
//! (the token, and the sockets that it opens) → `allotment` (who gets a deep book, pure) → `request` (what
//! the broker is asked for, pure) → `session` (the live feed) and `deep` (the depth feeds beside it) →
//! [`wire`] (the broker's numbers, pure) → [`clock`] and [`decode`] (to ticks, pure) → `publish` (what of
//! them reaches clients, pure). `README.md` says what the broker demands, and where it errs.
#![forbid(unsafe_code)]

mod allotment;
mod auth;
pub mod clock;
mod config;
pub mod decode;
mod deep;
pub mod list;
mod login;
mod names;
mod publish;
mod request;
pub mod segment;
mod session;
mod shared;
pub mod wire;

use std::{rc::Rc, sync::Arc, time::Duration};

use adapter_sdk::{
    Adapter, AdapterError, Backoff, Capability, Context, Credentials, DeepBooks, Grant, Login, Manifest,
    Refusal, Subscription,
    abi::ErrorCode,
    instruments::{Access, ListSource, Master},
    login::Unfinished,
    net::{Http, RateLimit, with_query},
    session::{Batches, Listed, Session},
    tracing::warn,
};

use self::{
    allotment::LIVE_LEVELS,
    auth::{Keys, disconnected},
    config::{Config, Settings},
    deep::Deep,
    list::Instruments,
    session::DhanFeed,
    shared::{Shared, Suspicion},
    wire::depth::Tier,
};

/// Instruments on one connection, of the five thousand that the broker takes: a thousand in mode full are
/// much already.
const SYMBOLS_PER_CONNECTION: u32 = 1_000;

/// Connections of an account, of the five sockets that the broker allows it.
const CONNECTIONS: u32 = 3;

/// REST requests per second. The broker allows five for data.
const REQUESTS_PER_SECOND: f64 = 5.0;

/// One account's way to the broker.
#[derive(Debug)]
pub struct Dhan {
    settings: Arc<Settings>,
    http: Http,
    master: Arc<Master<Instruments>>,
    shared: Rc<Shared>,
}

impl Adapter for Dhan {
    type Config = Config;
    type Connection = Session<DhanFeed>;

    fn manifest() -> Manifest {
        Manifest::new("dhan", env!("CARGO_PKG_VERSION"))
            .capabilities(&[Capability::Ltp, Capability::Quote, Capability::Depth, Capability::Login])
            .limits(SYMBOLS_PER_CONNECTION, CONNECTIONS)
            // The broker blocks those who insist.
            .backoff(Backoff { first: Duration::from_secs(1), ..Backoff::default() })
            .config_schema(Config::schema())
            .credentials_schema(include_str!("../credentials.schema.json"))
    }

    fn try_new(config: Config, context: Context) -> Result<Self, AdapterError> {
        let settings = Arc::new(config.check()?.checked()?);
        let http = settings.network.http(RateLimit::per_second(REQUESTS_PER_SECOND));
        let source = ListSource {
            cache_dir: settings.cache_dir.clone(),
            outdated: settings.outdated_list,
            ..Instruments::source("dhan", vec![settings.instruments_url.clone()])
        };
        let master = Arc::new(Master::new(http.clone(), source, context.lists()));
        let shared = Rc::new(Shared::new(allotment::places(&settings)));
        Ok(Self { settings, http, master, shared })
    }

    /// As many as fit on the sockets that the account is entitled to.
    fn deep_books(&self) -> Option<DeepBooks> {
        let rooms = Tier::ALL.map(|tier| self.settings.depth_sockets(tier) * tier.instruments());
        Some(DeepBooks::of(u32::try_from(rooms.iter().sum::<usize>()).ok()?, LIVE_LEVELS))
    }

    fn resolve(&self, wanted: &Subscription) -> Result<Grant, Refusal> {
        let found = self.master.look_up(wanted, |list| list.find(&wanted.exchange, &wanted.symbol))?;
        let levels = if wanted.is_index() { 0 } else { wanted.depth };
        let depth = Grant::with_depth_up_to(wanted, levels).depth;
        // What may come with the list of today has the levels of the live feed until then.
        let depth = found.map_or(depth.min(LIVE_LEVELS), |key| {
            allotment::grant(&mut self.shared.places.borrow_mut(), wanted.instrument, key, depth)
        });
        Ok(Grant::of_levels(depth))
    }

    async fn prepare(&self, _credentials: &Credentials) -> Result<(), AdapterError> {
        // The list is public: nothing has to be proven for it.
        self.master.prepare(&Access::Public).await
    }

    async fn connect(&self, credentials: &Credentials) -> Result<Self::Connection, AdapterError> {
        let keys = Keys::read(credentials)?;
        if let Some(suspicion) = self.shared.suspicion.get()
            && let Err(error) = keys.check(&self.http, &self.settings).await
        {
            match (error.code(), suspicion) {
                (ErrorCode::AUTH, Suspicion::Reason(reason)) => return Err(disconnected(reason)),
                (ErrorCode::AUTH, Suspicion::EarlyEnd) => return Err(error),
                _ => warn!(%error, "The broker does not say whether the token is good"),
            }
        }
        let listed = Listed::of(&self.master, Access::Public)?;
        let url = with_query(&self.settings.ws_url, &[("version", "2")]);
        let opened = keys.open(&self.settings, &url).await;
        let socket = opened.inspect_err(|error| self.shared.not_opened(error))?;
        let deep = Deep::new(&keys, &self.settings);
        let batches = Batches::of(self.settings.batch_size).every(self.settings.batch_interval);
        Session::open(DhanFeed::new(deep, Rc::clone(&self.shared)), socket, listed, batches).await
    }

    async fn login(&self, fields: &Credentials) -> Result<Login, AdapterError> {
        login::step(&self.http, &self.settings, fields).await.or_else(Unfinished::into_login)
    }
}

adapter_sdk::export_adapter!(Dhan);
