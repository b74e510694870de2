//! Remembers across a crash of the host which adapters ran in its process: what may have ended it must not do
//! so again.
//!
//! A mark is made before a library is loaded into the host, and taken away when it has run for
//! [`HEALTHY_AFTER`] or the host stops as it should. A mark that is found at start belongs to a host that
//! died young; the adapter then runs in a process of its own until somebody loads it again by hand.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use parking_lot::Mutex;

use crate::base::blocking::may_wait;

/// A library that has run this long is not what ends the host at its start.
pub const HEALTHY_AFTER: Duration = Duration::from_secs(30);

/// The marks of the adapters that run in the host's process.
#[derive(Debug)]
pub struct Journal {
    directory: PathBuf,
    /// Adapters whose marks an earlier host left.
    suspects: Mutex<BTreeSet<String>>,
}

impl Journal {
    /// The journal of the hosts that share a run directory.
    pub fn new(run_dir: &Path) -> Self {
        let directory = run_dir.join("in-process");
        let marks = fs::read_dir(&directory).into_iter().flatten().flatten();
        let suspects = marks.filter_map(|mark| mark.file_name().into_string().ok()).collect();
        Self { directory, suspects: Mutex::new(suspects) }
    }

    /// Whether an earlier host died while it had just loaded this adapter. The marks of this host say nothing
    /// yet.
    pub fn is_suspect(&self, adapter: &str) -> bool {
        self.suspects.lock().contains(adapter)
    }

    /// Somebody wants to try it again.
    pub fn clear(&self, adapter: &str) {
        self.suspects.lock().remove(adapter);
        self.end(adapter);
    }

    /// Marks an adapter that is about to be loaded.
    ///
    /// # Errors
    /// When the mark cannot be made: then the library must not be loaded.
    pub fn begin(&self, adapter: &str) -> io::Result<()> {
        may_wait();
        fs::create_dir_all(&self.directory)?;
        let file = fs::File::create(self.mark(adapter))?;
        // A crash of the host is no crash of the system, so it need not reach the disk.
        drop(file);
        Ok(())
    }

    /// Takes the mark away: the adapter is healthy, or was ended in good order.
    pub fn end(&self, adapter: &str) {
        may_wait();
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
        journal.begin("acme").unwrap();
        assert!(!journal.is_suspect("acme"), "a second build of it is none the worse for the first");
        let next_host = Journal::new(directory.path());
        assert!(next_host.is_suspect("acme") && !next_host.is_suspect("other"));
        next_host.clear("acme");
        assert!(!next_host.is_suspect("acme"));
        assert!(!Journal::new(directory.path()).is_suspect("acme"));
        next_host.begin("acme").unwrap();
        next_host.end("acme");
        assert!(!Journal::new(directory.path()).is_suspect("acme"));
    }
}
