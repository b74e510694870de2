//! One database, which can be reached only where waiting harms nobody.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use parking_lot::{Mutex, MutexGuard};
use rusqlite::Connection;

use super::{AccountsError, blocking::Blocking, store::database_error};

/// Longest wait for another program to finish a write.
pub(super) const BUSY: Duration = Duration::from_secs(5);

/// A connection and its file.
pub(super) struct Database {
    path: PathBuf,
    connection: Mutex<Connection>,
}

impl Database {
    pub(super) fn new(path: &Path, connection: Connection) -> Self {
        Self { path: path.to_owned(), connection: Mutex::new(connection) }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The connection, which one thread has at a time. Whoever has it may wait [`BUSY`] for other programs, so nobody
    /// waits longer for it.
    pub(super) fn lock(&self, _blocking: &Blocking) -> Result<MutexGuard<'_, Connection>, AccountsError> {
        self.connection.try_lock_for(BUSY).ok_or_else(|| AccountsError::Database {
            path: self.path.display().to_string(),
            reason: format!("another program has held it for more than {} s", BUSY.as_secs()),
        })
    }

    pub(super) fn read<T>(
        &self,
        blocking: &Blocking,
        query: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, AccountsError> {
        query(&*self.lock(blocking)?).map_err(|error| self.failed(&error))
    }

    pub(super) fn failed(&self, error: &rusqlite::Error) -> AccountsError {
        database_error(&self.path.display(), error)
    }

    /// Changes with every change of the database, by this or another process. None while it cannot be read: what is
    /// locked has not changed yet. Waits for no lock.
    pub(super) fn version(&self, _blocking: &Blocking) -> Option<u64> {
        let connection = self.connection.try_lock()?;
        connection.busy_timeout(Duration::ZERO).ok()?;
        let others: rusqlite::Result<i64> = connection.query_row("PRAGMA data_version", [], |row| row.get(0));
        connection.busy_timeout(BUSY).ok()?;
        // The pragma counts what others wrote; what this connection wrote is counted by the other number.
        Some((others.ok()?.unsigned_abs() << 32) ^ connection.total_changes())
    }
}
