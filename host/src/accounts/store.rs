//! The host's own database: users, hashed keys, accounts with sealed credentials.

mod credentials;
mod users;

use std::{
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use parking_lot::MutexGuard;
use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior};
use secrecy::SecretString;

pub(super) use self::credentials::row_of;
pub use self::{
    credentials::AccountRow,
    users::{KeyRow, UserRow},
};
use super::{
    AccountsError, KeyId, UserName, Verified, VerifyError,
    blocking::Blocking,
    changes::Watched,
    database::{BUSY, Database, Ownership, database_error},
    secrets::{Vault, hash_of, id_of, is_same},
};
use crate::base::{
    locks::{self, Lock},
    private::{private_dir, require_private, unwritable, write_private},
};

/// Name of the database in the data folder.
pub(super) const DATABASE_FILE: &str = "tickhost.db";

/// Held while a program makes what the data folder does not have yet.
const LOCK_FILE: &str = "opening.lock";

/// Longest wait for another program to do so: as long as it may wait for the database itself, and a margin.
const MAKING: Duration = Duration::from_secs(10);

/// Layout of the tables, by `user_version`. Each step runs once, in order.
const MIGRATIONS: [&str; 1] = ["
    CREATE TABLE users (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        created TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP
    ) STRICT;
    CREATE TABLE api_keys (
        id TEXT PRIMARY KEY,
        user INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
        label TEXT NOT NULL,
        hash BLOB NOT NULL,
        created TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP,
        revoked TEXT
    ) STRICT;
    CREATE TABLE accounts (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        user INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
        broker TEXT NOT NULL,
        credentials BLOB NOT NULL,
        is_active INTEGER NOT NULL,
        updated TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP,
        UNIQUE (user, broker)
    ) STRICT;
"];

/// The database.
pub struct Store {
    database: Database,
    vault: Vault,
    /// How often the database has changed.
    epoch: AtomicU64,
}

/// The database, for a thread that may wait for it.
#[derive(Debug)]
pub struct OpenStore<'a, B = Blocking> {
    store: &'a Store,
    blocking: B,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("path", &self.database.path()).finish_non_exhaustive()
    }
}

impl Store {
    /// Opens the database in `data_dir`, which becomes private to this user.
    pub(super) fn open(data_dir: &Path, blocking: &Blocking) -> Result<Self, AccountsError> {
        let data_dir = private_dir(data_dir)?;
        let _making = making(&data_dir)?;
        let vault = Vault::open(&data_dir)?;
        let path = data_dir.join(DATABASE_FILE);
        if !path.exists() {
            write_private(&path, b"")?;
        }
        let database = Database::open(&path, connect, Ownership::Own, blocking)?;
        Ok(Self { database, vault, epoch: AtomicU64::new(0) })
    }

    /// The database, for this thread.
    pub(super) const fn on<B: std::borrow::Borrow<Blocking>>(&self, blocking: B) -> OpenStore<'_, B> {
        OpenStore { store: self, blocking }
    }

    /// How often the database has changed. What was read in an earlier epoch may be outdated.
    pub(super) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }
}

impl Watched for Store {
    fn database(&self) -> &Database {
        &self.database
    }

    fn outdated(&self) {
        self.epoch.fetch_add(1, Ordering::AcqRel);
    }
}

impl<B: std::borrow::Borrow<Blocking>> OpenStore<'_, B> {
    pub(super) fn verify(&self, key: &SecretString) -> Result<Verified, VerifyError> {
        let id = id_of(key).ok_or(VerifyError::Unknown)?;
        let seen = self.store.epoch();
        let found: Option<(Vec<u8>, Option<String>, String)> = self.read(|connection| {
            connection
                .query_row(
                    "SELECT k.hash, k.revoked, u.name FROM api_keys k JOIN users u ON u.id = k.user WHERE k.id = ?1",
                    [id],
                    |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
                )
                .optional()
        })?;
        let (hash, revoked, name) = found.ok_or(VerifyError::Unknown)?;
        if !is_same(&hash, &hash_of(key)) {
            return Err(VerifyError::Unknown);
        }
        if revoked.is_some() {
            return Err(VerifyError::Revoked);
        }
        let user = UserName::from(name.as_str());
        let account = self.account_of(&user)?;
        Ok(Verified { user, key: KeyId::from(id), account, seen })
    }

    pub(super) fn check_keys(&self, keys: &[KeyId]) -> Result<Vec<bool>, AccountsError> {
        self.read(|connection| {
            let mut statement =
                connection.prepare_cached("SELECT 1 FROM api_keys WHERE id = ?1 AND revoked IS NULL")?;
            keys.iter().map(|key| statement.exists([key.as_str()])).collect()
        })
    }

    fn rows<T>(
        &self,
        sql: &str,
        read: impl Fn(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, AccountsError> {
        self.read(|connection| connection.prepare(sql)?.query_map([], |row| read(row))?.collect())
    }

    fn read<T>(&self, query: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, AccountsError> {
        self.store.database.read(self.blocking.borrow(), query)
    }

    fn write<T>(&self, change: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, AccountsError> {
        self.read(change)
    }

    /// The connection, for what takes more than one statement.
    fn lock(&self) -> Result<MutexGuard<'_, Connection>, AccountsError> {
        self.store.database.lock(self.blocking.borrow())
    }

    fn failed(&self, error: &rusqlite::Error) -> AccountsError {
        self.store.database.failed(error)
    }
}

/// Lets one program at a time make what a data folder does not have yet.
fn making(data_dir: &Path) -> Result<Lock, AccountsError> {
    let path = data_dir.join(LOCK_FILE);
    let taken = locks::take(&path, MAKING).map_err(|error| unwritable(&path, &error))?;
    taken.ok_or_else(|| AccountsError::File {
        path: data_dir.display().to_string(),
        reason: format!(
            "another program has been opening it for more than {} s; end that program, or try again",
            MAKING.as_secs()
        ),
    })
}

fn connect(path: &Path) -> Result<Connection, AccountsError> {
    require_private(path)?;
    let mut connection = Connection::open(path).map_err(|error| database_error(&path.display(), &error))?;
    require_known_layout(&path.display(), &connection)?;
    prepare(&mut connection).map_err(|error| database_error(&path.display(), &error))?;
    Ok(connection)
}

fn prepare(connection: &mut Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    if layout(connection)? == i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX) {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Another program may have been faster.
    let version = layout(&transaction)?;
    for (number, migration) in (1..).zip(MIGRATIONS).filter(|(number, _)| *number > version) {
        transaction.execute_batch(migration)?;
        transaction.pragma_update(None, "user_version", number)?;
    }
    transaction.commit()
}

fn layout(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("PRAGMA user_version", [], |row| row.get(0))
}

/// The layout of the tables, 0 when there are none yet. One of a newer host is refused: what this one would
/// write might be wrong there.
pub(super) fn require_known_layout(
    path: &dyn std::fmt::Display,
    connection: &Connection,
) -> Result<i64, AccountsError> {
    let version = layout(connection).map_err(|error| database_error(path, &error))?;
    if usize::try_from(version).is_ok_and(|version| version > MIGRATIONS.len()) {
        let reason = format!(
            "a newer tickhost has written it (layout {version}, this one knows up to {}); use that one, or restore a \
             backup from before",
            MIGRATIONS.len()
        );
        return Err(AccountsError::Database { path: path.to_string(), reason });
    }
    Ok(version)
}
