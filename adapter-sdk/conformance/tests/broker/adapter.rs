//! An adapter that does everything right, but for the one vice that its settings name.

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, BTreeSet, HashMap},
    fs::File,
    rc::Rc,
    time::Duration,
};

use adapter_conformance::{CredentialSet, Edition};
use adapter_sdk::{
    Adapter, AdapterError, Backoff, Capability, Context, Credentials, DeepBooks, Grant, ListReporter,
    ListState, Login, Manifest, Mode, Refusal, Subscription, tracing,
};
use serde::Deserialize;

use super::{session::Session, venue};

/// Levels that the broker has.
pub const LEVELS: u16 = 20;

/// Books of more than five levels that it has.
const DEEP_BOOKS: DeepBooks = DeepBooks::of(3, 5);

/// What is wrong with an adapter. Each is caught by a case of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum Vice {
    KeepsHandles,
    InventsZeros,
    WipesOnPartial,
    ReadsFirstPacketOnly,
    KeepsToken,
    RetriesBlindly,
    NoticesNoStall,
    SubscribesOneByOne,
    NeverLowersModes,
    PublishesAbove,
    PublishesBelow,
    PublishesGreeksAbove,
    MisscalesGreeks,
    HangsUpAtZero,
    StopsSlowly,
    LeaksDescriptors,
    SendsLocalTime,
    CutsSymbols,
    TakesQuietForDead,
    PromisesDepth,
    PromisesBooks,
    CutsNoBooks,
    CountsInFloats,
    LogsTokens,
    PanicsAtNonsense,
    HidesNonsense,
    TakesAnySetting,
    ForgetsAdditions,
    KnowsEverySymbol,
    BlocksCalls,
    AsksAgain,
    RetriesLogIns,
    ShowsSecrets,
    ZeroesOrders,
    DropsOddOrders,
    ForgetsOthersInOrders,
    KeepsList,
    KeepsKeys,
    BelievesTornLists,
    LeavesSessions,
    FightsSessions,
    TakesImagesForUpdates,
    TakesUpdatesForImages,
    RemembersDays,
}

#[derive(Deserialize)]
pub struct Config {
    venue: String,
    vice: Option<Vice>,
    #[serde(flatten)]
    others: BTreeMap<String, serde_json::Value>,
}

/// What outlives a connection: the list, and more for the vices that need it.
#[derive(Default)]
pub struct Memory {
    token: RefCell<Option<String>>,
    pub handles: RefCell<HashMap<u32, u32>>,
    pub known: RefCell<Vec<u32>>,
    connects: Cell<u32>,
    /// The highest mode in which each number was ever wanted.
    pub modes: RefCell<HashMap<u32, Mode>>,
    /// The list that is in force.
    pub list: RefCell<Option<Edition>>,
    /// Last values of each number.
    pub values: RefCell<HashMap<u32, BTreeMap<String, String>>>,
    /// Who has a deep book.
    pub deep: RefCell<BTreeSet<u32>>,
}

pub struct Broker {
    venue: String,
    vice: Option<Vice>,
    memory: Rc<Memory>,
    lists: ListReporter,
}

impl Adapter for Broker {
    type Config = Config;
    type Connection = Session;

    fn manifest() -> Manifest {
        Manifest::new("broker", "1.0.0")
            .capabilities(&[
                Capability::Ltp,
                Capability::Quote,
                Capability::Depth,
                Capability::Orders,
                Capability::SingleSession,
                Capability::Login,
            ])
            .limits(100, 1)
            .backoff(Backoff {
                first: Duration::from_millis(20),
                longest: Duration::from_millis(100),
                ..Backoff::default()
            })
    }

    fn try_new(config: Config, context: Context) -> Result<Self, AdapterError> {
        match config.others.keys().next() {
            Some(key) if config.vice != Some(Vice::TakesAnySetting) => {
                Err(AdapterError::config(format!("unknown field `{key}`")))
            }
            _ => Ok(Self {
                venue: config.venue,
                vice: config.vice,
                memory: Rc::default(),
                lists: context.lists(),
            }),
        }
    }

    fn deep_books(&self) -> Option<DeepBooks> {
        Some(DEEP_BOOKS)
    }

