//! The private certificate authority of `--tls`: it signs one server certificate and its key is then forgotten, so
//! nobody can have it sign another. Kept for the next start unless it has expired or lacks a name.

use crate::accounts::Account;
use crate::problem::{Context, Problem};
use crate::state::{State, write_file};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose,
};
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const LIFETIME: Duration = Duration::from_secs(365 * 24 * 3600);
/// A certificate that is about to expire is made anew.
const MARGIN: Duration = Duration::from_secs(24 * 3600);
/// Clocks of clients may be behind.
const BACKDATED: Duration = Duration::from_secs(3600);

/// Where clients find the authority's certificate.
pub fn authority_file(state: &State) -> PathBuf {
    state.path("tls/ca.crt")
}

/// Makes sure of a certificate for localhost and `host`. Returns whether it was made now.
///
/// # Errors
/// [`Problem`] when it cannot be made or written.
pub fn ensure(state: &State, gateway: Account, host: &str) -> Result<bool, Problem> {
    let mut names: Vec<String> = ["localhost", "127.0.0.1", "::1"].map(str::to_owned).to_vec();
    if !names.iter().any(|name| name == host) {
        names.push(host.to_owned());
    }
    // What the certificate in place is good for: its last second, then its names. Written after it.
    let record = state.path("tls/valid");
    let now = SystemTime::now();
    if still_good(&fs::read_to_string(&record).unwrap_or_default(), &names, now) {
        return Ok(false);
    }
    let expires = now + LIFETIME;
    let made =
        make(&names, now - BACKDATED, expires).map_err(|error| Problem::Certificates(error.to_string()))?;
    match fs::remove_file(&record) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(error).on("removing", &record);
        }
        _ => {}
    }
    write_file(&authority_file(state), made.authority.as_bytes(), 0o644, None)?;
    write_file(
        &state.path("gateway/tls.crt"),
        made.server.as_bytes(),
        0o644,
        Some(gateway),
    )?;
    write_file(
        &state.path("gateway/tls.key"),
        made.key.as_bytes(),
        0o600,
        Some(gateway),
    )?;
    let last = expires.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    write_file(
        &record,
        format!("{last} {}\n", names.join(" ")).as_bytes(),
        0o644,
        None,
    )?;
    Ok(true)
}

fn still_good(record: &str, names: &[String], now: SystemTime) -> bool {
    let mut words = record.split_ascii_whitespace();
    let Some(last) = words
        .next()
        .and_then(|word| word.parse().ok())
        .map(Duration::from_secs)
    else {
        return false;
    };
    let covered: Vec<_> = words.collect();
    names.iter().all(|name| covered.contains(&name.as_str()))
        && now
            .duration_since(UNIX_EPOCH)
            .is_ok_and(|now| now + MARGIN < last)
}

/// PEM texts.
struct Made {
    authority: String,
    server: String,
    key: String,
}

fn make(names: &[String], from: SystemTime, until: SystemTime) -> Result<Made, rcgen::Error> {
    let mut authority = CertificateParams::default();
    authority.distinguished_name = common_name("Chancel quickstart authority");
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    authority.not_before = from.into();
    authority.not_after = until.into();
    let authority_key = KeyPair::generate()?;
    let authority_certificate = authority.self_signed(&authority_key)?;

    let mut server = CertificateParams::new(names)?;
    server.distinguished_name = common_name("Chancel quickstart gateway");
    server.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    server.use_authority_key_identifier_extension = true;
    server.not_before = from.into();
    server.not_after = until.into();
    let key = KeyPair::generate()?;
    let certificate = server.signed_by(&key, &Issuer::from_params(&authority, &authority_key))?;
    Ok(Made {
        authority: authority_certificate.pem(),
        server: certificate.pem(),
        key: key.serialize_pem(),
    })
}

fn common_name(text: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, text);
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_kept_until_it_expires_or_lacks_a_name() {
        let names = ["localhost".to_owned(), "::1".to_owned()];
        let now = UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        assert!(still_good("1000100000 localhost 127.0.0.1 ::1\n", &names, now));
        assert!(!still_good("1000100000 localhost 127.0.0.1\n", &names, now));
        assert!(!still_good("1000000001 localhost ::1\n", &names, now));
        assert!(!still_good("", &names, now));
    }
}
