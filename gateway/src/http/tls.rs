//! TLS: 1.3 and 1.2 by rustls over AWS-LC, X25519MLKEM768 preferred, HTTP/1.1 by ALPN. There is nothing to
//! configure but the certificate.

use crate::config::Tls;
use chancel_service::secret_file::{self, SecretFileError};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::{Ticketer, default_provider};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::version::{TLS12, TLS13};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;

/// A key file is a page of text.
const MAX_KEY_FILE: usize = 64 << 10;

/// Why the gateway has no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The certificate file could not be read.
    #[error("{}: cannot be read: {source}", path.display())]
    CertificateUnreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The certificate file is no PEM, or holds no certificate.
    #[error("{}: no certificate in PEM form", .0.display())]
    NoCertificate(PathBuf),
    /// The key file was refused.
    #[error(transparent)]
    Key(#[from] SecretFileError),
    /// The key file holds no private key.
    #[error("{}: no private key in PEM form", .0.display())]
    NoKey(PathBuf),
    /// The two do not belong together, or cannot be used.
    #[error("certificate and key: {0}")]
    Unusable(#[from] rustls::Error),
}

/// Reads certificate and key.
///
/// # Errors
/// [`TlsError`].
pub fn acceptor(files: &Tls) -> Result<TlsAcceptor, TlsError> {
    let path = || files.certificate_file.clone();
    let text = std::fs::read(&files.certificate_file)
        .map_err(|source| TlsError::CertificateUnreadable { path: path(), source })?;
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&text)
        .collect::<Result<_, pem::Error>>()
        .map_err(|_| TlsError::NoCertificate(path()))?;
    if chain.is_empty() {
        return Err(TlsError::NoCertificate(path()));
    }
    let text = secret_file::read(&files.key_file, MAX_KEY_FILE)?;
    let key = PrivateKeyDer::from_pem_slice(&text).map_err(|_| TlsError::NoKey(files.key_file.clone()))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(&[&TLS13, &TLS12])?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    // Sessions resume by tickets under keys that change by themselves: no state a client, no table to fill.
    config.ticketer = Ticketer::new()?;
    config.send_tls13_tickets = 1;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

#[cfg(test)]
mod tests;
