//! Names and keys of instruments, both ways.

mod builder;
mod form;

use std::{fmt, time::SystemTime};

pub use self::builder::TableBuilder;
#[cfg(all(feature = "net", target_os = "linux"))]
pub(super) use self::form::Storage;
use self::form::{Entry, Form};
use super::Key;
use crate::Refusal;

/// Instruments by exchange and symbol, as OpenAlgo names them, and by the broker's key. Built once with a
/// [`TableBuilder`]; look-ups are binary searches in one piece of memory without pointers, so that a hundred
/// thousand instruments take some megabytes, and processes can share them.
#[derive(PartialEq)]
pub struct Table<K> {
    form: Form<K>,
}

impl<K: Key> Table<K> {
    /// The table that these bytes are; None when they are none.
    #[cfg(all(feature = "net", target_os = "linux"))]
    pub(super) fn of_bytes(bytes: Storage) -> Option<Self> {
        Form::read(bytes).map(|form| Self { form })
    }

    /// The bytes that it is.
    #[cfg(all(feature = "net", target_os = "linux"))]
    pub(super) fn as_bytes(&self) -> &[u8] {
        self.form.as_bytes()
    }

    /// Whether its bytes are in a file that processes share.
    #[cfg(all(test, feature = "net", target_os = "linux"))]
    pub(super) const fn is_shared(&self) -> bool {
        self.form.is_shared()
    }

    /// The key of an instrument.
    pub fn get(&self, exchange: &str, symbol: &str) -> Option<K> {
        let wanted = (self.form.exchange(exchange)?, symbol.as_bytes());
        let is_before = |place| self.form.entry(place).is_some_and(|entry| self.form.name(&entry) < wanted);
        let entry = self.form.entry(first_not(self.len(), is_before))?;
        if self.form.name(&entry) == wanted { entry.key() } else { None }
    }

    /// The key of an instrument by any spelling of its OpenAlgo name that is clear
    /// ([`symbol::find`](crate::symbol::find)). What has expired has none, even if an old list says so:
    /// brokers give its key to something else.
    ///
    /// # Errors
    /// [`Refusal::UnknownInstrument`], with a sentence for the client.
    pub fn find(&self, exchange: &str, symbol: &str, now: SystemTime) -> Result<K, Refusal> {
        if crate::symbol::has_expired(exchange, symbol, now) {
            return Err(Refusal::expired(exchange, symbol));
        }
        crate::symbol::find(exchange, symbol, |name| self.get(exchange, name))
            .ok_or_else(|| Refusal::not_found(exchange, symbol))
    }

    /// Exchange and symbol of a key.
    pub fn name(&self, key: K) -> Option<(&str, &str)> {
        let entry = |place| self.form.entry(self.form.by_key(place)?);
        let is_before = |place| entry(place).and_then(|entry| entry.key()).is_some_and(|other| other < key);
        let found = entry(first_not(self.len(), is_before))?;
        if found.key() == Some(key) { self.texts(&found) } else { None }
    }

    /// Exchange and symbol of every instrument, in order; of one that has several names the first that was
    /// added.
    pub fn names(&self) -> impl Iterator<Item = (&str, &str)> {
        let mut is_first = vec![false; self.len()];
        let mut before = None;
        for place in (0..self.len()).filter_map(|place| self.form.by_key(place)) {
            let (Some(entry), Some(is_first)) = (self.form.entry(place), is_first.get_mut(place)) else {
                continue;
            };
            let key = entry.key();
            *is_first = before.replace(key) != Some(key);
        }
        let places = is_first.into_iter().enumerate().filter(|(_, is_first)| *is_first);
        places.filter_map(|(place, _)| self.texts(&self.form.entry(place)?))
    }

    /// This table with what it lacks of the last good one, where `is_held` says so of exchange, symbol and
    /// key, and how many those are. What has a name or a key that stands here already is not taken: here it
    /// may mean something else.
    #[must_use]
    pub fn with_missing_of(
        &self,
        last: &Self,
        is_held: impl Fn(&str, &str, K) -> bool,
    ) -> Option<(Self, usize)> {
        let missing: Vec<_> = last
            .in_order_of_claims()
            .filter(|(exchange, symbol, key)| {
                self.get(exchange, symbol).is_none()
                    && self.name(*key).is_none()
                    && is_held(exchange, symbol, *key)
            })
            .collect();
        if missing.is_empty() {
            return None;
        }
        let mut builder = TableBuilder::new();
        for (exchange, symbol, key) in self.in_order_of_claims().chain(missing.iter().copied()) {
            builder.add(exchange, symbol, key);
        }
        let table = builder.build();
        let held = table.len().saturating_sub(self.len());
        Some((table, held))
    }

    /// As they were added: the first name of a key before its others.
    fn in_order_of_claims(&self) -> impl Iterator<Item = (&str, &str, K)> {
        let mut entries: Vec<Entry<K>> = (0..self.len()).filter_map(|place| self.form.entry(place)).collect();
        entries.sort_by_key(|entry| entry.start);
        entries.into_iter().filter_map(|entry| {
            let (exchange, symbol) = self.texts(&entry)?;
            Some((exchange, symbol, entry.key()?))
        })
    }

    /// Names; an instrument may have several.
    pub const fn len(&self) -> usize {
        self.form.len()
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Memory that the table takes, in bytes. Processes may share it.
    pub fn bytes(&self) -> usize {
        self.form.as_bytes().len()
    }

    fn texts(&self, entry: &Entry<K>) -> Option<(&str, &str)> {
        let (_, symbol) = self.form.name(entry);
        Some((self.form.exchange_text(entry)?, str::from_utf8(symbol).ok()?))
    }
}

/// The first of so many places of which this does not hold; it holds of none behind one of which it does not.
fn first_not(count: usize, holds: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (0, count);
    while low < high {
        let middle = low + (high - low) / 2;
        if holds(middle) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}

impl<K> fmt::Debug for Table<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table").field("instruments", &self.form.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
