//! Dhan, by way of `DhanHQ` version 2, as a Tickhost adapter. It gives market data, and places no orders.
//!
//! In the order of the data: [`names`] and [`list`] (what an instrument is called there) → `login` and `auth` (the
//! token, and the sockets that it opens) → `allotment` (who gets a deep book, pure) → `request` (what the broker is
//! asked for, pure) → `session` (the live feed) and `deep` (the depth feeds beside it) → [`wire`] (the broker's
//! numbers, pure) → [`clock`] and [`decode`] (to ticks, pure) → `publish` (what of them reaches clients, pure).
//! `README.md` says what the broker demands, and where it errs.
#![forbid(unsafe_code)]

mod allotment;
mod auth;
pub mod clock;
mod config;
pub mod decode;
mod deep;
pub mod list;
mod login;
pub mod names;
mod publish;
mod request;
pub mod segment;
mod session;
mod shared;
pub mod wire;

use std::{sync::Arc, time::Duration};

use adapter_sdk::{
    Adapter, AdapterError, Backoff, Capability, Context, Credentials, Grant, Login, Manifest, Mode, Refusal,
    Subscription,
    abi::ErrorCode,
    instruments::{Access, ListSource, Master, SEGMENTS, Sheet as _},
    net::{Http, RateLimit},
    session::{Batches, Listed, Session},
    tracing::warn,
};

use self::{
    allotment::Allotment,
    auth::{Keys, disconnected},
    config::{Config, Settings},
    deep::Deep,
    list::{DhanList, Instruments},
    segment::Segment,
    session::DhanFeed,
    shared::{Shared, Suspicion},
};

/// Instruments on one connection, of the five thousand that the broker takes: a thousand in mode full are much already.
const SYMBOLS_PER_CONNECTION: u32 = 1_000;

/// Connections of an account, of the five sockets that the broker allows it.
const CONNECTIONS: u32 = 3;

/// By when the broker has made its list of the day, in India.
const LIST_RENEWED_AT: (u8, u8) = (8, 30);

/// Longest time for its download.
const DOWNLOAD_TIMEOUT: Duration = Duration::from_mins(3);

/// REST requests per second. The broker allows five for data.
const REQUESTS_PER_SECOND: f64 = 5.0;

/// One account's way to the broker.
#[derive(Debug)]
pub struct Dhan {
    settings: Arc<Settings>,
    http: Http,
    master: Arc<Master<Instruments>>,
    shared: Shared,
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
            adapter: "dhan",
            cache_dir: settings.cache_dir.clone(),
            urls: vec![settings.instruments_url.clone()],
            segments: SEGMENTS,
            max_bytes: DhanList::MAX_BYTES,
            timeout: DOWNLOAD_TIMEOUT,
            renewed_at: LIST_RENEWED_AT,
            outdated: settings.outdated_list,
        };
        let master = Arc::new(Master::new(http.clone(), source, context.lists()));
        let shared = Shared::new(Allotment::new(|tier| settings.depth_sockets(tier)));
        Ok(Self { settings, http, master, shared })
    }

    fn resolve(&self, wanted: &Subscription) -> Result<Grant, Refusal> {
        let Some(list) = self.master.list() else {
            return Err(Refusal::Refused("The list of instruments is not there yet".to_owned()));
        };
        let key = list
            .find(&wanted.exchange, &wanted.symbol)
            .map_err(|refusal| self.master.explain(&wanted.exchange, &wanted.symbol, refusal))?;
        let levels =
            if wanted.mode == Mode::Depth && key.segment != Segment::Index { wanted.depth } else { 0 };
        let depth = self.shared.allotment().grant(wanted.instrument, key, levels);
        Ok(Grant::of_levels(depth))
    }

    async fn prepare(&self, _credentials: &Credentials) -> Result<(), AdapterError> {
        // The list is public: nothing has to be proven for it.
        self.master.prepare(&Access::Public).await
    }

    async fn connect(&self, credentials: &Credentials) -> Result<Self::Connection, AdapterError> {
        let keys = Keys::read(credentials)?;
        if let Some(suspicion) = self.shared.suspicion() {
            match (keys.check(&self.http, &self.settings).await, suspicion) {
                (Ok(()), _) => {}
                (Err(error), Suspicion::Reason(reason)) if error.code() == ErrorCode::AUTH => {
                    return Err(disconnected(reason));
                }
                (Err(error), _) if error.code() == ErrorCode::AUTH => return Err(error),
                (Err(error), _) => warn!(%error, "The broker does not say whether the token is good"),
            }
        }
        let listed = Listed::of(&self.master, Access::Public)?;
        let opened = keys.open_live(&self.settings).await;
        let socket = opened.inspect_err(|error| self.shared.not_opened(error))?;
        let deep = Deep::new(keys, Arc::clone(&self.settings));
        let batches = Batches::of(self.settings.batch_size).every(self.settings.batch_interval);
        Session::open(DhanFeed::new(deep, self.shared.clone()), socket, listed, batches).await
    }

    async fn login(&self, fields: &Credentials) -> Result<Login, AdapterError> {
        login::step(&self.http, &self.settings, fields).await
    }
}

adapter_sdk::export_adapter!(Dhan);
