//! What a library's file was when it was looked at.

use crate::{adapters::integrity::sha256_of, base::sha256::Sha256, config::AdapterEntry};

/// The content of an entry's library, none when it cannot be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Snapshot(Option<Sha256>);

impl Snapshot {
    /// One that is told from others by a byte.
    #[cfg(test)]
    pub(super) fn of_byte(byte: u8) -> Self {
        Self(format!("{byte:02x}").repeat(32).parse().ok())
    }

    /// Reads the library of an entry. One that is switched off is not read.
    pub fn of(entry: &AdapterEntry) -> Self {
        let path = entry.library_path.as_ref().ok().filter(|_| entry.is_enabled);
        Self(path.and_then(|path| sha256_of(path).ok()))
    }
}
