//! A feed: one account at one broker, what its clients want of it, and the connections that serve them.
//!
//! [`Feed`] is the handle that sessions and the operator's port hold. The work is done by one task per feed
//! ([`task`]), whose actor owns the desired subscriptions, the [`Pool`](tickhost_core::pool::Pool) and the
//! adapter instances. A subscribe is answered when the adapter has said of each instrument whether it exists;
//! the connection to the broker may come later, or come back, without anybody noticing more than a gap.

mod actor;
mod adapter_log;
mod announce;
mod asking;
mod connection;
mod events;
mod list_report;
mod login_policy;
mod renewal_pauses;
mod request;
mod shared_credentials;
mod shares;
mod standby;
#[cfg(test)]
pub(crate) mod stub;
pub mod task;
mod view;

use std::{
    sync::{
        Arc, Weak,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use tickhost_core::{
    calendar::{Calendars, Hours},
    feed_state::FeedState,
    inbox::Inbox,
    intake::Intake,
    metrics::FeedCounters,
    model::{FeedId, InstrumentId, Key, Variant},
    pool::PoolLimits,
    protocol::codes::ErrorCode,
};
use tokio::sync::oneshot;

use self::announce::Announcement;
pub use self::{
    events::OrderSink,
    list_report::{ListReport, ListTrouble},
    view::FeedView,
};
use crate::{
    accounts::{Account, UserName},
    adapters::{AdapterInstance, Assignment, connector::Connector},
};
pub use tickhost_core::silence::{Audience, ConnectionStatus};

/// What a feed is made of.
#[derive(Clone, Debug)]
pub struct FeedSpec {
    /// Broker, as clients see it.
    pub broker: Arc<str>,
    /// Name of the adapter in `plugins.toml`, or `bus`.
    pub adapter: Arc<str>,
    /// The account, none for the feed of the bus, which is shared.
    pub account: Option<Account>,
    /// Whether one tick is published under several modes.
    pub repeats_modes: bool,
}

impl FeedSpec {
    /// What its adapter is asked to serve, all connections alike.
    fn assignment(&self) -> Assignment {
        let assignment = Assignment::at(&*self.broker);
        match &self.account {
            Some(account) => assignment.of(account),
            None => assignment,
        }
    }
}

/// What serves a feed. It may change while the feed runs.
#[derive(Clone, Debug)]
pub struct Serving {
    /// Makes connections.
    pub connector: Arc<dyn Connector>,
    /// Limits of the account at the broker.
    pub limits: PoolLimits,
    /// Spacing of updates.
    pub throttle: Duration,
    /// Sessions that the broker allows an account at once. Where there is no room for one more, an old
    /// instance must end before a new one begins.
    pub sessions: usize,
    /// When it may not be silent.
    pub hours: Hours,
    /// Whether its adapter logs in at the broker.
    pub logs_in: bool,
}

/// Times of every feed.
#[derive(Clone, Copy, Debug)]
pub struct FeedSettings {
    /// Longest wait for an adapter's word on a subscription; after it the acknowledgement says that it is
    /// pending.
    pub subscribe_timeout: Duration,
    /// How long a connection may be down before its instruments move to others.
    pub rebalance_after: Duration,
    /// How long a feed stays up after its last client left.
    pub linger: Duration,
    /// Longest wait for an adapter to shut down.
    pub shutdown: Duration,
    /// Silence of a connection with subscriptions, in the hours of their exchanges, that makes the feed
    /// stale.
    pub stale_after: Duration,
}

/// One instrument that a client wants.
#[derive(Clone, Debug)]
pub struct Want {
    /// Exchange code.
    pub exchange: Arc<str>,
    /// Symbol without suffix.
    pub symbol: Arc<str>,
    /// Kind of frames.
    pub variant: Variant,
}

/// An instrument that a client holds from now on, until it is released.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Its number.
    pub instrument: InstrumentId,
    /// Depth levels that will come, in mode DEPTH.
    pub levels: Option<u16>,
    /// The adapter has not confirmed yet that it exists.
    pub is_pending: bool,
    /// Failures that the feed told of before: they are not about this grant. Set as the request is answered.
    pub failures: u64,
}

/// Why an instrument was not granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What kind of refusal.
    pub code: ErrorCode,
    /// For people, in the broker's or the pool's words.
    pub message: String,
}

