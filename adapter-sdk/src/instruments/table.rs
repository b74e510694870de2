//! Names and keys of instruments, both ways.

use std::{fmt, hash::Hash, mem::size_of, time::SystemTime};

use crate::Refusal;

/// Most bytes of a symbol.
const MAX_SYMBOL_BYTES: usize = 255;

/// Instruments by exchange and symbol, as OpenAlgo names them, and by the broker's key. Built once with a
/// [`TableBuilder`]; look-ups are binary searches in three flat arrays, so that a hundred thousand instruments take some
/// megabytes.
#[derive(PartialEq)]
pub struct Table<K> {
    exchanges: Vec<Box<str>>,
    /// All symbols, one after the other.
    text: Box<str>,
    /// By exchange and symbol.
    entries: Box<[Entry<K>]>,
    /// Places in `entries`, by key.
    by_key: Box<[u32]>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Entry<K> {
    key: K,
    start: u32,
    length: u8,
    exchange: u8,
}

/// Collects instruments for a [`Table`].
pub struct TableBuilder<K> {
    exchanges: Vec<Box<str>>,
    text: String,
    entries: Vec<Entry<K>>,
    skipped: usize,
}

impl<K: Copy + Ord + Hash> Default for TableBuilder<K> {
    fn default() -> Self {
        Self { exchanges: Vec::new(), text: String::new(), entries: Vec::new(), skipped: 0 }
    }
}

impl<K: Copy + Ord + Hash> TableBuilder<K> {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an instrument. Where two have one name, the first one counts, and where two have one key, [`Table::name`]
    /// gives the first name. Symbols that are empty or have more than 255 bytes, and what is
    /// of a 257th exchange, are left out and counted.
    pub fn add(&mut self, exchange: &str, symbol: &str, key: K) {
        let known = self.exchanges.iter().position(|known| known.as_ref() == exchange);
        let exchange = known.unwrap_or_else(|| {
            self.exchanges.push(exchange.into());
            self.exchanges.len() - 1
        });
        let place = (u8::try_from(exchange), u8::try_from(symbol.len()), u32::try_from(self.text.len()));
        let fits = (1..=MAX_SYMBOL_BYTES).contains(&symbol.len())
            && u32::try_from(self.text.len() + symbol.len()).is_ok();
        let (Ok(exchange), Ok(length), Ok(start), true) = (place.0, place.1, place.2, fits) else {
            self.skipped += 1;
            return;
        };
        self.text.push_str(symbol);
        self.entries.push(Entry { key, start, length, exchange });
    }

    /// Instruments that were left out.
    pub const fn skipped(&self) -> usize {
        self.skipped
    }

    /// The table.
    pub fn build(self) -> Table<K> {
        let Self { exchanges, text, mut entries, .. } = self;
        let name = |entry: &Entry<K>| (entry.exchange, symbol(&text, entry));
        // Stable, so that the first of two with one name stays the first.
        entries.sort_by(|one, other| name(one).cmp(&name(other)));
        let mut first_added: Vec<Entry<K>> = Vec::with_capacity(entries.len());
        for entry in entries {
            if first_added.last().is_none_or(|last| name(last) != name(&entry)) {
                first_added.push(entry);
            }
        }
        let mut by_key: Vec<u32> = (0..u32::try_from(first_added.len()).unwrap_or(u32::MAX)).collect();
        let order = |place: &u32| {
            let entry = first_added.get(usize::try_from(*place).unwrap_or(usize::MAX));
            entry.map(|entry| (entry.key, entry.start))
        };
        by_key.sort_by_key(order);
        Table {
            exchanges,
            text: text.into_boxed_str(),
            entries: first_added.into_boxed_slice(),
            by_key: by_key.into_boxed_slice(),
        }
    }
}

impl<K: Copy + Ord + Hash> Table<K> {
    /// The key of an instrument.
    pub fn get(&self, exchange: &str, symbol_wanted: &str) -> Option<K> {
        let exchange = self.exchanges.iter().position(|known| known.as_ref() == exchange)?;
        let exchange = u8::try_from(exchange).ok()?;
        let place = self
            .entries
            .binary_search_by(|entry| {
                (entry.exchange, symbol(&self.text, entry)).cmp(&(exchange, symbol_wanted))
            })
            .ok()?;
        self.entries.get(place).map(|entry| entry.key)
    }

    /// The key of an instrument by any spelling of its OpenAlgo name that is clear ([`symbol::find`](crate::symbol::find)). What
    /// has expired has none, even if an old list says so: brokers give its key to something else.
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
        let entry = |place: u32| self.entries.get(usize::try_from(place).unwrap_or(usize::MAX));
        let first = self.by_key.partition_point(|place| entry(*place).is_some_and(|entry| entry.key < key));
        let found = entry(*self.by_key.get(first)?).filter(|entry| entry.key == key)?;
        Some((self.exchanges.get(usize::from(found.exchange))?, symbol(&self.text, found)))
    }

    /// Exchange and symbol of every instrument, in order; of one that has several names the first that was added.
    pub fn names(&self) -> impl Iterator<Item = (&str, &str)> {
        let mut is_first = vec![false; self.entries.len()];
        let mut before = None;
        for place in &self.by_key {
            let place = usize::try_from(*place).unwrap_or(usize::MAX);
            let (Some(entry), Some(is_first)) = (self.entries.get(place), is_first.get_mut(place)) else {
                continue;
            };
            *is_first = before.replace(entry.key) != Some(entry.key);
        }
        self.entries.iter().zip(is_first).filter(|(_, is_first)| *is_first).filter_map(|(entry, _)| {
            Some((self.exchanges.get(usize::from(entry.exchange))?.as_ref(), symbol(&self.text, entry)))
        })
    }

