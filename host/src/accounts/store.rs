//! The host's own database: users, hashed keys, accounts with sealed credentials.

use std::path::Path;

use parking_lot::Mutex;
use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior, params};
use secrecy::SecretString;
use zeroize::Zeroizing;

use super::{
    Account, AccountId, AccountsError, Credentials, KeyId, UserName, Verified, VerifyError,
    secrets::{NewKey, Vault, hash_of, id_of, is_same, private_dir, require_private},
};

/// Longest text that an error repeats as the identity of a key; identities have 8 characters, keys 76.
const MAX_SHOWN_ID_BYTES: usize = 16;

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

/// Longest name of a user, in bytes.
const MAX_NAME_BYTES: usize = 64;

/// Longest value of one credential, in bytes.
const MAX_CREDENTIAL_BYTES: usize = 16 * 1_024;

/// A user, as lists show it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct UserRow {
    /// Name.
    pub name: String,
    /// Keys that are not revoked.
    pub keys: u32,
    /// Broker of the active account.
    pub broker: Option<String>,
}

/// A key, as lists show it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct KeyRow {
    /// Identity.
    pub id: String,
    /// Whose it is.
    pub user: String,
    /// What its owner calls it.
    pub label: String,
    /// When it was made, UTC.
    pub created: String,
    /// When it was revoked, UTC.
    pub revoked: Option<String>,
}

