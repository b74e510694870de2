//! Accounts of users at brokers, with their credentials, which are sealed.

use std::borrow::Borrow;

use rusqlite::{OptionalExtension as _, TransactionBehavior, params};
use secrecy::{ExposeSecret as _, SecretString};

use super::{OpenStore, users::no_user};
use crate::accounts::{Account, AccountId, AccountsError, Credentials, UserName, blocking::Blocking};

/// Longest value of one credential, in bytes.
const MAX_CREDENTIAL_BYTES: usize = 16 * 1_024;

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

impl<B: Borrow<Blocking>> OpenStore<'_, B> {
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

    pub(in crate::accounts) fn credentials(&self, account: &Account) -> Result<Credentials, AccountsError> {
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
        if let Some((name, _)) =
            credentials.0.iter().find(|(_, value)| value.expose_secret().len() > MAX_CREDENTIAL_BYTES)
        {
            return Err(too_long(name));
        }
        let sealed = self.store.vault.seal(credentials.to_json().expose_secret(), &row_of(user, broker))?;
        let mut connection = self.lock()?;
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
        if set.map_err(|error: rusqlite::Error| self.failed(&error))? { Ok(()) } else { Err(no_user(user)) }
    }

    /// Sets these credentials of an account, and leaves its others, and whether it serves its user, as they
    /// are. Says nothing to whoever holds the same values already.
    ///
    /// # Errors
    /// When there is no such account, or a credential is too long.
    pub fn merge_credentials(
        &self,
        user: &str,
        broker: &str,
        fresh: impl IntoIterator<Item = (String, SecretString)>,
    ) -> Result<(), AccountsError> {
        let mut connection = self.lock()?;
        let failed = |error: rusqlite::Error| self.failed(&error);
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
            if value.expose_secret().len() > MAX_CREDENTIAL_BYTES {
                return Err(too_long(&name));
            }
            credentials.0.retain(|(known, _)| *known != name);
            credentials.0.push((name, value));
        }
        let sealed = self.store.vault.seal(credentials.to_json().expose_secret(), &row_of(user, broker))?;
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
        let mut connection = self.lock()?;
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
        match activated.map_err(|error: rusqlite::Error| self.failed(&error))? {
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
        let undecryptable = || AccountsError::undecryptable(user, broker);
        let json = self.store.vault.unseal(sealed, &row_of(user, broker)).ok_or_else(undecryptable)?;
        let object: std::collections::BTreeMap<String, String> =
            serde_json::from_str(json.expose_secret()).map_err(|_| undecryptable())?;
        let mut credentials = Credentials::default();
        object.into_iter().for_each(|(name, value)| credentials.set(&name, value));
        Ok(credentials)
    }
}

pub(in crate::accounts) fn row_of(user: &str, broker: &str) -> String {
    format!("{user}\0{broker}")
}

fn too_long(name: &str) -> AccountsError {
    AccountsError::Refused(format!("{name} is longer than {MAX_CREDENTIAL_BYTES} bytes"))
}

fn no_account(user: &str, broker: &str) -> AccountsError {
    AccountsError::Refused(format!("{user} has no account at {broker}; see: tickhost account list"))
}
