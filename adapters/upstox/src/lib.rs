//! Upstox, by way of its market data feed version 3, as a Tickhost adapter. It gives market data and order
//! updates; it places no orders.
//!
//! In the order of the data: [`key`] and [`list`] (what an instrument is called there) → `login` and `auth`
//! (the token of the day, and the addresses of sockets) → [`room`] and [`request`] (what the broker is asked
//! for) → `session` (the connection that is up, with `refusals`) → [`wire`] (the broker's protocol buffers) →
//! [`decode`] (to ticks, pure) and [`order`]. `README.md` says what the broker demands, and where it errs.
//!
//! ```
//! use adapter_upstox::{decode::State, key::Key, wire::{Feed, Response}};
//!
//! // A message of one instrument, whose last price is 625.5.
//! let mut message = b"\x08\x01\x12\x22\x0a\x13NSE_EQ|INE062A01020\x12\x0b\x0a\x09\x09".to_vec();
//! message.extend(625.5_f64.to_le_bytes());
//! let (mut state, mut feed) = (State::default(), Feed::default());
//! let response = Response::read(&message).unwrap();
//! response.feeds(&mut feed, |taken| {
//!     let (key, feed) = taken.unwrap();
//!     assert_eq!(feed.ltpc.unwrap().ltp, 625.5);
//!     assert!(state.take(Key::parse(key).unwrap(), feed, response.at).is_some());
//! });
//! ```
#![forbid(unsafe_code)]

mod auth;
mod config;
pub mod decode;
pub mod key;
pub mod list;
mod login;
pub mod order;
mod refusals;
pub mod request;
pub mod room;
mod session;
pub mod wire;

use std::{
    cell::RefCell,
    rc::Rc,
    sync::Arc,
    time::{Duration, SystemTime},
};

use adapter_sdk::{
    Adapter, AdapterError, Backoff, Capability, Context, Credentials, DeepBooks, Grant, Login, Manifest,
    Refusal, Subscription,
    instruments::{Access, ListSource, Master},
    login::Unfinished,
    net::{Http, RateLimit},
    session::{Batches, Listed, OrderSocket, Session},
};

use self::{
    auth::{Gate, Keys},
    config::{Config, Settings},
    list::Instruments,
    room::Room,
    session::{USUAL_LEVELS, UpstoxFeed},
};

/// Instruments of an account: so many can be in any of the usual modes together.
const SYMBOLS: u32 = 1_500;

/// REST requests per second. The broker allows 25 and more; a connection takes one.
const REQUESTS_PER_SECOND: f64 = 5.0;

/// When the broker has made its list again, in India: it does at about six.
const LIST_RENEWED_AT: (u8, u8) = (6, 30);

/// What it may mean that the broker ends a connection which has just been opened.
const REPLACED: &str = "the broker ended the connection soon after it was opened: another program may have connected with this \
                        app and user, of which one is served";
const REPLACED_WITHIN: Duration = Duration::from_mins(1);

/// One account's way to Upstox.
#[derive(Debug)]
pub struct Upstox {
    settings: Rc<Settings>,
    http: Http,
    master: Arc<Master<Instruments>>,
    room: Rc<RefCell<Room>>,
}

impl Adapter for Upstox {
    type Config = Config;
    type Connection = Session<UpstoxFeed>;

    fn manifest() -> Manifest {
        Manifest::new("upstox", env!("CARGO_PKG_VERSION"))
            .capabilities(&[
                Capability::Ltp,
                Capability::Quote,
                Capability::Depth,
                Capability::Orders,
                Capability::Login,
                Capability::SingleSession,
            ])
            .limits(SYMBOLS, 1)
            .backoff(Backoff { first: Duration::from_secs(1), ..Backoff::default() })
            .config_schema(Config::schema())
            .credentials_schema(include_str!("../credentials.schema.json"))
    }

    fn try_new(config: Config, context: Context) -> Result<Self, AdapterError> {
        let settings = Rc::new(config.check()?);
        let http = settings.network.http(RateLimit::per_second(REQUESTS_PER_SECOND));
        let source = ListSource {
            cache_dir: settings.cache_dir.clone(),
            renewed_at: LIST_RENEWED_AT,
            outdated: settings.outdated_list,
            ..Instruments::source("upstox", vec![settings.instruments_url.clone()])
        };
        let master = Arc::new(Master::new(http.clone(), source, context.lists()));
        Ok(Self { settings, http, master, room: Rc::default() })
    }

    fn deep_books(&self) -> Option<DeepBooks> {
        let books = if self.settings.depth_30 { room::DEEP } else { 0 };
        Some(DeepBooks::of(u32::try_from(books).ok()?, USUAL_LEVELS))
    }

    fn resolve(&self, wanted: &Subscription) -> Result<Grant, Refusal> {
        self.master.look_up(wanted, |list| list.find(&wanted.exchange, &wanted.symbol))?;
        let modes = session::modes(&self.settings, wanted);
        let taken = self.room.borrow_mut().take(wanted.instrument, modes);
        let asked = taken.ok_or_else(|| {
            Refusal::Capacity("The broker allows the account no more instruments in this mode".to_owned())
        })?;
        Ok(Grant::of_levels(session::levels(asked, wanted)))
    }

    async fn prepare(&self, _credentials: &Credentials) -> Result<(), AdapterError> {
        // The list is public: nothing has to be proven for it.
        self.master.prepare(&Access::Public).await
    }

    async fn connect(&self, credentials: &Credentials) -> Result<Self::Connection, AdapterError> {
        let keys = Keys::read(credentials, SystemTime::now())?;
        let listed = Listed::of(&self.master, Access::Public)?;
        let folder = self.master.directory().unwrap_or_default();
        let gate = Rc::new(Gate { http: self.http.clone(), settings: Rc::clone(&self.settings), keys });
        let socket = gate.open(auth::MARKET).await?;
        let for_orders = Rc::clone(&gate);
        let open = move || {
            let gate = Rc::clone(&for_orders);
            async move { gate.open(auth::ORDERS).await }
        };
        let orders = OrderSocket::opened_by(open, &folder, gate.keys.user());
        let feed = UpstoxFeed::new(Rc::clone(&self.settings), Rc::clone(&self.room), orders);
        let batches = Batches::of(self.settings.batch_size)
            .every(self.settings.batch_interval)
            .closed_within_means(REPLACED_WITHIN, REPLACED);
        Session::open(feed, socket, listed, batches).await
    }

    async fn login(&self, fields: &Credentials) -> Result<Login, AdapterError> {
        login::step(&self.http, &self.settings, fields).await.or_else(Unfinished::into_login)
    }
}

adapter_sdk::export_adapter!(Upstox);
