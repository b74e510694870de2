//! The adapter instances of a feed: how they begin, are replaced, and end.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::{Actor, Effect};
use crate::{
    adapters::{AdapterFailure, AdapterInstance},
    base::clock::Moment,
    feeds::feed::{
        connection::{Attempt, Connection, Running, Succession},
        events::{Events, InstanceEvent, InstanceReport},
    },
};

/// How many instances and requests a feed has had.
#[derive(Debug, Default)]
pub(super) struct Instances {
    /// Instances made so far, each known by its number.
    epochs: u64,
    /// Number of the last request to an adapter; an outcome of an earlier one than an instrument's last is
    /// outdated.
    requests: u64,
    restarts: u64,
    /// What still ends on connections that the account may not have any more, by their numbers.
    removed: FxHashMap<usize, Succession>,
}

impl Instances {
    /// Number of the next instance, from 1.
    const fn next_epoch(&mut self) -> u64 {
        self.epochs += 1;
        self.epochs
    }

    /// Number of the next request, from 1.
    pub(super) const fn next_request(&mut self) -> u64 {
        self.requests += 1;
        self.requests
    }

    /// An instance is started again after a failure.
    pub(super) const fn note_restart(&mut self) {
        self.restarts += 1;
    }

    /// Instances started again after a failure.
    pub(super) const fn restarts(&self) -> u64 {
        self.restarts
    }

    /// Sessions that end on connections which are not there any more.
    fn sessions_of_removed(&self) -> usize {
        self.removed.values().map(Succession::sessions).sum()
    }

    /// One of them has gone.
    fn note_gone(&mut self, number: usize, note: impl FnOnce(&mut Succession)) {
        if let Some(succession) = self.removed.get_mut(&number) {
            note(succession);
            if succession.sessions() == 0 {
                self.removed.remove(&number);
            }
        }
    }
}

impl Actor {
    pub(super) fn instance(&self, connection: usize) -> Option<Arc<dyn AdapterInstance>> {
        Some(Arc::clone(&self.connections.get(connection)?.running()?.instance))
    }

    /// Starts an instance for a connection, and gives it everything that belongs there; later, when another
    /// one has to be gone before.
    pub(super) fn connect(&mut self, number: usize, now: Moment) {
        while self.connections.len() <= number {
            let ending = self.instances.removed.remove(&self.connections.len()).unwrap_or_default();
            self.connections.push(Connection::after(ending));
        }
        if self.connections.get(number).is_some_and(|connection| connection.succession.is_awaiting_end()) {
            return;
        }
        let (label, events) = self.events_for(number);
        let attempt = Attempt::new(self.spec(), self.feed.id(), number);
        let created = self.create(number, &label, &events);
        let Some(connection) = self.connections.get_mut(number) else { return };
        connection.start(attempt);
        match created {
            Ok(instance) => {
                connection.list.ask(&*instance);
                connection.begin(Running { instance, events }, now);
            }
            Err(failure) => {
                tracing::error!(instance = label, error = %failure, "Could not start the adapter");
                connection.fail(&failure.to_string(), now);
                return;
            }
        }
        let carried = self.subscriptions.asked_of(number);
        self.ask(&carried, now);
    }

    /// The callbacks of a new instance, and what logs call it.
    pub(super) fn events_for(&mut self, number: usize) -> (String, Arc<Events>) {
        let epoch = self.instances.next_epoch();
        let spec = self.spec();
        let label = format!("{}/{}.{number}", spec.adapter, self.feed.id().0);
        let events = Events::new(
            number,
            epoch,
            Arc::clone(&self.feed.0.intake),
            Arc::clone(&self.host.events),
            Arc::clone(self.credentials.current()),
            Arc::clone(&self.host.orders),
            spec.account.as_ref().map(|account| account.user.clone()),
            Arc::clone(&spec.broker),
            &label,
        );
        (label, events)
    }

    /// Makes an instance for the connection of this number, and tells it to connect.
    pub(super) fn create(
        &mut self,
        number: usize,
        label: &str,
        events: &Arc<Events>,
    ) -> Result<Arc<dyn AdapterInstance>, AdapterFailure> {
        let serving = self.builds.present().map_err(|why| AdapterFailure {
            code: adapter_abi::ErrorCode::CONFIG,
            message: why.to_string(),
        })?;
        let handed: Arc<Events> = Arc::clone(events);
        let assignment = self.spec().assignment().with_connection(number);
        let instance = serving.connector.create(&assignment, label, handed, &self.feed.0.intake)?;
        instance.connect(self.instances.next_request())?;
        Ok(instance.into())
    }

