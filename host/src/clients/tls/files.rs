//! From the files of a certificate and its key to what a handshake needs.

use std::{
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use rustls::{
    CertificateError, RootCertStore, ServerConfig,
    client::verify_server_cert_signed_by_trust_anchor,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, UnixTime, pem::PemObject as _},
    server::ParsedCertificate,
};
use secrecy::{ExposeSecret as _, SecretString};
use tickhost_core::calendar::date::Date;
use zeroize::Zeroizing;

use super::Contents;
use crate::{base::cause, config::TlsFiles};

/// Largest file; a chain of certificates has some thousand bytes.
const MAX_BYTES: u64 = 256 * 1_024;

/// Most certificates in a chain; real ones have two to four.
const MAX_CERTIFICATES: usize = 16;

/// The only protocol that is spoken after the handshake.
const ALPN: &[u8] = b"http/1.1";

/// Why the files cannot be used. No text of a key is in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("{}: cannot be read: {reason}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A file is no certificate's or key's.
    #[error("{}: is longer than {MAX_BYTES} bytes", path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
    },
    /// The file of the certificate has none, or something that is none.
    #[error(
        "{}: has no certificate in PEM form (lines from BEGIN CERTIFICATE to END CERTIFICATE), or more than {MAX_CERTIFICATES}",
        path.display()
    )]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// The file of the key has none.
    #[error(
        "{}: has no private key in PEM form; one with a passphrase has to be written without it first",
        path.display()
    )]
    NoKey {
        /// The file.
        path: PathBuf,
    },
    /// Certificate and key do not work together.
    #[error("{} and {}: {reason}", certificate.display(), key.display())]
    Unusable {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// Why.
        reason: String,
    },
}

impl TlsError {
    /// Whether the file of the key is the one that is wrong.
    pub fn is_of_key(&self, files: &TlsFiles) -> bool {
        match self {
            Self::Unreadable { path, .. } | Self::TooLong { path } => *path == files.key,
            Self::NoKey { .. } => true,
            Self::NoCertificate { .. } | Self::Unusable { .. } => false,
        }
    }
}

/// What was found good.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) config: Arc<ServerConfig>,
    pub(super) contents: Contents,
}

impl Contents {
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.certificate == other.certificate
            && self.key.expose_secret().as_bytes() == other.key.expose_secret().as_bytes()
    }
}

impl TlsFiles {
    /// Reads both files and tries them on each other.
    pub(super) fn load(&self) -> Result<Loaded, TlsError> {
        let certificate = read(&self.certificate)?;
        let key_text = read(&self.key)?;
        let chain = self.chain(&certificate)?;
        let no_key = || TlsError::NoKey { path: self.key.clone() };
        let key = PrivateKeyDer::from_pem_slice(&key_text).map_err(|_| no_key())?;
        let unusable = |error: rustls::Error| TlsError::Unusable {
            certificate: self.certificate.clone(),
            key: self.key.clone(),
            reason: match error {
                rustls::Error::InconsistentKeys(_) => "the key is not the certificate's".to_owned(),
                error => error.to_string(),
            },
        };
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
            .map_err(unusable)?;
        config.alpn_protocols = vec![ALPN.to_vec()];
        // PEM is text: what is no text had no key in it.
        let key = std::str::from_utf8(&key_text).map_err(|_| no_key())?;
        let contents = Contents { certificate: certificate.to_vec(), key: SecretString::from(key) };
        Ok(Loaded { config: Arc::new(config), contents })
    }

    fn chain(&self, text: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
        let chain: Result<Vec<_>, _> =
            CertificateDer::pem_slice_iter(text).take(MAX_CERTIFICATES + 1).collect();
        match chain {
            Ok(chain) if (1..=MAX_CERTIFICATES).contains(&chain.len()) => Ok(chain),
            _ => Err(TlsError::NoCertificate { path: self.certificate.clone() }),
        }
    }

    /// Why clients will refuse the certificate by its dates at `now_ns`, in nanoseconds since the Unix epoch,
    /// in a sentence. None when they will not, or when that cannot be known.
    pub fn doubt(&self, now_ns: u64) -> Option<String> {
        let leaf = self.leaf().ok()?;
        let leaf = ParsedCertificate::try_from(&leaf).ok()?;
        let algorithms = ring::default_provider().signature_verification_algorithms.all;
        let now = UnixTime::since_unix_epoch(Duration::from_nanos(now_ns));
        // The dates are looked at before anything else. Nobody is trusted, so the certificate is refused in
        // any case.
        let refusal =
            verify_server_cert_signed_by_trust_anchor(&leaf, &RootCertStore::empty(), &[], now, algorithms);
        let date = |time: UnixTime| Date::in_india(time.as_secs().saturating_mul(1_000_000_000)).0;
        let why = match refusal {
            Err(rustls::Error::InvalidCertificate(CertificateError::ExpiredContext {
                not_after, ..
            })) => {
                format!("has expired on {}", date(not_after))
            }
            Err(rustls::Error::InvalidCertificate(CertificateError::NotValidYetContext {
                not_before,
                ..
            })) => format!("is not valid before {}", date(not_before)),
            _ => return None,
        };
        Some(format!("{}: the certificate {why}, so clients refuse it; renew it", self.certificate.display()))
    }

    /// The certificate itself, without those that lead to its authority.
    ///
    /// # Errors
    /// As for the certificate's file in [`TlsError`].
    pub fn leaf(&self) -> Result<CertificateDer<'static>, TlsError> {
        let chain = self.chain(&read(&self.certificate)?)?;
        chain.into_iter().next().ok_or_else(|| TlsError::NoCertificate { path: self.certificate.clone() })
    }
}

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, TlsError> {
    crate::base::blocking::may_wait();
    let unreadable = |error: std::io::Error| TlsError::Unreadable {
        path: path.to_owned(),
        reason: cause::of_reading(&error),
    };
    let file = File::open(path).map_err(unreadable)?;
    // Room for the longest, so that no copy of a key is left behind when the buffer grows.
    let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(MAX_BYTES).unwrap_or(0) + 1));
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(TlsError::TooLong { path: path.to_owned() });
    }
    Ok(bytes)
}
