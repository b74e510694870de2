//! Follows to another build of an adapter, or to other settings, while clients stay: make before break, or
//! break before make where the broker has no room for another session.

use std::{sync::Arc, time::Instant};

use adapter_abi::{Subscription, SubscriptionOutcome};
use tickhost_core::{
    calendar::Hours,
    handover::{Handover, Passed},
    model::InstrumentId,
    router,
};

use super::Actor;
use crate::{
    adapters::AdapterFailure,
    base::{
        clock::Moment,
        span::{self, operation},
    },
    feeds::feed::{
        Serving,
        connection::{Connection, Link, Running, Settling},
        events::{Events, InstanceEvent, InstanceReport},
        standby::{LOOK_EVERY, SETTLED_WITHIN, Standby, Verdict},
    },
};

impl Actor {
    /// What serves the feed from now on, and within which limits.
    pub(super) fn serve(&mut self, serving: Result<Serving, Arc<str>>, now: Moment) {
        self.follow_serving(serving, now);
        self.fit_to_limits(now);
    }

    fn follow_serving(&mut self, serving: Result<Serving, Arc<str>>, now: Moment) {
        match serving {
            Ok(serving) => {
                self.follow_limits(&serving);
                self.follow_build(serving, now);
            }
            Err(why) => {
                for number in 0..self.connections.len() {
                    self.give_up_standby(number, "nothing serves the broker any more");
                    self.end_instance(number);
                    if let Some(connection) = self.connections.get_mut(number) {
                        connection.close(&why, now);
                    }
                }
                self.builds.close(why);
            }
        }
    }

    fn follow_build(&mut self, serving: Serving, now: Moment) {
        let running = self.connections.iter().filter(|connection| connection.running().is_some()).count();
        let (has_instances, has_room) = (running > 0, running < serving.sessions);
        let connector = Arc::clone(&serving.connector);
        if !self.builds.follow(serving, has_instances) {
            return;
        }
        tracing::info!(adapter = %self.spec().adapter, feed = self.feed.id().0, "Following to another build");
        self.credentials.current().set_secrets_of_settings(connector.secrets());
        for number in 0..self.connections.len() {
            self.give_up_standby(number, "another build has come");
        }
        if has_instances && has_room {
            self.connections.iter_mut().for_each(|connection| connection.succession.is_due = true);
            self.stand_by_where_due(now);
        } else {
            for number in 0..self.connections.len() {
                self.break_and_make(number, now);
            }
        }
    }

    fn follow_limits(&mut self, serving: &Serving) {
        self.placement.set_limits(serving.limits);
        {
            let mut status = self.feed.0.status.lock();
            (status.throttle, status.hours) = (serving.throttle, serving.hours);
        }
        self.host.router.send(router::Command::Retune {
            feed: self.feed.id(),
            interval: serving.throttle,
            has_hours: serving.hours == Hours::Exchange,
        });
    }

    /// Ends an instance and starts the next one, where the broker has no room for both when the old one has
    /// gone.
    fn break_and_make(&mut self, number: usize, now: Moment) {
        self.end_instance(number);
        let Some(connection) = self.connections.get_mut(number) else { return };
        connection.forgive();
        if connection.succession.is_awaiting_end() {
            connection.set_link(Link::Connecting, now);
            self.builds.begin_trial(now.at);
        }
        self.connect(number, now);
    }

    /// Starts new instances beside those that serve, as many as the broker has room for.
    pub(super) fn stand_by_where_due(&mut self, now: Moment) {
        for number in 0..self.connections.len() {
            if self.spare_sessions() == 0 {
                return;
            }
            if let Some(connection) = self.connections.get_mut(number)
                && std::mem::take(&mut connection.succession.is_due)
            {
                self.stand_by(number, now);
            }
        }
    }

    /// Starts a new instance beside the one that serves.
    fn stand_by(&mut self, number: usize, now: Moment) {
        let is_serving =
            self.connections.get(number).is_some_and(|connection| connection.running().is_some());
        if !is_serving {
            if let Some(connection) = self.connections.get_mut(number) {
                connection.forgive();
            }
            return self.connect(number, now);
        }
        let (label, events) = self.events_for(number);
        let handover = Handover::new(self.feed.id());
        events.follow(&handover);
        // From before the new one can say anything, or what the old one published meanwhile would come again.
        self.note_for(number, &handover);
        let carried = self.subscriptions.asked_of(number);
        match self.create_standby(number, &label, events, &handover, &carried, now) {
            Ok(standby) => {
                if let Some(connection) = self.connections.get_mut(number) {
                    connection.list.ask(&*standby.instance);
                    connection.succession.standby = Some(standby);
                }
            }
            Err(failure) => {
                // The old one plays no part in this handover any more.
                if let Some(serving) = self.connections.get(number).and_then(Connection::running) {
                    serving.events.leave(&handover);
                }
                self.note_failed_swap(&failure.to_string());
            }
        }
    }

    /// Notes what the instance that serves publishes from now on.
    fn note_for(&mut self, number: usize, handover: &Arc<Handover>) {
        let Some(connection) = self.connections.get_mut(number) else { return };
        // The search after the last swap ends here: it would end the notes too.
        connection.settle(&self.feed.0.intake);
        if let Some(serving) = connection.running() {
            serving.events.note_for(handover);
        }
    }