    fn resolve(&self, wanted: &Subscription) -> Result<Grant, Refusal> {
        let list = self.memory.list.borrow();
        let is_gone = list.as_ref().is_some_and(|list| !has(list, wanted));
        if (wanted.symbol == "NOSUCH" || is_gone) && self.vice != Some(Vice::KnowsEverySymbol) {
            return Err(Refusal::not_found(&wanted.exchange, &wanted.symbol));
        }
        let levels = if self.vice == Some(Vice::PromisesDepth) { u16::MAX } else { LEVELS };
        let mut deep = self.memory.deep.borrow_mut();
        let has_place = deep.contains(&wanted.instrument)
            || deep.len() < DEEP_BOOKS.per_connection as usize
            || self.vice == Some(Vice::PromisesBooks);
        if wanted.depth > DEEP_BOOKS.above_levels && has_place {
            deep.insert(wanted.instrument);
            return Ok(Grant::with_depth_up_to(wanted, levels));
        }
        Ok(Grant::with_depth_up_to(wanted, DEEP_BOOKS.above_levels))
    }

    async fn connect(&self, credentials: &Credentials) -> Result<Session, AdapterError> {
        let Some(venue) = venue::at(&self.venue) else {
            // A port of the suite: closed, or one on which nobody answers.
            let _open = std::net::TcpStream::connect(&self.venue)
                .map_err(|error| AdapterError::io("the venue", error))?;
            return std::future::pending().await;
        };
        if self.memory.list.borrow().is_none() {
            *self.memory.list.borrow_mut() = Some(venue.lock().edition());
            self.lists.say(&ListState { is_whole: true, ..ListState::default() });
        }
        let log_in = if venue.lock().is_open() {
            venue.lock().enter()
        } else {
            let token = self.token(credentials)?;
            let log_in = venue.lock().log_in(&token);
            log_in.ok_or_else(|| match self.vice {
                Some(Vice::RetriesBlindly) => AdapterError::network("the broker refused the token"),
                _ => AdapterError::auth("the broker refused the token"),
            })?
        };
        if self.vice == Some(Vice::LeaksDescriptors) {
            Box::leak(Box::new(File::open("/dev/null").unwrap()));
        }
        self.memory.connects.set(self.memory.connects.get() + 1);
        let is_again = self.memory.connects.get() > 1;
        Ok(Session::new(venue, log_in, self.vice, Rc::clone(&self.memory), self.lists.clone(), is_again))
    }

    async fn login(&self, fields: &Credentials) -> Result<Login, AdapterError> {
        let secret = fields.require("secret")?;
        let asks = fields.get("code").is_none() || self.vice == Some(Vice::AsksAgain);
        if asks {
            let shown = if self.vice == Some(Vice::ShowsSecrets) { secret } else { "" };
            let url = Some("https://broker.example/code".to_owned());
            return Ok(Login::ask("code", &format!("Log in there {shown}"), url, true));
        }
        let venue = venue::at(&self.venue).ok_or_else(|| AdapterError::network("nobody is there"))?;
        let code = fields.require("code")?;
        let token = venue.lock().exchange(secret, code);
        let Some(token) = token else {
            return Err(match self.vice {
                Some(Vice::RetriesLogIns) => AdapterError::network("the broker refused the code"),
                _ => AdapterError::auth("the broker refused the code or the secret"),
            });
        };
        Ok(Login::done([("token", token)]))
    }
}

impl Broker {
    fn token(&self, credentials: &Credentials) -> Result<String, AdapterError> {
        let mut token = credentials.require("token")?.to_owned();
        if self.vice == Some(Vice::KeepsToken) {
            token.clone_from(self.memory.token.borrow_mut().get_or_insert(token.clone()));
        }
        if self.vice == Some(Vice::LogsTokens) {
            tracing::trace!(token, "Logging in");
        }
        Ok(token)
    }
}

/// Whether a list has an instrument.
pub fn has(list: &Edition, wanted: &Subscription) -> bool {
    !list.without.iter().any(|gone| gone.exchange == wanted.exchange && gone.symbol == wanted.symbol)
}

/// A set of credentials that was accepted, as far as a name goes.
pub fn given<'a>(set: &'a CredentialSet, name: &str) -> Option<&'a str> {
    set.get(name).map(String::as_str)
}
