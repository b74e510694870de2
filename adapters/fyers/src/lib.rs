//! Fyers, by way of its API version 3, as a Tickhost adapter.
//!
//! In the order of the data: [`instruments`], `names`, [`indices`] and [`topic`] (what an instrument is
//! called there) → `auth` and `login` (keys of the day) → `hsm` (the log-in on the data socket) →
//! `directory`, `convert` and `requests` (from what is wanted to what the broker is asked) → `session` (the
//! connection that is up) → [`wire`] (frames) → [`state`] (what is known of each topic, pure) → [`decode`]
//! (to ticks, pure). [`tbt`] is the broker's second socket, of fifty levels. `README.md` says what the broker
//! demands, and where it errs.
//!
//! ```
//! use adapter_fyers::{decode, state::Topics, topic::Topic, wire::{Frame, LITE_VALUES}};
//!
//! let (feed, topic) = Topic::parse(b"sf|nse_cm|3045").unwrap();
//! let mut topics = Topics::new();
//! topics.want(feed, topic);
//! // A frame of one snapshot of one value: 625.50 under the number 7.
//! let mut frame = vec![0, 0, 6, 0, 0, 0, 1, 0, 1, b'S', 0, 7, 14];
//! frame.extend(b"sf|nse_cm|3045\x01");
//! frame.extend(62_550_i32.to_be_bytes());
//! frame.extend([0, 0, 0, 1, 2, 0, 0, 0]);
//! let Ok(Frame::Data(mut data)) = Frame::parse(&frame, LITE_VALUES) else { panic!() };
//! let record = data.records.next().unwrap().unwrap();
//! let target = topics.target(&record);
//! assert!(topics.apply(&record, target));
//! let instrument = topics.find(&topic).unwrap();
//! assert_eq!(decode::last_price(instrument).unwrap().unwrap().as_f64(), 625.5);
//! ```
#![forbid(unsafe_code)]

mod auth;
mod config;
mod convert;
pub mod decode;
pub mod description;
mod directory;
mod hsm;
pub mod indices;
pub mod instruments;
mod login;
mod names;
pub mod request;
mod requests;
mod session;
pub mod state;
pub mod tbt;
pub mod topic;
pub mod wire;

use std::{cell::RefCell, rc::Rc, sync::Arc, time::Duration};

use adapter_sdk::{
    Adapter, AdapterError, Backoff, Capability, Context, Credentials, DeepBooks, Grant, Login, Manifest,
    Refusal, Subscription,
    instruments::{Access, ListSource, Master, Sheet as _},
    net::{Http, RateLimit},
    session::{Batches, Listed, Session},
};

use self::{
    auth::Keys,
    config::{Config, Settings, SymbolTokens},
    directory::Directory,
    indices::{IndexList, Indices},
    instruments::{FyersList, Instruments},
    session::FyersFeed,
    tbt::socket::{Fifty, MAX_SYMBOLS},
    topic::{Fytoken, Segment},
};

/// Instruments on one connection. The broker allows 5,000 for an API key, and a book is a topic of its own.
const SYMBOLS_PER_CONNECTION: u32 = 2_000;

/// Connections. The broker is said to allow an app and user three, of which its own programs may want one.
const CONNECTIONS: u32 = 2;

/// Levels on each side of a book of the data socket.
const LEVELS: u16 = 5;

/// The same of the second socket.
const DEEP_LEVELS: u16 = 50;

/// Longest wait for the answer to the log-in.
const VERDICT_LIMIT: Duration = Duration::from_secs(15);

/// REST requests per second. The broker allows an app 10, and 200 in a minute, whoever makes them.
const REQUESTS_PER_SECOND: f64 = 2.0;

/// By when the broker has made its lists of the day, in India.
const LISTS_RENEWED_AT: (u8, u8) = (8, 0);

/// Longest time for the download of one list.
const DOWNLOAD_TIMEOUT: Duration = Duration::from_mins(3);

/// One account's way to the broker.
#[derive(Debug)]
pub struct Fyers {
    settings: Arc<Settings>,
    /// For what counts against the account's limit.
    http: Http,
    master: Arc<Master<Instruments>>,
    index_list: IndexList,
    indices: RefCell<Rc<Indices>>,
}

