//! A table as bytes, which are the same in memory and in a file. Nothing in them is trusted: what does not
//! fit is not there.

use std::{fmt, marker::PhantomData, ops::Deref, ops::Range};

use super::super::Key;
#[cfg(all(feature = "net", target_os = "linux"))]
use super::super::shelf::Mapped;
use crate::read::Packed;

crate::packed! {
    /// What stands before everything else.
    #[derive(Clone, Copy, Debug)]
    struct Head {
        exchanges: u32,
        /// Bytes of their names.
        exchange_bytes: u32,
        entries: u32,
        /// Bytes of all symbols.
        text_bytes: u32,
    }

    /// A name, before the parts of its key.
    #[derive(Clone, Copy, Debug)]
    struct Name {
        start: u32,
        length: u8,
        exchange: u8,
    }
}

/// Where the bytes are.
pub(in super::super) enum Storage {
    Owned(Box<[u8]>),
    /// A part of a file that processes share.
    #[cfg(all(feature = "net", target_os = "linux"))]
    Shared(std::sync::Arc<Mapped>, Range<usize>),
}

impl Deref for Storage {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Owned(bytes) => bytes,
            #[cfg(all(feature = "net", target_os = "linux"))]
            Self::Shared(file, range) => file.get(range.clone()).unwrap_or_default(),
        }
    }
}

/// The bytes, and where in them things are: after the head the names of exchanges, each behind its length;
/// the entries by exchange and symbol; the places of the entries by key; and all symbols, one after the
/// other.
pub(super) struct Form<K> {
    bytes: Storage,
    exchanges: Vec<Box<str>>,
    entries: Range<usize>,
    by_key: Range<usize>,
    text: Range<usize>,
    key: PhantomData<K>,
}

/// A name and its key.
pub(super) struct Entry<K> {
    pub(super) start: u32,
    pub(super) length: u8,
    pub(super) exchange: u8,
    key: Option<K>,
}

impl<K: Copy> Entry<K> {
    pub(super) const fn new(start: u32, length: u8, exchange: u8, key: K) -> Self {
        Self { start, length, exchange, key: Some(key) }
    }

    /// None where the bytes are no key.
    pub(super) const fn key(&self) -> Option<K> {
        self.key
    }

    /// Where its symbol is.
    pub(super) fn range(&self) -> Range<usize> {
        let start = size(self.start);
        start..start.saturating_add(usize::from(self.length))
    }
}

impl<K: Key> Form<K> {
    const ENTRY_BYTES: usize = Name::BYTES + K::Parts::BYTES;

    /// None when the bytes cannot be a table.
    #[cfg(all(feature = "net", target_os = "linux"))]
    pub(super) fn read(bytes: Storage) -> Option<Self> {
        let mut rest = &*bytes;
        let head = Head::take(&mut rest)?;
        let (mut names, _) = rest.split_at_checked(size(head.exchange_bytes))?;
        let mut exchanges = Vec::new();
        while !names.is_empty() {
            let length = u8::take(&mut names)?;
            let (name, behind) = names.split_at_checked(length.into())?;
            exchanges.push(str::from_utf8(name).ok()?.into());
            names = behind;
        }
        let section = |begin: usize, bytes: usize| Some(begin..begin.checked_add(bytes)?);
        let entries = section(
            Head::BYTES + size(head.exchange_bytes),
            size(head.entries).checked_mul(Self::ENTRY_BYTES)?,
        )?;
        let by_key = section(entries.end, size(head.entries).checked_mul(u32::BYTES)?)?;
        let text = section(by_key.end, size(head.text_bytes))?;
        let fits = exchanges.len() == size(head.exchanges) && text.end == bytes.len();
        fits.then_some(Self { bytes, exchanges, entries, by_key, text, key: PhantomData })
    }

    /// The form of entries in their order, and their places by key.
    pub(super) fn write(exchanges: Vec<Box<str>>, entries: &[Entry<K>], by_key: &[u32], text: &str) -> Self {
        let exchange_bytes: usize = exchanges.iter().map(|name| u8::BYTES + name.len()).sum();
        let entry_bytes = entries.len() * Self::ENTRY_BYTES;
        let key_bytes = by_key.len() * u32::BYTES;
        let length = Head::BYTES + exchange_bytes + entry_bytes + key_bytes + text.len();
        let mut bytes = Vec::with_capacity(length);
        let head = Head {
            exchanges: narrow(exchanges.len()),
            exchange_bytes: narrow(exchange_bytes),
            entries: narrow(entries.len()),
            text_bytes: narrow(text.len()),
        };
        head.put(&mut bytes);
        for name in &exchanges {
            // A builder takes none that are longer.
            u8::try_from(name.len()).unwrap_or(u8::MAX).put(&mut bytes);
            bytes.extend_from_slice(name.as_bytes());
        }
        let begin = bytes.len();
        for Entry { start, length, exchange, key } in entries {
            Name { start: *start, length: *length, exchange: *exchange }.put(&mut bytes);
            if let Some(key) = key {
                key.parts().put(&mut bytes);
            }
        }
        by_key.iter().for_each(|place| place.put(&mut bytes));
        bytes.extend_from_slice(text.as_bytes());
        let (entries, by_key) =
            (begin..begin + entry_bytes, begin + entry_bytes..begin + entry_bytes + key_bytes);
        let text = by_key.end..bytes.len();
        let bytes = Storage::Owned(bytes.into_boxed_slice());
        Self { bytes, exchanges, entries, by_key, text, key: PhantomData }
    }

    pub(super) fn entry(&self, place: usize) -> Option<Entry<K>> {
        let mut bytes = self.at(&self.entries, place, Self::ENTRY_BYTES)?;
        let Name { start, length, exchange } = Name::take(&mut bytes)?;
        Some(Entry { start, length, exchange, key: K::Parts::take(&mut bytes).and_then(K::of_parts) })
    }

    /// The place of the entry that is at this place by key.
    pub(super) fn by_key(&self, place: usize) -> Option<usize> {
        u32::take(&mut self.at(&self.by_key, place, u32::BYTES)?).map(size)
    }

    fn at(&self, section: &Range<usize>, place: usize, width: usize) -> Option<&[u8]> {
        let begin = section.start.checked_add(place.checked_mul(width)?)?;
        self.bytes.get(begin..begin.checked_add(width)?.min(section.end))
    }

    /// By what entries are ordered: the number of the exchange, and the symbol.
    pub(super) fn name(&self, entry: &Entry<K>) -> (u8, &[u8]) {
        let text = self.bytes.get(self.text.clone()).unwrap_or_default();
        (entry.exchange, text.get(entry.range()).unwrap_or_default())
    }

    /// The number of an exchange.
    pub(super) fn exchange(&self, name: &str) -> Option<u8> {
        let place = self.exchanges.iter().position(|known| known.as_ref() == name)?;
        u8::try_from(place).ok()
    }

    pub(super) fn exchange_text(&self, entry: &Entry<K>) -> Option<&str> {
        self.exchanges.get(usize::from(entry.exchange)).map(AsRef::as_ref)
    }
}

impl<K> Form<K> {
    pub(super) const fn len(&self) -> usize {
        (self.by_key.end - self.by_key.start) / u32::BYTES
    }

    #[cfg(all(test, feature = "net", target_os = "linux"))]
    pub(super) const fn is_shared(&self) -> bool {
        matches!(self.bytes, Storage::Shared(..))
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl<K> PartialEq for Form<K> {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl<K> fmt::Debug for Form<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Form").field("bytes", &self.bytes.len()).finish_non_exhaustive()
    }
}

fn size(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// A builder takes no more than fits.
fn narrow(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
