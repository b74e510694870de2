//! A broker that speaks JSON over a WebSocket, as a Tickhost adapter.
//!
//! In the order of the data: `list` (what an instrument is called there) → `feed` (log in, subscribe, take
//! messages) → `wire` (messages as the broker writes them) → `decode` (bytes to ticks, pure). `README.md`
//! says what the broker demands.
#![forbid(unsafe_code)]

mod config;
pub mod decode;
mod feed;
pub mod list;
pub mod wire;

use std::sync::Arc;

use adapter_sdk::{
    Adapter, AdapterError, Capability, Context, Credentials, Grant, Manifest, Mode, Refusal, Subscription,
    instruments::{Access, ListSource, Master},
    net::{Heartbeat, RateLimit, WebSocketRequest},
    session::{Batches, Listed, Session},
};

use self::{
    config::{Config, Settings},
    feed::Feed,
    list::InstrumentList,
    wire::{HEARTBEAT, TOKENS_PER_MESSAGE},
};

/// Instruments that the broker allows on one connection.
const SYMBOLS_PER_CONNECTION: u32 = 500;

/// Connections that the broker allows an account.
const CONNECTIONS: u32 = 3;

/// Numbers of levels that the broker's books have.
const DEPTHS: [u16; 2] = [5, 20];

/// Requests in a second that the broker's REST interface allows.
const REQUESTS_PER_SECOND: f64 = 3.0;

/// Hour and minute in India by which the broker has made the list of the day.
const LIST_RENEWED_AT: (u8, u8) = (8, 0);

/// One account's way to the broker.
#[derive(Debug)]
pub struct TemplateBroker {
    settings: Settings,
    master: Arc<Master<InstrumentList>>,
}

impl Adapter for TemplateBroker {
    type Config = Config;
    type Connection = Session<Feed>;

    fn manifest() -> Manifest {
        Manifest::new("template", env!("CARGO_PKG_VERSION"))
            .capabilities(&[Capability::Ltp, Capability::Quote, Capability::Depth])
            .limits(SYMBOLS_PER_CONNECTION, CONNECTIONS)
            .config_schema(Config::schema())
            .credentials_schema(include_str!("../credentials.schema.json"))
    }

    fn try_new(config: Config, context: Context) -> Result<Self, AdapterError> {
        let settings = config.check()?;
        let source = ListSource {
            cache_dir: settings.cache_dir.clone(),
            outdated: settings.outdated_list,
            segments: list::COMPLETE_WITH,
            renewed_at: LIST_RENEWED_AT,
            ..InstrumentList::source("template", vec![settings.list_url.clone()])
        };
        let http = settings.network.http(RateLimit::per_second(REQUESTS_PER_SECOND));
        let master = Arc::new(Master::new(http, source, context.lists()));
        Ok(Self { settings, master })
    }

    fn resolve(&self, wanted: &Subscription) -> Result<Grant, Refusal> {
        self.master.look_up(wanted, |list| list.find(&wanted.exchange, &wanted.symbol))?;
        Ok(Grant::of_levels(if wanted.mode == Mode::Depth { granted_depth(wanted.depth) } else { 0 }))
    }

    /// Everybody may have this broker's list; where it takes an account, `Access::Signed` signs the request.
    async fn prepare(&self, _: &Credentials) -> Result<(), AdapterError> {
        self.master.prepare(&Access::Public).await
    }

    async fn connect(&self, credentials: &Credentials) -> Result<Self::Connection, AdapterError> {
        let feed = Feed::new(credentials.token(&["access_token"], &[])?);
        let request = WebSocketRequest::new(&self.settings.ws_url)
            .heartbeat(Heartbeat::Text(HEARTBEAT, self.settings.heartbeat))
            .stall_after(self.settings.silence);
        let listed = Listed::of(&self.master, Access::Public)?;
        let socket = self.settings.network.websocket(request).await?;
        Session::open(feed, socket, listed, Batches::of(TOKENS_PER_MESSAGE)).await
    }
}

/// The most levels that the broker has and that are not more than asked for.
fn granted_depth(asked: u16) -> u16 {
    let [fewest, ..] = DEPTHS;
    DEPTHS.into_iter().rev().find(|levels| *levels <= asked).unwrap_or(fewest)
}

adapter_sdk::export_adapter!(TemplateBroker);
