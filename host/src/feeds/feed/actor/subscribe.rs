//! From what clients want to what the adapter is asked for.

use std::sync::Arc;

use adapter_abi::Subscription;
use rustc_hash::FxHashMap;
use tickhost_core::{
    model::{InstrumentId, Key, Mode, Variant},
    pool::MaxCapacityReached,
    protocol::codes::ErrorCode,
    router,
};
use tokio::sync::oneshot;

use super::{
    Actor,
    subscriptions::{Held, Name},
};
use crate::{
    accounts::UserName,
    base::clock::Moment,
    feeds::feed::{Grant, Refusal, Want, request::Ticket, standby::Standby},
};

impl Actor {
    pub(super) fn subscribe(
        &mut self,
        wants: Vec<Want>,
        user: Option<&UserName>,
        reply: oneshot::Sender<Vec<Result<Grant, Refusal>>>,
        now: Moment,
    ) {
        let deadline = now.at + self.host.settings.subscribe_timeout;
        let request = self.subscriptions.requests.open(wants.len(), reply, deadline);
        let mut activations = Vec::new();
        let mut asked = Vec::new();
        for (place, want) in wants.into_iter().enumerate() {
            let ticket = Ticket { request, place };
            match self.hold(want, user, ticket, (&mut activations, now)) {
                Ok(Some(instrument)) => asked.push(instrument),
                Ok(None) => {}
                Err(refusal) => _ = self.subscriptions.requests.answer(ticket, Err(refusal)),
            }
        }
        // The router has to know an instrument before the adapter does.
        self.host.router.send_all(activations);
        self.ask(&asked, now);
    }

    /// Notes that a client wants an instrument; returns it when the adapter has to be asked.
    fn hold(
        &mut self,
        want: Want,
        user: Option<&UserName>,
        ticket: Ticket,
        (activations, now): (&mut Vec<router::Command>, Moment),
    ) -> Result<Option<InstrumentId>, Refusal> {
        if let Err(why) = self.builds.present() {
            return Err(Refusal::new(ErrorCode::BrokerError, why.to_string()));
        }
        let Want { exchange, symbol, variant } = want;
        let name = (exchange, symbol);
        let instrument = match self.subscriptions.number_of(&name) {
            Some(instrument) => instrument,
            None => self.admit((name, levels_of(variant)), user, (activations, now))?,
        };
        self.find_place_for_lost(instrument, now)?;
        self.subscriptions.requests.note_key(ticket, Key { instrument, variant });
        let Some(held) = self.subscriptions.get_mut(instrument) else { return Ok(None) };
        held.demand.add(variant);
        let wanted = held.demand.upstream().unwrap_or(held.upstream);
        if wanted != held.upstream || held.asked == 0 || held.is_lost {
            if wanted.mode > held.upstream.mode && held.asked != 0 {
                activations.push(router::Command::Raise { instrument, from: held.upstream.mode });
            }
            held.upstream = wanted;
            held.waiters.push((ticket, variant));
            return Ok(Some(instrument));
        }
        match held.granted() {
            Some(levels) => {
                let granted = grant(instrument, variant, levels);
                self.subscriptions.requests.answer(ticket, Ok(granted));
            }
            None => held.waiters.push((ticket, variant)),
        }
        Ok(None)
    }

    /// Somebody wants an instrument that the broker's list had lost: the adapter is asked again, for which it
    /// needs a place.
    fn find_place_for_lost(&mut self, instrument: InstrumentId, now: Moment) -> Result<(), Refusal> {
        let lost = self.subscriptions.get(instrument);
        let lost = lost.filter(|held| held.is_lost && held.connection.is_none());
        if let Some(levels) = lost.map(|held| held.upstream.levels) {
            let place = self.placement.place((instrument, levels), &self.connections, now.at);
            let connection = place.map_err(|full| no_place(&full))?;
            self.put_on(instrument, connection, now);
        }
        Ok(())
    }

    fn admit(
        &mut self,
        (name, levels): (Name, u16),
        user: Option<&UserName>,
        (activations, now): (&mut Vec<router::Command>, Moment),
    ) -> Result<InstrumentId, Refusal> {
        let taken_by = user.filter(|_| self.spec().account.is_none());
        self.require_share(taken_by)?;
        let instrument = self
            .host
            .instruments
            .allocate()
            .map_err(|full| Refusal::new(ErrorCode::MaxCapacityReached, full.to_string()))?;
        let place = self.placement.place((instrument, levels), &self.connections, now.at);
        let connection = place.map_err(|full| {
            self.host.instruments.free(instrument);
            no_place(&full)
        })?;
        activations.push(router::Command::Activate {
            feed: self.feed.id(),
            instrument,
            names: router::Names {
                exchange: Arc::clone(&name.0),
                symbol: Arc::clone(&name.1),
                broker: Arc::clone(&self.spec().broker),
            },
        });
        self.subscriptions.admit(instrument, name, taken_by.cloned());
        self.put_on(instrument, connection, now);
        Ok(instrument)
    }

    /// Refuses a symbol to a user who has taken as many of a shared feed as are left for all others.
    fn require_share(&self, user: Option<&UserName>) -> Result<(), Refusal> {
        let capacity = self.placement.limits().capacity();
        let free = capacity.saturating_sub(self.subscriptions.len());
        // When there is none at all, the pool says so.
        if free == 0 || user.is_none_or(|user| self.subscriptions.may_take(user, free)) {
            return Ok(());
        }
        self.feed.0.counters.refused_share.add(1);
        let message = format!(
            "You hold as many symbols of {} as are left for everybody else ({free} of {capacity}); unsubscribe from some, or \
             ask the operator for more (TICKHOST_BUS_SYMBOLS)",
            self.spec().broker
        );
        Err(Refusal::new(ErrorCode::MaxCapacityReached, message))
    }

