//! API keys, and the encryption of credentials at rest.

use std::path::{Path, PathBuf};

use chacha20poly1305::{
    ChaCha20Poly1305, Key, Nonce,
    aead::{Aead as _, KeyInit as _, Payload},
};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::AccountsError;
use crate::base::private::{read_private, write_private};

/// What every key of this host begins with, so that a leaked one is recognised.
const KEY_PREFIX: &str = "th";

const NONCE_BYTES: usize = 12;

/// A new key: `th_<id>_<secret>`, with 256 random bits in the secret.
pub(super) struct NewKey {
    pub(super) id: String,
    pub(super) hash: [u8; 32],
    pub(super) text: SecretString,
}

impl NewKey {
    pub(super) fn generate() -> Result<Self, AccountsError> {
        let id = hex::encode(random::<4>()?);
        let secret = SecretString::from(hex::encode(Zeroizing::new(random::<32>()?)));
        let text = SecretString::from(format!("{KEY_PREFIX}_{id}_{}", secret.expose_secret()));
        let hash = hash_of(&text);
        Ok(Self { id, hash, text })
    }
}

/// The id in a key, if it has the form of one.
pub(super) fn id_of(key: &SecretString) -> Option<&str> {
    let mut parts = key.expose_secret().split('_');
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(KEY_PREFIX), Some(id), Some(_), None) => Some(id),
        _ => None,
    }
}

/// What is stored of a key. One round is enough for 256 random bits.
pub(super) fn hash_of(key: &SecretString) -> [u8; 32] {
    Sha256::digest(key.expose_secret().as_bytes()).into()
}

/// Compares in constant time.
pub(super) fn is_same(left: &[u8], right: &[u8]) -> bool {
    left.ct_eq(right).into()
}

fn random<const N: usize>() -> Result<[u8; N], AccountsError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)
        .map_err(|error| AccountsError::Refused(format!("the system gives no random numbers: {error}")))?;
    Ok(bytes)
}

/// Encrypts what the database holds. The key is a file that only this user can read, beside the database.
pub(super) struct Vault {
    cipher: ChaCha20Poly1305,
}

impl Vault {
    /// The file of the key.
    pub(super) fn file(data_dir: &Path) -> PathBuf {
        data_dir.join("master.key")
    }

    /// Reads the key, or makes one. The caller holds the lock of those that make files of the data folder.
    pub(super) fn open(data_dir: &Path) -> Result<Self, AccountsError> {
        if let Some(vault) = Self::read(data_dir)? {
            return Ok(vault);
        }
        let key = Zeroizing::new(random::<32>()?);
        let text = SecretString::from(hex::encode(key.as_slice()));
        write_private(&Self::file(data_dir), text.expose_secret().as_bytes())?;
        Ok(Self::of(&key))
    }

    /// Reads the key; none when there is none yet.
    pub(super) fn read(data_dir: &Path) -> Result<Option<Self>, AccountsError> {
        let path = Self::file(data_dir);
        let Some(text) = read_private(&path)? else { return Ok(None) };
        let mut key = Zeroizing::new([0_u8; 32]);
        hex::decode_to_slice(text.expose_secret().trim(), key.as_mut_slice()).map_err(|_| {
            AccountsError::File {
                path: path.display().to_string(),
                reason: "is no key (64 hex digits are); restore it from a backup, or remove it and set all \
                     credentials again"
                    .to_owned(),
            }
        })?;
        Ok(Some(Self::of(&key)))
    }

    fn of(key: &[u8; 32]) -> Self {
        Self { cipher: ChaCha20Poly1305::new(&Key::from(*key)) }
    }

    /// Encrypts. `belongs_to` is bound to the text, so that it cannot be moved to another row.
    pub(super) fn seal(&self, text: &str, belongs_to: &str) -> Result<Vec<u8>, AccountsError> {
        let nonce = random::<NONCE_BYTES>()?;
        let payload = Payload { msg: text.as_bytes(), aad: belongs_to.as_bytes() };
        let sealed = self
            .cipher
            .encrypt(&Nonce::from(nonce), payload)
            .map_err(|_| AccountsError::Refused("the credentials could not be encrypted".to_owned()))?;
        Ok([nonce.as_slice(), &sealed].concat())
    }

    /// Decrypts; none when it was not sealed with this key for this row.
    pub(super) fn unseal(&self, sealed: &[u8], belongs_to: &str) -> Option<SecretString> {
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE_BYTES>()?;
        let payload = Payload { msg: sealed, aad: belongs_to.as_bytes() };
        let bytes = self.cipher.decrypt(&Nonce::from(*nonce), payload).ok()?;
        String::from_utf8(bytes).ok().map(SecretString::from)
    }
}
