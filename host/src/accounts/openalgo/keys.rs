//! Whose key it is, by what OpenAlgo stores of keys: a hash of each, which takes tens of milliseconds to
//! compare with, and the key itself, encrypted.
//!
//! Where the encrypted key can be read, it says at once which hash is the one to compare with, and that a key
//! is nobody's. It only ever spares hashes: no key is good without its hash.

use std::time::Instant;

use argon2::{Argon2, PasswordHash, PasswordVerifier as _};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};

use super::{
    super::{
        AccountsError, KeyId, UserName, Verified, VerifyError,
        blocking::{Blocking, give_way},
        fingerprint::Fingerprint,
        memory::Recalled,
        secrets::is_same,
    },
    OpenAlgo, text,
};

/// What is stored of a key.
struct Stored {
    user: String,
    hash: String,
    id: KeyId,
    encrypted: Option<String>,
}

impl OpenAlgo {
    /// Checks a key against the stored hashes that may be its own and belong to no other key.
    pub(in super::super) fn verify(
        &self,
        blocking: &Blocking,
        fingerprint: &Fingerprint,
        key: &SecretString,
    ) -> Result<Verified, VerifyError> {
        // It may have become known while it waited.
        match self.recall(fingerprint) {
            Recalled::Good(verified) => return Ok(verified),
            Recalled::Bad => return Err(VerifyError::Unknown),
            Recalled::Outdated(known) => {
                if let Some(verified) = self.renew(blocking, fingerprint, &known)? {
                    return Ok(verified);
                }
            }
            Recalled::Nothing => {}
        }
        self.counters.checked.add(1);
        let seen = self.epoch();
        let stored = self.stored_keys(blocking)?;
        let Some(Stored { user, id, .. }) = self.find(blocking, stored, key) else {
            let mut memory = self.memory.lock();
            // Unless the database has changed meanwhile, which makes the refusal one of yesterday.
            if self.epoch() == seen {
                memory.refuse(fingerprint.clone(), Instant::now());
            }
            return Err(VerifyError::Unknown);
        };
        let user = UserName::from(user.as_str());
        let account = self.account_of(blocking, &user)?;
        let verified = Verified { key: id, user, account, seen };
        self.memory.lock().learn(fingerprint.clone(), verified.clone(), Instant::now());
        Ok(verified)
    }

    /// A key is good while its hash stands in the table.
    pub(in super::super) fn check_keys(
        &self,
        blocking: &Blocking,
        keys: &[KeyId],
    ) -> Result<Vec<bool>, AccountsError> {
        let known: Vec<KeyId> = self.database.read(blocking, |connection| {
            let mut statement = connection.prepare("SELECT user_id, api_key_hash FROM api_keys")?;
            let ids = statement
                .query_map([], |row| Ok(key_id(row.get_ref(0)?.as_str()?, row.get_ref(1)?.as_str()?)))?;
            ids.collect()
        })?;
        Ok(keys.iter().map(|key| known.contains(key)).collect())
    }

    fn stored_keys(&self, blocking: &Blocking) -> Result<Vec<Stored>, AccountsError> {
        self.database.read(blocking, |connection| {
            let mut statement = connection.prepare("SELECT * FROM api_keys")?;
            let stored = statement.query_map([], |row| {
                let (user, hash): (String, String) = (row.get("user_id")?, row.get("api_key_hash")?);
                let id = key_id(&user, &hash);
                Ok(Stored { user, hash, id, encrypted: text(row, "api_key_encrypted") })
            })?;
            stored.collect()
        })
    }

    /// The one to which this key belongs.
    fn find(&self, blocking: &Blocking, mut stored: Vec<Stored>, key: &SecretString) -> Option<Stored> {
        let claimed = self.memory.lock().claimed();
        stored.retain(|stored| !claimed.contains(&stored.id));
        // None where nobody can say without the hash.
        let is_of = |stored: &Stored| {
            let plain = self.decrypt(stored.encrypted.as_ref()?)?;
            Some(is_same(plain.expose_secret().as_bytes(), key.expose_secret().as_bytes()))
        };
        let mut candidates: Vec<(Option<bool>, Stored)> =
            stored.into_iter().map(|stored| (is_of(&stored), stored)).collect();
        candidates.retain(|(is_of, _)| *is_of != Some(false));
        candidates.sort_by_key(|(is_of, _)| is_of.is_none());
        if candidates.is_empty() {
            return None;
        }
        let peppered = SecretString::from(format!("{}{}", key.expose_secret(), self.pepper.expose_secret()));
        let is_hash_of = |(_, stored): &(Option<bool>, Stored)| {
            self.counters.hashes.add(1);
            PasswordHash::new(&stored.hash).is_ok_and(|hash| {
                Argon2::default().verify_password(peppered.expose_secret().as_bytes(), &hash).is_ok()
            })
        };
        let found = give_way(blocking, || candidates.iter().position(is_hash_of))?;
        Some(candidates.swap_remove(found).1)
    }
}

/// OpenAlgo gives its keys no number, so that of the stored hash stands for it: it changes when the key does.
fn key_id(user: &str, hash: &str) -> KeyId {
    let digest = Sha256::digest(hash.as_bytes());
    KeyId::from(
        format!("{user}#{}", hex::encode(digest.first_chunk::<8>().copied().unwrap_or_default())).as_str(),
    )
}
