//! Finding the key that a granted operation is to use, and the permit where the private key is needed.

use super::Asks;
use crate::decide::Grant;
use crate::permit::NoPermitKey;
use crate::store::{Read, StoreError, TenantScope};
use chancel_domain::operation::Place;
use chancel_domain::{Algorithm, KeyVersion};
use chancel_wire::permit::PayloadDigest;
use chancel_wire::policyd::{AskFailure, PolicydFailure, Verdict};

/// Why no key was handed out.
pub(super) enum Unusable {
    /// For a reason the caller is told.
    Failed(AskFailure),
    /// policyd cannot answer.
    NotAnswered(PolicydFailure),
    /// The database cannot.
    Storage(StoreError),
}

impl From<StoreError> for Unusable {
    fn from(error: StoreError) -> Self {
        Self::Storage(error)
    }
}

impl Asks {
    /// Finds the key. One that does not exist, one of another family and one whose state does not permit the
    /// operation look the same.
    pub(super) fn use_key(
        &self,
        scope: &TenantScope<'_, Read>,
        grant: Grant,
        algorithm: Algorithm,
        version: Option<KeyVersion>,
        payload: Option<PayloadDigest>,
    ) -> Result<Verdict, Unusable> {
        let operation = grant.operation();
        if operation.place() == Place::Management {
            return Err(Unusable::NotAnswered(PolicydFailure::Malformed));
        }
        if operation.family() != Some(algorithm.family()) {
            return Err(Unusable::Failed(AskFailure::KeyNotFound));
        }
        let key = match version {
            None => scope.active_key(algorithm)?,
            Some(version) => scope.key(algorithm, version)?,
        };
        let Some(key) = key.filter(|key| key.state.permits(operation)) else {
            return Err(Unusable::Failed(AskFailure::KeyNotFound));
        };
        if operation.place() == Place::PublicKey {
            return Ok(Verdict::Granted { key, permit: None });
        }
        let payload = payload.ok_or(Unusable::NotAnswered(PolicydFailure::Malformed))?;
        let permit = self
            .issuer
            .issue(grant, &key, payload)
            .map_err(|NoPermitKey| Unusable::NotAnswered(PolicydFailure::KeydUnavailable))?;
        Ok(Verdict::Granted {
            key,
            permit: Some(permit),
        })
    }
}