impl Refusal {
    /// A refusal with this code and sentence.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

/// What a feed says of itself.
#[derive(Clone, Debug, Default)]
pub struct FeedStatus {
    /// State, silence not considered: see [`Feed::view`].
    pub state: FeedState,
    /// Its connections, by number.
    pub connections: Vec<ConnectionStatus>,
    /// When it may not be silent.
    pub hours: Hours,
    /// Instruments in all.
    pub instruments: usize,
    /// Of them, those of which the adapter has not said that the broker takes them.
    pub pending: usize,
    /// Of them, those that the broker's list does not have any more.
    pub lost: usize,
    /// What its adapter says of the list of instruments; none when it says nothing. Of several lists one that
    /// is not whole.
    pub list: Option<Arc<ListReport>>,
    /// Instruments that the limits of the account allow.
    pub capacity: usize,
    /// Spacing of updates.
    pub throttle: Duration,
    /// The last thing that went wrong, for people.
    pub last_error: Option<Arc<str>>,
    /// When the next attempt is made after a failure.
    pub retry_at: Option<Instant>,
    /// Attempts to connect since the last that succeeded.
    pub attempts: u32,
    /// Adapter instances started again after a failure.
    pub restarts: u64,
    /// Connections lost.
    pub disconnects: u64,
    /// Its instances at the moment, by connection.
    pub instances: Vec<(usize, Weak<dyn AdapterInstance>)>,
    /// When the state was entered, in nanoseconds since the Unix epoch.
    pub since_ns: u64,
}

/// A feed, as its clients hold it; and the user for whom, if that is known.
#[derive(Clone, Debug)]
pub struct Feed(Arc<Shared>, Option<UserName>);

#[derive(Debug)]
struct Shared {
    id: FeedId,
    spec: FeedSpec,
    stale_after: Duration,
    calendars: Calendars,
    counters: Arc<FeedCounters>,
    intake: Arc<Intake>,
    /// Bounded by what sessions hold: one release for each grant, one subscribe at a time for each session.
    commands: Inbox<Command>,
    members: AtomicUsize,
    status: Mutex<FeedStatus>,
    /// What clients were told last.
    announced: Mutex<Announcement>,
}

#[derive(Debug)]
enum Command {
    Subscribe {
        wants: Vec<Want>,
        user: Option<UserName>,
        reply: oneshot::Sender<Vec<Result<Grant, Refusal>>>,
    },
    Release(Vec<Key>),
    /// Read the credentials again, and connect with them if they differ.
    Refresh,
    /// What serves the feed from now on, or why nothing does.
    Serve(Result<Serving, Arc<str>>),
    /// Ask the adapters for their lists of instruments again.
    RenewLists,
    /// The credentials as they are stored now; none when they could not be read.
    CredentialsRead(Option<shared_credentials::Fields>),
    /// A log-in with these credentials has ended.
    LoggedIn {
        outcome: login_policy::LoginOutcome,
        fields: shared_credentials::Fields,
    },
    /// The number of members changed.
    Members,
    Stop,
}

impl Feed {
    fn new(
        id: FeedId,
        spec: FeedSpec,
        serving: &Serving,
        counters: Arc<FeedCounters>,
        intake: Arc<Intake>,
        stale_after: Duration,
        calendars: Calendars,
    ) -> Self {
        let status = FeedStatus {
            capacity: serving.limits.capacity(),
            throttle: serving.throttle,
            hours: serving.hours,
            ..FeedStatus::default()
        };
        let shared = Shared {
            id,
            spec,
            stale_after,
            calendars,
            counters,
            intake,
            commands: Inbox::default(),
            members: AtomicUsize::new(0),
            status: Mutex::new(status),
            announced: Mutex::default(),
        };
        Self(Arc::new(shared), None)
    }

    /// Number of the feed.
    pub fn id(&self) -> FeedId {
        self.0.id
    }

    /// What the feed is made of.
    pub fn spec(&self) -> &FeedSpec {
        &self.0.spec
    }

    /// Its counters.
    pub fn counters(&self) -> &Arc<FeedCounters> {
        &self.0.counters
    }

    /// Its sessions.
    pub fn members(&self) -> usize {
        self.0.members.load(Ordering::Acquire)
    }

    /// Spacing of its updates.
    pub fn throttle(&self) -> Duration {
        self.0.status.lock().throttle
    }

    /// What it says of itself.
    pub fn status(&self) -> FeedStatus {
        self.0.status.lock().clone()
    }

    /// Its state at `now_ns` (nanoseconds since the Unix epoch), silence considered.
    pub fn state(&self, now_ns: u64) -> FeedState {
        self.view(now_ns).state
    }

    /// Whether both handles are of one feed.
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Gives instruments back.
    pub fn release(&self, keys: Vec<Key>) {
        if !keys.is_empty() {
            self.0.commands.push(Command::Release(keys));
        }
    }

    /// Reads the credentials again, and connects with them if they differ: the first time at once, and at
    /// growing pauses when they go on to change.
    pub fn refresh(&self) {
        self.0.commands.push(Command::Refresh);
    }

    /// Asks its adapters for their lists of instruments again, at once.
    pub fn renew_lists(&self) {
        self.0.commands.push(Command::RenewLists);
    }

    /// Lets the feed follow to what serves it from now on, or says why nothing does. Clients and their
    /// subscriptions stay.
    pub fn serve(&self, serving: Result<Serving, Arc<str>>) {
        self.0.commands.push(Command::Serve(serving));
    }

    /// Ends the feed.
    pub fn stop(&self) {
        self.0.commands.push(Command::Stop);
    }
}

/// A session's membership in a feed: while one exists, the feed stays up.
#[derive(Debug)]
pub struct Membership(Feed);

impl Membership {
    pub(crate) fn new(feed: &Feed, user: &UserName) -> Self {
        feed.0.members.fetch_add(1, Ordering::AcqRel);
        feed.0.commands.push(Command::Members);
        Self(Feed(Arc::clone(&feed.0), Some(user.clone())))
    }

    /// The feed.
    pub const fn feed(&self) -> &Feed {
        &self.0
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        self.0.0.members.fetch_sub(1, Ordering::AcqRel);
        self.0.0.commands.push(Command::Members);
    }
}
