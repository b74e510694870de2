//! Keeps instruments on connections that can carry them.
//!
//! A connection that stays down while another one of the account is up does so for reasons of its own, such
//! as a limit of the broker on connections: its instruments move to those that are up and have room, and come
//! under the same numbers, so that clients notice a gap at most. What finds no room stays with it and comes
//! back when it does. When limits become smaller, what is too much moves too, or is *parked*: wanted, on no
//! connection, first in line for the next place.

use std::sync::Arc;

use rustc_hash::FxHashSet;
use tickhost_core::model::InstrumentId;

use super::Actor;
use crate::{base::clock::Moment, feeds::bulletin::Bulletin};

impl Actor {
    /// Makes what is placed fit the limits of the account, which may have become smaller or larger.
    pub(super) fn fit_to_limits(&mut self, now: Moment) {
        for (number, beyond) in self.placement.overfull() {
            let taken = self.take_off(number, beyond);
            self.placement.park(taken);
        }
        while self.connections.len() > self.placement.limits().connections {
            let number = self.connections.len() - 1;
            self.remove_last_connection();
            self.placement.close_beyond(number);
        }
        self.place_parked(now);
        if !self.placement.parked().is_empty() {
            let parked = self.placement.parked().iter().copied().collect();
            self.tell_waiting(parked, "the account's connections to the broker are full");
        }
    }

    /// Moves instruments away from connections that stay down, and gives places to those that have none.
    pub(super) fn balance(&mut self, now: Moment) {
        self.connections.iter_mut().for_each(|connection| connection.note_steady(now.at));
        for number in self.placement.to_leave(&self.connections, now.at) {
            self.leave(number);
        }
        self.place_parked(now);
    }

    /// Moves as much of a connection as others have room for.
    fn leave(&mut self, number: usize) {
        let moved = self.take_off(number, self.placement.room(&self.connections));
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
        self.placement.park(moved);
        if is_news && left > 0 {
            let waiting = self.subscriptions.carried_by(number).into_iter().collect();
            self.tell_waiting(waiting, "its connection to the broker is down, and the others are full");
        }
    }

    /// Takes so many instruments off a connection, those that came last.
    fn take_off(&mut self, number: usize, count: usize) -> Vec<InstrumentId> {
        if count == 0 {
            return Vec::new();
        }
        let mut taken = self.subscriptions.carried_by(number);
        taken.drain(..taken.len().saturating_sub(count));
        for instrument in &taken {
            self.subscriptions.withdraw_grant(*instrument);
            let Some(held) = self.subscriptions.get_mut(*instrument) else { continue };
            held.connection = None;
            self.placement.release(number, *instrument);
            if let Some(connection) = self.connections.get_mut(number) {
                connection.drop_one(&held.exchange);
            }
        }
        let numbers: Vec<u32> = taken.iter().map(|instrument| instrument.0).collect();
        self.unsubscribe_upstream(number, &numbers);
        taken
    }

    /// Gives places to what is parked, in order, as far as there are any.
    pub(super) fn place_parked(&mut self, now: Moment) {
        // Without an adapter there is nothing to place them on.
        if self.builds.present().is_err() {
            return;
        }
        let mut placed = Vec::new();
        while let Some(instrument) = self.placement.parked().front().copied() {
            let parked = self.subscriptions.get(instrument).filter(|held| held.connection.is_none());
            if let Some(levels) = parked.map(|held| held.upstream.levels) {
                let place = self.placement.place((instrument, levels), &self.connections, now.at);
                let Ok(number) = place else { break };
                self.put_on(instrument, number, now);
                placed.push(instrument);
            }
            self.placement.unpark_first();
        }
        self.ask(&placed, now);
    }

    /// An instrument belongs to a connection from now on, where it has a place. One that is new is opened.
    pub(super) fn put_on(&mut self, instrument: InstrumentId, number: usize, now: Moment) {
        if number >= self.connections.len() {
            self.connect(number, now);
        }
        let Some(held) = self.subscriptions.get_mut(instrument) else { return };
        held.connection = Some(number);
        if let Some(connection) = self.connections.get_mut(number) {
            connection.carry(&held.exchange, now);
        }
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
