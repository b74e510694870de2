//! Signatures of authors, in the format of minisign.

use std::{
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use minisign_verify::{Error, Signature, StreamVerifier};

use super::{IntegrityError, open};
use crate::config::{IntegrityRules, Signer};

/// Largest signature file, in bytes; minisign writes about 300.
const MAX_BYTES: u64 = 4_096;

/// A signature that is to be verified. The library passes by in pieces, once.
pub(super) struct Found {
    path: PathBuf,
    signature: Signature,
}

/// The signature that the rules ask for; none when they ask for none, or when there is none and none is
/// needed.
pub(super) fn find(file: &Path, rules: &IntegrityRules) -> Result<Option<Found>, IntegrityError> {
    if rules.signers.is_empty() && !rules.require_signature {
        return Ok(None);
    }
    let path = rules.signature.clone().unwrap_or_else(|| beside(file));
    let text = match read(&path) {
        Ok(text) => text,
        // One that the operator named is missed even where none is required.
        Err(error)
            if error.kind() == io::ErrorKind::NotFound
                && rules.signature.is_none()
                && !rules.require_signature =>
        {
            return Ok(None);
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(IntegrityError::NotSigned { file: file.to_owned(), signature: path });
        }
        Err(error) => return Err(none(file, &path, error.to_string())),
    };
    match Signature::decode(&text) {
        Ok(signature) => Ok(Some(Found { path, signature })),
        Err(error) => Err(none(file, &path, error.to_string())),
    }
}

impl Found {
    /// One verifier for each trusted key that may have made the signature; there is at least one.
    pub(super) fn verifiers<'a>(
        &'a self,
        file: &Path,
        signers: &'a [Signer],
    ) -> Result<Vec<StreamVerifier<'a>>, IntegrityError> {
        let mut verifiers = Vec::new();
        for signer in signers {
            match signer.key.verify_stream(&self.signature) {
                Ok(verifier) => verifiers.push(verifier),
                Err(Error::UnexpectedKeyId) => {}
                Err(Error::UnsupportedLegacyMode) => {
                    let reason =
                        "it is of the old kind, without a hash: sign again with minisign 0.10 or newer";
                    return Err(none(file, &self.path, reason.to_owned()));
                }
                Err(error) => return Err(none(file, &self.path, error.to_string())),
            }
        }
        if verifiers.is_empty() {
            return Err(IntegrityError::UnknownSigner {
                file: file.to_owned(),
                signature: self.path.clone(),
            });
        }
        Ok(verifiers)
    }

    /// Whether one of the verifiers is satisfied with all that passed by.
    pub(super) fn verdict(
        &self,
        file: &Path,
        mut verifiers: Vec<StreamVerifier<'_>>,
    ) -> Result<(), IntegrityError> {
        if verifiers.iter_mut().any(|verifier| verifier.finalize().is_ok()) {
            return Ok(());
        }
        Err(IntegrityError::BadSignature { file: file.to_owned(), signature: self.path.clone() })
    }
}

fn none(file: &Path, signature: &Path, reason: String) -> IntegrityError {
    IntegrityError::NoSignature { file: file.to_owned(), signature: signature.to_owned(), reason }
}

/// `libadapter_x.so.minisig`, as minisign names it.
fn beside(file: &Path) -> PathBuf {
    let mut path = file.as_os_str().to_owned();
    path.push(".minisig");
    path.into()
}

fn read(path: &Path) -> io::Result<String> {
    let file = open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file"));
    }
    let mut text = String::new();
    let read = file.take(MAX_BYTES + 1).read_to_string(&mut text)?;
    if read as u64 > MAX_BYTES {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is too long"));
    }
    Ok(text)
}
