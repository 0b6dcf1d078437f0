//! `chancel audit public-key`: SubjectPublicKeyInfo in PEM (RFC 9881, RFC 7468), which `openssl pkey -pubin` reads from
//! version 3.5 on.

use super::unread;
use crate::client::Keyd;
use crate::failure::{Daemon, Failure};
use crate::output::Output;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chancel_ledger::AuditKey;
use chancel_wire::keyd::{KeydReply, KeydRequest};
use serde::Serialize;
use std::fs;
use std::path::Path;

const BEGIN: &str = "-----BEGIN PUBLIC KEY-----";
const END: &str = "-----END PUBLIC KEY-----";
/// Characters of a line of PEM.
const LINE: usize = 64;
/// What comes before the 1952 bytes of an ML-DSA-65 public key: a sequence of the algorithm's identifier
/// (2.16.840.1.101.3.4.3.18, without parameters) and a bit string.
const HEADER: [u8; 22] = [
    0x30, 0x82, 0x07, 0xb2, 0x30, 0x0b, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x03, 0x12,
    0x03, 0x82, 0x07, 0xa1, 0x00,
];

/// The key in JSON.
#[derive(Serialize)]
struct PublicKey {
    algorithm: &'static str,
    pem: String,
}

pub(super) async fn run(keyd: &Keyd, output: Output, file: Option<&Path>) -> Result<(), Failure> {
    let key = keyd
        .ask(&KeydRequest::AuditKey, |reply| match reply {
            KeydReply::AuditKey(key) => Some(key.to_vec()),
            _ => None,
        })
        .await?;
    AuditKey::parse(&key).map_err(|_| Failure::Unintelligible(Daemon::Keyd))?;
    let key = PublicKey {
        algorithm: "ML-DSA-65",
        pem: pem(&key),
    };
    match file {
        Some(path) => fs::write(path, &key.pem).map_err(unread(path)),
        None => output.print(&key, || &key.pem),
    }
}

fn pem(raw: &[u8]) -> String {
    let text = STANDARD.encode([&HEADER, raw].concat());
    let mut pem = format!("{BEGIN}\n");
    let mut rest = text.as_str();
    while !rest.is_empty() {
        // Base64 is ASCII, so that every place is between two characters.
        let (line, further) = rest.split_at(rest.len().min(LINE));
        pem += line;
        pem.push('\n');
        rest = further;
    }
    pem + END + "\n"
}

/// Reads what [`run`] wrote, or the key's bytes as they are.
pub(super) fn read(path: &Path) -> Result<AuditKey, Failure> {
    let bytes = fs::read(path).map_err(unread(path))?;
    let decoded = decoded(&bytes).unwrap_or(bytes);
    AuditKey::parse(&decoded).map_err(|source| Failure::NotAnAuditKey {
        path: path.to_owned(),
        source,
    })
}

fn decoded(bytes: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(bytes).ok()?;
    let (_, text) = text.split_once(BEGIN)?;
    let (body, _) = text.split_once(END)?;
    let body: String = body.split_ascii_whitespace().collect();
    STANDARD.decode(body).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pem_form_is_what_verifiers_read() {
        let raw = [7; 1952];
        let pem = pem(&raw);
        assert!(pem.lines().all(|line| line.len() <= LINE));
        let der = decoded(pem.as_bytes()).expect("PEM");
        assert_eq!(der.len(), HEADER.len() + raw.len());
        // AWS-LC reads the same two forms.
        AuditKey::parse(&der).expect("SubjectPublicKeyInfo");
        AuditKey::parse(&raw).expect("raw");
    }
}
