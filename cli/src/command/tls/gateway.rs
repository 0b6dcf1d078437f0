//! Has the gateway take the certificate that is in place, and asks its listener whether it has: what a client meets is
//! what counts, and not that a command succeeded.

use crate::failure::Failure;
use crate::host::config::{self, Gateway};
use crate::host::listener::reachable;
use crate::host::systemd::{self, GATEWAY};
use crate::host::{Look, program};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme};
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// The gateway reads a certificate within moments of being told.
const PATIENCE: Duration = Duration::from_secs(10);
const BETWEEN_QUESTIONS: Duration = Duration::from_millis(100);

/// Tells it and asks.
///
/// # Errors
/// [`Failure::NotReloaded`] when it was not told, [`Failure::NotServed`] when it does not serve the chain all the same.
pub fn takes(config: &Path, chain: &[CertificateDer<'static>]) -> Result<(), Failure> {
    tell()?;
    let listen = listen(config).map_err(Failure::NotServed)?;
    serves(listen, chain, PATIENCE).map_err(|why| Failure::NotServed(format!("{listen} {why}")))
}

fn tell() -> Result<(), Failure> {
    if !systemd::is_running() {
        return Err(Failure::NotReloaded(
            "systemd does not run here; have whatever keeps the gateway open the key and send it SIGHUP"
                .to_owned(),
        ));
    }
    program::run("systemctl", &["reload", GATEWAY], b"")
        .map(|_| ())
        .map_err(|failed| {
            Failure::NotReloaded(format!(
                "{failed}; journalctl -u {GATEWAY} says more, systemctl reload {GATEWAY} tries again"
            ))
        })
}

/// Where it serves by TLS, or why nobody can ask there.
fn listen(config: &Path) -> Result<SocketAddr, String> {
    match config::gateway(config) {
        Look::Unseen(reason) => Err(reason),
        Look::Seen(Gateway { tls: None, .. }) => Err("gateway.toml has no [tls] section".to_owned()),
        Look::Seen(Gateway { listen, .. }) => Ok(reachable(listen)),
    }
}

/// Asks until it does.
fn serves(listen: SocketAddr, chain: &[CertificateDer<'_>], patience: Duration) -> Result<(), String> {
    let deadline = Instant::now() + patience;
    loop {
        let served = served(listen);
        if served.as_ref().is_ok_and(|served| served == chain) {
            return Ok(());
        }
        if Instant::now() >= deadline {
            return Err(served.map_or_else(
                |error| format!("does not answer: {error}"),
                |_| "serves another".into(),
            ));
        }
        thread::sleep(BETWEEN_QUESTIONS);
    }
}

/// The chain that is served there, by somebody who has its key.
fn served(listen: SocketAddr) -> io::Result<Vec<CertificateDer<'static>>> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Whoever(provider)))
        .with_no_client_auth();
    let mut client =
        ClientConnection::new(Arc::new(config), ServerName::from(listen.ip())).map_err(io::Error::other)?;
    let mut connection = TcpStream::connect_timeout(&listen, PATIENCE)?;
    connection.set_read_timeout(Some(PATIENCE))?;
    connection.set_write_timeout(Some(PATIENCE))?;
    while client.is_handshaking() {
        client.complete_io(&mut connection)?;
    }
    client.send_close_notify();
    while client.wants_write() {
        client.write_tls(&mut connection)?;
    }
    Ok(client
        .peer_certificates()
        .unwrap_or_default()
        .iter()
        .cloned()
        .map(CertificateDer::into_owned)
        .collect())
}

/// Takes every certificate, of whoever can sign with its key: nothing is sent there, and what is there is the question.
#[derive(Debug)]
struct Whoever(Arc<CryptoProvider>);

impl ServerCertVerifier for Whoever {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(
            message,
            certificate,
            signature,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(
            message,
            certificate,
            signature,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests;
