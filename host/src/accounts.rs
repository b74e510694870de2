//! Who may connect, and with what the host logs in at their broker.
//!
//! [`Accounts`] is one facade over two sources: the host's own database ([`store`]), which the command line
//! manages, and an existing OpenAlgo database ([`openalgo`]), which is only ever read. Everything that
//! touches a disk or hashes a key runs off the threads that serve, a few at a time ([`blocking`]): what needs
//! no hash in `lookups`, what needs one in `checks`, and what is remembered in neither.

mod changes;
mod checks;
mod damage;
mod database;
mod fingerprint;
pub mod key_share;
pub mod look;
mod lookups;
mod memory;
pub mod openalgo;
mod queue;
pub mod secrets;
pub mod store;
mod strikes;
mod types;

use std::{collections::BTreeMap, fmt, path::Path, sync::Arc, time::Instant};

use parking_lot::Mutex;
use secrecy::{ExposeSecret as _, SecretString};
use tickhost_core::metrics::KeyCounters;
use tokio::sync::watch;

use self::{
    changes::Changes,
    checks::Checks,
    fingerprint::Fingerprint,
    lookups::Lookups,
    memory::Recalled,
    openalgo::OpenAlgo,
    store::{OpenStore, Store},
    strikes::Strikes,
};
pub use self::{
    strikes::{Caller, Penalty},
    types::{Account, AccountId, AccountsError, KeyId, UserName, Verified, VerifyError},
};
use crate::base::{
    blocking::{self, Blocking, off_thread},
    secret,
};

/// Credentials of one account, by name. Wiped when dropped, and never shown.
#[derive(Default)]
pub struct Credentials(Vec<(String, SecretString)>);

impl Credentials {
    /// Adds one.
    pub fn set(&mut self, name: &str, value: impl Into<String>) {
        self.0.push((name.to_owned(), SecretString::from(value.into())));
    }

    /// One by name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.expose_secret())
    }

    /// Names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    /// As a JSON object of strings.
    pub fn to_json(&self) -> SecretString {
        secret::to_json(self.0.iter().map(|(name, value)| (name.as_str(), value)))
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
    changes: Changes,
    strikes: Arc<Mutex<Strikes>>,
    counters: Arc<KeyCounters>,
}

#[derive(Clone, Debug)]
enum Source {
    Store(Arc<Store>, Arc<Lookups<SecretString, Result<Verified, VerifyError>>>),
    OpenAlgo {
        openalgo: Arc<OpenAlgo>,
        renewals: Arc<Lookups<(Fingerprint, Verified), Option<Verified>>>,
        checks: Arc<Checks>,
    },
}

impl Accounts {
    /// The host's own database in `data_dir`, made when it is not there.
    ///
    /// # Errors
    /// [`AccountsError`] when it cannot be made, opened, or protected.
    pub fn open_embedded(data_dir: &Path) -> Result<Self, AccountsError> {
        let blocking = Blocking::of_command();
        let store = Arc::new(Store::open(data_dir, &blocking)?);
        let changes = changes::watch("accounts", &store, &blocking);
        let read = Arc::clone(&store);
        let lookups = Lookups::new(move |blocking, key: &SecretString| match read.on(blocking).verify(key) {
            Err(VerifyError::Storage(error)) => Err(error),
            outcome => Ok(outcome),
        });
        let source = Source::Store(store, Arc::new(lookups));
        Ok(Self { source, changes, strikes: Arc::default(), counters: Arc::default() })
    }

    /// An existing OpenAlgo database, read-only.
    ///
    /// # Errors
    /// [`AccountsError`] when it cannot be opened or is none.
    pub fn open_openalgo(settings: openalgo::OpenAlgoSettings) -> Result<Self, AccountsError> {
        let blocking = Blocking::of_command();
        let counters = Arc::<KeyCounters>::default();
        let openalgo = Arc::new(OpenAlgo::open(settings, Arc::clone(&counters), &blocking)?);
        let changes = changes::watch("openalgo", &openalgo, &blocking);
        let read = Arc::clone(&openalgo);
        let renewals = Lookups::new(move |blocking, (key, known): &(Fingerprint, Verified)| {
            read.renew(blocking, key, known)
        });
        let checked = Arc::clone(&openalgo);
        let strikes = Arc::<Mutex<Strikes>>::default();
        let checks =
            Checks::new(Arc::clone(&counters), Arc::clone(&strikes), move |blocking, fingerprint, key| {
                checked.verify(blocking, fingerprint, key)
            });
        let source = Source::OpenAlgo { openalgo, renewals: Arc::new(renewals), checks: Arc::new(checks) };
        Ok(Self { source, changes, strikes, counters })
    }

    /// Looks at an OpenAlgo database. Gives what works and needs attention, a sentence each.
    ///
    /// # Errors
    /// As [`Accounts::open_openalgo`].
    pub fn look_at_openalgo(settings: openalgo::OpenAlgoSettings) -> Result<Vec<String>, AccountsError> {
        let blocking = Blocking::of_command();
        OpenAlgo::open(settings, Arc::default(), &blocking)?.doubts(&blocking)
    }

    /// Looks whether the file of an OpenAlgo database can be read at all, for who lacks its pepper.
    ///
    /// # Errors
    /// When it cannot.
    pub fn look_for_openalgo(path: &Path) -> Result<(), AccountsError> {
        openalgo::require_readable(path)
    }

