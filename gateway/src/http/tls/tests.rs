//! Handshakes with a client of the same library, and files that are refused.

use super::*;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, NamedGroup, ProtocolVersion, RootCertStore, SupportedProtocolVersion};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use tempfile::TempDir;
use tokio_rustls::TlsConnector;

/// A certificate for `localhost` with its key, as files.
fn files() -> (TempDir, Tls, CertificateDer<'static>) {
    let directory = tempfile::tempdir().unwrap();
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let files = Tls {
        certificate_file: directory.path().join("tls.crt"),
        key_file: directory.path().join("tls.key"),
    };
    fs::write(&files.certificate_file, cert.pem()).unwrap();
    fs::write(&files.key_file, signing_key.serialize_pem()).unwrap();
    fs::set_permissions(&files.key_file, Permissions::from_mode(0o600)).unwrap();
    (directory, files, cert.der().clone())
}

/// What a client and the gateway agree on.
async fn agreed(version: &'static SupportedProtocolVersion) -> (ProtocolVersion, NamedGroup, Vec<u8>) {
    let (_directory, files, certificate) = files();
    let acceptor = acceptor(&files).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(certificate).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let (near, far) = tokio::io::duplex(16 << 10);
    let name = ServerName::try_from("localhost").unwrap();
    let connector = TlsConnector::from(Arc::new(config));
    let (client, server) = tokio::join!(connector.connect(name, near), acceptor.accept(far));
    server.unwrap();
    let client = client.unwrap();
    let (_, session) = client.get_ref();
    (
        session.protocol_version().unwrap(),
        session.negotiated_key_exchange_group().unwrap().name(),
        session.alpn_protocol().unwrap().to_vec(),
    )
}

#[tokio::test]
async fn the_key_exchange_is_post_quantum_where_the_client_can() {
    let (version, group, protocol) = agreed(&TLS13).await;
    assert_eq!(version, ProtocolVersion::TLSv1_3);
    assert_eq!(group, NamedGroup::X25519MLKEM768);
    assert_eq!(protocol, b"http/1.1");
}

#[tokio::test]
async fn older_clients_get_tls_1_2() {
    let (version, group, _) = agreed(&TLS12).await;
    assert_eq!(version, ProtocolVersion::TLSv1_2);
    assert_ne!(group, NamedGroup::X25519MLKEM768);
}

fn refused(files: &Tls) -> String {
    match acceptor(files) {
        Ok(_) => panic!("accepted"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn a_key_that_others_can_read_is_refused() {
    let (_directory, files, _) = files();
    fs::set_permissions(&files.key_file, Permissions::from_mode(0o644)).unwrap();
    assert!(matches!(acceptor(&files), Err(TlsError::Key(_))));
}

#[test]
fn files_that_hold_something_else_are_refused_without_quoting_them() {
    let (_directory, files, _) = files();
    let (_other_directory, other, _) = self::files();
    let mixed = Tls {
        certificate_file: files.certificate_file.clone(),
        key_file: other.key_file,
    };
    assert!(matches!(acceptor(&mixed), Err(TlsError::Unusable(_))));
    fs::write(&files.key_file, "secret nonsense").unwrap();
    assert!(!refused(&files).contains("secret"));
    fs::write(&files.certificate_file, "secret nonsense").unwrap();
    assert!(matches!(acceptor(&files), Err(TlsError::NoCertificate(_))));
    fs::remove_file(&files.certificate_file).unwrap();
    assert!(matches!(
        acceptor(&files),
        Err(TlsError::CertificateUnreadable { .. })
    ));
}