    /// This table with what it lacks of the last good one, where `is_held` says so of exchange, symbol and key, and how many
    /// those are. What has a name or a key that stands here already is not taken: here it may mean something else.
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
        let mut entries: Vec<&Entry<K>> = self.entries.iter().collect();
        entries.sort_by_key(|entry| entry.start);
        entries.into_iter().filter_map(|entry| {
            let exchange = self.exchanges.get(usize::from(entry.exchange))?;
            Some((exchange.as_ref(), symbol(&self.text, entry), entry.key))
        })
    }

    /// Names; an instrument may have several.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Memory that the table takes, in bytes.
    pub fn bytes(&self) -> usize {
        self.text.len() + self.entries.len() * (size_of::<Entry<K>>() + size_of::<u32>())
    }
}

fn symbol<'a, K>(text: &'a str, entry: &Entry<K>) -> &'a str {
    let start = usize::try_from(entry.start).unwrap_or(usize::MAX);
    text.get(start..start.saturating_add(usize::from(entry.length))).unwrap_or_default()
}

impl<K> fmt::Debug for Table<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table").field("instruments", &self.entries.len()).finish_non_exhaustive()
    }
}

impl<K> fmt::Debug for TableBuilder<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TableBuilder").field("instruments", &self.entries.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_first_of_two_counts_in_both_directions() {
        let mut builder = TableBuilder::new();
        builder.add("NSE", "SBIN", 1_u32);
        builder.add("NSE", "SBIN", 2);
        builder.add("BSE", "SBIN", 3);
        builder.add("NSE_INDEX", "NIFTY50", 9);
        builder.add("NSE_INDEX", "NIFTY", 9);
        builder.add("NSE", &"X".repeat(256), 5);
        builder.add("NSE", "", 6);
        assert_eq!(builder.skipped(), 2);
        let table = builder.build();
        assert_eq!((table.get("NSE", "SBIN"), table.get("BSE", "SBIN")), (Some(1), Some(3)));
        assert_eq!((table.name(1), table.name(2)), (Some(("NSE", "SBIN")), None));
        assert_eq!(table.name(9), Some(("NSE_INDEX", "NIFTY50")));
        assert_eq!(
            table.names().collect::<Vec<_>>(),
            [("NSE", "SBIN"), ("BSE", "SBIN"), ("NSE_INDEX", "NIFTY50")],
            "nothing stands there twice"
        );
        assert_eq!(
            (table.get("NFO", "SBIN"), table.get("NSE", "SBI"), table.get("NSE", "SBINX")),
            (None, None, None)
        );
        assert_eq!(table.len(), 4);
    }

    #[test]
    fn the_last_good_table_gives_what_is_missing_but_no_number_that_means_something_else_now() {
        let table = |rows: &[(&str, &str, u32)]| {
            let mut builder = TableBuilder::new();
            rows.iter().for_each(|(exchange, symbol, key)| builder.add(exchange, symbol, *key));
            builder.build()
        };
        let last = table(&[
            ("NSE", "SBIN", 1),
            ("NFO", "B", 2),
            ("NFO", "A", 2),
            ("NFO", "C", 3),
            ("NFO", "D", 4),
            ("MCX", "E", 5),
        ]);
        let fresh = table(&[("NSE", "TCS", 3), ("NSE", "SBIN", 7)]);
        let (held, count) =
            fresh.with_missing_of(&last, |exchange, symbol, _| exchange == "NFO" && symbol != "D").unwrap();
        let names: Vec<_> = held.names().collect();
        assert_eq!((names, count), (vec![("NSE", "SBIN"), ("NSE", "TCS"), ("NFO", "B")], 2));
        assert_eq!((held.get("NFO", "A"), held.get("NFO", "C"), held.get("MCX", "E")), (Some(2), None, None));
        assert_eq!((held.get("NSE", "SBIN"), held.name(3)), (Some(7), Some(("NSE", "TCS"))));
        assert_eq!((held.name(2), held.name(1)), (Some(("NFO", "B")), None), "first names stay first");
        assert!(fresh.with_missing_of(&fresh, |_, _, _| true).is_none());
    }

    proptest! {
        #[test]
        fn it_knows_what_a_map_knows(names in proptest::collection::vec((0_usize..3, "[A-Z&-]{1,3}", 0_u32..40), 0..80)) {
            const EXCHANGES: [&str; 3] = ["NSE", "NFO", "BSE"];
            let (mut builder, mut map, mut by_key) = (TableBuilder::new(), BTreeMap::new(), BTreeMap::new());
            for (exchange, symbol, key) in &names {
                let name = (EXCHANGES[*exchange], symbol.as_str());
                builder.add(name.0, name.1, *key);
                if let std::collections::btree_map::Entry::Vacant(free) = map.entry(name) {
                    free.insert(*key);
                    by_key.entry(*key).or_insert(name);
                }
            }
            let table = builder.build();
            prop_assert_eq!(table.len(), map.len());
            for (name, key) in &map {
                prop_assert_eq!(table.get(name.0, name.1), Some(*key));
            }
            let all: std::collections::BTreeSet<_> = table.names().collect();
            prop_assert_eq!(all, by_key.values().copied().collect::<std::collections::BTreeSet<_>>());
            prop_assert_eq!(table.names().count(), by_key.len());
            for key in 0..40 {
                prop_assert_eq!(table.name(key), by_key.get(&key).copied());
            }
        }
    }
}
