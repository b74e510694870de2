//! Who is logged in, and which feed serves whom.
//!
//! Lock order: `Hub::feeds` and `Hub::logins` are never held together, nor over an await.

mod following;
mod invalidations;
mod logins;
mod sources;

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use secrecy::SecretString;
use tickhost_core::{
    calendar::Calendars,
    instruments::Instruments,
    metrics::ServerCounters,
    model::FeedId,
    protocol::{
        codes::{CloseReason, ErrorCode},
        order::{self, OrderUpdate},
        text,
    },
    router::RouterHandle,
};
use tokio_tungstenite::tungstenite::Utf8Bytes;
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

pub use self::sources::Source;
use self::{
    invalidations::Invalidations,
    logins::{Logins, TooManyOrders},
};
use crate::{
    accounts::{
        Account, AccountId, Accounts, Caller, KeyId, Penalty, UserName, Verified, VerifyError,
        key_share::KeyTotal,
    },
    adapters::connector::Connector,
    base::{log_rate::outside_line, span::operation},
    bus::OrderVerdict,
    feeds::{
        bulletin::{Bulletin, Recipient},
        feed::{
            Feed, FeedSettings, FeedSpec, Membership, OrderSink, Serving,
            task::{self, FeedContext},
        },
    },
};

/// Limits and times of the hub.
#[derive(Clone, Debug)]
pub struct HubSettings {
    /// Connections with one key.
    pub connections_per_key: usize,
    /// Times of the feeds.
    pub feed: FeedSettings,
    /// When exchanges trade.
    pub calendars: Calendars,
    /// Brokers that clients are told of; when empty, those that have a source.
    pub announced_brokers: Vec<String>,
}

/// Why a log-in failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoginError {
    /// An answer for the client; it may try again.
    Refused {
        /// Code of the error frame.
        code: ErrorCode,
        /// Its message.
        message: String,
        /// When to try again, if that is known.
        retry_after: Option<Duration>,
    },
    /// The key is not known, or was revoked; which of them is no business of who tries.
    WrongKey(Penalty),
    /// The key is good, but the user cannot be served. It counts as authenticated.
    NoFeed {
        /// Who it is.
        user: UserName,
        /// Code of the error frame.
        code: ErrorCode,
        /// Its message.
        message: String,
    },
    /// The key has as many connections as it may.
    TooManyForKey,
}

impl LoginError {
    /// The spelling in spans.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Refused { code, .. } | Self::NoFeed { code, .. } => code.as_str(),
            Self::WrongKey(_) => ErrorCode::AuthenticationError.as_str(),
            Self::TooManyForKey => CloseReason::TooManyForKey.label(),
        }
    }
}

/// A session that is logged in. Dropping it logs out.
#[derive(Debug)]
pub struct Login {
    /// The user.
    pub user: UserName,
    /// The key that was used.
    pub key: KeyId,
    /// The user's feed.
    pub membership: Membership,
    place: KeyPlace,
}

impl Login {
    /// One that no hub knows, of a key whose clients hold so much.
    #[cfg(test)]
    pub(crate) fn of_test(user: &str, membership: Membership, total: KeyTotal) -> Self {
        let (user, key) = (UserName::from(user), KeyId::from(user));
        let place = KeyPlace { logins: Arc::default(), key: key.clone(), user: user.clone(), total };
        Self { user, key, membership, place }
    }

    /// What the clients of this key hold together.
    pub fn key_total(&self) -> KeyTotal {
        self.place.total.clone()
    }
}

#[derive(Debug)]
struct KeyPlace {
    logins: Arc<Logins>,
    key: KeyId,
    user: UserName,
    total: KeyTotal,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum FeedKey {
    Account(AccountId, Arc<str>),
    Bus(Arc<str>),
}

/// All feeds and log-ins of the host.
#[derive(Debug)]
pub struct Hub {
    accounts: Accounts,
    router: RouterHandle,
    recipients: Vec<Arc<dyn Recipient>>,
    instruments: Arc<Instruments>,
    sources: ArcSwap<FxHashMap<Arc<str>, Source>>,
    /// What serves the brokers of the bus.
    bus: Result<Arc<dyn Connector>, Arc<str>>,
    settings: HubSettings,
    counters: Arc<ServerCounters>,
    feeds: Mutex<FxHashMap<FeedKey, Feed>>,
    logins: Arc<Logins>,
    invalidations: Invalidations,
    next_feed: AtomicU32,
    runtime: OnceLock<tokio::runtime::Handle>,
    tasks: TaskTracker,
}

impl Hub {
    /// A hub without feeds, and without sources before [`Self::follow_sources`]. `bus` serves those that are
    /// the bus.
    pub fn new(
        accounts: Accounts,
        router: RouterHandle,
        recipients: Vec<Arc<dyn Recipient>>,
        bus: Result<Arc<dyn Connector>, Arc<str>>,
        settings: HubSettings,
        counters: Arc<ServerCounters>,
    ) -> Arc<Self> {
        Arc::new(Self {
            accounts,
            router,
            recipients,
            instruments: Arc::default(),
            sources: ArcSwap::default(),
            bus,
            settings,
            counters,
            feeds: Mutex::default(),
            logins: Arc::default(),
            invalidations: Invalidations::default(),
            next_feed: AtomicU32::new(1),
            runtime: OnceLock::new(),
            tasks: TaskTracker::new(),
        })
    }

