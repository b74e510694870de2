//! What a feed decides: what is desired, and how the adapter instances follow. Synchronous, and without a clock: the
//! [`task`](super::task) hands in the moment with what has happened, and carries out what is to be done outside.

mod answer_silence;
mod balance;
mod instances;
mod lists;
mod log_in;
mod renew_credentials;
pub(super) mod replace_build;
mod subscriptions;

use std::{collections::VecDeque, sync::Arc, time::Instant};

use adapter_abi::StatusKind;
use rustc_hash::FxHashMap;
use tickhost_core::{
    calendar::Calendars,
    demand::{Demand, Upstream},
    feed_state::FeedState,
    inbox::Inbox,
    instruments::Instruments,
    model::{InstrumentId, Variant},
    pool::Pool,
    router::{self, RouterHandle},
};

use self::{lists::Lists, renew_credentials::Credentials};
use super::{
    Command, Feed, FeedSettings, FeedSpec, OrderSink, Serving,
    announce::Announcer,
    connection::{Connection, Consequence, Link, describe},
    events::{InstanceEvent, InstanceReport},
    login_policy::Logins,
    request::{Requests, Ticket},
    shared_credentials::{CurrentCredentials, Fields},
    shares::Shares,
};
use crate::{
    accounts::{Account, UserName},
    adapters::{AdapterInstance, connector::Connector},
    base::clock::Moment,
    feeds::bulletin::Recipient,
};

/// What the actor reaches of the host. Nothing here waits: what is sent is queued, what is asked is in memory.
#[derive(Debug)]
pub(super) struct HostHandles {
    /// Where ticks are gated.
    pub(super) router: RouterHandle,
    /// Where the clients are.
    pub(super) recipients: Vec<Arc<dyn Recipient>>,
    /// Where numbers come from.
    pub(super) instruments: Arc<Instruments>,
    /// Where order updates go.
    pub(super) orders: Arc<dyn OrderSink>,
    /// Times.
    pub(super) settings: FeedSettings,
    /// When exchanges trade.
    pub(super) calendars: Calendars,
    /// Whether what a log-in gives can be stored.
    pub(super) keeps_logins: bool,
    /// Where instances report, to be handed to [`Actor::step`].
    pub(super) events: Arc<Inbox<InstanceEvent>>,
}

/// Something that takes time, and is done outside.
#[derive(Debug)]
pub(super) enum Effect {
    /// Read the account's credentials. The answer is [`Command::CredentialsRead`].
    ReadCredentials,
    /// Log in at the broker. The answer is [`Command::LoggedIn`].
    LogIn(LoginAttempt),
    /// Shut an instance down. When it has gone, that is reported by `then`.
    ShutDown { instance: Arc<dyn AdapterInstance>, then: Option<InstanceEvent> },
}

/// A log-in that is to be made.
#[derive(Debug)]
pub(super) struct LoginAttempt {
    pub(super) account: Account,
    pub(super) connector: Arc<dyn Connector>,
    /// What is known of the account.
    pub(super) fields: Fields,
}

/// What a step came to.
#[derive(Debug)]
pub(super) struct Step {
    /// When the next step is to be made although nothing has happened.
    pub(super) wake_at: Option<Instant>,
    /// What is to be done, in order.
    pub(super) effects: Vec<Effect>,
    pub(super) life: Life,
}

/// Whether the feed goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Life {
    /// It does.
    Serving,
    /// The last client has been gone for the linger time: it ends, unless somebody is just coming back.
    Deserted,
    /// It was told to end.
    Stopped,
}

/// The state of one feed.
pub(super) struct Actor {
    feed: Feed,
    host: HostHandles,
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
    credentials: Credentials,
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
    /// What is to be done outside after this step.
    effects: Vec<Effect>,
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
    /// A feed that serves nobody yet, and waits for [`Self::begin`].
    pub(super) fn new(feed: Feed, host: HostHandles, serving: Serving) -> Self {
        let pool = Pool::new(serving.limits);
        let credentials = CurrentCredentials::new(serving.connector.secrets());
        Self {
            feed,
            host,
            pool,
            by_name: FxHashMap::default(),
            subscribed: FxHashMap::default(),
            shares: Shares::default(),
            connections: Vec::new(),
            parked: VecDeque::new(),
            requests: Requests::default(),
            pending: 0,
            upstream_requests: 0,
            credentials: Credentials::new(Arc::new(credentials)),
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
            effects: Vec::new(),
        }
    }

    /// Begins with these credentials: none when they could not be read, and for a feed without an account.
    pub(super) fn begin(&mut self, credentials: Option<Fields>, now: Moment) -> Step {
        let has_account = self.spec().account.is_some();
        self.credentials.begin(credentials, has_account, now.at);
        self.connect(0, now);
        self.conclude_step(Life::Serving, now)
    }

    /// Takes what has happened until `now`, and what is due.
    pub(super) fn step(
        &mut self,
        now: Moment,
        commands: impl IntoIterator<Item = Command>,
        events: impl IntoIterator<Item = InstanceEvent>,
    ) -> Step {
        let mut is_stopped = false;
        let mut is_changed = false;
        for command in commands {
            match command {
                Command::Subscribe { wants, user, reply } => self.subscribe(wants, user.as_ref(), reply, now),
                Command::Release(keys) => self.release(&keys, now),
                // Once for all that want it.
                Command::Refresh => is_changed = true,
                Command::Serve(serving) => self.serve(serving, now),
                Command::RenewLists => self.renew_lists(),
                Command::CredentialsRead(read) => self.note_credentials(read, now),
                Command::LoggedIn { outcome, fields } => self.note_login(outcome, fields),
                Command::Members => {}
                Command::Stop => is_stopped = true,
            }
        }
        for event in events {
            self.observe(event, now);
        }
        if self.credentials.is_to_be_read(now.at) || is_changed {
            self.read_credentials(false);
        }
        self.renew_when_due(now);
        self.restart_due(now);
        self.look_at_swaps(now);
        self.look_at_lists(now);
        self.look_at_silence(now);
        self.balance(now);
        self.log_in_when_due(now);
        let orphaned = self.requests.complete(now.at);
        self.release(&orphaned, now);
        let is_deserted = self.is_deserted(now.at);
        let life = match (is_stopped, is_deserted) {
            (true, _) => Life::Stopped,
            (false, true) => Life::Deserted,
            (false, false) => Life::Serving,
        };
        self.conclude_step(life, now)
    }

