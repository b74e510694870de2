//! What the clients of a feed want, instrument by instrument, and how far that has come.

use std::sync::Arc;

use adapter_abi::Subscription;
use rustc_hash::FxHashMap;
use tickhost_core::{
    demand::{Demand, Upstream},
    model::{InstrumentId, Mode, Variant},
};

use crate::{
    accounts::UserName,
    feeds::feed::{
        request::{Requests, Ticket},
        shares::Shares,
    },
};

/// Exchange and symbol, as clients say them.
pub(super) type Name = (Arc<str>, Arc<str>);

/// The instruments that somebody holds, and the requests that wait for an adapter's word.
#[derive(Debug, Default)]
pub(super) struct Subscriptions {
    by_name: FxHashMap<Name, InstrumentId>,
    held: FxHashMap<InstrumentId, Held>,
    /// How users share a feed that is not of one account.
    shares: Shares,
    pub(super) requests: Requests,
    /// Instruments of which the adapter has not said that the broker takes them.
    pending: usize,
}

/// An instrument that somebody holds.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) exchange: Arc<str>,
    pub(super) symbol: Arc<str>,
    /// Who took it first, where users share.
    taken_by: Option<UserName>,
    /// Its connection, none while it is parked or lost.
    pub(super) connection: Option<usize>,
    pub(super) demand: Demand,
    pub(super) upstream: Upstream,
    /// The adapter has known it.
    pub(super) was_there: bool,
    /// The broker's list does not have it, and its holders were told.
    pub(super) is_lost: bool,
    /// The adapter's last word: levels granted, none before it spoke.
    granted: Option<u16>,
    /// The request whose outcome is awaited; 0 before the first.
    pub(super) asked: u64,
    pub(super) waiters: Vec<(Ticket, Variant)>,
}

impl Subscriptions {
    /// The number of an instrument that somebody holds.
    pub(super) fn number_of(&self, name: &Name) -> Option<InstrumentId> {
        self.by_name.get(name).copied()
    }

    pub(super) fn get(&self, instrument: InstrumentId) -> Option<&Held> {
        self.held.get(&instrument)
    }

    pub(super) fn get_mut(&mut self, instrument: InstrumentId) -> Option<&mut Held> {
        self.held.get_mut(&instrument)
    }

    /// Instruments that somebody holds.
    pub(super) fn len(&self) -> usize {
        self.held.len()
    }

    /// Those of them of which the adapter has not said that the broker takes them.
    pub(super) const fn pending(&self) -> usize {
        self.pending
    }

    /// Their numbers, in no order.
    pub(super) fn numbers(&self) -> impl Iterator<Item = InstrumentId> {
        self.held.keys().copied()
    }

    /// Whether a user may take one more while so many are free.
    pub(super) fn may_take(&self, user: &UserName, free: usize) -> bool {
        self.shares.may_take(user, free)
    }

    /// An instrument that nobody held has this number from now on. Nobody wants it yet, and it is on no
    /// connection.
    pub(super) fn admit(&mut self, instrument: InstrumentId, name: Name, taken_by: Option<UserName>) {
        if let Some(user) = &taken_by {
            self.shares.take(user);
        }
        let (exchange, symbol) = name.clone();
        self.by_name.insert(name, instrument);
        let held = Held {
            exchange,
            symbol,
            taken_by,
            connection: None,
            demand: Demand::default(),
            upstream: Upstream { mode: Mode::Ltp, levels: 0 },
            was_there: false,
            is_lost: false,
            granted: None,
            asked: 0,
            waiters: Vec::new(),
        };
        self.held.insert(instrument, held);
        self.pending += 1;
    }

    /// Takes an instrument out of every table.
    pub(super) fn forget(&mut self, instrument: InstrumentId) -> Option<Held> {
        let held = self.held.remove(&instrument)?;
        self.by_name.remove(&(Arc::clone(&held.exchange), Arc::clone(&held.symbol)));
        self.pending = self.pending.saturating_sub(usize::from(held.granted.is_none()));
        if let Some(user) = &held.taken_by {
            self.shares.give_back(user);
        }
        Some(held)
    }

    /// The adapter takes an instrument, with so many levels.
    pub(super) fn grant(&mut self, instrument: InstrumentId, levels: u16) {
        if let Some(held) = self.held.get_mut(&instrument)
            && held.granted.replace(levels).is_none()
        {
            self.pending = self.pending.saturating_sub(1);
        }
    }

