//! Angel One's `SmartAPI` streaming feed, as a Tickhost adapter. It gives market data and order updates; it
//! places no orders.
//!
//! In the order of the data: `names` and [`list`] (what an instrument is called there) → `login` and `auth`
//! (the way in) → `requests` (what the broker is asked for, pure) → `session` (packets in, messages out) →
//! [`wire`] (the broker's integers) → [`decode`] (to ticks, pure). `order` reads what the broker's second
//! WebSocket says. `README.md` says what the broker demands.
//!
//! ```
//! use adapter_angel::{decode::{self, Decoded}, wire::Packet};
//!
//! let mut message = vec![1, 1];
//! message.extend_from_slice(b"1594");
//! message.resize(43, 0);
//! message.extend_from_slice(&190_735_i64.to_le_bytes());
//! let packet = Packet::parse(&message).unwrap();
//! assert!(matches!(decode::tick(&packet, 7, false), Decoded::Ltp(_)));
//! ```
#![forbid(unsafe_code)]

mod auth;
mod config;
pub mod control;
pub mod decode;
pub mod list;
mod login;
mod names;
mod order;
mod requests;
pub mod segment;
mod session;
pub mod wire;

use std::{sync::Arc, time::Duration};

use adapter_sdk::{
    Adapter, AdapterError, Backoff, Capability, Context, Credentials, Grant, Login, Manifest, Refusal,
    Subscription,
    instruments::{Access, ListSource, Master},
    net::{Http, RateLimit},
    session::{Batches, Listed, Session},
};

use self::{
    config::{Config, Settings},
    list::Instruments,
    requests::PAIRS_PER_CONNECTION,
    session::SmartStream,
};

/// Connections that the broker allows a client code.
const CONNECTIONS: u32 = 3;

/// Levels on each side of the broker's books. The twenty of mode 4 were withdrawn in 2025.
const LEVELS: u16 = 5;

/// One account's way to Angel One.
#[derive(Debug)]
pub struct AngelOne {
    settings: Settings,
    /// The broker allows a request a second.
    http: Http,
    master: Arc<Master<Instruments>>,
}

impl Adapter for AngelOne {
    type Config = Config;
    type Connection = Session<SmartStream>;

    fn manifest() -> Manifest {
        Manifest::new("angel", env!("CARGO_PKG_VERSION"))
            .capabilities(&[
                Capability::Ltp,
                Capability::Quote,
                Capability::Depth,
                Capability::Orders,
                Capability::CountsModes,
                Capability::Login,
            ])
            .limits(PAIRS_PER_CONNECTION.into(), CONNECTIONS)
            // A session that ended badly counts against the limit for a while.
            .backoff(Backoff { first: Duration::from_secs(1), ..Backoff::default() })
            .config_schema(Config::schema())
            .credentials_schema(include_str!("../credentials.schema.json"))
    }

    fn try_new(config: Config, context: Context) -> Result<Self, AdapterError> {
        let settings = config.check()?;
        let source = ListSource {
            cache_dir: settings.cache_dir.clone(),
            outdated: settings.outdated_list,
            ..Instruments::source("angel", vec![settings.instruments_url.clone()])
        };
        let http = settings.network.http(RateLimit::per_second(1.0));
        let master = Arc::new(Master::new(http.clone(), source, context.lists()));
        Ok(Self { settings, http, master })
    }

    fn resolve(&self, wanted: &Subscription) -> Result<Grant, Refusal> {
        self.master.grant(wanted, LEVELS)
    }

    async fn prepare(&self, _credentials: &Credentials) -> Result<(), AdapterError> {
        // The list is public: nothing has to be proven for it.
        self.master.prepare(&Access::Public).await
    }

    async fn connect(&self, credentials: &Credentials) -> Result<Self::Connection, AdapterError> {
        let listed = Listed::of(&self.master, Access::Public)?;
        let folder = self.master.directory().unwrap_or_default();
        let orders = auth::orders(&self.settings, credentials, &folder)?;
        let socket = auth::open(&self.settings, credentials).await?;
        let stream = SmartStream::new(self.settings.batch_size, orders);
        // The pace is the socket's: a batch of changes is as many requests as the broker's limits take.
        Session::open(stream, socket, listed, Batches::of(PAIRS_PER_CONNECTION.into())).await
    }

    async fn login(&self, fields: &Credentials) -> Result<Login, AdapterError> {
        login::step(&self.http, &self.settings, fields).await
    }
}

adapter_sdk::export_adapter!(AngelOne);
