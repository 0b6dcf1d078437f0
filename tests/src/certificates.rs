//! A private certificate authority and one server certificate, for an installation that speaks TLS.

use crate::accounts::Account;
use crate::layout::{Layout, write, write_private};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use std::path::PathBuf;

/// Where the authority's certificate is, which clients must trust.
pub fn authority_file(layout: &Layout) -> PathBuf {
    layout.path("tls/ca.crt")
}

/// Makes both certificates, for `localhost`, `127.0.0.1` and `::1`.
pub fn make(layout: &Layout, gateway: Account) {
    let authority_key = KeyPair::generate().expect("a key pair");
    let mut authority = CertificateParams::default();
    authority
        .distinguished_name
        .push(DnType::CommonName, "Chancel test authority");
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let certificate = authority
        .self_signed(&authority_key)
        .expect("a self-signed certificate");
    write(&authority_file(layout), certificate.pem().as_bytes());

    let names = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
    let mut server = CertificateParams::new(names).expect("names");
    server
        .distinguished_name
        .push(DnType::CommonName, "Chancel test gateway");
    server.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    server.use_authority_key_identifier_extension = true;
    let server_key = KeyPair::generate().expect("a key pair");
    let certificate = server
        .signed_by(&server_key, &Issuer::from_params(&authority, &authority_key))
        .expect("a certificate");
    write_private(
        &layout.path("gateway/tls.crt"),
        certificate.pem().as_bytes(),
        gateway,
    );
    write_private(
        &layout.path("gateway/tls.key"),
        server_key.serialize_pem().as_bytes(),
        gateway,
    );
}
