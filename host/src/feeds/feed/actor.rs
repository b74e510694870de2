//! The task of one feed: keeps what is desired, and makes the adapter instances follow.

mod balance;
mod credentials;
mod instances;
mod lists;
mod login;
mod silence;
mod subscriptions;
pub(super) mod swapping;

use std::{collections::VecDeque, sync::Arc, time::Instant};

use adapter_abi::StatusKind;
use rustc_hash::FxHashMap;
use tickhost_core::{
    calendar::{Calendars, Hours},
    demand::{Demand, Upstream},
    feed_state::FeedState,
    inbox::Inbox,
    instruments::Instruments,
    intake::Intake,
    metrics::FeedCounters,
    model::{FeedId, InstrumentId, Variant},
    pool::Pool,
    router::{self, RouterHandle},
};

use self::lists::Lists;
use super::{
    Command, Feed, FeedSettings, FeedSpec, OrderSink, Serving,
    announce::Announcer,
    connection::{Connection, Consequence, Link, describe},
    credentials::CurrentCredentials,
    events::{InstanceEvent, InstanceReport},
    login::Logins,
    renewal::Renewal,
    request::{Requests, Ticket},
    shares::Shares,
};
use crate::{
    accounts::{Accounts, UserName},
    base::clock,
    feeds::bulletin::Recipient,
};

/// What a feed's task needs of the host.
#[derive(Clone, Debug)]
pub struct FeedContext {
    /// Where ticks are gated.
    pub router: RouterHandle,
    /// Where the clients are.
    pub recipients: Vec<Arc<dyn Recipient>>,
    /// Where numbers come from.
    pub instruments: Arc<Instruments>,
    /// Where credentials come from.
    pub accounts: Accounts,
    /// Where order updates go.
    pub orders: Arc<dyn OrderSink>,
    /// Times.
    pub settings: FeedSettings,
    /// When exchanges trade.
    pub calendars: Calendars,
}

/// Makes a feed, and the task that runs it until it ends by itself. `may_end` is asked when the last client has been
/// gone for the linger time; it takes the feed out of the registry if nobody came back.
pub fn start(
    id: FeedId,
    spec: FeedSpec,
    serving: Serving,
    context: FeedContext,
    may_end: impl Fn(&Feed) -> bool + Send + 'static,
) -> (Feed, impl Future<Output = ()> + Send) {
    let counters = Arc::<FeedCounters>::default();
    let intake = Intake::new(id, Arc::clone(&counters), Arc::clone(&context.router.doorbell));
    context.router.send(router::Command::OpenFeed {
        feed: id,
        interval: serving.throttle,
        counters: Arc::clone(&counters),
        repeats_modes: spec.repeats_modes,
        has_hours: serving.hours == Hours::Exchange,
    });
    let pool = Pool::new(serving.limits);
    let credentials = Arc::new(CurrentCredentials::new(serving.connector.secrets()));
    let (stale_after, calendars) = (context.settings.stale_after, context.calendars.clone());
    let feed = Feed::new(id, spec, &serving, counters, intake, stale_after, calendars);
    let actor = Actor {
        feed: feed.clone(),
        context,
        pool,
        by_name: FxHashMap::default(),
        subscribed: FxHashMap::default(),
        shares: Shares::default(),
        connections: Vec::new(),
        parked: VecDeque::new(),
        requests: Requests::default(),
        pending: 0,
        upstream_requests: 0,
        events: Arc::default(),
        credentials,
        renewal: Renewal::default(),
        empty_since: None,
        restarts: 0,
        serving: Ok(serving),
        replaced: None,
        failed_swap: None,
        trial_until: None,
        epochs: 0,
        announcer: Announcer::default(),
        logins: Logins::default(),
        lists: Lists::default(),
        listen_at: None,
    };
    (feed, actor.run(may_end))
}

struct Actor {
    feed: Feed,
    context: FeedContext,
    pool: Pool,
    by_name: FxHashMap<(Arc<str>, Arc<str>), InstrumentId>,
    subscribed: FxHashMap<InstrumentId, Subscribed>,
    /// How users share a feed that is not of one account.
    shares: Shares,
    connections: Vec<Connection>,
    /// Instruments without a connection, in the order in which they get a place. Bounded by what is subscribed.
    parked: VecDeque<InstrumentId>,
    requests: Requests,
    /// Instruments of which the adapter has not said that the broker takes them.
    pending: usize,
    /// Number of the last request to an adapter; an outcome of an earlier one than an instrument's last is outdated.
    upstream_requests: u64,
    events: Arc<Inbox<InstanceEvent>>,
    credentials: Arc<CurrentCredentials>,
    renewal: Renewal,
    empty_since: Option<Instant>,
    restarts: u64,
    /// What makes instances, or why nothing does.
    serving: Result<Serving, Arc<str>>,
    /// What did before, while it is not certain that its successor works.
    replaced: Option<Serving>,
    /// Why what the catalogue has does not serve, while what served before does.
    failed_swap: Option<Arc<str>>,
    /// Until then a failure brings back what served before.
    trial_until: Option<Instant>,
    /// Instances made so far, each known by its number.
    epochs: u64,
    announcer: Announcer,
    logins: Logins,
    lists: Lists,
    /// When to look how often connections are heard.
    listen_at: Option<Instant>,
}

