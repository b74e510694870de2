//! Zerodha, by way of Kite Connect version 3, as a Tickhost adapter.
//!
//! In the order of the data: [`instruments`] and [`names`] (what an instrument is called there) → `auth` and `login`
//! (keys, and the connection that they open) → `plan` (what the broker is to be told) → `session` (the connection
//! that is up) → [`decode`] and [`wire`] (bytes and texts to ticks and orders, pure). `README.md` says what the broker
//! demands, and where it errs.
#![forbid(unsafe_code)]

mod auth;
mod config;
pub mod decode;
pub mod instruments;
mod login;
pub mod names;
mod plan;
mod session;
pub mod wire;

use std::{
    rc::Rc,
    sync::Arc,
    time::{Duration, SystemTime},
};

use adapter_sdk::{
    Adapter, AdapterError, Capability, Context, Credentials, Grant, Login, Manifest, Mode, Refusal,
    Subscription,
    instruments::{Access, ListSource, Master, SEGMENTS},
    net::{Http, Network, RateLimit},
    symbol,
};

use self::{
    auth::Keys,
    config::{Config, Settings},
    instruments::{Instruments, MAX_BYTES},
    session::{Etag, Session},
};

/// Instruments that the broker takes on one connection.
const SYMBOLS_PER_CONNECTION: u32 = 3_000;

/// Connections that the broker allows an API key.
const CONNECTIONS: u32 = 3;

/// Levels on each side of a book.
const DEPTH: u16 = 5;

/// REST requests per second. The broker allows 10, but 1 for some.
const REQUESTS_PER_SECOND: f64 = 1.0;

/// When the broker makes its list of instruments anew, in India.
const LIST_RENEWED_AT: (u8, u8) = (8, 30);

/// Longest time for its download.
const DOWNLOAD_TIMEOUT: Duration = Duration::from_mins(2);

const CONFIG_SCHEMA: &str = include_str!("../config.schema.json");

/// One account's way to the broker.
#[derive(Debug)]
pub struct Zerodha {
    settings: Settings,
    network: Network,
    http: Http,
    master: Arc<Master<Instruments>>,
    etag: Etag,
}

impl Adapter for Zerodha {
    type Config = Config;
    type Connection = Session;

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
            .config_schema(CONFIG_SCHEMA)
            .credentials_schema(include_str!("../credentials.schema.json"))
    }

    fn try_new(config: Config, context: Context) -> Result<Self, AdapterError> {
        let settings = config.check()?;
        let network = Network::new(settings.network.clone())?;
        let http = network.http(RateLimit::per_second(REQUESTS_PER_SECOND));
        let source = ListSource {
            adapter: "zerodha",
            cache_dir: settings.cache_dir.clone(),
            urls: vec![settings.instruments_url.clone()],
            segments: SEGMENTS,
            max_bytes: MAX_BYTES,
            timeout: DOWNLOAD_TIMEOUT,
            renewed_at: LIST_RENEWED_AT,
            outdated: settings.outdated_list,
        };
        let master = Arc::new(Master::new(http.clone(), source, context.lists()));
        Ok(Self { settings, network, http, master, etag: Etag::default() })
    }

    fn resolve(&self, wanted: &Subscription) -> Result<Grant, Refusal> {
        let Some(list) = self.master.list() else {
            return Err(Refusal::Refused("The list of instruments is not there yet".to_owned()));
        };
        let has_book = match lookup(&list, &wanted.exchange, &wanted.symbol) {
            Ok(token) => !decode::is_index(token),
            // It may be in the list of today, which comes once there is a connection. Whoever asks before that is told
            // later when it is not.
            Err(Refusal::UnknownInstrument(_))
                if !self.master.is_current()
                    && !symbol::has_expired(&wanted.exchange, &wanted.symbol, SystemTime::now()) =>
            {
                !wanted.exchange.ends_with("_INDEX")
            }
            Err(refusal) => return Err(self.master.explain(&wanted.exchange, &wanted.symbol, refusal)),
        };
        Ok(if wanted.mode == Mode::Depth && has_book {
            Grant::with_depth_up_to(wanted, DEPTH)
        } else {
            Grant { depth: 0 }
        })
    }

    async fn prepare(&self, credentials: &Credentials) -> Result<(), AdapterError> {
        self.master.prepare(&access(Keys::read(credentials)?)).await
    }

    async fn connect(&self, credentials: &Credentials) -> Result<Session, AdapterError> {
        let keys = Keys::read(credentials)?;
        let list =
            self.master.list().ok_or_else(|| AdapterError::network("there is no list of instruments yet"))?;
        let socket = keys.connect(&self.network, &self.settings).await?;
        let renewal = self.master.renewal(access(keys));
        Ok(Session::new(socket, &self.settings, list, renewal, Rc::clone(&self.etag)))
    }

    async fn login(&self, fields: &Credentials) -> Result<Login, AdapterError> {
        login::step(&self.http, &self.settings, fields).await
    }
}

/// The list needs the account's signature.
fn access(keys: Keys) -> Access {
    Access::Signed(Arc::new(move |request| keys.sign(request)))
}

/// The broker's token of an instrument. What has expired has none, even if an old list says so: the broker gives its
/// token to something else.
fn lookup(list: &Instruments, exchange: &str, symbol: &str) -> Result<u32, Refusal> {
    if symbol::has_expired(exchange, symbol, SystemTime::now()) {
        return Err(Refusal::UnknownInstrument(format!("{symbol} on {exchange} has expired")));
    }
    list.token(exchange, symbol)
        .ok_or_else(|| Refusal::UnknownInstrument(format!("Symbol {symbol} not found on {exchange}")))
}

adapter_sdk::export_adapter!(Zerodha);