    fn conclude_step(&mut self, life: Life, now: Moment) -> Step {
        // Whoever is still there hears of the end from elsewhere.
        if life != Life::Stopped {
            self.publish_status(now);
            self.announcer.announce(&self.feed, &self.host.recipients, now);
        }
        Step { wake_at: self.next_deadline(now.at), effects: std::mem::take(&mut self.effects), life }
    }

    fn spec(&self) -> &FeedSpec {
        &self.feed.0.spec
    }

    // ---- what the adapter says ----

    fn observe(&mut self, event: InstanceEvent, now: Moment) {
        let number = event.connection;
        let Some(connection) = self.connections.get_mut(number) else { return };
        match event.what {
            InstanceReport::Ended => return self.note_ended(number, now),
            InstanceReport::Left => return self.note_left(number, now),
            _ => {}
        }
        if connection.standby().is_some_and(|standby| standby.events.epoch == event.epoch) {
            return self.observe_standby(number, event.what);
        }
        if connection.epoch() != Some(event.epoch) {
            return;
        }
        match event.what {
            InstanceReport::Status(status) => {
                if connection.observe(&status, now) == Consequence::Replace {
                    let reason = describe(&status);
                    tracing::warn!(
                        adapter = %self.feed.0.spec.adapter,
                        error = %reason,
                        "An adapter instance has ended; it will be started again"
                    );
                    self.replace(number, &reason, now);
                } else if status.kind == StatusKind::CONNECTED {
                    // Before it connects an adapter may have taken another list.
                    self.lists.note();
                    self.credentials.note_taken();
                }
            }
            InstanceReport::Outcomes(request, outcomes) => {
                let before = self.lost_and_returned();
                for outcome in outcomes {
                    self.conclude((number, request), &outcome, now);
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
                let standby = self
                    .connections
                    .get_mut(number)
                    .and_then(|connection| connection.succession.standby.as_mut());
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
        now.duration_since(since) >= self.host.settings.linger
    }

    fn next_deadline(&self, now: Instant) -> Option<Instant> {
        let linger = self.empty_since.map(|since| since + self.host.settings.linger);
        let restart = self.connections.iter().filter_map(Connection::next_attempt).min();
        let is_refused = self.connections.iter().any(|connection| connection.link() == Link::AuthFailed);
        let login = self.logins.next().filter(|_| is_refused && !self.credentials.are_outdated());
        let looks = [
            self.announcer.deadline(),
            self.next_look(now),
            login,
            self.next_balance(),
            self.lists.next(now),
            self.listen_at,
            self.credentials.due(),
        ];
        [linger, restart, self.requests.deadline()].into_iter().chain(looks).flatten().min()
    }

    fn publish_status(&self, now: Moment) {
        // One whose instruments have moved to others is missed by nobody.
        let is_any_carrying = self.connections.iter().any(|connection| connection.instruments() > 0);
        let of_matter =
            self.connections.iter().filter(|connection| !is_any_carrying || connection.instruments() > 0);
        let worst = of_matter.max_by_key(|connection| connection.link().severity());
        let state = worst.map_or(FeedState::Starting, |connection| connection.link().feed_state());
        let mut status = self.feed.0.status.lock();
        if status.state != state {
            status.since_ns = now.unix_ns;
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
            Some((number, Arc::downgrade(&connection.running()?.instance)))
        }));
        let last_error = worst.and_then(Connection::last_error);
        status.last_error = match (last_error, self.logins.message()) {
            (Some(error), Some(login)) if state == FeedState::AuthFailed => {
                Some(format!("{error}; {login}").into())
            }
            _ => last_error.or(self.failed_swap.as_ref()).cloned(),
        };
        status.retry_at = worst.and_then(Connection::retry_at);
        status.attempts = worst.map_or(0, Connection::attempts);
        status.restarts = self.restarts;
        status.disconnects = self.connections.iter().map(Connection::disconnects).sum();
    }

    /// Ends the instances; [`Self::end`] when they have gone.
    pub(super) fn close(&mut self) -> Vec<Effect> {
        self.feed.0.intake.close();
        let standbys =
            self.connections.iter_mut().filter_map(|connection| connection.succession.standby.take());
        let mut ended: Vec<_> = standbys.map(|standby| Some(standby.instance)).collect();
        ended.extend(self.connections.iter_mut().map(Connection::end));
        for instance in ended {
            self.shut_down(instance, None);
        }
        std::mem::take(&mut self.effects)
    }

    /// Gives back what is left.
    pub(super) fn end(self) {
        self.host.router.send(router::Command::CloseFeed { feed: self.feed.id() });
        #[expect(clippy::iter_over_hash_type, reason = "numbers are given back in any order")]
        for instrument in self.subscribed.keys() {
            self.host.instruments.free(*instrument);
        }
        self.feed.0.status.lock().state = FeedState::Closed;
    }
}

#[cfg(test)]
mod tests;
