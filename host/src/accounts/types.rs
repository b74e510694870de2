//! Who is who, and what can go wrong.

use crate::base::{blocking::Stopping, private::FileError};
use std::{fmt, sync::Arc, time::Duration};

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

            impl std::borrow::Borrow<str> for $name {
                fn borrow(&self) -> &str {
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
    /// How often the database had changed when this was read.
    pub(crate) seen: u64,
}

/// Why a key was not accepted.
#[derive(Clone, Debug, thiserror::Error)]
pub enum VerifyError {
    /// No such key.
    #[error("the API key is not known")]
    Unknown,
    /// The key was revoked.
    #[error("the API key was revoked")]
    Revoked,
    /// Too many keys are being checked.
    #[error("too many API keys are being checked; try again in {} s", retry_after.as_secs())]
    Busy {
        /// When there may be room again, whole seconds.
        retry_after: Duration,
    },
    /// The database failed.
    #[error(transparent)]
    Storage(#[from] AccountsError),
}

/// Why accounts could not be read or changed. Never contains a secret.
#[derive(Clone, Debug, thiserror::Error)]
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

impl From<FileError> for AccountsError {
    fn from(FileError { path, reason }: FileError) -> Self {
        Self::File { path: path.display().to_string(), reason }
    }
}

impl From<Stopping> for AccountsError {
    fn from(stopping: Stopping) -> Self {
        Self::Refused(stopping.to_string())
    }
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
