//! The brokers of the Noren family as a Tickhost adapter: Shoonya, Flattrade, Zebu, `TradeSmart`, Definedge
//! and Alice Blue.
//!
//! In the order of the data: [`brand`] (what differs between the brokers) → [`list`] (what an instrument is
//! called there) → `login` and [`account`] (keys) → `session` (the connection that is up, with [`request`]
//! and `orders`, the socket beside it) → [`wire`] and [`decode`] (messages to ticks, pure) and [`order`].
//! `README.md` says what the brokers demand, and where they err.
#![forbid(unsafe_code)]

pub mod account;
pub mod brand;
mod config;
pub mod decode;
pub mod list;
mod login;
pub mod order;
mod orders;
pub mod request;
mod session;
pub mod wire;

use std::{rc::Rc, sync::Arc, time::Duration};

use self::{
    account::Account,
    brand::{BRANDS, Brand, Scheme},
    config::{Config, Settings},
    list::Instruments,
    session::Noren as Protocol,
};
use adapter_sdk::{
    Adapter, AdapterError, Context, Credentials, ErrorCode, Grant, Login, Manifest, Refusal, Subscription,
    instruments::{Access, ListSource, Master, SEGMENTS},
    login::Unfinished,
    net::{Heartbeat, Http, Meaning, RateLimit, WebSocketRequest},
    session::{Batches, Listed, Session},
};

/// REST requests per second, of which none is in a hurry. Alice Blue allows 1,800 in a quarter of an hour;
/// the others do not say.
const REQUESTS_PER_SECOND: f64 = 5.0;

/// When the brokers have made their lists again, in India.
const LIST_RENEWED_AT: (u8, u8) = (8, 15);

/// Levels on each side of a book.
const DEPTH: u16 = 5;

/// What silence to a log-in means: who insists may be locked out.
const SILENT: &str = "the broker said nothing to the log-in, which is what some of them do with a token that has ended: log in \
                      again with `tickhost account login`";

/// What it means that the broker ends a connection which has just been opened: to come back at once would
/// throw the other out.
const REPLACED: &str = "the broker ended the connection soon after it was opened: another program may have connected with this \
                        account, of which one is served";
const REPLACED_WITHIN: Duration = Duration::from_mins(1);

/// What a refused handshake means. The brokers judge tokens by the first message, and hardly ever here.
const REFUSALS: [Meaning; 2] = [
    (
        &[401, 403],
        ErrorCode::AUTH,
        "the broker refused the connection: if a new token is refused too, the app may not be allowed from this IP address",
    ),
    (&[429], ErrorCode::RATE_LIMITED, "the broker refused the connection (HTTP 429): there were too many"),
];

/// One account's way to its broker.
#[derive(Debug)]
pub struct Noren {
    brand: &'static Brand,
    settings: Settings,
    http: Http,
    master: Arc<Master<Instruments>>,
}

impl Adapter for Noren {
    type Config = Config;
    type Connection = Session<Protocol>;

    fn manifest() -> Manifest {
        let manifest = Manifest::new("noren", env!("CARGO_PKG_VERSION")).config_schema(Config::schema());
        BRANDS.iter().fold(manifest, |manifest, brand| manifest.brand(brand.described()))
    }

    fn try_new(config: Config, context: Context) -> Result<Self, AdapterError> {
        let brand = Brand::named(context.broker())
            .ok_or_else(|| AdapterError::config("this library does not serve that broker"))?;
        let settings = config.check()?;
        let http = settings.network.http(RateLimit::per_second(REQUESTS_PER_SECOND));
        let urls = brand.files.iter().map(|file| format!("{}/{file}", settings.list_url)).collect();
        // By broker: their numbers are not the same.
        let source = ListSource {
            cache_dir: settings.cache_dir.clone(),
            // Where each segment has a file, a file that lacks is one that did not come.
            segments: if brand.files.len() == 1 { SEGMENTS } else { &[] },
            renewed_at: LIST_RENEWED_AT,
            outdated: settings.outdated_list,
            ..Instruments::source(brand.name, urls)
        };
        let master = Arc::new(Master::new(http.clone(), source, context.lists()));
        Ok(Self { brand, settings, http, master })
    }

    fn resolve(&self, wanted: &Subscription) -> Result<Grant, Refusal> {
        self.master.grant(wanted, DEPTH)
    }

    async fn prepare(&self, _credentials: &Credentials) -> Result<(), AdapterError> {
        self.master.prepare(&Access::Public).await
    }

    async fn connect(&self, credentials: &Credentials) -> Result<Self::Connection, AdapterError> {
        let Settings { batch_size, batch_interval, heartbeat, stall, welcome, .. } = self.settings;
        let account = Rc::new(Account::read(self.brand, credentials)?);
        let listed = Listed::of(&self.master, Access::Public)?;
        if self.brand.scheme == Scheme::AliceBlue {
            login::make_session(&self.http, &self.settings, &account).await?;
        }
        let folder = self.master.directory().unwrap_or_default();
        let orders = orders::socket(&self.http, &self.settings, &account, &folder);
        // Not all of them answer the heartbeats of their own, and outside of the market's hours nothing else
        // comes.
        let request = WebSocketRequest::new(&*self.settings.ws_url)
            .heartbeat(Heartbeat::WithPing(self.brand.heartbeat.into(), heartbeat))
            .stall_after(stall);
        let socket =
            self.settings.network.websocket(request).await.map_err(|error| error.explain(&REFUSALS))?;
        let batches = Batches::of(batch_size)
            .every(batch_interval)
            .welcome_within(welcome)
            .unanswered_means(SILENT)
            .closed_within_means(REPLACED_WITHIN, REPLACED);
        Session::open(Protocol::new(self.brand, account, orders), socket, listed, batches).await
    }

    async fn login(&self, fields: &Credentials) -> Result<Login, AdapterError> {
        login::step(&self.http, &self.settings, self.brand, fields).await.or_else(Unfinished::into_login)
    }
}

adapter_sdk::export_adapter!(Noren);
