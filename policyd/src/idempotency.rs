//! `Idempotency-Key`: clients that retry blindly get the first answer again, and nothing is done again.
//!
//! An answer may hold the secret of a new API key, which is kept nowhere else. So it is sealed (AES-256-GCM) under a key
//! made from the API key secret, which the database does not have, and from the `Idempotency-Key`, which only its sender
//! has.

use crate::api_keys::ApiKeyHasher;
use crate::clock;
use crate::failure::Failure;
use crate::store::{Read, StoreError, StoredAnswer, TenantScope, Write};
use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::{digest, hkdf, hmac};
use chancel_domain::{ApiKeyId, TenantId};
use chancel_wire::policyd::{Ask, AskFailure, Outcome};
use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use zeroize::{Zeroize, Zeroizing};

/// How long a first answer is given again, milliseconds: a day.
pub const KEPT_MS: i64 = 24 * 3600 * 1000;

const SECRET_LABEL: &[u8] = b"chancel idempotency v1\0";
const SEALING_LABEL: &[u8] = b"chancel idempotent answer v1\0";

type Slotted = (TenantId, [u8; 32]);

/// First answers, and what is under way.
pub struct Idempotency {
    secret: Zeroizing<[u8; 32]>,
    under_way: Arc<Mutex<HashSet<Slotted>>>,
}

/// What a request with an `Idempotency-Key` meets.
pub enum Begun {
    /// Nobody has asked under this key: this is where the answer goes.
    First(Slot),
    /// Asked and answered before.
    Again(Outcome),
    /// It cannot be answered under this key.
    Refused(AskFailure),
}

/// The place for a first answer. While it exists, nobody else has one under the same key.
pub struct Slot {
    slotted: Slotted,
    request_hash: [u8; 32],
    sealing: RandomizedNonceKey,
    under_way: Arc<Mutex<HashSet<Slotted>>>,
}

impl Idempotency {
    /// With a key derived from the API key secret.
    pub fn new(hasher: &ApiKeyHasher) -> Self {
        Self {
            secret: hasher.derive(SECRET_LABEL),
            under_way: Arc::default(),
        }
    }

    /// Looks whether a request was answered before.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot answer.
    pub fn begin(
        &self,
        scope: &TenantScope<'_, Read>,
        api_key: ApiKeyId,
        key: &str,
        ask: &Ask,
    ) -> Result<Begun, StoreError> {
        let tenant = scope.tenant();
        let mac = hmac::Key::new(hmac::HMAC_SHA256, &*self.secret);
        // Of one API key: what was answered to it, a secret perhaps, may be more than another of the tenant may have.
        let asked = [tenant.as_bytes().as_slice(), api_key.as_bytes(), key.as_bytes()].concat();
        let key_hash = array(hmac::sign(&mac, &asked).as_ref());
        let request_hash = array(digest::digest(&digest::SHA256, &chancel_wire::encode(ask)).as_ref());
        let sealing = self.sealing_key(tenant, key);
        let not_before = clock::now_ms().saturating_sub(KEPT_MS);
        // Under way first: between its answer's being stored and its slot's end nobody may begin again.
        let slotted = (tenant, key_hash);
        if !lock(&self.under_way).insert(slotted) {
            return Ok(Begun::Refused(AskFailure::IdempotencyInProgress));
        }
        let slot = Slot {
            slotted,
            request_hash,
            sealing,
            under_way: self.under_way.clone(),
        };
        Ok(match scope.first_answer(&key_hash, not_before)? {
            None => Begun::First(slot),
            Some(answer) if answer.request_hash != request_hash => {
                Begun::Refused(AskFailure::IdempotencyMismatch)
            }
            Some(answer) => slot.open(answer.sealed).map_or_else(
                // Sealed under an API key secret that has been replaced since.
                || Begun::Refused(AskFailure::IdempotencyMismatch),
                Begun::Again,
            ),
        })
    }

    fn sealing_key(&self, tenant: TenantId, key: &str) -> RandomizedNonceKey {
        let salt = hkdf::Salt::new(hkdf::HKDF_SHA256, tenant.as_bytes());
        let extracted = salt.extract(&*self.secret);
        let info = [SEALING_LABEL, key.as_bytes()];
        let mut bytes = Zeroizing::new([0; 32]);
        extracted
            .expand(&info, hkdf::HKDF_SHA256)
            .and_then(|expanded| expanded.fill(bytes.as_mut_slice()))
            .expect("32 bytes are what HKDF-SHA256 gives at once");
        RandomizedNonceKey::new(&AES_256_GCM, bytes.as_slice()).expect("AES-256 takes 32 bytes")
    }
}

impl Slot {
    /// Keeps the answer, in the transaction that makes it true. Where another has been kept since this one looked, that
    /// one is the first, and this transaction must not be.
    ///
    /// # Errors
    /// `IdempotencyInProgress` when there is a first answer; a failure of the database when it could not be stored.
    pub fn keep(&self, scope: &TenantScope<'_, Write>, outcome: &Outcome) -> Result<(), Failure> {
        let mut plain = Zeroizing::new(chancel_wire::encode(outcome));
        let mut bytes = Vec::with_capacity(plain.len() + 64);
        bytes.extend_from_slice(&plain);
        plain.zeroize();
        let nonce = self
            .sealing
            .seal_in_place_append_tag(Aad::from(self.aad()), &mut bytes)
            .expect("an answer is far below what AES-GCM takes");
        let sealed = [nonce.as_ref().as_slice(), &bytes].concat();
        let answer = StoredAnswer {
            request_hash: self.request_hash,
            sealed,
        };
        let now_ms = clock::now_ms();
        let not_before_ms = now_ms.saturating_sub(KEPT_MS);
        if scope.keep_first_answer(&self.slotted.1, &answer, not_before_ms, now_ms)? {
            Ok(())
        } else {
            Err(AskFailure::IdempotencyInProgress.into())
        }
    }

    fn open(&self, mut sealed: Vec<u8>) -> Option<Outcome> {
        let (nonce, bytes) = sealed.split_at_mut_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let plain = self
            .sealing
            .open_in_place(nonce, Aad::from(self.aad()), bytes)
            .ok()?;
        let outcome = chancel_wire::decode(plain).ok();
        plain.zeroize();
        outcome
    }

    fn aad(&self) -> [u8; 64] {
        let mut aad = [0; 64];
        let (first, second) = aad.split_at_mut(32);
        first.copy_from_slice(&self.slotted.1);
        second.copy_from_slice(&self.request_hash);
        aad
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        lock(&self.under_way).remove(&self.slotted);
    }
}

fn lock(under_way: &Mutex<HashSet<Slotted>>) -> std::sync::MutexGuard<'_, HashSet<Slotted>> {
    under_way.lock().unwrap_or_else(PoisonError::into_inner)
}

fn array(bytes: &[u8]) -> [u8; 32] {
    let mut array = [0; 32];
    array.copy_from_slice(bytes);
    array
}

#[cfg(test)]
mod tests;
