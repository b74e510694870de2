//! Who may connect, and with what the host logs in at their broker.
//!
//! [`Accounts`] is one facade over two sources: the host's own database ([`store`]), which the command line manages, and
//! an existing OpenAlgo database ([`openalgo`]), which is only ever read. Everything that touches a disk or hashes a key
//! runs off the threads that serve, a few at a time.

mod changes;
pub mod look;
pub mod openalgo;
pub mod secrets;
pub mod store;

use std::{collections::BTreeMap, fmt, path::Path, sync::Arc, time::Duration};

use secrecy::SecretString;
use tokio::sync::{Semaphore, watch};
use zeroize::{Zeroize, Zeroizing};

use self::{openalgo::OpenAlgo, store::Store};
use crate::bus::CacheScope;

/// Key checks that may wait for their turn; more are told to come back. A flood of wrong keys costs this much and no
/// more.
const CHECKS_WAITING: usize = 256;

/// Key checks at one time. Argon2, which OpenAlgo uses, takes 64 MiB and tens of milliseconds for each.
const CHECKS_AT_ONCE: usize = 2;

/// Longest wait for one's turn.
const CHECK_PATIENCE: Duration = Duration::from_secs(4);

macro_rules! names {
    ($($(#[$meta:meta])+ $name:ident;)+) => {
        $(
            $(#[$meta])+
            #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
            pub struct $name(Arc<str>);

            impl $name {
                /// The text.
                pub fn as_str(&self) -> &str {
                    &self.0
                }
            }

            impl From<&str> for $name {
                fn from(text: &str) -> Self {
                    Self(text.into())
                }
            }

            impl fmt::Display for $name {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.write_str(&self.0)
                }
            }
        )+
    };
}

names! {
    /// Name of a user.
    UserName;
    /// Identity of an API key; says nothing about the key itself.
    KeyId;
    /// Identity of an account at a broker.
    AccountId;
}

/// An account at a broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Identity.
    pub id: AccountId,
    /// Whose it is.
    pub user: UserName,
    /// At which broker.
    pub broker: Arc<str>,
}

/// What a good key stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// The user.
    pub user: UserName,
    /// The key.
    pub key: KeyId,
    /// The user's account, if there is one.
    pub account: Option<Account>,
}

/// Why a key was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// No such key.
    #[error("the API key is not known")]
    Unknown,
    /// The key was revoked.
    #[error("the API key was revoked")]
    Revoked,
    /// Too many keys are being checked.
    #[error("too many API keys are being checked")]
    Busy,
    /// The database failed.
    #[error(transparent)]
    Storage(#[from] AccountsError),
}

/// Why accounts could not be read or changed. Never contains a secret.
#[derive(Debug, thiserror::Error)]
pub enum AccountsError {
    /// The database failed.
    #[error("the database {path} cannot be used: {reason}")]
    Database {
        /// The file.
        path: String,
        /// Why.
        reason: String,
    },
    /// A file of the data directory failed.
    #[error("{path}: {reason}")]
    File {
        /// The file or directory.
        path: String,
        /// Why, and what to do.
        reason: String,
    },
    /// Stored credentials cannot be decrypted.
    #[error("the credentials of {user} at {broker} cannot be decrypted: {reason}")]
    Undecryptable {
        /// Whose.
        user: String,
        /// Where.
        broker: String,
        /// What to do.
        reason: &'static str,
    },
    /// The command makes no sense.
    #[error("{0}")]
    Refused(String),
}

impl AccountsError {
    pub(crate) fn undecryptable(user: &str, broker: &str) -> Self {
        Self::Undecryptable {
            user: user.to_owned(),
            broker: broker.to_owned(),
            reason: "master.key is not the one they were stored with; restore it, or set them again",
        }
    }
}

/// Credentials of one account, by name. Wiped when dropped, and never shown.
#[derive(Default)]
pub struct Credentials(Vec<(String, Zeroizing<String>)>);

impl Credentials {
    /// Adds one.
    pub fn set(&mut self, name: &str, value: impl Into<String>) {
        self.0.push((name.to_owned(), Zeroizing::new(value.into())));
    }

    /// One by name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    /// As a JSON object of strings.
    pub fn to_json(&self) -> Zeroizing<String> {
        let mut object = serde_json::Map::new();
        for (name, value) in &self.0 {
            object.insert(name.clone(), serde_json::Value::String(value.as_str().to_owned()));
        }
        let json = Zeroizing::new(serde_json::to_string(&object).unwrap_or_else(|_| "{}".to_owned()));
        object.iter_mut().for_each(|(_, value)| {
            if let serde_json::Value::String(text) = value {
                text.zeroize();
            }
        });
        json
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

/// Users, keys and accounts. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Accounts {
    source: Source,
    gate: Arc<Gate>,
    changes: watch::Receiver<u64>,
}

#[derive(Clone, Debug)]
enum Source {
    Store(Arc<Store>),
    OpenAlgo(Arc<OpenAlgo>),
}

/// Bounds the key checks.
#[derive(Debug)]
struct Gate {
    waiting: Semaphore,
    running: Semaphore,
}

impl Accounts {
    /// The host's own database in `data_dir`, made when it is not there.
    ///
    /// # Errors
    /// [`AccountsError`] when it cannot be made, opened, or protected.
    pub fn open_embedded(data_dir: &Path) -> Result<Self, AccountsError> {
        let store = Arc::new(Store::open(data_dir)?);
        let watched = Arc::downgrade(&store);
        let changes = changes::watch("accounts", move || Some(watched.upgrade()?.data_version()));
        Ok(Self::new(Source::Store(store), changes))
    }

