//! The audit key: an ML-DSA-65 key of the installation that signs the ledgers' checkpoints and nothing else.
//!
//! Made at the first start and sealed like every private key, in a file beside the tenants' directories, under a tenant
//! that no permit's key can have. Nobody passes it a message: it signs what [`checkpoint_message`] makes of a ledger's
//! name and state, and which ledger that is, this process decides.

use crate::crypto::{self, CryptoError};
use crate::keyring::{Keyring, ReadyKey};
use aws_lc_rs::digest::{SHA256, digest};
use chancel_domain::{Algorithm, Content, KeyHandle, KeyVersion, TenantId};
use chancel_ledger::{CheckpointRequest, LedgerName, checkpoint_message};
use chancel_wire::keyd::{KeyFileDamage, KeyIdentity, KeydError};
use std::fmt::Write;

/// What stands in the header of the audit key's file.
pub(crate) const IDENTITY: KeyIdentity = KeyIdentity {
    tenant: TenantId::INSTALLATION,
    algorithm: Algorithm::MlDsa65,
    version: KeyVersion::FIRST,
    handle: KeyHandle::from_bytes([0; 16]),
};

/// Why there is no audit key. keyd does not start without one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AuditKeyError {
    /// Its file is there and does not open.
    #[error(
        "audit.key in the key directory: {0}. Check that the key-encryption key is the one it was sealed under, or bring \
         the file back from a backup. Only when it is lost for good, move it aside: a new audit key is then made, and \
         checkpoints from before remain to be checked with the old one's public half"
    )]
    Damaged(KeyFileDamage),
    /// It could not be made, stored or read.
    #[error("audit.key in the key directory: {0}")]
    Failed(KeydError),
}

/// The audit key, ready to sign.
pub struct AuditKey(ReadyKey);

impl AuditKey {
    /// Opens the audit key's file, and makes one where there is none.
    ///
    /// # Errors
    /// [`AuditKeyError`]; a file that does not open is left as it is.
    pub fn obtain(keyring: &Keyring) -> Result<Self, AuditKeyError> {
        keyring.audit_key().map(Self).map_err(|error| match error {
            KeydError::KeyFileDamaged(damage) => AuditKeyError::Damaged(damage),
            other => AuditKeyError::Failed(other),
        })
    }

    /// The encoded public key.
    pub fn public(&self) -> &[u8] {
        self.0.public()
    }

    /// SHA-256 of the public key, in hexadecimal digits.
    pub fn fingerprint(&self) -> String {
        digest(&SHA256, self.public())
            .as_ref()
            .iter()
            .fold(String::new(), |mut text, byte| {
                // Writing to a String cannot fail.
                let _ = write!(text, "{byte:02x}");
                text
            })
    }

    /// Signs the state of a ledger.
    ///
    /// # Errors
    /// [`CryptoError`] when the other library does not confirm the signature; it is then wiped.
    pub fn sign(&self, ledger: LedgerName, state: &CheckpointRequest) -> Result<Vec<u8>, CryptoError> {
        let message = checkpoint_message(ledger, state);
        crypto::sign(
            IDENTITY.algorithm,
            self.0.expose_private(),
            self.public(),
            &Content::raw(&message),
        )
    }
}
