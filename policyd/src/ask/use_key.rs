//! Finding the key that a granted operation is to use, and the permit where the private key is needed.

use super::{Asks, failed, missing, not_answered_now};
use crate::decide::Grant;
use crate::permit::NoPermitKey;
use crate::record::RecordedKey;
use crate::store::{Read, StoreError, TenantScope};
use crate::turn::Turn;
use chancel_domain::operation::Place;
use chancel_domain::{Algorithm, KeyState, KeyVersion, Operation};
use chancel_link::Handled;
use chancel_wire::permit::PayloadDigest;
use chancel_wire::policyd::{AskFailure, KeyView, PolicydFailure, PolicydReply, Subject, Verdict};

/// What is to be used.
pub(super) struct Wanted {
    pub(super) algorithm: Algorithm,
    /// `None` for the active one.
    pub(super) version: Option<KeyVersion>,
    pub(super) payload: Option<PayloadDigest>,
    /// The key that a rewrapped ciphertext shall be for.
    pub(super) target: Option<(Algorithm, Option<KeyVersion>)>,
}

impl Asks {
    /// Finds the key. One that does not exist, one of another family and one whose state does not permit the
    /// operation look the same.
    pub(super) fn use_key(
        &self,
        scope: &TenantScope<'_, Read>,
        grant: Grant,
        subject: Subject,
        wanted: Wanted,
        turn: &mut Turn,
    ) -> Result<Handled, StoreError> {
        let operation = grant.operation();
        let private = operation.place() == Place::PrivateKey;
        let has_target = wanted.target.is_some();
        if operation.place() == Place::Management
            || (private && wanted.payload.is_none())
            || has_target != (operation == Operation::Rewrap)
        {
            return Ok(not_answered_now(&self.metrics, PolicydFailure::Malformed));
        }
        let key = find(scope, operation, wanted.algorithm, wanted.version)?;
        let target = match wanted.target {
            None => Ok(None),
            // What rewrapping makes is what encrypting would.
            Some((algorithm, version)) => find(scope, Operation::Encrypt, algorithm, version)?.map(Some),
        };
        let (key, target) = match (key, target) {
            (Ok(key), Ok(target)) => (key, target),
            (Err(failure), _) | (_, Err(failure)) => {
                // It was allowed, and counts; that nothing came of it is the caller's doing.
                self.allow(turn, scope, &grant, missing(wanted.version), None)?;
                let reply = failed(&self.metrics, subject, failure);
                return Ok(self.at_end(turn, &grant, &reply));
            }
        };
        let about = RecordedKey {
            key: Some(&key),
            target: target.as_ref(),
            version: None,
        };
        let issued = match wanted.payload.filter(|_| private) {
            None => None,
            Some(payload) => match self.issuer.issue(&grant, &key, target.as_ref(), payload) {
                Ok(issued) => Some(issued),
                Err(NoPermitKey) => {
                    return Ok(not_answered_now(&self.metrics, PolicydFailure::KeydUnavailable));
                }
            },
        };
        let (claims, permit) = issued.unzip();
        self.allow(turn, scope, &grant, about, claims.as_ref())?;
        let reply = PolicydReply::Judged {
            subject,
            verdict: Verdict::Granted { key, permit, target },
        };
        Ok(self.at_end(turn, &grant, &reply))
    }
}

impl Asks {
    /// Finds the key of a use that will be asked for later. There is nothing to record or to count: nothing is permitted.
    pub(super) fn prepare(
        &self,
        scope: &TenantScope<'_, Read>,
        grant: &Grant,
        subject: Subject,
        algorithm: Algorithm,
        version: Option<KeyVersion>,
    ) -> Result<Handled, StoreError> {
        if grant.operation().place() != Place::PrivateKey {
            return Ok(not_answered_now(&self.metrics, PolicydFailure::Malformed));
        }
        let reply = match find(scope, grant.operation(), algorithm, version)? {
            Err(failure) => failed(&self.metrics, subject, failure),
            Ok(key) => PolicydReply::Judged {
                subject,
                verdict: Verdict::Granted {
                    key,
                    permit: None,
                    target: None,
                },
            },
        };
        Ok(Handled::now(&reply))
    }
}

fn find(
    scope: &TenantScope<'_, Read>,
    operation: Operation,
    algorithm: Algorithm,
    version: Option<KeyVersion>,
) -> Result<Result<KeyView, AskFailure>, StoreError> {
    if operation.family() != Some(algorithm.family()) {
        return Ok(Err(AskFailure::KeyNotFound));
    }
    let key = match version {
        None => scope.active_key(algorithm)?,
        Some(version) => scope.key(algorithm, version)?,
    };
    Ok(match key {
        Some(key) if key.state == KeyState::Destroyed => Err(AskFailure::KeyDestroyed),
        Some(key) if key.state.permits(operation) => Ok(key),
        _ => Err(AskFailure::KeyNotFound),
    })
}