    /// Whose key it is. What is remembered is answered at once; the rest waits its turn.
    ///
    /// # Errors
    /// [`VerifyError`]; `Unknown` and `Revoked` must look the same to clients.
    pub async fn verify_key(&self, key: &SecretString, caller: Caller) -> Result<Verified, VerifyError> {
        let outcome = self.look_up(key, caller).await;
        match &outcome {
            Err(VerifyError::Unknown | VerifyError::Revoked) => self.counters.wrong.add(1),
            Err(VerifyError::Busy { .. }) => self.counters.sent_away.add(1),
            Ok(_) | Err(VerifyError::Storage(_)) => {}
        }
        outcome
    }

    async fn look_up(&self, key: &SecretString, caller: Caller) -> Result<Verified, VerifyError> {
        let (openalgo, renewals, checks) = match &self.source {
            Source::Store(_, lookups) => {
                // What has not the form of a key is none, and needs no database.
                secrets::id_of(key).ok_or(VerifyError::Unknown)?;
                return lookups.ask(key.clone()).await?;
            }
            Source::OpenAlgo { openalgo, renewals, checks } => (openalgo, renewals, checks),
        };
        let fingerprint = Fingerprint::of(key);
        match openalgo.recall(&fingerprint) {
            Recalled::Good(verified) => return Ok(verified),
            Recalled::Bad => return Err(VerifyError::Unknown),
            Recalled::Outdated(known) => {
                if let Some(verified) = renewals.ask((fingerprint.clone(), known)).await? {
                    return Ok(verified);
                }
            }
            Recalled::Nothing => {}
        }
        checks.ask(fingerprint, key, caller).await
    }

    /// Whether the database is still the one in which this was read. Whoever has noted the key where
    /// [`Self::check_keys`] is asked for it, and then finds this true, misses no revocation.
    pub fn is_current(&self, verified: &Verified) -> bool {
        self.noticed() == verified.seen
    }

    /// How often a change of the database was noticed.
    pub fn noticed(&self) -> u64 {
        match &self.source {
            Source::Store(store, _) => store.epoch(),
            Source::OpenAlgo { openalgo, .. } => openalgo.epoch(),
        }
    }

    /// Notes a wrong key, and says what it costs.
    pub fn note_wrong_key(&self, caller: Caller) -> Penalty {
        self.strikes.lock().note(caller, Instant::now())
    }

    /// What became of keys.
    pub fn counters(&self) -> &KeyCounters {
        &self.counters
    }

    /// Credentials of an account at this moment.
    ///
    /// # Errors
    /// [`AccountsError`] when they cannot be read or decrypted.
    pub async fn credentials(&self, account: &Account) -> Result<Credentials, AccountsError> {
        let (source, account) = (self.source.clone(), account.clone());
        off_thread(move |blocking| match source {
            Source::Store(store, _) => store.on(blocking).credentials(&account),
            Source::OpenAlgo { openalgo, .. } => openalgo.credentials(blocking, &account),
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
        fields: BTreeMap<String, SecretString>,
    ) -> Result<(), AccountsError> {
        let (source, account) = (self.source.clone(), account.clone());
        off_thread(move |blocking| match source {
            Source::Store(store, _) => {
                store.on(blocking).merge_credentials(account.user.as_str(), &account.broker, fields)
            }
            Source::OpenAlgo { .. } => Err(AccountsError::Refused("OpenAlgo logs in by itself".to_owned())),
        })
        .await?
    }

    /// Whether log-ins of the host can be stored.
    pub const fn keeps_logins(&self) -> bool {
        matches!(self.source, Source::Store(..))
    }

    /// Which of these keys are still good, in their order.
    ///
    /// # Errors
    /// [`AccountsError`] when the database cannot be read.
    pub async fn check_keys(&self, keys: Vec<KeyId>) -> Result<Vec<bool>, AccountsError> {
        let source = self.source.clone();
        off_thread(move |blocking| match source {
            Source::Store(store, _) => store.on(blocking).check_keys(&keys),
            Source::OpenAlgo { openalgo, .. } => openalgo.check_keys(blocking, &keys),
        })
        .await?
        .inspect_err(|_| self.changes.tell_again())
    }

    /// The account that serves a user now.
    ///
    /// # Errors
    /// [`AccountsError`] when the database cannot be read.
    pub async fn current_account(&self, user: &UserName) -> Result<Option<Account>, AccountsError> {
        let (source, user) = (self.source.clone(), user.clone());
        off_thread(move |blocking| match source {
            Source::Store(store, _) => store.on(blocking).account_of(&user),
            Source::OpenAlgo { openalgo, .. } => openalgo.account_of(blocking, &user),
        })
        .await?
        .inspect_err(|_| self.changes.tell_again())
    }

    /// Changes within half a second of any change of the database, by whatever process. Changes again when
    /// what was read then could not be read.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.news()
    }

    /// The host's own database, for the commands that change it.
    ///
    /// # Errors
    /// A sentence, when users and keys come from OpenAlgo.
    pub fn store(&self) -> Result<OpenStore<'_>, AccountsError> {
        match &self.source {
            Source::Store(store, _) => Ok(store.on(Blocking::of_command())),
            Source::OpenAlgo { .. } => Err(AccountsError::Refused(
                "users, keys and accounts come from OpenAlgo's database (DATABASE_URL), which is only read: manage them \
                 there, or unset DATABASE_URL"
                    .to_owned(),
            )),
        }
    }
}

#[cfg(test)]
mod tests;
