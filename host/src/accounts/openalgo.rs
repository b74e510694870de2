//! An existing OpenAlgo database, read-only: users, hashed keys, broker tokens.
//!
//! Formats as OpenAlgo writes them: keys are Argon2 hashes of key + pepper, tokens are Fernet tokens under a
//! key that is derived from the pepper and a salt. What was checked is remembered as long as OpenAlgo itself
//! remembers it.

mod fernet;
mod keys;

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use parking_lot::Mutex;
use rusqlite::{Connection, OpenFlags, OptionalExtension as _, Row};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::Sha256;
use tickhost_core::metrics::KeyCounters;
use zeroize::Zeroizing;

use self::fernet::Fernet;
use super::{
    Account, AccountId, AccountsError, Credentials, UserName, Verified,
    blocking::Blocking,
    changes::Watched,
    damage::{self, Looked},
    database::{BUSY, Database, Ownership, database_error},
    fingerprint::Fingerprint,
    memory::{Memory, Recalled},
};
use crate::base::cause;

/// Rounds of the derivation of the Fernet key.
const PBKDF2_ROUNDS: u32 = 100_000;
/// Salt of installations that never set their own.
const LEGACY_SALT: &[u8] = b"openalgo_static_salt";
/// What a placeholder row holds instead of a token.
const PENDING: &str = "pending";

/// Where the database is, and what it is read with.
#[derive(Debug)]
pub struct OpenAlgoSettings {
    /// The database file.
    pub path: PathBuf,
    /// `API_KEY_PEPPER`.
    pub pepper: SecretString,
    /// `FERNET_SALT`.
    pub fernet_salt: Option<SecretString>,
    /// `BROKER_API_KEY`, `BROKER_API_SECRET` and their `_MARKET` forms, under the names that adapters see.
    pub broker_keys: Vec<(&'static str, SecretString)>,
}

/// The database.
pub struct OpenAlgo {
    database: Database,
    pepper: SecretString,
    fernet: Fernet,
    broker_keys: Vec<(&'static str, SecretString)>,
    memory: Mutex<Memory>,
    /// How often the database has changed.
    epoch: AtomicU64,
    counters: Arc<KeyCounters>,
}

impl std::fmt::Debug for OpenAlgo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OpenAlgo").field("path", &self.database.path()).finish_non_exhaustive()
    }
}

impl OpenAlgo {
    pub(super) fn open(
        settings: OpenAlgoSettings,
        counters: Arc<KeyCounters>,
        blocking: &Blocking,
    ) -> Result<Self, AccountsError> {
        let OpenAlgoSettings { path, pepper, fernet_salt, broker_keys } = settings;
        let database = Database::open(&path, connect, Ownership::Other, blocking)?;
        let fernet = fernet_of(&pepper, fernet_salt.as_ref());
        let (memory, epoch) = (Mutex::default(), AtomicU64::new(0));
        Ok(Self { database, pepper, fernet, broker_keys, memory, epoch, counters })
    }

    /// What works and needs attention, a sentence each: tokens of brokers that nobody can read.
    pub(super) fn doubts(&self, blocking: &Blocking) -> Result<Vec<String>, AccountsError> {
        let tokens: Vec<String> = self.database.read(blocking, |connection| {
            let mut statement = connection.prepare(
                "SELECT auth FROM auth WHERE NOT coalesce(is_revoked, 0) AND auth <> '' AND auth <> ?1",
            )?;
            statement.query_map([PENDING], |row| row.get(0))?.collect()
        })?;
        let mut doubts = self.damage(blocking)?;
        if tokens.is_empty() || tokens.iter().any(|token| self.decrypt(token).is_some()) {
            return Ok(doubts);
        }
        doubts.push(format!(
            "no broker token in {} can be decrypted: API_KEY_PEPPER or FERNET_SALT is not the one in OpenAlgo's .env, or \
             everybody has to log in there again",
            self.database.path().display()
        ));
        Ok(doubts)
    }

