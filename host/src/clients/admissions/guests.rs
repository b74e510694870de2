//! Connections by address and age. Pure: it is told the time, and tells whom it lets go.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
    time::Instant,
};

use rustc_hash::FxHashMap;

use super::Signal;

/// Room for addresses that is kept.
const SPARE_ADDRESSES: usize = 256;

/// Connections that may be displaced. Every step takes a time that grows with the logarithm of their number.
#[derive(Debug, Default)]
pub(super) struct Guests {
    of: FxHashMap<IpAddr, BTreeMap<u64, Guest>>,
    /// How many each address has; the last is the one with most, and among those the one whose oldest is the
    /// oldest.
    order: BTreeSet<(usize, Reverse<u64>, IpAddr)>,
    count: usize,
}

#[derive(Debug)]
struct Guest {
    since: Instant,
    signal: Arc<Signal>,
}

impl Guests {
    pub(super) const fn len(&self) -> usize {
        self.count
    }

    /// Adds a connection. Numbers grow with age.
    pub(super) fn enter(&mut self, address: IpAddr, number: u64, since: Instant, signal: Arc<Signal>) {
        self.change(address, |guests| _ = guests.insert(number, Guest { since, signal }));
    }

    /// Removes a connection; says whether it was there.
    pub(super) fn leave(&mut self, address: IpAddr, number: u64) -> bool {
        let mut was_there = false;
        self.change(address, |guests| was_there = guests.remove(&number).is_some());
        was_there
    }

    /// How many the address has that has most, and since when its oldest is there.
    pub(super) fn oldest_of_largest(&self) -> Option<(usize, Instant)> {
        let (count, Reverse(number), address) = self.order.last()?;
        Some((*count, self.of.get(address)?.get(number)?.since))
    }

    /// Removes the oldest connection of the address that has most.
    pub(super) fn displace(&mut self) -> Option<Arc<Signal>> {
        let (_, Reverse(number), address) = *self.order.last()?;
        let mut displaced = None;
        self.change(address, |guests| displaced = guests.remove(&number));
        displaced.map(|guest| guest.signal)
    }

    fn change(&mut self, address: IpAddr, change: impl FnOnce(&mut BTreeMap<u64, Guest>)) {
        let guests = self.of.entry(address).or_default();
        let rank = |guests: &BTreeMap<u64, Guest>| {
            guests.first_key_value().map(|(oldest, _)| (guests.len(), Reverse(*oldest), address))
        };
        if let Some(rank) = rank(guests) {
            self.order.remove(&rank);
            self.count -= guests.len();
        }
        change(guests);
        if let Some(rank) = rank(guests) {
            self.order.insert(rank);
            self.count += guests.len();
            return;
        }
        self.of.remove(&address);
        // A burst must not keep its memory for ever.
        if self.of.capacity() > 4 * (self.of.len() + SPARE_ADDRESSES) {
            self.of.shrink_to(self.of.len() + SPARE_ADDRESSES);
        }
    }
}
