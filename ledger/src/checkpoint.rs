//! Checkpoints: a signed statement that a ledger was whole up to a line. ML-DSA-65 (FIPS 204), by a key that keyd
//! keeps for this alone.

use crate::LedgerName;
use crate::chain::Hash;
use crate::segment::LedgerId;
use aws_lc_rs::signature::{ML_DSA_65, ParsedPublicKey};

const LABEL: &[u8] = b"chancel ledger checkpoint v1\0";

/// What a checkpoint shall state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CheckpointRequest {
    /// The ledger's id.
    pub id: LedgerId,
    /// The last line that is covered.
    pub covers: u64,
    /// Its hash.
    pub head: Hash,
}

/// The message that the audit key signs: a label, the ledger's name, a zero byte, its id (16 bytes), the line's
/// number (8 bytes, big-endian) and its hash (32 bytes).
pub fn checkpoint_message(ledger: LedgerName, request: &CheckpointRequest) -> Vec<u8> {
    [
        LABEL,
        ledger.name().as_bytes(),
        b"\0",
        request.id.as_bytes(),
        &request.covers.to_be_bytes(),
        request.head.as_bytes(),
    ]
    .concat()
}

/// The audit key's public half (ML-DSA-65, 1952 bytes raw, or as SubjectPublicKeyInfo, RFC 9881).
#[derive(Debug)]
pub struct AuditKey(ParsedPublicKey);

/// The bytes are no ML-DSA-65 public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an ML-DSA-65 public key (raw, 1952 bytes, or SubjectPublicKeyInfo)")]
pub struct NotAnAuditKey;

impl AuditKey {
    /// Takes an encoded public key.
    ///
    /// # Errors
    /// [`NotAnAuditKey`].
    pub fn parse(bytes: &[u8]) -> Result<Self, NotAnAuditKey> {
        ParsedPublicKey::new(&ML_DSA_65, bytes)
            .map(Self)
            .map_err(|_| NotAnAuditKey)
    }

    /// Whether the audit key signed the checkpoint.
    pub fn signed(&self, ledger: LedgerName, request: &CheckpointRequest, signature: &[u8]) -> bool {
        self.0
            .verify_sig(&checkpoint_message(ledger, request), signature)
            .is_ok()
    }
}
