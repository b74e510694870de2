//! Brokers with Symphony XTS as a Tickhost adapter: 5paisa XTS, `CompositEdge`, Indiabulls, IIFL, Jainam,
//! `RMoney` and Wisdom Capital.
//!
//! In the order of the data: [`brand`] (what differs between the brokers) → [`list`] (what an instrument is
//! called there) → `login`, [`account`] and `rest` (keys, and requests over HTTP) → `socket` and [`engine`]
//! (the socket and its framing) → `session` (the connection that is up, with `requests`, which subscribe,
//! and `orders`, the socket beside it) → [`wire`] and [`decode`] (messages to ticks, pure) and [`order`].
//! `README.md` says what the brokers demand, and where they err.
#![forbid(unsafe_code)]

pub mod account;
pub mod brand;
mod config;
pub mod decode;
pub mod engine;
pub mod list;
mod login;
pub mod order;
mod orders;
mod requests;
mod rest;
mod session;
mod socket;
pub mod wire;

use std::{cell::Cell, rc::Rc, sync::Arc, time::Duration};

use adapter_sdk::{
    Adapter, AdapterError, Context, Credentials, Grant, Login, Manifest, Refusal, Subscription,
    instruments::{Access, ListSource, Master},
    login::Unfinished,
    net::{Http, HttpRequest, RateLimit},
    serde_json::json,
    session::{Batches, Listed, Session},
};
use zeroize::Zeroizing;

use self::{
    account::Account,
    brand::{BRANDS, Brand},
    config::{Broadcast, Config, Format, Settings},
    engine::Version,
    list::Instruments,
    requests::{Codes, Requests},
    rest::Rest,
    session::{REPLACED, Xts as Protocol},
};

/// When the brokers have made their lists again, in India.
const LIST_RENEWED_AT: (u8, u8) = (8, 30);

/// Levels on each side of a book.
const DEPTH: u16 = 5;

/// A connection that the broker ends so soon was ended by another.
const REPLACED_WITHIN: Duration = Duration::from_mins(1);

/// One account's way to its broker.
#[derive(Debug)]
pub struct Xts {
    settings: Rc<Settings>,
    rest: Rest,
    master: Arc<Master<Instruments>>,
    /// The version of Engine.IO that worked last.
    works: Rc<Cell<Version>>,
}

/// The files of the list: of each segment, and of the indices of each exchange.
fn list_files(settings: &Settings) -> Vec<String> {
    let segments = ["NSECM", "NSEFO", "BSECM", "BSEFO"].into_iter();
    let others = [("NSECD", settings.currency), ("MCXFO", settings.commodities)];
    let others = others.into_iter().filter(|(_, is_served)| *is_served).map(|(segment, _)| segment);
    let url = &settings.api_url;
    let masters = segments.chain(others).map(|segment| format!("{url}/instruments/master#{segment}"));
    let indices = [(1, "NSE_INDEX"), (11, "BSE_INDEX")]
        .map(|(segment, name)| format!("{url}/instruments/indexlist?exchangeSegment={segment}#{name}"));
    masters.chain(indices).collect()
}

/// Asks for a file. That of a segment is named by its fragment.
fn list_request(http: &Http, url: &str) -> HttpRequest {
    match url.split_once('#') {
        Some((address, segment)) if address.ends_with("/master") => {
            http.post(address).json(&json!({ "exchangeSegmentList": [segment] }))
        }
        Some((address, _)) => http.get(address),
        None => http.get(url),
    }
}

impl Xts {
    /// What files of the list are asked for with.
    fn access(account: &Account) -> Access {
        let token = Zeroizing::new(account.token().to_owned());
        Access::Signed(Arc::new(move |request: HttpRequest| request.header("authorization", &token)))
    }
}

impl Adapter for Xts {
    type Config = Config;
    type Connection = Session<Protocol>;

    fn manifest() -> Manifest {
        let manifest = Manifest::new("xts", env!("CARGO_PKG_VERSION")).config_schema(Config::schema());
        BRANDS.iter().fold(manifest, |manifest, brand| manifest.brand(brand.described()))
    }

    fn try_new(config: Config, context: Context) -> Result<Self, AdapterError> {
        let brand = Brand::named(context.broker())
            .ok_or_else(|| AdapterError::config("this library does not serve that broker"))?;
        let settings = config.check()?;
        let http =
            settings.network.http(RateLimit::per_second(1.0 / settings.request_interval.as_secs_f64()));
        // By broker: their numbers are not the same.
        let source = ListSource {
            cache_dir: settings.cache_dir.clone(),
            // Each segment has a file, of which one that lacks is one that did not come.
            segments: &[],
            renewed_at: LIST_RENEWED_AT,
            outdated: settings.outdated_list,
            ..Instruments::source(brand.name, list_files(&settings))
        };
        let master = Master::new(http.clone(), source, context.lists()).asked_by(list_request);
        let version = if settings.engine_io == 3 { Version::Three } else { Version::Four };
        Ok(Self {
            rest: Rest { http, url: settings.api_url.clone() },
            settings: Rc::new(settings),
            master: Arc::new(master),
            works: Rc::new(Cell::new(version)),
        })
    }

    fn resolve(&self, wanted: &Subscription) -> Result<Grant, Refusal> {
        self.master.grant(wanted, DEPTH)
    }

    async fn prepare(&self, credentials: &Credentials) -> Result<(), AdapterError> {
        let account = Account::read(credentials)?;
        if !self.master.is_current() {
            // One request tells a token that has ended, which has the status of requests that make no
            // sense. The list would take one for each file.
            self.rest.check(account.token()).await?;
        }
        self.master.prepare(&Self::access(&account)).await
    }

    async fn connect(&self, credentials: &Credentials) -> Result<Self::Connection, AdapterError> {
        let account = Rc::new(Account::read(credentials)?);
        let listed = Listed::of(&self.master, Self::access(&account))?;
        let Settings { format, broadcast, ltp_by_touchline, index_events, price_bands, batch_size, .. } =
            *self.settings;
        let parameters = [
            ("token", account.token()),
            ("userID", account.user()),
            ("publishFormat", if format == Format::Json { "JSON" } else { "Binary" }),
            ("broadcastMode", if broadcast == Broadcast::Full { "Full" } else { "Partial" }),
        ];
        let socket = socket::open(&self.settings, &self.settings.ws_url, &parameters, &self.works).await?;
        let codes = Codes { ltp_by_touchline, price_bands };
        let requests = Requests::new(self.rest.clone(), account.token(), codes);
        let folder = self.master.directory().unwrap_or_default();
        let orders = orders::socket(&self.rest, &self.settings, &account, &self.works, &folder);
        let protocol = Protocol::new(self.works.get(), (codes, index_events), requests, orders);
        let batches = Batches::of(batch_size).closed_within_means(REPLACED_WITHIN, REPLACED);
        Session::open(protocol, socket, listed, batches).await
    }

    async fn login(&self, fields: &Credentials) -> Result<Login, AdapterError> {
        login::step(&self.rest, fields).await.or_else(Unfinished::into_login)
    }
}

adapter_sdk::export_adapter!(Xts);
