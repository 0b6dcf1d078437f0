//! Permits: what policyd says to keyd through the gateway. One permit costs one [`Grant`].
//!
//! The permit key comes from keyd, is renewed on every connection and in between, and is kept only while the
//! connection to keyd stands: a keyd that was started anew does not know it.

use crate::decide::Grant;
use chancel_wire::keyd::PermitKeyGrant;
use chancel_wire::limits::{PERMIT_KEY_LIFETIME, permit_lifetime};
use chancel_wire::permit::{PayloadDigest, PermitClaims, PermitTarget, SignedPermit};
use chancel_wire::policyd::KeyView;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// There is no permit key that keyd would still accept: keyd is away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there is no permit key")]
pub struct NoPermitKey;

/// Issues permits under the present permit key.
#[derive(Default)]
pub struct PermitIssuer {
    current: Mutex<Option<Current>>,
    issued: AtomicU64,
}

struct Current {
    key: PermitKeyGrant,
    /// When keyd's clock stood at `key.now_ms`, on our own clock.
    received: Instant,
    last_serial: u64,
}

impl PermitIssuer {
    /// Takes a new permit key, received just now; its permits are counted from 1.
    pub fn adopt(&self, key: PermitKeyGrant) {
        *self.current() = Some(Current {
            key,
            received: Instant::now(),
            last_serial: 0,
        });
    }

    /// Forgets the permit key: the keyd that made it may be gone.
    pub fn forget(&self) {
        *self.current() = None;
    }

    /// How old the permit key is; `None` when there is none.
    pub fn key_age(&self) -> Option<Duration> {
        self.current().as_ref().map(|current| current.received.elapsed())
    }

    /// How many permits were issued.
    pub fn issued(&self) -> u64 {
        self.issued.load(Ordering::Relaxed)
    }

    /// States to keyd that what was granted may be done once, with this key (and, for a rewrap, for that other one), on
    /// this input. Returns what the permit says beside it, for the record of it.
    ///
    /// # Errors
    /// [`NoPermitKey`] when keyd is away.
    pub fn issue(
        &self,
        grant: &Grant,
        key: &KeyView,
        target: Option<&KeyView>,
        payload: PayloadDigest,
    ) -> Result<(PermitClaims, SignedPermit), NoPermitKey> {
        let mut current = self.current();
        let current = current.as_mut().ok_or(NoPermitKey)?;
        let age = current.received.elapsed();
        let lifetime = permit_lifetime(key.algorithm, grant.batch());
        if age + lifetime >= PERMIT_KEY_LIFETIME {
            return Err(NoPermitKey);
        }
        current.last_serial += 1;
        let context = grant.context();
        let claims = PermitClaims {
            epoch: current.key.epoch,
            serial: current.last_serial,
            expires_at_ms: current.key.now_ms.saturating_add(millis(age + lifetime)),
            tenant: context.tenant(),
            api_key: context.api_key(),
            api_key_version: context.api_key_version(),
            request: context.request(),
            operation: grant.operation(),
            algorithm: key.algorithm,
            key_version: key.version,
            key: key.handle,
            payload,
            target: target.map(|target| PermitTarget {
                algorithm: target.algorithm,
                version: target.version,
                key: target.handle,
            }),
            batch: grant.batch(),
        };
        self.issued.fetch_add(1, Ordering::Relaxed);
        let permit = current.key.key.sign(&claims);
        Ok((claims, permit))
    }

    fn current(&self) -> MutexGuard<'_, Option<Current>> {
        // Changed by single assignments only: a panic elsewhere leaves it whole.
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::tests::grant;
    use chancel_domain::{Algorithm, KeyHandle, KeyState, KeyVersion, Operation, TenantId};
    use chancel_wire::permit::PermitKey;

    fn key() -> KeyView {
        KeyView {
            algorithm: Algorithm::MlDsa65,
            version: KeyVersion::FIRST,
            state: KeyState::Active,
            handle: KeyHandle::from_bytes([7; 16]),
            public_key: Vec::new(),
            created_at_ms: 1,
            last_used_at_ms: None,
            destroy_at_ms: None,
        }
    }

    fn permit_key(epoch: u64) -> PermitKeyGrant {
        PermitKeyGrant {
            epoch,
            key: PermitKey::from_bytes([epoch as u8; 32]),
            now_ms: 50_000,
        }
    }

    #[test]
    fn without_a_permit_key_there_are_no_permits() {
        let issuer = PermitIssuer::default();
        let digest = PayloadDigest::of(b"input");
        assert!(issuer.issue(&grant(), &key(), None, digest).is_err());
        issuer.adopt(permit_key(1));
        assert!(issuer.issue(&grant(), &key(), None, digest).is_ok());
        issuer.forget();
        assert!(issuer.issue(&grant(), &key(), None, digest).is_err());
        assert_eq!(issuer.issued(), 1);
    }

    #[test]
    fn a_permit_says_what_was_granted_and_counts_from_one_in_each_epoch() {
        let issuer = PermitIssuer::default();
        let digest = PayloadDigest::of(b"input");
        for epoch in [3, 4] {
            issuer.adopt(permit_key(epoch));
            for serial in 1..=3 {
                let (_, permit) = issuer.issue(&grant(), &key(), None, digest).unwrap();
                assert!(PermitKey::from_bytes([epoch as u8; 32]).is_signature_of(&permit));
                let claims = permit.unverified_claims().unwrap();
                assert_eq!((claims.epoch, claims.serial), (epoch, serial));
                assert_eq!(claims.tenant, TenantId::from_bytes([1; 16]));
                assert_eq!((claims.operation, claims.payload), (Operation::Sign, digest));
                assert_eq!((claims.key, claims.algorithm), (key().handle, key().algorithm));
            }
        }
    }

    #[test]
    fn a_permit_expires_on_keyds_clock_and_no_later_than_keyd_allows() {
        let issuer = PermitIssuer::default();
        issuer.adopt(permit_key(1));
        let (_, permit) = issuer
            .issue(&grant(), &key(), None, PayloadDigest::of(b"input"))
            .unwrap();
        let expires = permit.unverified_claims().unwrap().expires_at_ms;
        let lifetime = millis(permit_lifetime(key().algorithm, None));
        assert!((50_000 + lifetime..50_000 + lifetime + 1000).contains(&expires));
    }
}