impl Adapter for Fyers {
    type Config = Config;
    type Connection = Session<FyersFeed>;

    fn manifest() -> Manifest {
        Manifest::new("fyers", env!("CARGO_PKG_VERSION"))
            .capabilities(&[Capability::Ltp, Capability::Quote, Capability::Depth, Capability::Login])
            .limits(SYMBOLS_PER_CONNECTION, CONNECTIONS)
            .backoff(Backoff { first: Duration::from_secs(1), ..Backoff::default() })
            .config_schema(Config::schema())
            .credentials_schema(include_str!("../credentials.schema.json"))
    }

    fn try_new(config: Config, context: Context) -> Result<Self, AdapterError> {
        let settings = Arc::new(config.check()?);
        let http = settings.network.http(RateLimit::per_second(REQUESTS_PER_SECOND));
        // Lists are public, and do not count.
        let public = settings.network.http(RateLimit::per_second(10.0));
        let source = ListSource {
            adapter: "fyers",
            cache_dir: settings.cache_dir.clone(),
            urls: settings.list_urls(),
            // Each has a file of its own.
            segments: &[],
            max_bytes: FyersList::MAX_BYTES,
            timeout: DOWNLOAD_TIMEOUT,
            renewed_at: LISTS_RENEWED_AT,
            outdated: settings.outdated_list,
        };
        let index_list = IndexList::new(public.clone(), &settings);
        Ok(Self {
            http,
            master: Arc::new(Master::new(public, source, context.lists())),
            index_list,
            indices: RefCell::new(Rc::new(Indices::bundled())),
            settings,
        })
    }

    fn deep_books(&self) -> Option<DeepBooks> {
        let books = if self.settings.depth_50 { MAX_SYMBOLS } else { 0 };
        Some(DeepBooks::of(u32::try_from(books).ok()?, LEVELS))
    }

    fn resolve(&self, wanted: &Subscription) -> Result<Grant, Refusal> {
        let found = self.master.look_up(wanted, |list| list.find(&wanted.exchange, &wanted.symbol))?;
        // An index has no book.
        if wanted.is_index() {
            return Ok(Grant::of_levels(0));
        }
        // What may come with the list of today is told apart by its exchange.
        let segment = found.map_or_else(|| Segment::of_exchange(&wanted.exchange), Fytoken::segment);
        let is_deep = self.settings.depth_50 && segment.is_some_and(Segment::has_fifty_levels);
        Ok(Grant::with_depth_up_to(wanted, if is_deep { DEEP_LEVELS } else { LEVELS }))
    }

    async fn prepare(&self, _credentials: &Credentials) -> Result<(), AdapterError> {
        // The lists are public: nothing has to be proven for them.
        self.master.prepare(&Access::Public).await?;
        let indices = Rc::new(self.index_list.get().await);
        *self.indices.borrow_mut() = indices;
        Ok(())
    }

    async fn connect(&self, credentials: &Credentials) -> Result<Self::Connection, AdapterError> {
        let keys = Keys::read(credentials)?;
        let listed = Listed::of(&self.master, Access::Public)?;
        let socket = hsm::open(&self.settings).await?;
        let asks = self.settings.symbol_tokens == SymbolTokens::Broker;
        let questions = asks.then(|| convert::questions(&self.http, self.settings.symbol_token_url(), &keys));
        let directory = Directory::new(Rc::clone(&self.indices.borrow()), questions);
        let fifty = Fifty::of(&self.settings, &self.http, &keys);
        let feed = FyersFeed::new(Arc::clone(&self.settings), keys, directory, fifty);
        // A change is of two topics at most.
        let batches = Batches::of(self.settings.batch_size / 2)
            .every(self.settings.batch_interval)
            .welcome_within(VERDICT_LIMIT);
        Session::open(feed, socket, listed, batches).await
    }

    async fn login(&self, fields: &Credentials) -> Result<Login, AdapterError> {
        login::step(&self.http, &self.settings, fields).await
    }
}

adapter_sdk::export_adapter!(Fyers);