    pub(super) fn release(&mut self, keys: &[Key], now: Moment) {
        for key in keys {
            if let Some(held) = self.subscriptions.get_mut(key.instrument) {
                held.demand.remove(key.variant);
            }
        }
        self.follow_demand(keys.iter().map(|key| key.instrument), now);
    }

    /// Asks the adapter for what is still wanted of these instruments.
    pub(super) fn follow_demand(&mut self, instruments: impl IntoIterator<Item = InstrumentId>, now: Moment) {
        let mut gone: FxHashMap<usize, Vec<u32>> = FxHashMap::default();
        let mut lowered = Vec::new();
        for instrument in instruments {
            let Some(held) = self.subscriptions.get_mut(instrument) else { continue };
            match held.demand.upstream() {
                None => {
                    if let Some(connection) = held.connection {
                        gone.entry(connection).or_default().push(instrument.0);
                    }
                    self.forget(instrument);
                }
                Some(wanted) if wanted != held.upstream => {
                    held.upstream = wanted;
                    lowered.push(instrument);
                }
                Some(_) => {}
            }
        }
        #[expect(clippy::iter_over_hash_type, reason = "connections are independent of each other")]
        for (connection, instruments) in gone {
            self.unsubscribe_upstream(connection, &instruments);
        }
        lowered.retain(|instrument| self.subscriptions.get(*instrument).is_some());
        self.ask(&lowered, now);
    }

    /// Tells the adapter that a connection need not carry these instruments any more.
    pub(super) fn unsubscribe_upstream(&mut self, connection: usize, instruments: &[u32]) {
        if instruments.is_empty() {
            return;
        }
        let request = self.instances.next_request();
        if let Some(standby) = self.standby(connection) {
            standby.note_outcomes_unneeded(instruments);
            // It fails only when the instance does, which is seen soon.
            _ = standby.instance.unsubscribe(request, instruments);
        }
        if let Some(instance) = self.instance(connection)
            && let Err(failure) = instance.unsubscribe(request, instruments)
        {
            tracing::warn!(adapter = %self.spec().adapter, error = %failure, "Could not unsubscribe");
        }
    }

    /// Nobody wants an instrument any more, or there is none: its number and its place are free.
    pub(super) fn forget(&mut self, instrument: InstrumentId) {
        let Some(held) = self.subscriptions.forget(instrument) else { return };
        if held.is_lost {
            self.lists.found();
        }
        self.leave_place(instrument, &held);
        self.host.router.send(router::Command::Deactivate { instrument });
        self.host.instruments.free(instrument);
    }

    /// Gives back the place of an instrument that was on a connection.
    pub(super) fn leave_place(&mut self, instrument: InstrumentId, held: &Held) {
        let Some(number) = held.connection else { return };
        self.placement.release(number, instrument);
        if let Some(connection) = self.connections.get_mut(number) {
            connection.drop_one(&held.exchange);
        }
    }

    /// Tells the adapter what is wanted of these instruments now.
    pub(super) fn ask(&mut self, instruments: &[InstrumentId], now: Moment) {
        if instruments.is_empty() {
            return;
        }
        let request = self.instances.next_request();
        let mut by_connection: Vec<Vec<Subscription>> = Vec::new();
        by_connection.resize_with(self.connections.len(), Vec::new);
        for instrument in instruments {
            self.subscriptions.withdraw_grant(*instrument);
            let Some(held) = self.subscriptions.get_mut(*instrument) else { continue };
            held.asked = request;
            // What is parked is asked for when it has a place.
            if let Some(connection) = held.connection
                && let Some(subscriptions) = by_connection.get_mut(connection)
            {
                let levels = self.placement.levels(connection, *instrument, held.upstream.levels);
                subscriptions.push(held.subscription(*instrument, levels));
            }
        }
        for (connection, subscriptions) in by_connection.iter().enumerate() {
            if subscriptions.is_empty() {
                continue;
            }
            if let Some(standby) = self.standby(connection) {
                standby.expect(subscriptions.iter().map(|subscription| subscription.instrument));
                // It fails only when the instance does, which is seen soon.
                _ = standby.instance.subscribe(request, subscriptions);
            }
            // Without an instance they are sent when the next one begins.
            if let Some(instance) = self.instance(connection)
                && let Err(failure) = instance.subscribe(request, subscriptions)
            {
                tracing::warn!(adapter = %self.spec().adapter, error = %failure, "Could not subscribe");
                self.replace(connection, &failure.to_string(), now);
            }
        }
    }

    /// What an adapter is to be told of an instrument that is on a connection.
    pub(super) fn subscription(&mut self, instrument: InstrumentId) -> Option<Subscription> {
        let held = self.subscriptions.get(instrument)?;
        let levels = self.placement.levels(held.connection?, instrument, held.upstream.levels);
        Some(held.subscription(instrument, levels))
    }

    fn standby(&mut self, connection: usize) -> Option<&mut Standby> {
        self.connections.get_mut(connection)?.succession.standby.as_mut()
    }
}

/// Levels that a holder of this variant wants.
fn levels_of(variant: Variant) -> u16 {
    if variant.mode() == Mode::Depth { variant.depth().levels() } else { 0 }
}

/// What a client gets of an instrument of which the adapter grants so many levels.
pub(super) fn grant(instrument: InstrumentId, variant: Variant, levels: u16) -> Grant {
    let is_depth = variant.mode() == Mode::Depth;
    let levels = is_depth.then(|| levels.min(variant.depth().levels()));
    Grant { instrument, levels, is_pending: false, failures: 0 }
}

fn no_place(full: &MaxCapacityReached) -> Refusal {
    Refusal::new(ErrorCode::MaxCapacityReached, full.to_string())
}
