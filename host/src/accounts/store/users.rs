//! Users and their keys.

use std::borrow::Borrow;

use rusqlite::{TransactionBehavior, params};
use secrecy::{ExposeSecret as _, SecretString};

use super::{OpenStore, row_of};
use crate::accounts::{AccountsError, Credentials, blocking::Blocking, secrets::NewKey};

/// Longest name of a user, in bytes.
const MAX_NAME_BYTES: usize = 64;

/// Longest text that an error repeats as the identity of a key; identities have 8 characters, keys 76.
const MAX_SHOWN_ID_BYTES: usize = 16;

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

impl<B: Borrow<Blocking>> OpenStore<'_, B> {
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

    /// Adds the first user, with an account without credentials and a key, if there is still no user. All of
    /// it is there, or nothing, and not before `keep` has put the key where it is not lost.
    ///
    /// # Errors
    /// When the database fails, or `keep` does.
    pub fn create_first_user(
        &self,
        name: &str,
        broker: &str,
        label: &str,
        keep: impl FnOnce(&SecretString) -> Result<(), AccountsError>,
    ) -> Result<(), AccountsError> {
        let key = NewKey::generate()?;
        let sealed =
            self.store.vault.seal(Credentials::default().to_json().expose_secret(), &row_of(name, broker))?;
        let mut connection = self.lock()?;
        let failed = |error: rusqlite::Error| self.failed(&error);
        let transaction =
            connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
        if transaction
            .prepare("SELECT 1 FROM users")
            .and_then(|mut users| users.exists([]))
            .map_err(failed)?
        {
            return Ok(());
        }
        let added = (|| {
            transaction.execute("INSERT INTO users (name) VALUES (?1)", [name])?;
            let user = transaction.last_insert_rowid();
            transaction.execute(
                "INSERT INTO accounts (user, broker, credentials, is_active) VALUES (?1, ?2, ?3, 1)",
                params![user, broker, sealed],
            )?;
            transaction.execute(
                "INSERT INTO api_keys (id, user, label, hash) VALUES (?1, ?2, ?3, ?4)",
                params![key.id, user, label, key.hash.as_slice()],
            )
        })();
        added.map_err(failed)?;
        keep(&key.text)?;
        transaction.commit().map_err(failed)
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
        let mut connection = self.lock()?;
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
        match rotated.map_err(|error: rusqlite::Error| self.failed(&error))? {
            0 => Err(no_key(id)),
            _ => Ok(key.text),
        }
    }
}

pub(super) fn no_user(name: &str) -> AccountsError {
    AccountsError::Refused(format!("there is no user {name}; add one with: tickhost user add {name}"))
}

fn no_key(id: &str) -> AccountsError {
    // What is longer than an identity may be a whole key, which must not be repeated.
    if id.len() > MAX_SHOWN_ID_BYTES {
        return AccountsError::Refused(
            "that is no identity of a key; of th_IDENTITY_… it is the first part, as tickhost key list shows it".to_owned(),
        );
    }
    AccountsError::Refused(format!("there is no key {id} that is not revoked; see: tickhost key list"))
}
