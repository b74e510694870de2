//! Keeps instruments on connections that can carry them.
//!
//! A connection that stays down while another one of the account is up does so for reasons of its own, such as a limit of
//! the broker on connections: its instruments move to those that are up and have room, and come under the same numbers, so
//! that clients notice a gap at most. What finds no room stays with it and comes back when it does. When limits become
//! smaller, what is too much moves too, or is *parked*: wanted, on no connection, first in line for the next place.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use rustc_hash::FxHashSet;
use tickhost_core::model::InstrumentId;

use super::Actor;
use crate::{
    base::clock::Moment,
    feeds::{bulletin::Bulletin, feed::connection::Connection},
};

impl Actor {
    /// Makes what is placed fit the limits of the account, which may have become smaller or larger.
    pub(super) fn fit_to_limits(&mut self, now: Moment) {
        let limits = self.pool.limits();
        for number in (0..self.pool.used().len()).rev() {
            let allowed = if number < limits.connections { limits.symbols_per_connection } else { 0 };
            let used = self.pool.used().get(number).copied().unwrap_or_default();
            let taken = self.take_off(number, used.saturating_sub(allowed));
            self.parked.extend(taken);
        }
        while self.connections.len() > limits.connections {
            let number = self.connections.len() - 1;
            self.give_up_standby(number, "the account may have fewer connections");
            self.end_instance(number);
            self.connections.pop();
            self.pool.close_beyond(number);
        }
        self.place_parked(now);
        if !self.parked.is_empty() {
            let parked = self.parked.iter().copied().collect();
            self.tell_waiting(parked, "the account's connections to the broker are full");
        }
    }

    /// Moves instruments away from connections that stay down, and gives places to those that have none.
    pub(super) fn balance(&mut self, now: Moment) {
        self.connections.iter_mut().for_each(|connection| connection.note_steady(now.at));
        if self.is_any_up() {
            for number in 0..self.connections.len() {
                if self
                    .connections
                    .get(number)
                    .is_some_and(|connection| self.is_to_be_left(connection, now.at))
                {
                    self.leave(number);
                }
            }
        }
        self.place_parked(now);
    }

    /// When [`Self::balance`] has something to do although nothing happens.
    pub(super) fn next_balance(&self) -> Option<Instant> {
        let after = self.host.settings.rebalance_after;
        let is_any_up = self.is_any_up();
        let moments = self.connections.iter().filter_map(|connection| {
            let may_be_left = is_any_up
                && connection.instruments() > 0
                && connection.standby().is_none()
                && !connection.is_left();
            let leave_at = connection.down_since().filter(|_| may_be_left).map(|since| since + after);
            leave_at.or_else(|| connection.steady_at())
        });
        moments.min()
    }

    fn is_any_up(&self) -> bool {
        self.connections.iter().any(Connection::is_usable)
    }

    fn is_to_be_left(&self, connection: &Connection, now: Instant) -> bool {
        connection.instruments() > 0
            && connection.standby().is_none()
            && is_down_for(connection, self.host.settings.rebalance_after, now)
    }

    /// Moves as much of a connection as others have room for.
    fn leave(&mut self, number: usize) {
        let moved = self.take_off(number, self.room());
        let Some(connection) = self.connections.get_mut(number) else { return };
        let is_news = connection.leave();
        let left = connection.instruments();
        let error = connection.last_error().cloned();
        if is_news || !moved.is_empty() {
            tracing::warn!(
                adapter = %self.feed.0.spec.adapter,
                feed = self.feed.id().0,
                connection = number,
                moved = moved.len(),
                left,
                error = error.as_deref(),
                "A connection stays down; its instruments move to others as far as there is room"
            );
        }
        self.feed.counters().moved.add(moved.len() as u64);
        self.parked.extend(moved);
        if is_news && left > 0 {
            let waiting = self.carried_by(number).into_iter().collect();
            self.tell_waiting(waiting, "its connection to the broker is down, and the others are full");
        }
    }