    fn create_standby(
        &mut self,
        number: usize,
        label: &str,
        events: Arc<Events>,
        handover: &Arc<Handover>,
        carried: &[InstrumentId],
        now: Moment,
    ) -> Result<Standby, AdapterFailure> {
        let spec = self.spec();
        let span = operation!(
            "adapter.swap",
            "internal",
            tickhost.adapter = %spec.adapter,
            tickhost.broker = %spec.broker,
            tickhost.feed = self.feed.id().0,
            tickhost.instruments = carried.len()
        );
        let created = self.create(number, label, &events);
        let instance = created.inspect_err(|_| span::end(&span, Err("failed")))?;
        let numbers = carried.iter().map(|instrument| instrument.0);
        let standby = Standby::new(instance, events, Arc::clone(handover), numbers, now.at, span);
        let subscriptions: Vec<Subscription> =
            carried.iter().filter_map(|instrument| self.subscription(*instrument)).collect();
        let request = self.instances.next_request();
        if !subscriptions.is_empty()
            && let Err(failure) = standby.instance.subscribe(request, &subscriptions)
        {
            span::end(&standby.span, Err("failed"));
            self.shut_down(Some(standby.instance), None);
            return Err(failure);
        }
        Ok(standby)
    }

    /// Looks at what stands by, and at what took over.
    pub(super) fn look_at_swaps(&mut self, now: Moment) {
        if self.builds.pass_trial(now.at) {
            self.forget_replaced();
        }
        for number in 0..self.connections.len() {
            let Some(connection) = self.connections.get_mut(number) else { continue };
            if connection.succession.settling.as_ref().is_some_and(|settling| settling.until <= now.at) {
                connection.settle(&self.feed.0.intake);
            }
            let is_connected = connection.link() == Link::Up;
            match connection.succession.standby.as_mut().map(|standby| standby.judge(is_connected, now.at)) {
                Some(Verdict::Flip) => {
                    self.flip(number, now);
                }
                Some(Verdict::GiveUp(why)) => {
                    self.give_up_standby(number, &why);
                    self.note_failed_swap(&why);
                }
                Some(Verdict::Wait) | None => {}
            }
        }
    }

    /// When [`Self::look_at_swaps`] has something to do next.
    pub(super) fn next_look_at_swaps(&self, now: Instant) -> Option<Instant> {
        let stands_by = self.connections.iter().any(|connection| connection.standby().is_some());
        let settled = self
            .connections
            .iter()
            .filter_map(|connection| Some(connection.succession.settling.as_ref()?.until));
        settled.chain(stands_by.then_some(now + LOOK_EVERY)).chain(self.builds.due()).min()
    }

    /// Lets the standby of a connection take over, ready or not; false when there is none.
    pub(super) fn flip(&mut self, number: usize, now: Moment) -> bool {
        let Some(connection) = self.connections.get_mut(number) else { return false };
        let Some(standby) = connection.succession.standby.take() else { return false };
        connection.settle(&self.feed.0.intake);
        let Standby { instance, events, handover, link, outcomes, span, .. } = standby;
        // From here on the old one's ticks are dropped and the new one's pass: in this order, under the
        // handover's lock.
        let passed = handover.flip(&self.feed.0.intake);
        let old = connection.end();
        if passed == Passed::Finished {
            events.leave(&handover);
        } else {
            connection.succession.settling =
                Some(Settling { until: now.at + SETTLED_WITHIN, handover: Arc::clone(&handover) });
        }
        connection.succeed(Running { instance, events }, link, now);
        span::end(&span, Ok(()));
        let (repeated, merged) = handover.repeated_and_merged();
        let counters = self.feed.counters();
        counters.swaps.add(1);
        counters.swaps_repeated.add(repeated);
        counters.received.add(merged);
        counters.conflated_link.add(merged);
        tracing::info!(
            adapter = %self.spec().adapter,
            feed = self.feed.id().0,
            connection = number,
            repeated,
            merged,
            "A new instance has taken over"
        );
        let then = InstanceEvent { connection: number, epoch: 0, what: InstanceReport::Left };
        if self.shut_down(old, Some(then))
            && let Some(connection) = self.connections.get_mut(number)
        {
            connection.succession.note_leaving();
        }
        self.forget_replaced();
        // What it knows of its list it has said while it stood by.
        self.lists.note();
        let before = self.lost_and_returned();
        for outcome in &outcomes {
            self.conclude((number, 0), outcome, now);
        }
        self.log_lost_since(before);
        true
    }

    /// Lets go of the old build when it is not needed any more.
    fn forget_replaced(&mut self) {
        let is_under_way = |connection: &Connection| connection.succession.is_under_way();
        self.builds.forget_replaced(self.connections.iter().any(is_under_way));
    }

    /// Ends the standby of a connection, if there is one; the old instance goes on.
    pub(super) fn give_up_standby(&mut self, number: usize, why: &str) {
        let Some(connection) = self.connections.get_mut(number) else { return };
        let Some(standby) = connection.succession.standby.take() else { return };
        if let Some(serving) = connection.running() {
            serving.events.leave(&standby.handover);
        }
        standby.events.retire();
        span::end(&standby.span, Err("given_up"));
        tracing::warn!(
            adapter = %self.feed.0.spec.adapter,
            connection = number,
            reason = why,
            "A new instance does not take over; the old one stays"
        );
        self.shut_down(Some(standby.instance), None);
    }

    /// The old build serves again, since the new one does not.
    pub(super) fn note_failed_swap(&mut self, why: &str) {
        self.feed.counters().swaps_failed.add(1);
        self.connections.iter_mut().for_each(|connection| connection.succession.is_due = false);
        let do_others_stand_by = self.connections.iter().any(|connection| connection.standby().is_some());
        self.builds.note_failure(why, do_others_stand_by);
    }

    /// Takes what a standby said of instruments; they are heeded when it takes over.
    pub(super) fn note_standby_outcomes(&mut self, number: usize, outcomes: Vec<SubscriptionOutcome>) {
        if let Some(standby) =
            self.connections.get_mut(number).and_then(|connection| connection.succession.standby.as_mut())
        {
            standby.note_outcomes(outcomes);
        }
    }
}