    /// Looks for damage: where the host reads it is an error, elsewhere a doubt.
    fn damage(&self, blocking: &Blocking) -> Result<Vec<String>, AccountsError> {
        let path = self.database.path().display();
        let look = |table| self.database.read(blocking, |connection| damage::look(connection, table));
        let what = match look(None)? {
            Looked::Whole => return Ok(Vec::new()),
            Looked::Unfinished => return Ok(vec![damage::unfinished(&path)]),
            Looked::Damaged(what) => what,
        };
        for table in ["api_keys", "auth"] {
            if let Looked::Damaged(what) = look(Some(table))? {
                return Err(AccountsError::Database {
                    path: path.to_string(),
                    reason: damage::reason(&what),
                });
            }
        }
        Ok(vec![format!("the database {path}, where only OpenAlgo reads it: {}", damage::reason(&what))])
    }

    /// How often the database has changed. What was read in an earlier epoch may be outdated.
    pub(super) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// What earlier checks have shown; waits for nothing.
    pub(super) fn recall(&self, key: &Fingerprint) -> Recalled {
        let recalled = self.memory.lock().recall(key, self.epoch(), Instant::now());
        if matches!(recalled, Recalled::Good(_) | Recalled::Bad) {
            self.counters.remembered.add(1);
        }
        recalled
    }

    /// Reads again whose key it is that was this user's; none when its hash is gone.
    pub(super) fn renew(
        &self,
        blocking: &Blocking,
        key: &Fingerprint,
        known: &Verified,
    ) -> Result<Option<Verified>, AccountsError> {
        let seen = self.epoch();
        if self.check_keys(blocking, std::slice::from_ref(&known.key))? != [true] {
            self.memory.lock().forget(key);
            return Ok(None);
        }
        let account = self.account_of(blocking, &known.user)?;
        let verified = Verified { account, seen, ..known.clone() };
        self.memory.lock().renew(key, verified.clone());
        Ok(Some(verified))
    }

    pub(super) fn account_of(
        &self,
        blocking: &Blocking,
        user: &UserName,
    ) -> Result<Option<Account>, AccountsError> {
        self.database.read(blocking, |connection| {
            connection
                .query_row(
                    "SELECT broker FROM auth WHERE name = ?1 AND NOT coalesce(is_revoked, 0)",
                    [user.as_str()],
                    |row| {
                        let broker: String = row.get(0)?;
                        Ok(Account {
                            id: AccountId::from(format!("{user}@{broker}").as_str()),
                            user: user.clone(),
                            broker: broker.into(),
                        })
                    },
                )
                .optional()
        })
    }

    pub(super) fn credentials(
        &self,
        blocking: &Blocking,
        account: &Account,
    ) -> Result<Credentials, AccountsError> {
        let found = self.database.read(blocking, |connection| {
            let mut statement = connection.prepare(
                "SELECT * FROM auth WHERE name = ?1 AND broker = ?2 AND NOT coalesce(is_revoked, 0)",
            )?;
            statement
                .query_row([account.user.as_str(), &*account.broker], |row| {
                    Ok((row.get::<_, Option<String>>("auth")?, text(row, "feed_token"), text(row, "user_id")))
                })
                .optional()
        })?;
        let mut credentials = Credentials::default();
        let Some((auth, feed_token, client_id)) = found else { return Ok(credentials) };
        for (name, token) in [("auth_token", auth), ("feed_token", feed_token)] {
            let token = token.filter(|token| !token.is_empty() && token != PENDING);
            // A token under an older pepper or salt is as good as none: the user has to log in again.
            if let Some(plain) = token.and_then(|token| self.decrypt(&token)) {
                credentials.set(name, plain.expose_secret());
            }
        }
        if let Some(client_id) = client_id.filter(|id| !id.is_empty()) {
            credentials.set("user_id", client_id);
        }
        for (name, key) in &self.broker_keys {
            credentials.set(name, key.expose_secret());
        }
        Ok(credentials)
    }

    fn decrypt(&self, token: &str) -> Option<SecretString> {
        let plain = self.fernet.decrypt(token)?;
        std::str::from_utf8(&plain).ok().map(SecretString::from)
    }
}