/// An instrument that somebody holds.
struct Subscribed {
    exchange: Arc<str>,
    symbol: Arc<str>,
    /// Who took it first, where users share.
    taken_by: Option<UserName>,
    /// Its connection, none while it is parked.
    connection: Option<usize>,
    demand: Demand,
    upstream: Upstream,
    /// The adapter has known it.
    was_there: bool,
    /// The broker's list does not have it, and its holders were told.
    is_lost: bool,
    /// The adapter's last word: levels granted, none before it spoke.
    granted: Option<u16>,
    /// The request whose outcome is awaited.
    asked: u64,
    waiters: Vec<(Ticket, Variant)>,
}

impl Actor {
    async fn run(mut self, may_end: impl Fn(&Feed) -> bool) {
        self.fetch_credentials().await;
        self.renewal.begin(self.credentials.json());
        self.connect(0);
        let mut commands = Vec::new();
        let mut events = Vec::new();
        loop {
            self.publish_status();
            self.announcer.announce(&self.feed, &self.context.recipients);
            let deadline = self.next_deadline();
            tokio::select! {
                () = self.feed.0.commands.filled() => {}
                () = self.events.filled() => {}
                () = async {
                    match deadline {
                        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
                        None => std::future::pending().await,
                    }
                } => {}
            }
            self.feed.0.commands.take(&mut commands);
            let mut is_stopped = false;
            let mut refresh = None;
            for command in commands.drain(..) {
                match command {
                    Command::Subscribe { wants, user, reply } => self.subscribe(wants, user.as_ref(), reply),
                    Command::Release(keys) => self.release(&keys),
                    // Once for all that want it.
                    Command::Refresh => refresh = Some(false),
                    Command::Serve(serving) => self.serve(serving),
                    Command::RenewLists => self.renew_lists(),
                    Command::LoggedIn { outcome, fields } => {
                        refresh = self.note_login(outcome, fields).then_some(true).or(refresh);
                    }
                    Command::Members => {}
                    Command::Stop => is_stopped = true,
                }
            }
            self.events.take(&mut events);
            for event in events.drain(..) {
                self.observe(event);
            }
            let now = Instant::now();
            if self.renewal.is_to_be_read(now) {
                refresh = refresh.or(Some(false));
            }
            if let Some(even_if_same) = refresh {
                self.refresh(even_if_same).await;
            }
            self.renew_when_due(now);
            self.restart_due(now);
            self.look_at_swaps(now);
            self.look_at_lists(now);
            self.look_at_silence(now);
            self.balance(now);
            self.log_in_when_due(now);
            let orphaned = self.requests.complete(now);
            self.release(&orphaned);
            if is_stopped || self.is_deserted(now) && may_end(&self.feed) {
                break;
            }
        }
        self.end().await;
    }

    fn spec(&self) -> &FeedSpec {
        &self.feed.0.spec
    }

    // ---- what the adapter says ----

    fn observe(&mut self, event: InstanceEvent) {
        let number = event.connection;
        let Some(connection) = self.connections.get_mut(number) else { return };
        match event.what {
            InstanceReport::Ended => return self.note_ended(number),
            InstanceReport::Left => return self.note_left(number),
            _ => {}
        }
        if connection.standby.as_ref().is_some_and(|standby| standby.events.epoch == event.epoch) {
            return self.observe_standby(number, event.what);
        }
        if connection.epoch != event.epoch {
            return;
        }
        match event.what {
            InstanceReport::Status(status) => {
                if connection.observe(&status, Instant::now()) == Consequence::Replace {
                    let reason = describe(&status);
                    tracing::warn!(
                        adapter = %self.feed.0.spec.adapter,
                        error = %reason,
                        "An adapter instance has ended; it will be started again"
                    );
                    self.replace(number, &reason);
                } else if status.kind == StatusKind::CONNECTED {
                    // Before it connects an adapter may have taken another list.
                    self.lists.note();
                    self.renewal.note_taken();
                }
            }
            InstanceReport::Outcomes(request, outcomes) => {
                let before = self.lost_and_returned();
                for outcome in outcomes {
                    self.conclude(request, &outcome);
                }
                self.log_lost_since(before);
            }
            InstanceReport::List => self.lists.note(),
            InstanceReport::Ended | InstanceReport::Left => {}
        }
    }