    /// The adapter's word on an instrument counts no more: it is asked again, or on its way to another
    /// connection.
    pub(super) fn withdraw_grant(&mut self, instrument: InstrumentId) {
        if let Some(held) = self.held.get_mut(&instrument) {
            self.pending += usize::from(held.granted.take().is_some());
        }
    }

    /// Instruments that belong to a connection, in the order in which they came.
    pub(super) fn carried_by(&self, number: usize) -> Vec<InstrumentId> {
        self.sorted(|held| held.connection == Some(number))
    }

    /// Those of them that an adapter was asked for, or will be when an instance begins.
    pub(super) fn asked_of(&self, number: usize) -> Vec<InstrumentId> {
        self.sorted(|held| held.connection == Some(number) && held.asked != 0)
    }

    /// Instruments that are lost, and have no connection.
    pub(super) fn lost(&self) -> Vec<InstrumentId> {
        self.sorted(|held| held.is_lost && held.connection.is_none())
    }

    fn sorted(&self, is_wanted: impl Fn(&Held) -> bool) -> Vec<InstrumentId> {
        let wanted = self.held.iter().filter(|(_, held)| is_wanted(held));
        let mut numbers: Vec<InstrumentId> = wanted.map(|(instrument, _)| *instrument).collect();
        numbers.sort_unstable();
        numbers
    }
}

impl Held {
    /// The adapter's last word: levels granted, none before it spoke.
    pub(super) const fn granted(&self) -> Option<u16> {
        self.granted
    }

    /// What an adapter is told of it, which may be asked for fewer levels than are wanted.
    pub(super) fn subscription(&self, instrument: InstrumentId, levels: u16) -> Subscription {
        Subscription {
            instrument: instrument.0,
            mode: self.upstream.mode.number(),
            reserved: 0,
            depth: levels,
            exchange: self.exchange.as_ref().into(),
            symbol: self.symbol.as_ref().into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: InstrumentId = InstrumentId(1);
    const TWO: InstrumentId = InstrumentId(2);

    fn name(symbol: &str) -> Name {
        ("NSE".into(), symbol.into())
    }

    #[test]
    fn what_the_adapter_has_not_taken_is_pending_whatever_was_before() {
        let mut subscriptions = Subscriptions::default();
        subscriptions.admit(ONE, name("ONE"), None);
        subscriptions.admit(TWO, name("TWO"), None);
        assert_eq!((subscriptions.len(), subscriptions.pending()), (2, 2));
        subscriptions.grant(ONE, 5);
        subscriptions.grant(ONE, 20);
        assert_eq!((subscriptions.get(ONE).unwrap().granted(), subscriptions.pending()), (Some(20), 1));
        subscriptions.withdraw_grant(ONE);
        subscriptions.withdraw_grant(ONE);
        subscriptions.withdraw_grant(TWO);
        assert_eq!(subscriptions.pending(), 2);
        subscriptions.grant(TWO, 0);
        assert!(subscriptions.forget(ONE).is_some());
        assert_eq!(subscriptions.pending(), 0);
        assert!(subscriptions.forget(TWO).is_some() && subscriptions.forget(TWO).is_none());
        assert_eq!((subscriptions.len(), subscriptions.pending()), (0, 0));
    }

    #[test]
    fn a_name_has_a_number_while_somebody_holds_it_and_counts_for_who_took_it() {
        let mut subscriptions = Subscriptions::default();
        let alice = UserName::from("alice");
        subscriptions.admit(ONE, name("ONE"), Some(alice.clone()));
        assert_eq!(subscriptions.number_of(&name("ONE")), Some(ONE));
        assert!(!subscriptions.may_take(&alice, 1) && subscriptions.may_take(&alice, 2));
        subscriptions.forget(ONE);
        assert_eq!(subscriptions.number_of(&name("ONE")), None);
        assert!(subscriptions.may_take(&alice, 1));
    }

    #[test]
    fn what_is_admitted_and_was_not_asked_for_is_carried_and_not_repeated() {
        let mut subscriptions = Subscriptions::default();
        for (instrument, asked, connection) in
            [(TWO, 7, Some(0)), (ONE, 0, Some(0)), (InstrumentId(3), 7, None)]
        {
            subscriptions.admit(instrument, name(&instrument.0.to_string()), None);
            let held = subscriptions.get_mut(instrument).unwrap();
            (held.asked, held.connection, held.is_lost) = (asked, connection, true);
        }
        assert_eq!(subscriptions.carried_by(0), [ONE, TWO]);
        assert_eq!(subscriptions.asked_of(0), [TWO]);
        assert_eq!(subscriptions.lost(), [InstrumentId(3)]);
    }
}
