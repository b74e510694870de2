//! What clients want of a feed, what the adapter is asked for, and what it answers.

use std::sync::Arc;

use adapter_abi::{OutcomeCode, Subscription, SubscriptionOutcome};
use rustc_hash::FxHashMap;
use tickhost_core::{
    demand::{Demand, Upstream},
    model::{InstrumentId, Key, Mode, Variant},
    pool::MaxCapacityReached,
    protocol::codes::ErrorCode,
    router,
};
use tokio::sync::oneshot;

use super::{Actor, Subscribed};
use crate::{
    accounts::UserName,
    base::clock::Moment,
    feeds::{
        bulletin::Bulletin,
        feed::{Grant, Refusal, Want, request::Ticket, standby::Standby},
    },
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
        let request = self.requests.open(wants.len(), reply, deadline);
        let mut activations = Vec::new();
        let mut asked = Vec::new();
        for (place, want) in wants.into_iter().enumerate() {
            let ticket = Ticket { request, place };
            match self.hold(want, user, ticket, (&mut activations, now)) {
                Ok(Some(instrument)) => asked.push(instrument),
                Ok(None) => {}
                Err(refusal) => _ = self.requests.answer(ticket, Err(refusal)),
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
        if let Err(why) = &self.serving {
            return Err(Refusal::new(ErrorCode::BrokerError, why.to_string()));
        }
        let Want { exchange, symbol, variant } = want;
        let name = (exchange, symbol);
        let instrument = match self.by_name.get(&name) {
            Some(instrument) => *instrument,
            None => self.admit(&name, user, (activations, now))?,
        };
        self.find_place_for_lost(instrument, now)?;
        let Some(subscribed) = self.subscribed.get_mut(&instrument) else { return Ok(None) };
        self.requests.note_key(ticket, Key { instrument, variant });
        subscribed.demand.add(variant);
        let wanted = subscribed.demand.upstream().unwrap_or(subscribed.upstream);
        if wanted != subscribed.upstream || subscribed.asked == 0 || subscribed.is_lost {
            if wanted.mode > subscribed.upstream.mode && subscribed.asked != 0 {
                activations.push(router::Command::Raise { instrument, from: subscribed.upstream.mode });
            }
            subscribed.upstream = wanted;
            subscribed.waiters.push((ticket, variant));
            return Ok(Some(instrument));
        }
        match subscribed.granted {
            Some(levels) => _ = self.requests.answer(ticket, Ok(grant(instrument, variant, levels))),
            None => subscribed.waiters.push((ticket, variant)),
        }
        Ok(None)
    }

    /// Somebody wants an instrument that the broker's list had lost: the adapter is asked again, for which it needs a place.
    fn find_place_for_lost(&mut self, instrument: InstrumentId, now: Moment) -> Result<(), Refusal> {
        if self.subscribed.get(&instrument).is_some_and(|one| one.is_lost && one.connection.is_none()) {
            let full =
                |full: MaxCapacityReached| Refusal::new(ErrorCode::MaxCapacityReached, full.to_string());
            let connection = self.place(now.at).map_err(full)?;
            if connection >= self.connections.len() {
                self.connect(connection, now);
            }
            self.carry(instrument, connection, now);
        }
        Ok(())
    }

    fn admit(
        &mut self,
        name: &(Arc<str>, Arc<str>),
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
        let connection = self.place(now.at).map_err(|full| {
            self.host.instruments.free(instrument);
            Refusal::new(ErrorCode::MaxCapacityReached, full.to_string())
        })?;
        let (exchange, symbol) = name.clone();
        activations.push(router::Command::Activate {
            feed: self.feed.id(),
            instrument,
            names: router::Names {
                exchange: Arc::clone(&exchange),
                symbol: Arc::clone(&symbol),
                broker: Arc::clone(&self.spec().broker),
            },
        });
        self.by_name.insert(name.clone(), instrument);
        self.subscribed.insert(
            instrument,
            Subscribed {
                exchange,
                symbol,
                taken_by: taken_by.cloned(),
                connection: None,
                demand: Demand::default(),
                upstream: Upstream { mode: Mode::Ltp, levels: 0 },
                was_there: false,
                is_lost: false,
                granted: None,
                asked: 0,
                waiters: Vec::new(),
            },
        );
        if let Some(user) = taken_by {
            self.shares.take(user);
        }
        self.pending += 1;
        if connection >= self.connections.len() {
            self.connect(connection, now);
        }
        self.carry(instrument, connection, now);
        Ok(instrument)
    }

    /// Refuses a symbol to a user who has taken as many of a shared feed as are left for all others.
    fn require_share(&self, user: Option<&UserName>) -> Result<(), Refusal> {
        let capacity = self.pool.limits().capacity();
        let free = capacity.saturating_sub(self.subscribed.len());
        // When there is none at all, the pool says so.
        if free == 0 || user.is_none_or(|user| self.shares.may_take(user, free)) {
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
            if let Some(subscribed) = self.subscribed.get_mut(&key.instrument) {
                subscribed.demand.remove(key.variant);
            }
        }
        self.settle(keys.iter().map(|key| key.instrument), now);
    }

    /// Asks the adapter for what is still wanted of these instruments.
    fn settle(&mut self, instruments: impl IntoIterator<Item = InstrumentId>, now: Moment) {
        let mut gone: FxHashMap<usize, Vec<u32>> = FxHashMap::default();
        let mut lowered = Vec::new();
        for instrument in instruments {
            let Some(subscribed) = self.subscribed.get_mut(&instrument) else { continue };
            match subscribed.demand.upstream() {
                None => {
                    if let Some(connection) = subscribed.connection {
                        gone.entry(connection).or_default().push(instrument.0);
                    }
                    self.forget(instrument);
                }
                Some(wanted) if wanted != subscribed.upstream => {
                    subscribed.upstream = wanted;
                    lowered.push(instrument);
                }
                Some(_) => {}
            }
        }
        #[expect(clippy::iter_over_hash_type, reason = "connections are independent of each other")]
        for (connection, instruments) in gone {
            self.unsubscribe_upstream(connection, &instruments);
        }
        lowered.retain(|instrument| self.subscribed.contains_key(instrument));
        self.ask(&lowered, now);
    }

    /// Tells the adapter that a connection need not carry these instruments any more.
    pub(super) fn unsubscribe_upstream(&mut self, connection: usize, instruments: &[u32]) {
        if instruments.is_empty() {
            return;
        }
        self.upstream_requests += 1;
        let request = self.upstream_requests;
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

    /// Takes an instrument out of every table.
    fn forget(&mut self, instrument: InstrumentId) -> Option<Subscribed> {
        let subscribed = self.subscribed.remove(&instrument)?;
        self.by_name.remove(&(Arc::clone(&subscribed.exchange), Arc::clone(&subscribed.symbol)));
        self.pending = self.pending.saturating_sub(usize::from(subscribed.granted.is_none()));
        if let Some(user) = &subscribed.taken_by {
            self.shares.give_back(user);
        }
        if subscribed.is_lost {
            self.lists.found();
        }
        if let Some(number) = subscribed.connection {
            self.pool.release(number);
            if let Some(connection) = self.connections.get_mut(number) {
                connection.drop_one(&subscribed.exchange);
            }
        }
        self.host.router.send(router::Command::Deactivate { instrument });
        self.host.instruments.free(instrument);
        Some(subscribed)
    }

    /// Tells the adapter what is wanted of these instruments now.
    pub(super) fn ask(&mut self, instruments: &[InstrumentId], now: Moment) {
        if instruments.is_empty() {
            return;
        }
        self.upstream_requests += 1;
        let request = self.upstream_requests;
        let mut by_connection: Vec<Vec<Subscription>> = Vec::new();
        by_connection.resize_with(self.connections.len(), Vec::new);
        for instrument in instruments {
            let Some(subscribed) = self.subscribed.get_mut(instrument) else { continue };
            subscribed.asked = request;
            self.pending += usize::from(subscribed.granted.take().is_some());
            // What is parked is asked for when it has a place.
            if let Some(subscriptions) =
                subscribed.connection.and_then(|connection| by_connection.get_mut(connection))
            {
                subscriptions.push(subscribed.subscription(*instrument));
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

    fn standby(&mut self, connection: usize) -> Option<&mut Standby> {
        self.connections.get_mut(connection)?.succession.standby.as_mut()
    }

    /// What the adapter is to be told of an instrument.
    pub(super) fn subscription(&self, instrument: InstrumentId) -> Option<Subscription> {
        Some(self.subscribed.get(&instrument)?.subscription(instrument))
    }

    /// Takes what a connection says of an instrument: upon a request, or of its own accord where that is 0.
    pub(super) fn conclude(
        &mut self,
        (connection, request): (usize, u64),
        outcome: &SubscriptionOutcome,
        now: Moment,
    ) {
        let instrument = InstrumentId(outcome.instrument);
        let Some(subscribed) = self.subscribed.get_mut(&instrument) else { return };
        // Nor does a connection that does not carry it any more decide what becomes of it.
        if request != 0 && request < subscribed.asked || subscribed.connection != Some(connection) {
            return;
        }
        if outcome.code.is_taken() {
            subscribed.was_there = true;
            if std::mem::take(&mut subscribed.is_lost) {
                self.lists.found();
                self.feed.0.counters.instruments_returned.add(1);
            }
            if subscribed.granted.replace(outcome.depth).is_none() {
                self.pending = self.pending.saturating_sub(1);
            }
            let has_no_book = outcome.depth == 0 && subscribed.upstream.mode == Mode::Depth;
            for (ticket, variant) in std::mem::take(&mut subscribed.waiters) {
                let answer = if has_no_book && variant.mode() == Mode::Depth {
                    Err(Refusal::new(ErrorCode::SubscriptionError, no_book(&subscribed.symbol)))
                } else {
                    Ok(grant(instrument, variant, outcome.depth))
                };
                self.requests.answer(ticket, answer);
            }
            if has_no_book {
                self.end_depth(instrument, now);
            }
            return;
        }
        let code = match outcome.code {
            OutcomeCode::UNKNOWN_INSTRUMENT => ErrorCode::SymbolNotFound,
            OutcomeCode::CAPACITY => ErrorCode::MaxCapacityReached,
            _ => ErrorCode::SubscriptionError,
        };
        let message = if outcome.message.is_empty() {
            format!("Symbol {} not found", subscribed.symbol)
        } else {
            outcome.message.to_string()
        };
        let waiters = std::mem::take(&mut subscribed.waiters);
        for (ticket, variant) in &waiters {
            // Whoever was told before that it is pending holds it, and hears that it is over below.
            if self.requests.answer(*ticket, Err(Refusal::new(code, message.clone()))) {
                subscribed.demand.remove(*variant);
            }
        }
        if subscribed.demand.upstream().is_some() {
            let message: Arc<str> = message.into();
            if self.is_only_lost(instrument, outcome.code) {
                // What was not asked came from the connection: the adapter has it among what is subscribed.
                return self.lose(instrument, &message, request == 0);
            }
            // Others hold it already: they have to hear that it is over.
            for recipient in &self.host.recipients {
                let message = Arc::clone(&message);
                recipient.tell(Bulletin::Failed { instrument, mode: None, message });
            }
        }
        self.forget(instrument);
    }

    /// The broker has no book for this instrument: whoever holds it in mode DEPTH would wait for ever.
    fn end_depth(&mut self, instrument: InstrumentId, now: Moment) {
        let Some(subscribed) = self.subscribed.get_mut(&instrument) else { return };
        if !subscribed.demand.remove_mode(Mode::Depth) {
            return;
        }
        let message: Arc<str> = no_book(&subscribed.symbol).into();
        for recipient in &self.host.recipients {
            let message = Arc::clone(&message);
            recipient.tell(Bulletin::Failed { instrument, mode: Some(Mode::Depth), message });
        }
        self.settle([instrument], now);
    }
}

impl Subscribed {
    fn subscription(&self, instrument: InstrumentId) -> Subscription {
        Subscription {
            instrument: instrument.0,
            mode: self.upstream.mode.number(),
            reserved: 0,
            depth: self.upstream.levels,
            exchange: self.exchange.as_ref().into(),
            symbol: self.symbol.as_ref().into(),
        }
    }
}

fn grant(instrument: InstrumentId, variant: Variant, levels: u16) -> Grant {
    let levels = (variant.mode() == Mode::Depth).then(|| levels.min(variant.depth().levels()));
    Grant { instrument, levels, is_pending: false }
}

fn no_book(symbol: &str) -> String {
    format!("Symbol {symbol} has no market depth; subscribe to it in mode Quote")
}