    pub(super) fn replace(&mut self, number: usize, reason: &str, now: Moment) {
        if self.flip(number, now) {
            return;
        }
        let Some(connection) = self.connections.get_mut(number) else { return };
        connection.fail(reason, now);
        self.end_instance(number);
        if self.builds.has_failed_trial(now.at) {
            tracing::error!(adapter = %self.spec().adapter, reason, "The new build failed; going back to the old one");
            self.note_failed_swap(reason);
        }
    }

    pub(super) fn restart_due(&mut self, now: Moment) {
        for number in 0..self.connections.len() {
            let Some(connection) = self.connections.get_mut(number) else { continue };
            if connection.take_attempt(now.at) {
                self.instances.note_restart();
                self.connect(number, now);
            }
        }
    }

    /// Sessions that the broker would take beside those that there are, be they serving, standing by or
    /// ending.
    pub(super) fn spare_sessions(&self) -> usize {
        let sessions = |connection: &Connection| {
            usize::from(connection.running().is_some()) + connection.succession.sessions()
        };
        let taken =
            self.connections.iter().map(sessions).sum::<usize>() + self.instances.sessions_of_removed();
        self.builds.present().map_or(0, |serving| serving.sessions.saturating_sub(taken))
    }

    /// Ends the instance of a connection, in its own time. The next one waits for that only where the broker
    /// takes no other session beside it.
    pub(super) fn end_instance(&mut self, number: usize) {
        let is_awaited = self.spare_sessions() == 0;
        let Some(connection) = self.connections.get_mut(number) else { return };
        let ended = connection.end();
        let then = is_awaited.then_some(InstanceReport::Ended);
        if self.shut_down(ended, then.map(|what| InstanceEvent { connection: number, epoch: 0, what }))
            && is_awaited
            && let Some(connection) = self.connections.get_mut(number)
        {
            connection.succession.note_ending();
        }
    }

    /// The account may not have its last connection any more. Its session counts until it has gone, and one
    /// that comes in its place waits for that where the broker takes no other.
    pub(super) fn remove_last_connection(&mut self) {
        let Some(number) = self.connections.len().checked_sub(1) else { return };
        self.give_up_standby(number, "the account may have fewer connections");
        let is_awaited = self.spare_sessions() == 0;
        let Some(mut connection) = self.connections.pop() else { return };
        let what = if is_awaited { InstanceReport::Ended } else { InstanceReport::Left };
        let then = InstanceEvent { connection: number, epoch: 0, what };
        if self.shut_down(connection.end(), Some(then)) {
            if is_awaited {
                connection.succession.note_ending();
            } else {
                connection.succession.note_leaving();
            }
        }
        let ending = connection.succession.what_ends();
        if ending.sessions() > 0 {
            self.instances.removed.insert(number, ending);
        }
    }

    /// An instance that had to be gone before the next one begins is gone.
    pub(super) fn note_ended(&mut self, number: usize, now: Moment) {
        if let Some(connection) = self.connections.get_mut(number) {
            connection.succession.note_ended();
            // With a moment for the next attempt it is made then.
            if connection.is_vacant() && self.builds.present().is_ok() {
                self.connect(number, now);
            }
        } else {
            self.instances.note_gone(number, Succession::note_ended);
        }
        self.stand_by_where_due(now);
    }

    /// An instance whose place was taken, or is not there any more, has gone: there is room for the next one
    /// to stand by.
    pub(super) fn note_left(&mut self, number: usize, now: Moment) {
        if let Some(connection) = self.connections.get_mut(number) {
            connection.succession.note_left();
        } else {
            self.instances.note_gone(number, Succession::note_left);
        }
        self.stand_by_where_due(now);
    }

    /// Has an instance shut down in the background, and `then` reported when it has gone; false when there is
    /// none.
    pub(super) fn shut_down(
        &mut self,
        instance: Option<Arc<dyn AdapterInstance>>,
        then: Option<InstanceEvent>,
    ) -> bool {
        let Some(instance) = instance else { return false };
        self.effects.push(Effect::ShutDown { instance, then });
        true
    }
}
