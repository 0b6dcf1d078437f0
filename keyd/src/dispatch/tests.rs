//! What keyd does and does not do for each peer, and that nothing it does is missing in its ledger.

use super::*;
use crate::rig::Rig;
use chancel_domain::tenant::Name;
use chancel_domain::{Algorithm, ApiKeyId, Content, KeyHandle, KeyVersion, RequestId, TenantId};
use chancel_ledger::{CheckpointRequest, Hash, LedgerId, LedgerName};
use chancel_pqc::envelope::{self, Purpose};
use chancel_wire::keyd::{
    BreakGlassClaims, BreakGlassCommand, BreakGlassState, CheckpointClaims, KeyIdentity, PermitKeyGrant,
    UseInput,
};
use chancel_wire::permit::{PayloadDigest, PermitClaims, PermitKey, PermitTarget, SignedPermit};
use std::cell::Cell;
use std::fs;
use std::process::Command;
use std::time::Duration;

mod batches;
mod break_glass;
mod checkpoints;
mod full_disk;
mod uses;

const TENANT: u8 = 1;

fn key(algorithm: Algorithm, version: u32) -> KeyIdentity {
    KeyIdentity {
        tenant: TenantId::from_bytes([TENANT; 16]),
        algorithm,
        version: KeyVersion::new(version).unwrap(),
        handle: KeyHandle::from_bytes([version.to_le_bytes()[0]; 16]),
    }
}

fn outcome(reply: &KeydReply<'_>) -> Result<Vec<u8>, KeydError> {
    match reply {
        KeydReply::Output(bytes) => Ok(bytes.to_vec()),
        KeydReply::Generated { public_key: bytes }
        | KeydReply::AuditKey(bytes)
        | KeydReply::Checkpoint(bytes) => Ok(bytes.to_vec()),
        KeydReply::Refused(error) => Err(*error),
        KeydReply::Destroyed => Ok(Vec::new()),
        other => panic!("{other:?}"),
    }
}

fn generate(rig: &Rig, key: KeyIdentity) -> Result<Vec<u8>, KeydError> {
    rig.ask(Role::Policyd, &KeydRequest::Generate(key), outcome)
}

/// The permit key's holder, policyd.
struct Issuer {
    grant: PermitKeyGrant,
    granted: Instant,
    serial: Cell<u64>,
}

impl Issuer {
    fn of(rig: &Rig) -> Self {
        let grant = rig.ask(Role::Policyd, &KeydRequest::RenewPermitKey, |reply| match reply {
            KeydReply::PermitKey(grant) => PermitKeyGrant {
                epoch: grant.epoch,
                key: grant.key.clone(),
                now_ms: grant.now_ms,
            },
            other => panic!("{other:?}"),
        });
        Self {
            grant,
            granted: Instant::now(),
            serial: Cell::new(0),
        }
    }

    fn claims(&self, key: &KeyIdentity, input: &UseInput<'_>) -> PermitClaims {
        self.serial.set(self.serial.get() + 1);
        let since = u64::try_from(self.granted.elapsed().as_millis()).unwrap();
        PermitClaims {
            epoch: self.grant.epoch,
            serial: self.serial.get(),
            expires_at_ms: self.grant.now_ms + since + 4_000,
            tenant: key.tenant,
            api_key: ApiKeyId::from_bytes([2; 16]),
            api_key_version: 3,
            request: RequestId::from_bytes([4; 16]),
            operation: input.operation(),
            algorithm: key.algorithm,
            key_version: key.version,
            key: key.handle,
            payload: PayloadDigest::of(&chancel_wire::encode(input)),
            target: None,
            batch: None,
        }
    }

    fn permit(&self, claims: &PermitClaims) -> SignedPermit {
        self.grant.key.sign(claims)
    }
}

fn use_under(rig: &Rig, permit: SignedPermit, input: &UseInput<'_>) -> Result<Vec<u8>, KeydError> {
    let input = chancel_wire::encode(input);
    let request = KeydRequest::Use {
        permit,
        input: &input,
    };
    rig.ask(Role::Gateway, &request, outcome)
}

fn seal(key: &KeyIdentity, public: &[u8], aad: &[u8], plaintext: &[u8]) -> Vec<u8> {
    envelope::seal(
        Purpose::Data,
        key.algorithm,
        key.version,
        public,
        key.tenant,
        aad,
        plaintext,
    )
    .unwrap()
}

fn target(key: &KeyIdentity) -> PermitTarget {
    PermitTarget {
        algorithm: key.algorithm,
        version: key.version,
        key: key.handle,
    }
}