    /// An existing OpenAlgo database, read-only.
    ///
    /// # Errors
    /// [`AccountsError`] when it cannot be opened or is none.
    pub fn open_openalgo(settings: openalgo::OpenAlgoSettings) -> Result<Self, AccountsError> {
        let openalgo = Arc::new(OpenAlgo::open(settings)?);
        let watched = Arc::downgrade(&openalgo);
        let changes = changes::watch("openalgo", move || Some(watched.upgrade()?.data_version()));
        Ok(Self::new(Source::OpenAlgo(openalgo), changes))
    }

    /// Looks at an OpenAlgo database. Gives what works and needs attention, a sentence each.
    ///
    /// # Errors
    /// As [`Accounts::open_openalgo`].
    pub fn look_at_openalgo(settings: openalgo::OpenAlgoSettings) -> Result<Vec<String>, AccountsError> {
        OpenAlgo::open(settings)?.doubts()
    }

    /// Looks whether the file of an OpenAlgo database can be read at all, for who lacks its pepper.
    ///
    /// # Errors
    /// When it cannot.
    pub fn look_for_openalgo(path: &Path) -> Result<(), AccountsError> {
        openalgo::require_readable(path)
    }

    fn new(source: Source, changes: watch::Receiver<u64>) -> Self {
        let gate = Gate { waiting: Semaphore::new(CHECKS_WAITING), running: Semaphore::new(CHECKS_AT_ONCE) };
        Self { source, gate: Arc::new(gate), changes }
    }

    /// Whose key it is.
    ///
    /// # Errors
    /// [`VerifyError`]; `Unknown` and `Revoked` must look the same to clients.
    pub async fn verify_key(&self, key: &SecretString) -> Result<Verified, VerifyError> {
        // What was checked lately needs no second check, and no turn.
        if let Source::OpenAlgo(openalgo) = &self.source
            && let Some(known) = openalgo.remembered(key)
        {
            return known;
        }
        let _waiting = self.gate.waiting.try_acquire().map_err(|_| VerifyError::Busy)?;
        let _running = tokio::time::timeout(CHECK_PATIENCE, self.gate.running.acquire())
            .await
            .ok()
            .and_then(Result::ok)
            .ok_or(VerifyError::Busy)?;
        let (source, key) = (self.source.clone(), key.clone());
        off_thread(move || match source {
            Source::Store(store) => store.verify(&key),
            Source::OpenAlgo(openalgo) => openalgo.verify(&key),
        })
        .await?
    }

    /// Credentials of an account at this moment.
    ///
    /// # Errors
    /// [`AccountsError`] when they cannot be read or decrypted.
    pub async fn credentials(&self, account: &Account) -> Result<Credentials, AccountsError> {
        let (source, account) = (self.source.clone(), account.clone());
        off_thread(move || match source {
            Source::Store(store) => store.credentials(&account),
            Source::OpenAlgo(openalgo) => openalgo.credentials(&account),
        })
        .await?
    }

    /// Stores what a log-in gave, over what is there of the same names.
    ///
    /// # Errors
    /// [`AccountsError`] when it cannot be stored, as in OpenAlgo's database, which is only read.
    pub async fn store_login(
        &self,
        account: &Account,
        fields: BTreeMap<String, Zeroizing<String>>,
    ) -> Result<(), AccountsError> {
        let (source, account) = (self.source.clone(), account.clone());
        off_thread(move || match source {
            Source::Store(store) => store.merge_credentials(account.user.as_str(), &account.broker, fields),
            Source::OpenAlgo(_) => Err(AccountsError::Refused("OpenAlgo logs in by itself".to_owned())),
        })
        .await?
    }

    /// Whether log-ins of the host can be stored.
    pub const fn keeps_logins(&self) -> bool {
        matches!(self.source, Source::Store(_))
    }

    /// Which of these keys are still good, in their order.
    ///
    /// # Errors
    /// [`AccountsError`] when the database cannot be read.
    pub async fn check_keys(&self, keys: Vec<KeyId>) -> Result<Vec<bool>, AccountsError> {
        let source = self.source.clone();
        off_thread(move || match source {
            Source::Store(store) => store.check_keys(&keys),
            Source::OpenAlgo(openalgo) => openalgo.check_keys(&keys),
        })
        .await?
    }

    /// The account that serves a user now.
    ///
    /// # Errors
    /// [`AccountsError`] when the database cannot be read.
    pub async fn current_account(&self, user: &UserName) -> Result<Option<Account>, AccountsError> {
        let (source, user) = (self.source.clone(), user.clone());
        off_thread(move || match source {
            Source::Store(store) => store.account_of(&user),
            Source::OpenAlgo(openalgo) => openalgo.account_of(&user),
        })
        .await?
    }

    /// Changes within half a second of any change of the database, by whatever process.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.clone()
    }

    /// A publisher said that something remembered is outdated.
    pub fn invalidate(&self, scope: CacheScope) {
        if let Source::OpenAlgo(openalgo) = &self.source
            && matches!(scope, CacheScope::All)
        {
            openalgo.forget();
        }
    }

    /// The host's own database, for the commands that change it.
    ///
    /// # Errors
    /// A sentence, when users and keys come from OpenAlgo.
    pub fn store(&self) -> Result<&Store, AccountsError> {
        match &self.source {
            Source::Store(store) => Ok(store),
            Source::OpenAlgo(_) => Err(AccountsError::Refused(
                "users, keys and accounts come from OpenAlgo's database (DATABASE_URL), which is only read: manage them \
                 there, or unset DATABASE_URL"
                    .to_owned(),
            )),
        }
    }
}

async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, AccountsError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| AccountsError::Refused("the host is stopping".to_owned()))
}

#[cfg(test)]
mod tests;
