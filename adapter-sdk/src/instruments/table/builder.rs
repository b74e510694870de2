//! Builds a table.

use std::fmt;

use super::{
    super::Key,
    Table,
    form::{Entry, Form},
};

/// Most bytes of a symbol, and of the name of an exchange.
const MAX_NAME_BYTES: usize = 255;

/// Collects instruments for a [`Table`].
pub struct TableBuilder<K> {
    exchanges: Vec<Box<str>>,
    text: String,
    entries: Vec<Entry<K>>,
    skipped: usize,
}

impl<K> Default for TableBuilder<K> {
    fn default() -> Self {
        Self { exchanges: Vec::new(), text: String::new(), entries: Vec::new(), skipped: 0 }
    }
}

impl<K: Copy> TableBuilder<K> {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an instrument. Where two have one name, the first one counts, and where two have one key,
    /// [`Table::name`] gives the first name. Names that are empty or have more than 255 bytes, and what is of
    /// a 257th exchange, are left out and counted.
    pub fn add(&mut self, exchange: &str, symbol: &str, key: K) {
        if self.try_add(exchange, symbol, key).is_none() {
            self.skipped += 1;
        }
    }

    fn try_add(&mut self, exchange: &str, symbol: &str, key: K) -> Option<()> {
        let fits = |name: &str| (1..=MAX_NAME_BYTES).contains(&name.len());
        if !fits(exchange) || !fits(symbol) {
            return None;
        }
        let (start, length) = (u32::try_from(self.text.len()).ok()?, u8::try_from(symbol.len()).ok()?);
        // Each name has a byte at least, so that there are no more of them than bytes.
        u32::try_from(self.text.len() + symbol.len()).ok()?;
        let known = self.exchanges.iter().position(|known| known.as_ref() == exchange);
        let place = u8::try_from(known.unwrap_or(self.exchanges.len())).ok()?;
        if known.is_none() {
            self.exchanges.push(exchange.into());
        }
        self.text.push_str(symbol);
        self.entries.push(Entry::new(start, length, place, key));
        Some(())
    }

    /// Instruments that were left out.
    pub const fn skipped(&self) -> usize {
        self.skipped
    }

    /// The table.
    pub fn build(self) -> Table<K>
    where
        K: Key,
    {
        let Self { exchanges, text, mut entries, .. } = self;
        let name = |entry: &Entry<K>| (entry.exchange, text.get(entry.range()).unwrap_or_default());
        // Stable, so that the first of two with one name stays the first.
        entries.sort_by(|one, other| name(one).cmp(&name(other)));
        entries.dedup_by(|later, first| name(later) == name(first));
        let mut by_key: Vec<u32> = (0..u32::try_from(entries.len()).unwrap_or(u32::MAX)).collect();
        by_key.sort_by_key(|place| {
            let entry = entries.get(usize::try_from(*place).unwrap_or(usize::MAX));
            entry.map(|entry| (entry.key(), entry.start))
        });
        Table { form: Form::write(exchanges, &entries, &by_key, &text) }
    }
}

impl<K> fmt::Debug for TableBuilder<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TableBuilder").field("instruments", &self.entries.len()).finish_non_exhaustive()
    }
}
