//! The host's own database: users, hashed keys, accounts with sealed credentials.

mod credentials;
mod users;

use std::path::Path;

use parking_lot::Mutex;
use rusqlite::{Connection, ErrorCode, OptionalExtension as _};
use secrecy::SecretString;

pub(super) use self::credentials::row_of;
pub use self::{
    credentials::AccountRow,
    users::{KeyRow, UserRow},
};
use super::{
    AccountsError, KeyId, UserName, Verified, VerifyError,
    secrets::{Vault, hash_of, id_of, is_same, private_dir, require_private},
};

/// Name of the database in the data folder.
pub(super) const DATABASE_FILE: &str = "tickhost.db";

/// Longest wait for another program to finish a write, in seconds.
const BUSY_SECONDS: u64 = 5;

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
    path: String,
    connection: Mutex<Connection>,
    vault: Vault,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Store {
    /// Opens the database in `data_dir`, which becomes private to this user.
    pub(super) fn open(data_dir: &Path) -> Result<Self, AccountsError> {
        let data_dir = private_dir(data_dir)?;
        let vault = Vault::open(&data_dir)?;
        let path = data_dir.join(DATABASE_FILE);
        if !path.exists() {
            super::secrets::write_private(&path, b"")?;
        }
        require_private(&path)?;
        let mut connection =
            Connection::open(&path).map_err(|error| database_error(&path.display(), &error))?;
        require_known_layout(&path.display(), &connection)?;
        prepare(&mut connection).map_err(|error| database_error(&path.display(), &error))?;
        Ok(Self { path: path.display().to_string(), connection: Mutex::new(connection), vault })
    }

    /// Changes with every change of the database, by this or another process.
    pub(super) fn data_version(&self) -> u64 {
        let connection = self.connection.lock();
        let others: i64 =
            connection.query_row("PRAGMA data_version", [], |row| row.get(0)).unwrap_or_default();
        // The pragma counts what others wrote; what this connection wrote is counted by the other number.
        (others.unsigned_abs() << 32) ^ connection.total_changes()
    }

    pub(super) fn verify(&self, key: &SecretString) -> Result<Verified, VerifyError> {
        let id = id_of(key).ok_or(VerifyError::Unknown)?;
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
        Ok(Verified { user, key: KeyId::from(id), account })
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
        query(&self.connection.lock()).map_err(|error| database_error(&self.path, &error))
    }

    fn write<T>(&self, change: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, AccountsError> {
        self.read(change)
    }
}

fn prepare(connection: &mut Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(std::time::Duration::from_secs(BUSY_SECONDS))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let transaction = connection.transaction()?;
    for (number, migration) in (1..).zip(MIGRATIONS).filter(|(number, _)| *number > version) {
        transaction.execute_batch(migration)?;
        transaction.pragma_update(None, "user_version", number)?;
    }
    transaction.commit()
}

/// The layout of the tables, 0 when there are none yet. One of a newer host is refused: what this one would write might
/// be wrong there.
pub(super) fn require_known_layout(
    path: &dyn std::fmt::Display,
    connection: &Connection,
) -> Result<i64, AccountsError> {
    let version = connection.query_row("PRAGMA user_version", [], |row| row.get(0));
    let version: i64 = version.map_err(|error| database_error(path, &error))?;
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

pub(super) fn database_error(path: &dyn std::fmt::Display, error: &rusqlite::Error) -> AccountsError {
    let reason = match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => {
            "it is no database; restore it from a backup, or move it away".to_owned()
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            format!(
                "another program has held it for more than {BUSY_SECONDS} s; end that program, or try again"
            )
        }
        Some(ErrorCode::DatabaseCorrupt) => format!("it is damaged ({error}); restore it from a backup"),
        Some(ErrorCode::ReadOnly) => {
            "this user may not write it; give it the right to with chmod or chown".to_owned()
        }
        _ => error.to_string(),
    };
    AccountsError::Database { path: path.to_string(), reason }
}