/// An account, as lists show it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct AccountRow {
    /// Whose it is.
    pub user: String,
    /// At which broker.
    pub broker: String,
    /// Whether it serves the user.
    pub active: bool,
    /// Names of the stored credentials.
    pub credentials: Vec<String>,
    /// When it was changed last, UTC.
    pub updated: String,
}

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
        let path = data_dir.join("tickhost.db");
        if !path.exists() {
            super::secrets::write_private(&path, b"")?;
        }
        require_private(&path)?;
        let mut connection =
            Connection::open(&path).map_err(|error| database_error(&path.display(), &error))?;
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

    // ---- what the host asks ----

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

    /// The account that serves a user.
    ///
    /// # Errors
    /// When the database fails.
    pub fn account_of(&self, user: &UserName) -> Result<Option<Account>, AccountsError> {
        self.read(|connection| {
            connection
                .query_row(
                    "SELECT a.id, a.broker FROM accounts a JOIN users u ON u.id = a.user
                     WHERE u.name = ?1 AND a.is_active = 1",
                    [user.as_str()],
                    |row| {
                        let (id, broker): (i64, String) = (row.get(0)?, row.get(1)?);
                        let id = AccountId::from(id.to_string().as_str());
                        Ok(Account { id, user: user.clone(), broker: broker.into() })
                    },
                )
                .optional()
        })
    }

    pub(super) fn credentials(&self, account: &Account) -> Result<Credentials, AccountsError> {
        let sealed: Option<Vec<u8>> = self.read(|connection| {
            connection
                .query_row("SELECT credentials FROM accounts WHERE id = ?1", [account.id.as_str()], |row| {
                    row.get(0)
                })
                .optional()
        })?;
        let Some(sealed) = sealed else { return Ok(Credentials::default()) };
        self.unseal(&sealed, account.user.as_str(), &account.broker)
    }

    // ---- what the command line asks ----

    /// Adds a user.
    ///
    /// # Errors
    /// When the name is taken, or no name.
    pub fn create_user(&self, name: &str) -> Result<(), AccountsError> {
        let is_name = !name.is_empty()
            && name.len() <= MAX_NAME_BYTES
            && name.chars().all(|c| c.is_alphanumeric() || "._-@".contains(c));
        if !is_name {
            return Err(AccountsError::Refused(format!(
                "{name:?} is no user name: use up to {MAX_NAME_BYTES} letters, digits and the characters . _ - @"
            )));
        }
        let added = self.write(|connection| {
            connection.execute("INSERT INTO users (name) VALUES (?1) ON CONFLICT DO NOTHING", [name])
        })?;
        if added == 0 {
            Err(AccountsError::Refused(format!("there is a user {name} already")))
        } else {
            Ok(())
        }
    }

    /// Users by name.
    ///
    /// # Errors
    /// When the database fails.
    pub fn users(&self) -> Result<Vec<UserRow>, AccountsError> {
        self.rows(
            "SELECT u.name, (SELECT count(*) FROM api_keys k WHERE k.user = u.id AND k.revoked IS NULL),
                    (SELECT broker FROM accounts a WHERE a.user = u.id AND a.is_active = 1)
             FROM users u ORDER BY u.name",
            |row| Ok(UserRow { name: row.get(0)?, keys: row.get(1)?, broker: row.get(2)? }),
        )
    }

    /// Removes a user with all keys and accounts.
    ///
    /// # Errors
    /// When there is no such user.
    pub fn delete_user(&self, name: &str) -> Result<(), AccountsError> {
        let removed =
            self.write(|connection| connection.execute("DELETE FROM users WHERE name = ?1", [name]))?;
        if removed == 0 { Err(no_user(name)) } else { Ok(()) }
    }

    /// Makes a key, which is shown once and never again.
    ///
    /// # Errors
    /// When there is no such user.
    pub fn create_key(&self, user: &str, label: &str) -> Result<SecretString, AccountsError> {
        let key = NewKey::generate()?;
        let added = self.write(|connection| {
            connection.execute(
                "INSERT INTO api_keys (id, user, label, hash) SELECT ?1, id, ?3, ?4 FROM users WHERE name = ?2",
                params![key.id, user, label, key.hash.as_slice()],
            )
        })?;
        if added == 0 { Err(no_user(user)) } else { Ok(key.text) }
    }

    /// Keys, by user and time.
    ///
    /// # Errors
    /// When the database fails.
    pub fn keys(&self) -> Result<Vec<KeyRow>, AccountsError> {
        self.rows(
            "SELECT k.id, u.name, k.label, k.created, k.revoked FROM api_keys k JOIN users u ON u.id = k.user
             ORDER BY u.name, k.created, k.id",
            |row| {
                Ok(KeyRow {
                    id: row.get(0)?,
                    user: row.get(1)?,
                    label: row.get(2)?,
                    created: row.get(3)?,
                    revoked: row.get(4)?,
                })
            },
        )
    }

    /// Revokes a key; its connections close within a second.
    ///
    /// # Errors
    /// When there is no such key, or it was revoked before.
    pub fn revoke_key(&self, id: &str) -> Result<(), AccountsError> {
        let revoked = self.write(|connection| {
            connection.execute(
                "UPDATE api_keys SET revoked = CURRENT_TIMESTAMP WHERE id = ?1 AND revoked IS NULL",
                [id],
            )
        })?;
        if revoked == 0 { Err(no_key(id)) } else { Ok(()) }
    }

    /// Makes a new key for the user of this one, and revokes this one.
    ///
    /// # Errors
    /// When there is no such key, or it was revoked before.
    pub fn rotate_key(&self, id: &str) -> Result<SecretString, AccountsError> {
        let key = NewKey::generate()?;
        let mut connection = self.connection.lock();
        let rotated = (|| {
            let transaction = connection.transaction()?;
            let added = transaction.execute(
                "INSERT INTO api_keys (id, user, label, hash)
                 SELECT ?1, user, label, ?3 FROM api_keys WHERE id = ?2 AND revoked IS NULL",
                params![key.id, id, key.hash.as_slice()],
            )?;
            transaction.execute("UPDATE api_keys SET revoked = CURRENT_TIMESTAMP WHERE id = ?1", [id])?;
            transaction.commit()?;
            Ok(added)
        })();
        match rotated.map_err(|error: rusqlite::Error| database_error(&self.path, &error))? {
            0 => Err(no_key(id)),
            _ => Ok(key.text),
        }
    }

    /// Sets the account of a user at a broker, and lets it serve the user.
    ///
    /// # Errors
    /// When there is no such user, or a credential is too long.
    pub fn set_account(
        &self,
        user: &str,
        broker: &str,
        credentials: &Credentials,
    ) -> Result<(), AccountsError> {
        if let Some((name, _)) = credentials.0.iter().find(|(_, value)| value.len() > MAX_CREDENTIAL_BYTES) {
            return Err(too_long(name));
        }
        let sealed = self.vault.seal(&credentials.to_json(), &row_of(user, broker))?;
        let mut connection = self.connection.lock();
        let set = (|| {
            let transaction = connection.transaction()?;
            let id: Option<i64> = transaction
                .query_row("SELECT id FROM users WHERE name = ?1", [user], |row| row.get(0))
                .optional()?;
            let Some(id) = id else { return Ok(false) };
            transaction.execute("UPDATE accounts SET is_active = 0 WHERE user = ?1", [id])?;
            transaction.execute(
                "INSERT INTO accounts (user, broker, credentials, is_active) VALUES (?1, ?2, ?3, 1)
                 ON CONFLICT (user, broker)
                 DO UPDATE SET credentials = excluded.credentials, is_active = 1, updated = CURRENT_TIMESTAMP",
                params![id, broker, sealed],
            )?;
            transaction.commit()?;
            Ok(true)
        })();
        if set.map_err(|error: rusqlite::Error| database_error(&self.path, &error))? {
            Ok(())
        } else {
            Err(no_user(user))
        }
    }

    /// Sets these credentials of an account, and leaves its others, and whether it serves its user, as they are. Says
    /// nothing to whoever holds the same values already.
    ///
    /// # Errors
    /// When there is no such account, or a credential is too long.
    pub fn merge_credentials(
        &self,
        user: &str,
        broker: &str,
        fresh: impl IntoIterator<Item = (String, Zeroizing<String>)>,
    ) -> Result<(), AccountsError> {
        let mut connection = self.connection.lock();
        let failed = |error: rusqlite::Error| database_error(&self.path, &error);
        // One writer at a time: two log-ins of one account must not undo each other.
        let transaction =
            connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
        let found: Option<(i64, Vec<u8>)> = transaction
            .query_row(
                "SELECT a.id, a.credentials FROM accounts a JOIN users u ON u.id = a.user
                 WHERE u.name = ?1 AND a.broker = ?2",
                [user, broker],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .optional()
            .map_err(failed)?;
        let (id, sealed) = found.ok_or_else(|| no_account(user, broker))?;
        let mut credentials = self.unseal(&sealed, user, broker)?;
        for (name, value) in fresh {
            if value.len() > MAX_CREDENTIAL_BYTES {
                return Err(too_long(&name));
            }
            credentials.0.retain(|(known, _)| *known != name);
            credentials.0.push((name, value));
        }
        let sealed = self.vault.seal(&credentials.to_json(), &row_of(user, broker))?;
        transaction
            .execute(
                "UPDATE accounts SET credentials = ?2, updated = CURRENT_TIMESTAMP WHERE id = ?1",
                params![id, sealed],
            )
            .map_err(failed)?;
        transaction.commit().map_err(failed)
    }

    /// Credentials of an account, whether it serves its user or not.
    ///
    /// # Errors
    /// When there is no such account, or they cannot be decrypted.
    pub fn credentials_at(&self, user: &str, broker: &str) -> Result<Credentials, AccountsError> {
        let sealed: Option<Vec<u8>> = self.read(|connection| {
            connection
                .query_row(
                    "SELECT a.credentials FROM accounts a JOIN users u ON u.id = a.user
                     WHERE u.name = ?1 AND a.broker = ?2",
                    [user, broker],
                    |row| row.get(0),
                )
                .optional()
        })?;
        self.unseal(&sealed.ok_or_else(|| no_account(user, broker))?, user, broker)
    }

    /// Accounts by user and broker.
    ///
    /// # Errors
    /// When the database fails, or credentials cannot be decrypted.
    pub fn accounts(&self) -> Result<Vec<AccountRow>, AccountsError> {
        let rows: Vec<(String, String, bool, Vec<u8>, String)> = self.rows(
            "SELECT u.name, a.broker, a.is_active, a.credentials, a.updated
             FROM accounts a JOIN users u ON u.id = a.user ORDER BY u.name, a.broker",
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?)),
        )?;
        rows.into_iter()
            .map(|(user, broker, active, sealed, updated)| {
                let credentials = self.unseal(&sealed, &user, &broker)?.names().map(str::to_owned).collect();
                Ok(AccountRow { user, broker, active, credentials, updated })
            })
            .collect()
    }

    /// Lets another account of a user serve it.
    ///
    /// # Errors
    /// When there is no such account.
    pub fn activate_account(&self, user: &str, broker: &str) -> Result<(), AccountsError> {
        let mut connection = self.connection.lock();
        let activated = (|| {
            let transaction = connection.transaction()?;
            let owner = "user = (SELECT id FROM users WHERE name = ?1)";
            transaction.execute(&format!("UPDATE accounts SET is_active = 0 WHERE {owner}"), [user])?;
            let activated = transaction.execute(
                &format!("UPDATE accounts SET is_active = 1 WHERE {owner} AND broker = ?2"),
                [user, broker],
            )?;
            if activated > 0 {
                transaction.commit()?;
            }
            Ok(activated)
        })();
        match activated.map_err(|error: rusqlite::Error| database_error(&self.path, &error))? {
            0 => Err(no_account(user, broker)),
            _ => Ok(()),
        }
    }

    /// Removes an account with its credentials.
    ///
    /// # Errors
    /// When there is no such account.
    pub fn remove_account(&self, user: &str, broker: &str) -> Result<(), AccountsError> {
        let removed = self.write(|connection| {
            connection.execute(
                "DELETE FROM accounts WHERE broker = ?2 AND user = (SELECT id FROM users WHERE name = ?1)",
                [user, broker],
            )
        })?;
        if removed == 0 { Err(no_account(user, broker)) } else { Ok(()) }
    }

    fn unseal(&self, sealed: &[u8], user: &str, broker: &str) -> Result<Credentials, AccountsError> {
        let undecryptable = || AccountsError::Undecryptable {
            user: user.to_owned(),
            broker: broker.to_owned(),
            reason: "master.key is not the one they were stored with; restore it, or set them again",
        };
        let json = self.vault.unseal(sealed, &row_of(user, broker)).ok_or_else(undecryptable)?;
        let object: std::collections::BTreeMap<String, String> =
            serde_json::from_str(&json).map_err(|_| undecryptable())?;
        let mut credentials = Credentials::default();
        object.into_iter().for_each(|(name, value)| credentials.set(&name, value));
        Ok(credentials)
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
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
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

fn row_of(user: &str, broker: &str) -> String {
    format!("{user}\0{broker}")
}

pub(super) fn database_error(path: &dyn std::fmt::Display, error: &rusqlite::Error) -> AccountsError {
    AccountsError::Database { path: path.to_string(), reason: error.to_string() }
}

fn too_long(name: &str) -> AccountsError {
    AccountsError::Refused(format!("{name} is longer than {MAX_CREDENTIAL_BYTES} bytes"))
}

fn no_user(name: &str) -> AccountsError {
    AccountsError::Refused(format!("there is no user {name}; add one with: tickhost user add {name}"))
}

fn no_key(id: &str) -> AccountsError {
    // What is longer than an identity may be a whole key, which must not be repeated.
    let named = if id.len() <= MAX_SHOWN_ID_BYTES { id } else { "of this identity" };
    AccountsError::Refused(format!("there is no key {named} that is not revoked; see: tickhost key list"))
}

fn no_account(user: &str, broker: &str) -> AccountsError {
    AccountsError::Refused(format!("{user} has no account at {broker}; see: tickhost account list"))
}