    /// Feeds run on this runtime, whatever thread asks for them.
    pub fn run_on(&self, runtime: tokio::runtime::Handle) {
        // A second call would change nothing that runs already; the first one counts.
        let _already = self.runtime.set(runtime);
    }

    /// Checks a key and joins the feed of its user, which connects in the background.
    ///
    /// # Errors
    /// What to tell the client.
    pub async fn login(self: &Arc<Self>, key: &SecretString, caller: Caller) -> Result<Login, LoginError> {
        let (verified, place) = loop {
            let verified = self.verify(key, caller).await?;
            let place = self.take_place(&verified).ok_or(LoginError::TooManyForKey)?;
            // A key that was revoked before it had its place was not among those that were looked at then.
            if self.accounts.is_current(&verified) {
                break (verified, place);
            }
        };
        self.counters.auth_ok.add(1);
        let user = verified.user;
        let no_feed = |code, message| LoginError::NoFeed { user: user.clone(), code, message };
        let account = verified.account.ok_or_else(|| {
            no_feed(ErrorCode::BrokerError, "No broker configuration found for user".to_owned())
        })?;
        let membership = self.join(&account).map_err(|message| no_feed(ErrorCode::BrokerError, message))?;
        Ok(Login { user, key: verified.key, membership, place })
    }

    async fn verify(&self, key: &SecretString, caller: Caller) -> Result<Verified, LoginError> {
        let check = operation!("accounts.check_key", "internal");
        self.accounts.verify_key(key, caller).instrument(check).await.map_err(|error| {
            self.counters.auth_failed.add(1);
            let (message, retry_after) = match error {
                VerifyError::Unknown | VerifyError::Revoked => {
                    return LoginError::WrongKey(self.accounts.note_wrong_key(caller));
                }
                VerifyError::Busy { retry_after } => {
                    let seconds = retry_after.as_secs();
                    let message = format!("Too many API keys are being checked; try again in {seconds} s");
                    (message, Some(retry_after))
                }
                VerifyError::Storage(_) => {
                    outside_line!(error, %error, "Could not check an API key");
                    ("The API key could not be checked; see the host's log".to_owned(), None)
                }
            };
            LoginError::Refused { code: ErrorCode::ProcessingError, message, retry_after }
        })
    }

    /// Notes that a connection is closed after too many wrong keys.
    pub fn note_tries_spent(&self) {
        self.accounts.counters().closed.add(1);
    }

    /// The feed of the user's present account, for a session whose account has changed.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn rejoin(self: &Arc<Self>, user: &UserName) -> Result<Membership, String> {
        let account = self.accounts.current_account(user).await.map_err(|error| error.to_string())?;
        let account = account.ok_or("No broker configuration found for user")?;
        let membership = self.join(&account)?;
        self.logins.move_to(user, &account.broker);
        Ok(membership)
    }

    /// Brokers for `get_supported_brokers`, in order.
    pub fn supported_brokers(&self) -> Vec<String> {
        if !self.settings.announced_brokers.is_empty() {
            return self.settings.announced_brokers.clone();
        }
        let mut brokers: Vec<String> = self.sources.load().keys().map(ToString::to_string).collect();
        brokers.sort_unstable();
        brokers
    }

    /// Most connections with one key.
    pub const fn connections_per_key(&self) -> usize {
        self.settings.connections_per_key
    }

    /// All feeds, by number.
    pub fn feeds(&self) -> Vec<Feed> {
        let mut feeds: Vec<Feed> = self.feeds.lock().values().cloned().collect();
        feeds.sort_by_key(Feed::id);
        feeds
    }

    /// Forwards an encoded order update to the sessions of a user; says whether every shard took it.
    pub fn forward_order(&self, user: &UserName, frame: &Utf8Bytes) -> bool {
        self.counters.orders.add(1);
        let lost = self.recipients.iter().filter(|recipient| !recipient.offer_order(user, frame)).count();
        self.counters.orders_lost.add(lost as u64);
        lost == 0
    }

