//! `chancel audit public-key`: SubjectPublicKeyInfo in PEM (RFC 9881, RFC 7468), which `openssl pkey -pubin` reads from
//! version 3.5 on.

use super::unread;
use crate::client::Keyd;
use crate::failure::{Daemon, Failure};
use crate::output::Output;
use chancel_domain::Algorithm;
use chancel_ledger::AuditKey;
use chancel_pqc::public_key;
use chancel_wire::keyd::{KeydReply, KeydRequest};
use serde::Serialize;
use std::fs;
use std::path::Path;

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
        pem: public_key::to_pem(Algorithm::MlDsa65, &key)
            .map_err(|_| Failure::Unintelligible(Daemon::Keyd))?,
    };
    match file {
        Some(path) => fs::write(path, &key.pem).map_err(unread(path)),
        None => output.print(&key, || &key.pem),
    }
}

/// Reads what [`run`] wrote, or the key's bytes as they are.
pub(super) fn read(path: &Path) -> Result<AuditKey, Failure> {
    let bytes = fs::read(path).map_err(unread(path))?;
    let decoded = match public_key::parse(&bytes) {
        Ok((Algorithm::MlDsa65, key)) => key,
        _ => bytes,
    };
    AuditKey::parse(&decoded).map_err(|source| Failure::NotAnAuditKey {
        path: path.to_owned(),
        source,
    })
}
