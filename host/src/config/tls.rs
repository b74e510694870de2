//! The files of the encrypted client port.

use std::path::PathBuf;

/// Where the certificate and its key lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate, then those that lead to its authority, as PEM.
    pub certificate: PathBuf,
    /// Its private key, as PEM: PKCS#8, PKCS#1 or SEC1, without a passphrase.
    pub key: PathBuf,
}
