//! API keys, and the encryption of credentials at rest.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use chacha20poly1305::{
    ChaCha20Poly1305, Key, Nonce,
    aead::{Aead as _, KeyInit as _, Payload},
};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::AccountsError;
use crate::base::{cause, files};

/// What every key of this host begins with, so that a leaked one is recognised.
const KEY_PREFIX: &str = "th";

const NONCE_BYTES: usize = 12;

/// Longest file with a secret that is read.
const MAX_SECRET_BYTES: u64 = 4_096;

/// A new key: `th_<id>_<secret>`, with 256 random bits in the secret.
pub(super) struct NewKey {
    pub(super) id: String,
    pub(super) hash: [u8; 32],
    pub(super) text: SecretString,
}

impl NewKey {
    pub(super) fn generate() -> Result<Self, AccountsError> {
        let id = hex::encode(random::<4>()?);
        let secret = Zeroizing::new(hex::encode(Zeroizing::new(random::<32>()?)));
        let text = SecretString::from(format!("{KEY_PREFIX}_{id}_{}", secret.as_str()));
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
        let text = Zeroizing::new(hex::encode(key.as_slice()));
        write_private(&Self::file(data_dir), text.as_bytes())?;
        Ok(Self::of(&key))
    }

    /// Reads the key; none when there is none yet.
    pub(super) fn read(data_dir: &Path) -> Result<Option<Self>, AccountsError> {
        let path = Self::file(data_dir);
        let Some(text) = read_private(&path)? else { return Ok(None) };
        let mut key = Zeroizing::new([0_u8; 32]);
        hex::decode_to_slice(text.trim(), key.as_mut_slice()).map_err(|_| AccountsError::File {
            path: path.display().to_string(),
            reason: "is no key (64 hex digits are); restore it from a backup, or remove it and set all \
                     credentials again"
                .to_owned(),
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
    pub(super) fn unseal(&self, sealed: &[u8], belongs_to: &str) -> Option<Zeroizing<String>> {
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE_BYTES>()?;
        let payload = Payload { msg: sealed, aad: belongs_to.as_bytes() };
        let bytes = self.cipher.decrypt(&Nonce::from(*nonce), payload).ok()?;
        String::from_utf8(bytes).ok().map(Zeroizing::new)
    }
}

/// Makes a directory that only this user can enter.
pub(crate) fn private_dir(path: &Path) -> Result<PathBuf, AccountsError> {
    crate::base::blocking::may_wait();
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(|error| unwritable(path, &error))?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let metadata = fs::metadata(path).map_err(|error| file_error(path, &error))?;
        if metadata.permissions().mode() & 0o077 != 0 {
            fs::set_permissions(path, fs::Permissions::from_mode(0o700))
                .map_err(|error| file_error(path, &error))?;
        }
    }
    Ok(path.to_owned())
}

/// Writes a file that only this user can read, whatever was there before: whole or not at all, and on the disk. One
/// program at a time may write one file.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> Result<(), AccountsError> {
    let wanted = files::Wanted { mode: 0o600, is_durable: true, ending: ".new" };
    files::replace(path, bytes, wanted).map_err(|error| unwritable(path, &error))
}

/// Reads a file with a secret, as far as one can be long; none when there is no such file. An empty one is none: a full
/// disk, or a program that was killed, may have left it.
///
/// # Errors
/// When it cannot be read, is no text, or others can read it.
pub(crate) fn read_private(path: &Path) -> Result<Option<Zeroizing<String>>, AccountsError> {
    use io::Read as _;

    crate::base::blocking::may_wait();
    let mut options = fs::OpenOptions::new();
    options.read(true);
    // Nobody waits for the other end of a pipe that stands in the place of the file.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(
        &mut options,
        rustix::fs::OFlags::NONBLOCK.bits().cast_signed(),
    );
    let file = match options.open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(file_error(path, &error)),
    };
    // What was opened is looked at, and not what the path names a moment later.
    let metadata = file.metadata().map_err(|error| file_error(path, &error))?;
    let mut text = Zeroizing::new(String::new());
    if metadata.is_file() && metadata.len() == 0 {
        return Ok(None);
    }
    require_private_mode(path, &metadata)?;
    file.take(MAX_SECRET_BYTES).read_to_string(&mut text).map_err(|error| file_error(path, &error))?;
    Ok(if text.trim().is_empty() { None } else { Some(text) })
}

/// Refuses a secret that others can read.
pub(crate) fn require_private(path: &Path) -> Result<(), AccountsError> {
    let metadata = fs::metadata(path).map_err(|error| file_error(path, &error))?;
    require_private_mode(path, &metadata)
}

#[cfg(unix)]
fn require_private_mode(path: &Path, metadata: &fs::Metadata) -> Result<(), AccountsError> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = metadata.permissions().mode();
    if mode & 0o077 != 0 {
        let (path, mode) = (path.display(), mode & 0o777);
        let reason = format!("other users can read it (mode {mode:o}); run: chmod 600 {path}");
        return Err(AccountsError::File { path: path.to_string(), reason });
    }
    Ok(())
}

/// Access control lists of Windows are the operator's.
#[cfg(not(unix))]
fn require_private_mode(_path: &Path, _metadata: &fs::Metadata) -> Result<(), AccountsError> {
    Ok(())
}

pub(crate) fn file_error(path: &Path, error: &io::Error) -> AccountsError {
    let reason = format!("cannot be read: {}", cause::of_reading(error));
    AccountsError::File { path: path.display().to_string(), reason }
}

/// A file or folder that cannot be made or written.
pub(crate) fn unwritable(path: &Path, error: &io::Error) -> AccountsError {
    let reason = format!("cannot be written: {}", cause::of_writing(error));
    AccountsError::File { path: path.display().to_string(), reason }
}
