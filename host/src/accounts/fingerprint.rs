//! What stands for a key in memory.

use std::{fmt, sync::OnceLock};

use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroize as _;

/// A digest of a key that says nothing of it outside this process: it is made with random bytes that never
/// leave it. Wiped when dropped, and never shown.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Fingerprint([u8; 32]);

impl Fingerprint {
    pub(super) fn of(key: &SecretString) -> Self {
        static SALT: OnceLock<[u8; 32]> = OnceLock::new();
        let salt = SALT.get_or_init(|| {
            let mut salt = [0; 32];
            // Without random bytes, which every key and nonce needs too, this is a plain digest.
            let _filled = getrandom::fill(&mut salt);
            salt
        });
        let digest = Sha256::new_with_prefix(salt).chain_update(key.expose_secret().as_bytes());
        Self(digest.finalize().into())
    }
}

impl Drop for Fingerprint {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fingerprint(..)")
    }
}
