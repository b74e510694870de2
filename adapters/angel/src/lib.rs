//! Angel One's `SmartAPI` streaming feed, as a Tickhost adapter. It gives market data and order updates; it places no
//! orders.
//!
//! In the order of the data: `names` and [`list`] (what an instrument is called there) → `login` and `auth` (the
//! way in) → `feed` (what is subscribed, pure) → `connection` (packets in, messages out) → [`wire`] (the broker's
//! integers) → [`decode`] (to ticks, pure). `orders` is the broker's second WebSocket. `README.md` says what the broker
//! demands.
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
mod connection;
pub mod control;
pub mod decode;
mod feed;
pub mod list;
mod login;
mod names;
mod objects;
mod orders;
pub mod segment;
pub mod wire;

use std::{sync::Arc, time::SystemTime};

use adapter_sdk::{
    Adapter, AdapterError, Backoff, Capability, Context, Credentials, Grant, Login, Manifest, Mode, Refusal,
    Subscription,
    instruments::{Access, ListSource, Master, SEGMENTS},
    net::RateLimit,
    symbol,
};
use tokio::time::Duration;

use self::{
    config::{Config, Settings},
    connection::Session,
    feed::PAIRS_PER_CONNECTION,
    list::List,
    orders::Orders,
};

/// Connections that the broker allows a client code.
const CONNECTIONS: u32 = 3;

/// Longest list of instruments that is taken, in bytes; it has some 30 MiB.
const LIST_BYTES: u64 = 256 << 20;

/// By when the broker has made its list of the day, in India.
const LIST_RENEWED_AT: (u8, u8) = (8, 30);

/// Longest time for its download.
const DOWNLOAD_TIMEOUT: Duration = Duration::from_mins(3);

/// Levels on each side of the broker's books. The twenty of mode 4 were withdrawn in 2025.
const LEVELS: u16 = 5;

/// One account's way to Angel One.
#[derive(Debug)]
pub struct AngelOne {
    settings: Settings,
    master: Arc<Master<List>>,
}

impl Adapter for AngelOne {
    type Config = Config;
    type Connection = Session;

    fn manifest() -> Manifest {
        #[expect(clippy::cast_possible_truncation, reason = "a thousand")]
        const PAIRS: u32 = PAIRS_PER_CONNECTION as u32;
        Manifest::new("angel", env!("CARGO_PKG_VERSION"))
            .capabilities(&[
                Capability::Ltp,
                Capability::Quote,
                Capability::Depth,
                Capability::Orders,
                Capability::CountsModes,
                Capability::Login,
            ])
            .limits(PAIRS, CONNECTIONS)
            // A session that ended badly counts against the limit for a while.
            .backoff(Backoff { first: Duration::from_secs(1), ..Backoff::default() })
            .config_schema(include_str!("../config.schema.json"))
            .credentials_schema(include_str!("../credentials.schema.json"))
    }

    fn try_new(config: Config, context: Context) -> Result<Self, AdapterError> {
        let settings = config.check()?;
        let source = ListSource {
            adapter: "angel",
            cache_dir: settings.cache_dir.clone(),
            urls: vec![settings.instruments_url.clone()],
            segments: SEGMENTS,
            max_bytes: LIST_BYTES,
            timeout: DOWNLOAD_TIMEOUT,
            renewed_at: LIST_RENEWED_AT,
            outdated: settings.outdated_list,
        };
        let http = settings.network.http(RateLimit::per_second(1.0));
        let master = Arc::new(Master::new(http, source, context.lists()));
        Ok(Self { settings, master })
    }

    fn resolve(&self, wanted: &Subscription) -> Result<Grant, Refusal> {
        let Subscription { exchange, symbol, mode, .. } = wanted;
        if symbol::has_expired(exchange, symbol, SystemTime::now()) {
            return Err(Refusal::UnknownInstrument(format!("{symbol} on {exchange} has expired")));
        }
        let is_known =
            self.master.list().is_some_and(|list| names::find(&list.table, exchange, symbol).is_some());
        if !is_known {
            let refusal = Refusal::UnknownInstrument(format!("Symbol {symbol} not found on {exchange}"));
            return Err(self.master.explain(exchange, symbol, refusal));
        }
        // Indices have no book.
        let has_book = *mode == Mode::Depth && !exchange.ends_with("_INDEX");
        Ok(Grant { depth: if has_book { LEVELS } else { 0 } })
    }

    async fn prepare(&self, _credentials: &Credentials) -> Result<(), AdapterError> {
        // The list is public: nothing has to be proven for it.
        self.master.prepare(&Access::Public).await
    }

    async fn connect(&self, credentials: &Credentials) -> Result<Session, AdapterError> {
        let orders = Orders::new(&self.settings, credentials, Arc::clone(&self.master))?;
        let socket = auth::open(&self.settings, credentials).await?;
        let list =
            self.master.list().ok_or_else(|| AdapterError::network("there is no list of instruments yet"))?;
        let renewal = self.master.renewal(Access::Public);
        Ok(Session::new(socket, self.settings.batch_size, list, renewal, orders))
    }

    async fn login(&self, fields: &Credentials) -> Result<Login, AdapterError> {
        login::step(&self.settings, fields).await
    }
}

adapter_sdk::export_adapter!(AngelOne);
