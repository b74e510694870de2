//! Remembers across a crash of the host which adapters ran in its process: what may have ended it must not do so again.
//!
//! A mark is made before a library is loaded into the host, and taken away when it has run for [`HEALTHY_AFTER`] or the
//! host stops as it should. A mark that is found at start belongs to a host that died young; the adapter then runs in a
//! process of its own until somebody loads it again by hand.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

/// A library that has run this long is not what ends the host at its start.
pub const HEALTHY_AFTER: Duration = Duration::from_secs(30);

/// The marks of the adapters that run in the host's process.
#[derive(Clone, Debug)]
pub struct Journal {
    directory: PathBuf,
}

impl Journal {
    /// The journal of the hosts that share a run directory.
    pub fn new(run_dir: &Path) -> Self {
        Self { directory: run_dir.join("in-process") }
    }

    /// Whether a host died while it had just loaded this adapter.
    pub fn is_marked(&self, adapter: &str) -> bool {
        self.mark(adapter).exists()
    }

    /// Marks an adapter that is about to be loaded.
    ///
    /// # Errors
    /// When the mark cannot be made: then the library must not be loaded.
    pub fn begin(&self, adapter: &str) -> io::Result<()> {
        fs::create_dir_all(&self.directory)?;
        let file = fs::File::create(self.mark(adapter))?;
        // A crash of the host is no crash of the system, so it need not reach the disk.
        drop(file);
        Ok(())
    }

    /// Takes the mark away: the adapter is healthy, or was ended in good order.
    pub fn end(&self, adapter: &str) {
        // There may be none.
        _ = fs::remove_file(self.mark(adapter));
    }

    fn mark(&self, adapter: &str) -> PathBuf {
        // Names of adapters are letters, digits, `-` and `_`.
        self.directory.join(adapter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_outlives_the_host_and_ends_with_good_order() {
        let directory = tempfile::tempdir().unwrap();
        let journal = Journal::new(directory.path());
        assert!(!journal.is_marked("acme"));
        journal.begin("acme").unwrap();
        let next_host = Journal::new(directory.path());
        assert!(next_host.is_marked("acme") && !next_host.is_marked("other"));
        next_host.end("acme");
        next_host.end("acme");
        assert!(!journal.is_marked("acme"));
    }
}
