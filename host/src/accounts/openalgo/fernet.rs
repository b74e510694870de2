//! Fernet tokens, in which OpenAlgo keeps what is secret: version 0x80, a time, AES-128 in CBC mode, and an
//! HMAC-SHA-256 over all of it, in URL-safe base64. Source: the Fernet specification,
//! <https://github.com/fernet/spec/blob/master/Spec.md>.
//!
//! Tokens are only read here. Their time is not looked at: what OpenAlgo keeps does not expire by it.

use aes::Aes128;
use base64::{Engine as _, engine::general_purpose::URL_SAFE};
use cbc::{
    Decryptor,
    cipher::{BlockModeDecrypt as _, KeyIvInit as _, block_padding::Pkcs7},
};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

const VERSION: u8 = 0x80;
/// The version, and the time in seconds since the Unix epoch.
const HEAD_BYTES: usize = 1 + 8;
const KEY_BYTES: usize = 16;
const IV_BYTES: usize = 16;
const MAC_BYTES: usize = 32;

/// Longest token that is read, in base64. Tokens of brokers stay below a tenth of it.
const MAX_TOKEN_BYTES: usize = 64 * 1_024;

/// Both halves of a key: the first signs, the second encrypts.
pub(in crate::accounts) struct Fernet {
    signing: Zeroizing<[u8; KEY_BYTES]>,
    encryption: Zeroizing<[u8; KEY_BYTES]>,
}

impl Fernet {
    pub(super) fn new(key: &[u8; 2 * KEY_BYTES]) -> Self {
        let (signing, encryption) = key.split_at(KEY_BYTES);
        let mut fernet = Self { signing: Zeroizing::default(), encryption: Zeroizing::default() };
        fernet.signing.copy_from_slice(signing);
        fernet.encryption.copy_from_slice(encryption);
        fernet
    }

    /// What the token holds; none when it is no token, or was not made with this key.
    pub(super) fn decrypt(&self, token: &str) -> Option<Zeroizing<Vec<u8>>> {
        if token.len() > MAX_TOKEN_BYTES {
            return None;
        }
        let token = URL_SAFE.decode(token).ok()?;
        let (signed, mac) = token.split_last_chunk::<MAC_BYTES>()?;
        let mut expected = Hmac::<Sha256>::new_from_slice(self.signing.as_slice()).ok()?;
        expected.update(signed);
        // In constant time, and before anything else is looked at.
        expected.verify_slice(mac).ok()?;
        let (head, rest) = signed.split_first_chunk::<HEAD_BYTES>()?;
        let (iv, encrypted) = rest.split_first_chunk::<IV_BYTES>()?;
        if head.first() != Some(&VERSION) {
            return None;
        }
        let mut text = Zeroizing::new(encrypted.to_vec());
        let cipher = Decryptor::<Aes128>::new_from_slices(self.encryption.as_slice(), iv).ok()?;
        let length = cipher.decrypt_padded::<Pkcs7>(text.as_mut_slice()).ok()?.len();
        text.truncate(length);
        Some(text)
    }
}

/// Makes tokens for databases of tests.
#[cfg(test)]
impl Fernet {
    pub(in crate::accounts) fn encrypt(&self, text: &[u8]) -> String {
        use cbc::{Encryptor, cipher::BlockModeEncrypt as _};

        self.seal(text, |iv, text| {
            let cipher = Encryptor::<Aes128>::new_from_slices(self.encryption.as_slice(), iv).unwrap();
            cipher.encrypt_padded_vec::<Pkcs7>(text)
        })
    }

    /// A token around whatever is said to be the encrypted text.
    fn seal(&self, text: &[u8], encrypt: impl Fn(&[u8; IV_BYTES], &[u8]) -> Vec<u8>) -> String {
        let iv = [7; IV_BYTES];
        let mut token = vec![VERSION, 0, 0, 0, 0, 0, 0, 0, 1];
        token.extend(iv);
        token.extend(encrypt(&iv, text));
        let mut mac = Hmac::<Sha256>::new_from_slice(self.signing.as_slice()).unwrap();
        mac.update(&token);
        token.extend(mac.finalize().into_bytes());
        URL_SAFE.encode(token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Key, text and token of the specification: `verify.json` and `generate.json`.
    const KEY: &str = "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=";
    const TOKEN: &str = "gAAAAAAdwJ6wAAECAwQFBgcICQoLDA0ODy021cpGVWKZ_eEwCGM4BLLF_5CV9dOPmrhuVUPgJobwOz7JcbmrR64jVmpU4IwqDA==";

    fn fernet() -> Fernet {
        Fernet::new(&URL_SAFE.decode(KEY).unwrap().try_into().unwrap())
    }

    #[test]
    fn the_token_of_the_specification_is_read() {
        assert_eq!(fernet().decrypt(TOKEN).unwrap().as_slice(), b"hello");
    }

    #[test]
    fn texts_of_all_lengths_come_back() {
        for length in 0..64 {
            let text = vec![b'x'; length];
            assert_eq!(*fernet().decrypt(&fernet().encrypt(&text)).unwrap(), text);
        }
    }

    #[test]
    fn what_is_no_token_of_this_key_is_none() {
        let is_none = |token: &str| fernet().decrypt(token).is_none();
        // Each byte of it counts.
        let token = URL_SAFE.decode(TOKEN).unwrap();
        for place in 0..token.len() {
            let mut changed = token.clone();
            changed[place] ^= 1;
            assert!(is_none(&URL_SAFE.encode(&changed)), "byte {place}");
            assert!(is_none(&URL_SAFE.encode(&token[..place])), "the first {place} bytes");
        }
        let other = Fernet::new(&[1; 32]);
        assert!(other.decrypt(TOKEN).is_none());
        for text in ["", "%%%", "gAAAAAAd", &format!("{TOKEN}="), &"A".repeat(MAX_TOKEN_BYTES + 1)] {
            assert!(is_none(text), "{text:.20}");
        }
        // Signed with this key, and yet no text: no whole block, a padding that cannot be, another version,
        // nothing at all.
        let sealed = |encrypted: &[u8]| fernet().seal(b"", |_, _| encrypted.to_vec());
        assert!(is_none(&sealed(&[0; 15])) && is_none(&sealed(&[0; 16])) && is_none(&sealed(&[])));
        let mut signed = URL_SAFE.decode(fernet().encrypt(b"x")).unwrap();
        signed.truncate(signed.len() - MAC_BYTES);
        signed[0] = 0x81;
        let mut mac = Hmac::<Sha256>::new_from_slice(fernet().signing.as_slice()).unwrap();
        mac.update(&signed);
        signed.extend(mac.finalize().into_bytes());
        assert!(is_none(&URL_SAFE.encode(signed)));
    }
}