    /// Places on connections that are up.
    fn room(&self) -> usize {
        let limit = self.pool.limits().symbols_per_connection;
        let up = self.connections.iter().zip(self.pool.used());
        up.filter(|(connection, _)| connection.is_usable()).map(|(_, used)| limit.saturating_sub(*used)).sum()
    }

    /// Takes so many instruments off a connection, those that came last.
    fn take_off(&mut self, number: usize, count: usize) -> Vec<InstrumentId> {
        if count == 0 {
            return Vec::new();
        }
        let mut taken = self.carried_by(number);
        taken.drain(..taken.len().saturating_sub(count));
        for instrument in &taken {
            let Some(subscribed) = self.subscribed.get_mut(instrument) else { continue };
            subscribed.connection = None;
            self.pending += usize::from(subscribed.granted.take().is_some());
            self.pool.release(number);
            if let Some(connection) = self.connections.get_mut(number) {
                connection.drop_one(&subscribed.exchange);
            }
        }
        let numbers: Vec<u32> = taken.iter().map(|instrument| instrument.0).collect();
        self.unsubscribe_upstream(number, &numbers);
        taken
    }

    /// Gives places to what is parked, in order, as far as there are any.
    pub(super) fn place_parked(&mut self, now: Moment) {
        // Without an adapter there is nothing to place them on.
        if self.serving.is_err() {
            return;
        }
        let mut placed = Vec::new();
        while let Some(instrument) = self.parked.front().copied() {
            let is_parked = self.subscribed.get(&instrument).is_some_and(|one| one.connection.is_none());
            if is_parked {
                let Ok(number) = self.place(now.at) else { break };
                if number >= self.connections.len() {
                    self.connect(number, now);
                }
                self.carry(instrument, number, now);
                placed.push(instrument);
            }
            self.parked.pop_front();
        }
        self.ask(&placed, now);
    }

    /// A place for one more instrument: on a connection that is up or will be soon, as long as there is one.
    pub(super) fn place(&mut self, now: Instant) -> Result<usize, tickhost_core::pool::MaxCapacityReached> {
        let is_any_up = self.is_any_up();
        let (connections, after) = (&self.connections, self.host.settings.rebalance_after);
        let is_down = |connection: &Connection| connection.is_left() || is_down_for(connection, after, now);
        self.pool.place(|number| {
            !is_any_up || connections.get(number).is_none_or(|connection| !is_down(connection))
        })
    }

    /// An instrument belongs to a connection from now on.
    pub(super) fn carry(&mut self, instrument: InstrumentId, number: usize, now: Moment) {
        let Some(subscribed) = self.subscribed.get_mut(&instrument) else { return };
        subscribed.connection = Some(number);
        if let Some(connection) = self.connections.get_mut(number) {
            connection.carry(&subscribed.exchange, now);
        }
    }

    fn carried_by(&self, number: usize) -> Vec<InstrumentId> {
        let on_it = self.subscribed.iter().filter(|(_, subscribed)| subscribed.connection == Some(number));
        let mut carried: Vec<InstrumentId> = on_it.map(|(instrument, _)| *instrument).collect();
        carried.sort_unstable();
        carried
    }

    /// Tells those clients that asked what their subscriptions wait for.
    fn tell_waiting(&self, instruments: FxHashSet<InstrumentId>, why: &str) {
        let (instruments, why): (_, Arc<str>) = (Arc::new(instruments), why.into());
        for recipient in &self.host.recipients {
            let (instruments, message) = (Arc::clone(&instruments), Arc::clone(&why));
            recipient.tell(Bulletin::Waiting { instruments, message });
        }
    }
}

fn is_down_for(connection: &Connection, time: Duration, now: Instant) -> bool {
    connection.down_since().is_some_and(|since| now.saturating_duration_since(since) >= time)
}
