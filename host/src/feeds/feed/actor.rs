//! What a feed decides: what is desired, and how the adapter instances follow. Synchronous, and without a
//! clock: the [`task`](super::task) hands in the moment with what has happened, and carries out what is to be
//! done outside.

mod answer_silence;
mod balance;
mod builds;
mod instances;
mod linger;
mod lists;
mod log_in;
mod outcomes;
mod placement;
mod renew_credentials;
mod replace_build;
mod status;
mod subscribe;
mod subscriptions;

use std::{sync::Arc, time::Instant};

use adapter_abi::StatusKind;
use tickhost_core::{
    calendar::Calendars,
    feed_state::FeedState,
    inbox::Inbox,
    instruments::Instruments,
    router::{self, RouterHandle},
};

use self::{
    answer_silence::Listening, builds::Builds, instances::Instances, linger::Linger, lists::Lists,
    placement::Placement, renew_credentials::Credentials, subscriptions::Subscriptions,
};
use super::{
    Command, Feed, FeedSettings, FeedSpec, OrderSink, Serving,
    announce::Announcer,
    connection::{Connection, Consequence, describe},
    events::{InstanceEvent, InstanceReport},
    login_policy::Logins,
    shared_credentials::{CurrentCredentials, Fields},
};
use crate::{
    accounts::Account,
    adapters::{AdapterInstance, connector::Connector},
    base::clock::Moment,
    feeds::bulletin::Recipient,
};

/// What the actor reaches of the host. Nothing here waits: what is sent is queued, what is asked is in
/// memory.
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

/// The state of one feed. Each part has an owner with a file and a deadline of its own; what concerns several
/// of them is decided here.
pub(super) struct Actor {
    feed: Feed,
    host: HostHandles,
    /// What clients want.
    subscriptions: Subscriptions,
    /// Which connection carries it.
    placement: Placement,
    connections: Vec<Connection>,
    instances: Instances,
    /// What makes instances.
    builds: Builds,
    credentials: Credentials,
    logins: Logins,
    lists: Lists,
    listening: Listening,
    linger: Linger,
    announcer: Announcer,
    /// What is to be done outside after this step.
    effects: Vec<Effect>,
}

impl Actor {
    /// A feed that serves nobody yet, and waits for [`Self::begin`].
    pub(super) fn new(feed: Feed, host: HostHandles, serving: Serving) -> Self {
        let FeedSettings { rebalance_after, linger, .. } = host.settings;
        let credentials = CurrentCredentials::new(serving.connector.secrets());
        Self {
            feed,
            host,
            subscriptions: Subscriptions::default(),
            placement: Placement::new(serving.limits, rebalance_after),
            connections: Vec::new(),
            instances: Instances::default(),
            builds: Builds::new(serving),
            credentials: Credentials::new(Arc::new(credentials)),
            logins: Logins::default(),
            lists: Lists::default(),
            listening: Listening::default(),
            linger: Linger::new(linger),
            announcer: Announcer::default(),
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
            self.read_credentials();
        }
        self.renew_when_due(now);
        self.restart_due(now);
        self.look_at_swaps(now);
        self.look_at_lists(now);
        self.look_at_silence(now);
        self.balance(now);
        self.log_in_when_due(now);
        let orphaned = self.subscriptions.requests.complete(now.at);
        self.release(&orphaned, now);
        let is_deserted = self.linger.is_over(self.feed.members(), now.at);
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
        Step { wake_at: self.due(now.at), effects: std::mem::take(&mut self.effects), life }
    }

    fn spec(&self) -> &FeedSpec {
        &self.feed.0.spec
    }

    // ---- what the adapter says ----

    fn observe(&mut self, event: InstanceEvent, now: Moment) {
        let number = event.connection;
        // They may be about a connection that is not there any more.
        match event.what {
            InstanceReport::Ended => return self.note_ended(number, now),
            InstanceReport::Left => return self.note_left(number, now),
            _ => {}
        }
        let Some(connection) = self.connections.get_mut(number) else { return };
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

    /// When there is something to do although nothing happens.
    fn due(&self, now: Instant) -> Option<Instant> {
        let owners = [
            self.subscriptions.requests.deadline(),
            self.placement.due(&self.connections),
            self.connections.iter().filter_map(Connection::next_attempt).min(),
            self.next_look_at_swaps(now),
            self.credentials.due(),
            self.next_login(),
            self.lists.due(now),
            self.listening.due(),
            self.linger.due(),
            self.announcer.due(),
        ];
        owners.into_iter().flatten().min()
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
        for instrument in self.subscriptions.numbers() {
            self.host.instruments.free(instrument);
        }
        self.feed.0.status.lock().state = FeedState::Closed;
    }
}

#[cfg(test)]
pub(super) mod tests;
