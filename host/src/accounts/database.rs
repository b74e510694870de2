//! One database, which can be reached only where waiting harms nobody.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use parking_lot::{Mutex, MutexGuard};
use rusqlite::{Connection, ErrorCode};

use super::{AccountsError, blocking::Blocking};

/// Longest wait for another program to finish a write.
pub(super) const BUSY: Duration = Duration::from_secs(5);

/// Opens a database of one kind.
pub(super) type Open = fn(&Path) -> Result<Connection, AccountsError>;

/// Whose the database is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ownership {
    /// The host's. Its journal is kept empty, so that the file can be copied and replaced alone.
    Own,
    /// Another program's, which is only read.
    Other,
}

/// A connection and its file.
pub(super) struct Database {
    path: PathBuf,
    open: Open,
    ownership: Ownership,
    connection: Mutex<Connection>,
    file: Mutex<File>,
}

/// Which file was opened.
struct File {
    identity: Option<Identity>,
    /// The journal that was beside it when it was looked at last.
    journal: Option<Identity>,
    /// How many files there have been.
    number: u64,
    /// Why the present one could not be opened.
    failure: Option<String>,
}

/// What tells two files of one name apart: device and number. None where the system has no such thing.
type Identity = (u64, u64);

impl Database {
    pub(super) fn open(
        path: &Path,
        open: Open,
        ownership: Ownership,
        _blocking: &Blocking,
    ) -> Result<Self, AccountsError> {
        let connection = open(path)?;
        let file = File {
            identity: identity_of(path),
            journal: identity_of(&journal_of(path)),
            number: 1,
            failure: None,
        };
        Ok(Self {
            path: path.to_owned(),
            open,
            ownership,
            connection: Mutex::new(connection),
            file: Mutex::new(file),
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The connection, which one thread has at a time. Whoever has it may wait [`BUSY`] for other programs,
    /// so nobody waits longer for it.
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

    /// Changes with every change of the database, by this or another process, and with every other file in
    /// its place. None while it cannot be read: what is locked has not changed yet, and what cannot be opened
    /// says nothing. Waits for no lock.
    pub(super) fn version(&self, _blocking: &Blocking) -> Option<u64> {
        let mut connection = self.connection.try_lock()?;
        let mut file = self.file.lock();
        if identity_of(&self.path) != file.identity || file.failure.is_some() {
            self.follow(&mut connection, &mut file);
        }
        if file.failure.is_some() {
            return None;
        }
        connection.busy_timeout(Duration::ZERO).ok()?;
        let others: rusqlite::Result<i64> = connection.query_row("PRAGMA data_version", [], |row| row.get(0));
        if self.ownership == Ownership::Own {
            if journal_of(&self.path).metadata().is_ok_and(|metadata| metadata.len() > 0) {
                // One that is being read stays until the next look.
                let _busy =
                    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0));
            }
            file.journal = identity_of(&journal_of(&self.path));
        }
        connection.busy_timeout(BUSY).ok()?;
        // The pragma counts what others wrote; what this connection wrote is counted by the other number.
        let version = (others.ok()?.unsigned_abs() << 32) ^ connection.total_changes();
        Some(version ^ (file.number << 56))
    }

    /// Opens the file that has taken the place of the one that was opened, as a restored backup does.
    fn follow(&self, connection: &mut Connection, file: &mut File) {
        let identity = identity_of(&self.path);
        if identity.is_none() {
            // Gone, or on its way; what was read stays true until there is another.
            return;
        }
        // The connection to the old file ends first: both would share what lies beside them.
        if let Ok(nowhere) = Connection::open_in_memory() {
            *connection = nowhere;
        }
        // What the old file's journal still held says nothing of the new one, and would be taken for its own.
        let journal = journal_of(&self.path);
        if self.ownership == Ownership::Own
            && identity_of(&journal) == file.journal
            && is_older(&journal, &self.path)
        {
            // One that cannot be removed shows when the file is opened.
            let _removed = std::fs::remove_file(journal);
        }
        match (self.open)(&self.path) {
            Ok(opened) => {
                *connection = opened;
                *file = File { identity, number: file.number + 1, failure: None, ..*file };
                tracing::warn!(path = %self.path.display(), "Another file has taken the place of the database; it was opened");
            }
            Err(error) => {
                let failure = error.to_string();
                if file.failure.as_ref() != Some(&failure) {
                    tracing::error!(%error, "Another file has taken the place of the database and cannot be opened");
                    file.failure = Some(failure);
                }
            }
        }
    }
}

fn journal_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}

/// Whether a journal was last written before this file came to its place.
#[cfg(unix)]
fn is_older(journal: &Path, file: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let (Ok(journal), Ok(file)) = (journal.metadata(), file.metadata()) else { return false };
    (journal.mtime(), journal.mtime_nsec()) < (file.ctime(), file.ctime_nsec())
}

#[cfg(not(unix))]
const fn is_older(_journal: &Path, _file: &Path) -> bool {
    false
}

#[cfg(unix)]
fn identity_of(path: &Path) -> Option<Identity> {
    use std::os::unix::fs::MetadataExt as _;
    let metadata = path.metadata().ok()?;
    Some((metadata.dev(), metadata.ino()))
}

#[cfg(not(unix))]
const fn identity_of(_path: &Path) -> Option<Identity> {
    None
}

/// What is wrong with the database at this path, and what helps.
pub(super) fn database_error(path: &dyn std::fmt::Display, error: &rusqlite::Error) -> AccountsError {
    let reason = match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => {
            "it is no database; restore it from a backup, or move it away".to_owned()
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            format!(
                "another program has held it for more than {} s; end that program, or try again",
                BUSY.as_secs()
            )
        }
        Some(ErrorCode::DatabaseCorrupt) => format!("it is damaged ({error}); restore it from a backup"),
        Some(ErrorCode::DiskFull) => "the disk is full".to_owned(),
        Some(ErrorCode::SystemIoFailure) => {
            format!("the disk failed while it was used ({error}); look whether it is full or broken")
        }
        Some(ErrorCode::ReadOnly) => {
            "this user may not write it; give it the right to with chmod or chown".to_owned()
        }
        _ => error.to_string(),
    };
    AccountsError::Database { path: path.to_string(), reason }
}