impl Watched for OpenAlgo {
    fn database(&self) -> &Database {
        &self.database
    }

    fn outdated(&self) {
        self.epoch.fetch_add(1, Ordering::AcqRel);
        self.memory.lock().forget_refused();
    }
}

fn connect(path: &Path) -> Result<Connection, AccountsError> {
    require_readable(path)?;
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)
        .map_err(|error| database_error(&path.display(), &error))?;
    let opened = connection.busy_timeout(BUSY).and_then(|()| {
        connection.query_row(
            "SELECT (SELECT count(*) FROM api_keys) + (SELECT count(*) FROM auth)",
            [],
            |_| Ok(()),
        )
    });
    opened.map_err(|error| match error.to_string() {
        said if said.starts_with("no such ") => AccountsError::Database {
            path: path.display().to_string(),
            reason: format!("it is no OpenAlgo database ({said}); name the one in OpenAlgo's folder db"),
        },
        _ => database_error(&path.display(), &error),
    })?;
    Ok(connection)
}

/// Refuses a file that is not there or that this user may not read.
pub(super) fn require_readable(path: &Path) -> Result<(), AccountsError> {
    let unreadable = |error: std::io::Error| AccountsError::Database {
        path: path.display().to_string(),
        reason: format!("{}; a relative path counts from the working folder", cause::of_reading(&error)),
    };
    let opened = std::fs::File::open(path).and_then(|file| file.metadata());
    match opened.map_err(unreadable)? {
        metadata if metadata.is_dir() => Err(unreadable(std::io::ErrorKind::IsADirectory.into())),
        _ => Ok(()),
    }
}

/// The file that a `SQLAlchemy` URL names: `sqlite:///relative`, `sqlite:////absolute`.
pub fn path_of_url(url: &str, working_dir: &Path) -> Option<PathBuf> {
    let path = url.strip_prefix("sqlite:///")?;
    (!path.is_empty()).then(|| working_dir.join(path))
}

pub(super) fn fernet_of(pepper: &SecretString, salt: Option<&SecretString>) -> Fernet {
    let salt = salt.map(|salt| salt.expose_secret().trim()).filter(|salt| salt.len() >= 32);
    let salt = salt.and_then(|salt| hex::decode(salt).ok()).unwrap_or_else(|| LEGACY_SALT.to_vec());
    let mut key = Zeroizing::new([0_u8; 32]);
    pbkdf2::pbkdf2_hmac::<Sha256>(
        pepper.expose_secret().as_bytes(),
        &salt,
        PBKDF2_ROUNDS,
        key.as_mut_slice(),
    );
    Fernet::new(&key)
}

fn text(row: &Row<'_>, column: &str) -> Option<String> {
    // Older databases lack the column.
    row.get::<_, Option<String>>(column).ok().flatten()
}

#[cfg(test)]
pub(super) mod vectors {
    //! The test vectors of the database format.

    pub(crate) const PEPPER: &str = "a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1";
    pub(crate) const SALT: &str = "5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f";
    pub(crate) const SALTED_TOKEN: &str = "gAAAAABlU_EAAAECAwQFBgcICQoLDA0ODxS5jsVmfONS29j9HMrbxFyZa7o4H3cpUnahbvnA0Ux4qXbtFKPvAFVExD1lGn_liVmgAsP9isB4iShbmV6ZYAA=";
    pub(crate) const LEGACY_TOKEN: &str = "gAAAAABlU_EAAAECAwQFBgcICQoLDA0OD4JoScEPFzUi-j0yUf634L_UnNAp9yy2R0SpBo-SneW6wLnlZmdSUvRIH4MqdCAaxsBiCHdxsTSVsSeuCKabl_U=";
    pub(crate) const PLAIN: &str = "kitekey:accesstoken";
    pub(crate) const KEY: &str = "testkey-0123456789abcdef";
    pub(crate) const HASH: &str =
        "$argon2id$v=19$m=65536,t=3,p=4$MDEyMzQ1Njc4OWFiY2RlZg$idghnOHtdahiscHD7XL/ayKwXCQG8Z69vEuRZZO+Y10";
}
