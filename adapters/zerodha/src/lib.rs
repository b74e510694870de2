//! Zerodha, by way of Kite Connect version 3, as a Tickhost adapter.
//!
//! In the order of the data: [`instruments`] (what an instrument is called there) → `auth` and `login` (keys,
//! and the connection that they open) → `plan` (what the broker is to be told) → `session` (the connection
//! that is up) → [`decode`] and [`wire`] (bytes and texts to ticks and orders, pure). `README.md` says what
//! the broker demands, and where it errs.
#![forbid(unsafe_code)]

mod auth;
mod config;
pub mod decode;
pub mod instruments;
mod login;
mod plan;
mod session;
pub mod wire;

use std::{rc::Rc, sync::Arc};

use adapter_sdk::{
    Adapter, AdapterError, Capability, Context, Credentials, Grant, Login, Manifest, Refusal, Subscription,
    instruments::{Access, ListSource, Master},
    login::Unfinished,
    net::{Http, RateLimit},
    session::{Batches, Listed, Session},
};

use self::{
    auth::Keys,
    config::{Config, Settings},
    instruments::Instruments,
    session::{Etag, Kite},
};

/// Instruments that the broker takes on one connection.
const SYMBOLS_PER_CONNECTION: u32 = 3_000;

/// Connections that the broker allows an API key.
const CONNECTIONS: u32 = 3;

/// Levels on each side of a book.
const DEPTH: u16 = 5;

/// REST requests per second. The broker allows 10, but 1 for some.
const REQUESTS_PER_SECOND: f64 = 1.0;

/// One account's way to the broker.
#[derive(Debug)]
pub struct Zerodha {
    settings: Settings,
    http: Http,
    master: Arc<Master<Instruments>>,
    etag: Etag,
}

impl Adapter for Zerodha {
    type Config = Config;
    type Connection = Session<Kite>;

    fn manifest() -> Manifest {
        Manifest::new("zerodha", env!("CARGO_PKG_VERSION"))
            .capabilities(&[
                Capability::Ltp,
                Capability::Quote,
                Capability::Depth,
                Capability::Orders,
                Capability::Login,
            ])
            .limits(SYMBOLS_PER_CONNECTION, CONNECTIONS)
            .config_schema(Config::schema())
            .credentials_schema(include_str!("../credentials.schema.json"))
    }

    fn try_new(config: Config, context: Context) -> Result<Self, AdapterError> {
        let settings = config.check()?;
        let http = settings.network.http(RateLimit::per_second(REQUESTS_PER_SECOND));
        let source = ListSource {
            cache_dir: settings.cache_dir.clone(),
            outdated: settings.outdated_list,
            ..Instruments::source("zerodha", vec![settings.list_url()])
        };
        let master = Arc::new(Master::new(http.clone(), source, context.lists()));
        Ok(Self { settings, http, master, etag: Etag::default() })
    }

    fn resolve(&self, wanted: &Subscription) -> Result<Grant, Refusal> {
        self.master.grant(wanted, DEPTH)
    }

    async fn prepare(&self, credentials: &Credentials) -> Result<(), AdapterError> {
        self.master.prepare(&access(Keys::read(credentials)?)).await
    }

    async fn connect(&self, credentials: &Credentials) -> Result<Self::Connection, AdapterError> {
        let keys = Keys::read(credentials)?;
        let listed = Listed::of(&self.master, access(keys.clone()))?;
        let socket = keys.connect(&self.settings).await?;
        let batches = Batches::of(self.settings.batch_size).every(self.settings.batch_interval);
        Session::open(Kite::new(Rc::clone(&self.etag)), socket, listed, batches).await
    }

    async fn login(&self, fields: &Credentials) -> Result<Login, AdapterError> {
        login::step(&self.http, &self.settings, fields).await.or_else(Unfinished::into_login)
    }
}

/// The list needs the account's signature.
fn access(keys: Keys) -> Access {
    Access::Signed(Arc::new(move |request| keys.sign(request)))
}

adapter_sdk::export_adapter!(Zerodha);
