//! A database of OpenAlgo's: users with an account and a key each, hashed and encrypted as OpenAlgo does.

use std::path::{Path, PathBuf};

use argon2::{Algorithm, Argon2, Params, PasswordHasher as _, Version};
use base64::{Engine as _, engine::general_purpose::URL_SAFE};
use cbc::cipher::{BlockModeEncrypt as _, KeyIvInit as _, block_padding::Pkcs7};
use hmac::{Hmac, KeyInit as _, Mac as _};
use rusqlite::Connection;
use sha2::Sha256;

use crate::HostBuilder;

/// `API_KEY_PEPPER`.
pub const PEPPER: &str = "0123456789abcdef0123456789abcdef";

/// What OpenAlgo makes of that pepper with PBKDF2 (SHA-256, 100,000 rounds, the salt `openalgo_static_salt`),
/// in URL-safe base64.
const FERNET_KEY: &str = "fzUBiO8pU--I841518BHhA8UoduEDLjVqmnPtAiuL0I=";

/// What is stored of keys.
#[derive(Clone, Copy, Debug)]
pub struct Stored {
    /// Memory of a hash in KiB, which decides what a comparison costs. OpenAlgo's have 65,536 and are made
    /// three times over.
    pub hash_kib: u32,
    /// How often it is gone through.
    pub hash_passes: u32,
    /// Whether the key itself is stored too, encrypted.
    pub is_encrypted: bool,
}

impl Stored {
    /// Hashes that cost next to nothing.
    pub const CHEAP: Self = Self { hash_kib: 64, hash_passes: 1, is_encrypted: false };

    /// As OpenAlgo stores keys.
    pub const REAL: Self = Self { hash_kib: 65_536, hash_passes: 3, is_encrypted: true };
}

/// The key of a user.
pub fn key_of(user: usize) -> String {
    format!("key-of-user{user}-0123456789")
}

/// Makes a database in which so many users have an account at this broker.
///
/// # Panics
/// When it cannot be made.
pub fn create(path: &Path, users: usize, broker: &str, stored: Stored) {
    let database = Connection::open(path).expect("the database is made");
    let tables = "CREATE TABLE api_keys (id INTEGER PRIMARY KEY, user_id TEXT, api_key_hash TEXT, api_key_encrypted TEXT);
                  CREATE TABLE auth (id INTEGER PRIMARY KEY, name TEXT, auth TEXT, feed_token TEXT, broker TEXT,
                                     user_id TEXT, is_revoked BOOLEAN)";
    database.execute_batch(tables).expect("its tables are made");
    let params = Params::new(stored.hash_kib, stored.hash_passes, 1, None).expect("parameters of a hash");
    let hasher = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    for user in 0..users {
        let peppered = format!("{}{PEPPER}", key_of(user));
        let hash = hasher
            .hash_password_with_salt(peppered.as_bytes(), b"0123456789abcdef")
            .expect("a hash")
            .to_string();
        let encrypted = stored.is_encrypted.then(|| encrypted(key_of(user).as_bytes()));
        let name = format!("user{user}");
        database
            .execute(
                "INSERT INTO auth (name, auth, broker, is_revoked) VALUES (?1, 'x', ?2, 0)",
                [name.as_str(), broker],
            )
            .and_then(|_| {
                database.execute(
                    "INSERT INTO api_keys (user_id, api_key_hash, api_key_encrypted) VALUES (?1, ?2, ?3)",
                    (name, hash, encrypted),
                )
            })
            .expect("a user is added");
    }
}

/// A host that takes its users from such a database, and where that is.
pub fn host(users: usize, broker: &str, stored: Stored) -> (HostBuilder, PathBuf) {
    let host = HostBuilder::new();
    let path = host.dir().join("openalgo.db");
    create(&path, users, broker, stored);
    let url = format!("sqlite:///{}", path.display());
    (host.env("DATABASE_URL", url).env("API_KEY_PEPPER", PEPPER), path)
}

/// A Fernet token as OpenAlgo makes them when no `FERNET_SALT` is set.
fn encrypted(text: &[u8]) -> String {
    let key = URL_SAFE.decode(FERNET_KEY).expect("a key in base64");
    let (signing, encryption) = key.split_at(16);
    let iv = [7; 16];
    let cipher = cbc::Encryptor::<aes::Aes128>::new_from_slices(encryption, &iv).expect("a key of 16 bytes");
    let mut token = vec![0x80, 0, 0, 0, 0, 0, 0, 0, 1];
    token.extend(iv);
    token.extend(cipher.encrypt_padded_vec::<Pkcs7>(text));
    let mut mac = Hmac::<Sha256>::new_from_slice(signing).expect("a key of any length");
    mac.update(&token);
    token.extend(mac.finalize().into_bytes());
    URL_SAFE.encode(token)
}
