//! Certificates, and connections to ports that show them.

use std::{io, net::SocketAddr, path::Path, sync::Arc};

use rustls::{ClientConfig, RootCertStore, crypto::ring, pki_types::CertificateDer};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

/// A certificate for `localhost`, trusted by nobody but the tests that made it.
#[derive(Debug)]
pub struct Certificate {
    der: CertificateDer<'static>,
    /// As a file has it.
    pub pem: String,
    /// Its private key, as a file has it.
    pub key_pem: String,
}

impl Certificate {
    /// A new one.
    pub fn generate() -> Self {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
        Self { der: made.cert.der().clone(), pem: made.cert.pem(), key_pem: made.signing_key.serialize_pem() }
    }

    /// Writes `certificate.pem` and `key.pem`.
    pub fn write(&self, dir: &Path) {
        std::fs::write(dir.join("certificate.pem"), &self.pem).expect("the certificate is written");
        std::fs::write(dir.join("key.pem"), &self.key_pem).expect("the key is written");
    }
}

/// What a port that shows this certificate does first.
#[cfg(feature = "otel")]
pub(crate) fn acceptor(certificate: &Certificate) -> tokio_rustls::TlsAcceptor {
    use rustls::pki_types::{PrivateKeyDer, pem::PemObject as _};
    let key = PrivateKeyDer::from_pem_slice(certificate.key_pem.as_bytes()).expect("a key");
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|config| config.with_no_client_auth().with_single_cert(vec![certificate.der.clone()], key))
        .expect("a certificate and its key");
    Arc::new(config).into()
}

/// Connects to a port that shows this certificate.
///
/// # Errors
/// When it does not.
pub async fn connect(address: SocketAddr, certificate: &Certificate) -> io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate.der.clone()).map_err(io::Error::other)?;
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = "localhost".try_into().map_err(io::Error::other)?;
    TlsConnector::from(Arc::new(config)).connect(name, TcpStream::connect(address).await?).await
}