    fn observe_standby(&mut self, number: usize, what: InstanceReport) {
        match what {
            InstanceReport::Status(status) => {
                let standby =
                    self.connections.get_mut(number).and_then(|connection| connection.standby.as_mut());
                if let Some(Err(why)) = standby.map(|standby| standby.observe(&status)) {
                    self.give_up_standby(number, &why);
                    self.note_failed_swap(&why);
                }
            }
            InstanceReport::Outcomes(_, outcomes) => self.note_standby_outcomes(number, outcomes),
            // Its list is read when it serves.
            InstanceReport::List | InstanceReport::Ended | InstanceReport::Left => {}
        }
    }

    // ---- life ----

    fn is_deserted(&mut self, now: Instant) -> bool {
        if self.feed.members() > 0 {
            self.empty_since = None;
            return false;
        }
        let since = *self.empty_since.get_or_insert(now);
        now.duration_since(since) >= self.context.settings.linger
    }

    fn next_deadline(&self) -> Option<Instant> {
        let linger = self.empty_since.map(|since| since + self.context.settings.linger);
        let restart = self.connections.iter().filter_map(Connection::next_attempt).min();
        let is_refused = self.connections.iter().any(|connection| connection.link() == Link::AuthFailed);
        let login = self.logins.next().filter(|_| is_refused);
        let looks = [
            self.announcer.deadline(),
            self.next_look(Instant::now()),
            login,
            self.next_balance(),
            self.lists.next(Instant::now()),
            self.listen_at,
            self.renewal.next(),
        ];
        [linger, restart, self.requests.deadline()].into_iter().chain(looks).flatten().min()
    }

    fn publish_status(&self) {
        // One whose instruments have moved to others is missed by nobody.
        let is_any_carrying = self.connections.iter().any(|connection| connection.instruments() > 0);
        let of_matter =
            self.connections.iter().filter(|connection| !is_any_carrying || connection.instruments() > 0);
        let worst = of_matter.max_by_key(|connection| connection.link().severity());
        let state = worst.map_or(FeedState::Starting, |connection| connection.link().feed_state());
        let mut status = self.feed.0.status.lock();
        if status.state != state {
            status.since_ns = clock::unix_nanos();
            status.state = state;
        }
        status.connections.clear();
        let connections = self.connections.iter().enumerate();
        status.connections.extend(connections.map(|(number, connection)| connection.status(number)));
        status.instruments = self.subscribed.len();
        status.pending = self.pending;
        status.lost = self.lists.lost();
        status.list = self.lists.present().cloned();
        status.capacity = self.pool.limits().capacity();
        status.instances.clear();
        let present = self.connections.iter().enumerate();
        status.instances.extend(present.filter_map(|(number, connection)| {
            Some((number, Arc::downgrade(connection.instance.as_ref()?)))
        }));
        let last_error = worst.and_then(|connection| connection.last_error.as_ref());
        status.last_error = match (last_error, self.logins.message()) {
            (Some(error), Some(login)) if state == FeedState::AuthFailed => {
                Some(format!("{error}; {login}").into())
            }
            _ => last_error.or(self.failed_swap.as_ref()).cloned(),
        };
        status.retry_at = worst.and_then(|connection| connection.restart_at.or(connection.retry_at));
        status.attempts = worst.map_or(0, Connection::attempts);
        status.restarts = self.restarts;
        status.disconnects = self.connections.iter().map(|connection| connection.disconnects).sum();
    }

    async fn end(&mut self) {
        self.feed.0.intake.close();
        let standbys = self.connections.iter_mut().filter_map(|connection| connection.standby.take());
        let mut ended: Vec<_> = standbys.map(|standby| Some(standby.instance)).collect();
        ended.extend(self.connections.iter_mut().map(Connection::end));
        let endings: Vec<_> = ended.into_iter().filter_map(|instance| self.shut_down(instance)).collect();
        for ending in endings {
            if ending.await.is_err() {
                tracing::error!(adapter = %self.spec().adapter, "An adapter panicked while it shut down");
            }
        }
        self.context.router.send(router::Command::CloseFeed { feed: self.feed.id() });
        #[expect(clippy::iter_over_hash_type, reason = "numbers are given back in any order")]
        for instrument in self.subscribed.keys() {
            self.context.instruments.free(*instrument);
        }
        self.feed.0.status.lock().state = FeedState::Closed;
        // Whoever asked in the last moment is answered by the drop of the reply's sender.
        self.feed.0.commands.take(&mut Vec::new());
    }
}