    /// Forwards an order update that a publisher reports of the user with this name, as one of the broker
    /// that the host knows.
    pub fn forward_order_of_bus(&self, name: &str, update: &OrderUpdate<'_>) -> OrderVerdict {
        let now = Instant::now();
        match self.logins.admit_order(name, update.len(), now) {
            None => OrderVerdict::UnknownUser,
            Some(Err(TooManyOrders)) => OrderVerdict::Dropped,
            Some(Ok((user, broker))) => {
                let frame = text(update.frame(user.as_str(), &broker));
                if self.forward_order(&user, &frame) {
                    OrderVerdict::Forwarded
                } else {
                    OrderVerdict::Dropped
                }
            }
        }
    }

    /// Ends every feed, and waits until their adapters have shut down.
    pub async fn stop_feeds(&self) {
        self.feeds.lock().drain().for_each(|(_, feed)| feed.stop());
        self.tasks.close();
        self.tasks.wait().await;
    }

    fn tell_all(&self, bulletin: &Bulletin) {
        self.recipients.iter().for_each(|recipient| recipient.tell(bulletin.clone()));
    }

    fn feed_key(&self, account: &Account) -> Option<FeedKey> {
        let sources = self.sources.load();
        let source = sources.get(&account.broker)?;
        Some(if source.is_bus {
            FeedKey::Bus(Arc::clone(&account.broker))
        } else {
            FeedKey::Account(account.id.clone(), Arc::clone(&account.broker))
        })
    }

    fn join(self: &Arc<Self>, account: &Account) -> Result<Membership, String> {
        let broker = &account.broker;
        let failed = |why: &str| format!("Failed to create adapter for broker: {broker}: {why}");
        let key = self.feed_key(account).ok_or_else(|| failed("no adapter in plugins.toml serves it"))?;
        let runtime = self.runtime.get().ok_or_else(|| failed("the host is not running"))?;

        let mut feeds = self.feeds.lock();
        let sources = self.sources.load();
        let source = sources.get(broker).ok_or_else(|| failed("no adapter in plugins.toml serves it"))?;
        let connector = source.connector.as_ref().map_err(|why| failed(why))?;
        if let Some(feed) = feeds.get(&key) {
            return Ok(Membership::new(feed, &account.user));
        }
        let spec = FeedSpec {
            broker: Arc::clone(broker),
            adapter: Arc::clone(&source.name),
            account: (!source.is_bus).then(|| account.clone()),
            repeats_modes: source.is_bus,
        };
        let serving = Serving::new(source, Arc::clone(connector));
        let context = FeedContext {
            router: self.router.clone(),
            recipients: self.recipients.clone(),
            instruments: Arc::clone(&self.instruments),
            accounts: self.accounts.clone(),
            orders: Arc::clone(self) as Arc<dyn OrderSink>,
            settings: self.settings.feed,
            calendars: self.settings.calendars.clone(),
        };
        let hub = Arc::downgrade(self);
        let own_key = key.clone();
        let may_end = move |feed: &Feed| hub.upgrade().is_none_or(|hub| hub.remove_deserted(&own_key, feed));
        let id = FeedId(self.next_feed.fetch_add(1, Ordering::Relaxed));
        let (feed, task) = task::start(id, spec, serving, context, may_end);
        let membership = Membership::new(&feed, &account.user);
        feeds.insert(key, feed);
        drop(feeds);
        self.tasks.spawn_on(task, runtime);
        Ok(membership)
    }

    fn remove_deserted(&self, key: &FeedKey, feed: &Feed) -> bool {
        // Under the lock nobody can join, so a feed without members stays without.
        let mut feeds = self.feeds.lock();
        if feed.members() > 0 {
            return false;
        }
        if feeds.get(key).is_some_and(|known| known.is(feed)) {
            feeds.remove(key);
        }
        true
    }

    fn take_place(&self, verified: &Verified) -> Option<KeyPlace> {
        let (key, user) = (verified.key.clone(), verified.user.clone());
        let broker = verified.account.as_ref().map(|account| &account.broker);
        let total = self.logins.add(&key, &user, broker, self.settings.connections_per_key)?;
        Some(KeyPlace { logins: Arc::clone(&self.logins), key, user, total })
    }
}

impl Drop for KeyPlace {
    fn drop(&mut self) {
        self.logins.remove(&self.key, &self.user);
    }
}

impl OrderSink for Hub {
    fn order(&self, user: &UserName, broker: &str, update_json: &str) -> bool {
        match order::order_update(user.as_str(), broker, update_json) {
            Ok(frame) => self.forward_order(user, &text(frame)),
            Err(error) => {
                self.counters.orders_malformed.add(1);
                outside_line!(warn, broker, %error, "An adapter sent an order update that cannot be passed on");
                false
            }
        }
    }
}
