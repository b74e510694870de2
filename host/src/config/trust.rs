//! Which libraries are trusted: the types of `plugins.toml` that say so. `adapters::integrity` holds
//! libraries to them.

use std::{fmt, path::PathBuf, str::FromStr};

use minisign_verify::PublicKey;

use crate::base::sha256::Sha256;

/// Longest public key, in letters; it has 56.
const MAX_KEY_CHARS: usize = 128;

/// What a library has to prove before it is loaded, beside what every one has to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IntegrityRules {
    /// The directory that no link may lead out of; the one that holds the file when there is none. It is
    /// checked itself, and what is below it on the way to the file.
    pub plugin_root: Option<PathBuf>,
    /// Hash that the library must have.
    pub sha256: Option<Sha256>,
    /// Where its signature is; when there is none, beside it, under its name with `.minisig`.
    pub signature: Option<PathBuf>,
    /// Who may sign it. With nobody here signatures are not looked at.
    pub signers: Vec<Signer>,
    /// Whether it must be signed by one of them. Otherwise only a signature that is there must be good.
    pub require_signature: bool,
}

/// The public key of an author.
#[derive(Clone, PartialEq, Eq)]
pub struct Signer {
    pub(crate) key: PublicKey,
    text: String,
}

/// A text that is no public key. It is not shown, because it may be a secret one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is no public key of minisign: give the second line of minisign.pub, which begins with RW")]
pub struct NoSigner;

impl FromStr for Signer {
    type Err = NoSigner;

    fn from_str(text: &str) -> Result<Self, NoSigner> {
        if text.len() > MAX_KEY_CHARS {
            return Err(NoSigner);
        }
        let key = PublicKey::from_base64(text).map_err(|_| NoSigner)?;
        Ok(Self { key, text: text.to_owned() })
    }
}

impl fmt::Display for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Signer").field(&self.text).finish()
    }
}
