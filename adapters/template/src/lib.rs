//! A broker that speaks JSON over a WebSocket, as a Tickhost adapter.
//!
//! In the order of the data: `symbols` (what an instrument is called there) → `feed` (log in, subscribe, take messages) →
//! `wire` (messages as the broker writes them) → `decode` (bytes to ticks, pure). `README.md` says what the broker demands.
#![forbid(unsafe_code)]

mod config;
pub mod decode;
mod feed;
mod symbols;
pub mod wire;

use adapter_sdk::{
    Adapter, AdapterError, Capability, Context, Credentials, Grant, Manifest, Mode, Refusal, Subscription,
    net::{Heartbeat, WebSocketRequest},
    session::{Batches, Listed, Session},
};

use self::{
    config::{Config, Settings},
    feed::Feed,
    wire::{HEARTBEAT, KEYS_PER_MESSAGE},
};

/// Instruments that the broker allows on one connection.
const SYMBOLS_PER_CONNECTION: u32 = 500;

/// Connections that the broker allows an account.
const CONNECTIONS: u32 = 3;

/// Numbers of levels that the broker's books have.
const DEPTHS: [u16; 2] = [5, 20];

/// One account's way to the broker.
#[derive(Debug)]
pub struct TemplateBroker {
    settings: Settings,
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

    fn try_new(config: Config, _context: Context) -> Result<Self, AdapterError> {
        config.check().map(|settings| Self { settings })
    }

    fn resolve(&self, wanted: &Subscription) -> Result<Grant, Refusal> {
        symbols::key_of(&wanted.exchange, &wanted.symbol).map_err(Refusal::UnknownInstrument)?;
        Ok(Grant { depth: if wanted.mode == Mode::Depth { granted_depth(wanted.depth) } else { 0 } })
    }

    async fn connect(&self, credentials: &Credentials) -> Result<Self::Connection, AdapterError> {
        let feed = Feed::new(credentials.require("access_token")?);
        let request = WebSocketRequest::new(&self.settings.ws_url)
            .heartbeat(Heartbeat::Text(HEARTBEAT, self.settings.heartbeat))
            .stall_after(self.settings.silence);
        let socket = self.settings.network.websocket(request).await?;
        Session::open(feed, socket, Listed::none(), Batches::of(KEYS_PER_MESSAGE)).await
    }
}

/// The most levels that the broker has and that are not more than asked for.
fn granted_depth(asked: u16) -> u16 {
    let [fewest, ..] = DEPTHS;
    DEPTHS.into_iter().rev().find(|levels| *levels <= asked).unwrap_or(fewest)
}

adapter_sdk::export_adapter!(TemplateBroker);
