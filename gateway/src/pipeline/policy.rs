//! Stage 6: policyd's verdict becomes a grant or an error. There is no other way to a [`Grant`], and nothing
//! is done for a caller without one.

use crate::api::Field;
use crate::error::ApiError;
use chancel_domain::{KeyVersion, Operation};
use chancel_wire::keyd::BreakGlassClaims;
use chancel_wire::permit::SignedPermit;
use chancel_wire::policyd::{Ask, AskFailure, DenyReason, KeyView, Outcome, Verdict};
use std::sync::Arc;

/// Proof that a request is allowed: by policyd, or by an operator who opened break-glass.
pub struct Grant(Granted);

enum Granted {
    Use {
        key: Arc<KeyView>,
        authority: Option<Authority>,
        target: Option<KeyView>,
    },
    Done(Outcome),
}

/// On whose word keyd uses a private key.
#[derive(Debug)]
pub enum Authority {
    /// policyd's, for this request alone.
    Permit(SignedPermit),
    /// The gateway's own, which keyd takes while break-glass is open.
    BreakGlass(BreakGlassClaims),
}

/// A private key that may be used once.
#[derive(Debug)]
pub struct PrivateKey {
    /// The key.
    pub key: Arc<KeyView>,
    /// The key that a rewrapped ciphertext will be for; `None` for every other operation.
    pub target: Option<KeyView>,
    /// On whose word.
    pub authority: Authority,
}

/// What was asked, for the terms of an error.
#[derive(Debug, Clone, Copy)]
pub struct About {
    operation: Operation,
    version: Option<KeyVersion>,
}

impl About {
    /// What a question is about.
    pub fn of(ask: &Ask) -> Self {
        let version = match ask {
            Ask::Use { version, .. } | Ask::Prepare { version, .. } => *version,
            Ask::RetireKey(_, version)
            | Ask::ReadKey(_, version)
            | Ask::ArchiveKey(_, version)
            | Ask::RestoreKey(_, version)
            | Ask::ScheduleDestruction(_, version, _)
            | Ask::CancelDestruction(_, version)
            | Ask::Rewrap { version, .. } => Some(*version),
            _ => None,
        };
        Self {
            operation: ask.operation(),
            version,
        }
    }
}

/// Judges a request as policyd did.
///
/// # Errors
/// What a denial or a failure means for the caller.
pub fn judge(verdict: Verdict, about: About) -> Result<Grant, ApiError> {
    match verdict {
        Verdict::Granted { key, permit, target } => Ok(Grant(Granted::Use {
            key: Arc::new(key),
            authority: permit.map(Authority::Permit),
            target,
        })),
        Verdict::Done(outcome) => Ok(Grant(Granted::Done(outcome))),
        Verdict::Denied { reason, .. } => Err(denied(reason)),
        Verdict::Failed(failure) => Err(failed(failure, about)),
    }
}

const fn denied(reason: DenyReason) -> ApiError {
    match reason {
        DenyReason::NotAuthenticated => ApiError::Unauthenticated,
        DenyReason::TenantSuspended => ApiError::PolicyDenied("the tenant is suspended"),
        DenyReason::ForeignNetwork => ApiError::PolicyDenied(
            "the API key may not be used from this address; its networks say from where",
        ),
        DenyReason::OutOfScope => ApiError::PolicyDenied("the API key's scopes do not cover this"),
        DenyReason::TenantRule => {
            ApiError::PolicyDenied("a deny rule of the tenant; GET /api/v1/policy/rules lists them")
        }
        DenyReason::RuleFailed => ApiError::PolicyDenied("a rule could not be evaluated"),
        DenyReason::NotInPlan => ApiError::NotInPlan,
        DenyReason::QuotaSpent(quota) => ApiError::QuotaSpent(quota),
        DenyReason::KeyBudgetSpent => ApiError::KeyBudgetSpent,
    }
}

const fn failed(failure: AskFailure, about: About) -> ApiError {
    match failure {
        AskFailure::KeyNotFound => ApiError::KeyNotFound {
            operation: about.operation,
            version: about.version,
        },
        AskFailure::KeyDestroyed => ApiError::KeyDestroyed,
        AskFailure::ActiveKeyExists => ApiError::ActiveKeyExists,
        AskFailure::IllegalTransition => ApiError::IllegalTransition,
        AskFailure::NotRestorable => ApiError::NotRestorable,
        AskFailure::IdempotencyMismatch => ApiError::IdempotencyMismatch,
        AskFailure::IdempotencyInProgress => ApiError::IdempotencyInProgress,
        AskFailure::TenantNotFound => ApiError::NotFound("tenant"),
        AskFailure::NameTaken => ApiError::NameTaken,
        AskFailure::ApiKeyNotFound => ApiError::NotFound("API key"),
        AskFailure::ApiKeyRevoked => ApiError::ApiKeyRevoked,
        AskFailure::BeyondOwnRights => ApiError::PolicyDenied(
            "an API key cannot be given more operations, more networks or more time than the one that makes it has",
        ),
        AskFailure::DenyRuleNotFound => ApiError::NotFound("deny rule"),
        AskFailure::TooManyDenyRules => ApiError::TooManyDenyRules,
        AskFailure::QuotaSpent(quota) => ApiError::QuotaSpent(quota),
        AskFailure::DestructionDays => ApiError::WrongField {
            field: Field::Days,
            expected: "a number of days from 7 to 365",
        },
        AskFailure::Busy | AskFailure::KeydUnavailable => ApiError::Unavailable,
    }
}

impl Grant {
    /// What an operator's break-glass allows; the one way to a grant without policyd's word.
    pub(super) const fn in_break_glass(key: Arc<KeyView>, claims: Option<BreakGlassClaims>) -> Self {
        let authority = match claims {
            Some(claims) => Some(Authority::BreakGlass(claims)),
            None => None,
        };
        Self(Granted::Use {
            key,
            authority,
            target: None,
        })
    }

    /// The key that is granted; `None` for what policyd carried out.
    pub(super) const fn key(&self) -> Option<&Arc<KeyView>> {
        match &self.0 {
            Granted::Use { key, .. } => Some(key),
            Granted::Done(_) => None,
        }
    }

    /// What policyd did; `None` for the use of a key.
    pub(super) const fn done(&self) -> Option<&Outcome> {
        match &self.0 {
            Granted::Use { .. } => None,
            Granted::Done(outcome) => Some(outcome),
        }
    }

    /// The key, for public-key work.
    ///
    /// # Errors
    /// [`ApiError::Internal`] when policyd granted something else.
    pub fn public_key(self) -> Result<Arc<KeyView>, ApiError> {
        match self.0 {
            Granted::Use { key, .. } => Ok(key),
            Granted::Done(_) => Err(unexpected()),
        }
    }

    /// The key and on whose word it is used, for private-key work.
    ///
    /// # Errors
    /// [`ApiError::Internal`] when policyd granted something else.
    pub fn private_key(self) -> Result<PrivateKey, ApiError> {
        match self.0 {
            Granted::Use {
                key,
                authority: Some(authority),
                target,
            } => Ok(PrivateKey {
                key,
                target,
                authority,
            }),
            Granted::Use { authority: None, .. } | Granted::Done(_) => Err(unexpected()),
        }
    }

    /// What policyd did.
    ///
    /// # Errors
    /// [`ApiError::Internal`] when policyd granted something else.
    pub fn outcome(self) -> Result<Outcome, ApiError> {
        match self.0 {
            Granted::Done(outcome) => Ok(outcome),
            Granted::Use { .. } => Err(unexpected()),
        }
    }
}

/// policyd answered another question than it was asked.
pub fn unexpected() -> ApiError {
    tracing::error!("policyd granted something else than was asked");
    ApiError::Internal
}

#[cfg(test)]
mod tests {
    use super::*;
    use chancel_domain::Algorithm;
    use chancel_wire::policyd::{Quota, Rule};

    fn code(verdict: Verdict, ask: &Ask) -> &'static str {
        match judge(verdict, About::of(ask)) {
            Ok(_) => "granted",
            Err(error) => error.code().name(),
        }
    }

    #[test]
    fn each_denial_and_failure_has_its_code() {
        let ask = Ask::GenerateKey(Algorithm::MlKem768);
        let denied = |reason| {
            let rule = Rule::Scope;
            code(Verdict::Denied { rule, reason }, &ask)
        };
        for (reason, code) in [
            (DenyReason::NotAuthenticated, "ERR_AUTH_001"),
            (DenyReason::TenantSuspended, "ERR_POLICY_001"),
            (DenyReason::ForeignNetwork, "ERR_POLICY_001"),
            (DenyReason::OutOfScope, "ERR_POLICY_001"),
            (DenyReason::TenantRule, "ERR_POLICY_001"),
            (DenyReason::RuleFailed, "ERR_POLICY_001"),
            (DenyReason::NotInPlan, "ERR_FORBIDDEN_001"),
            (DenyReason::QuotaSpent(Quota::Calls), "ERR_QUOTA_001"),
            (DenyReason::QuotaSpent(Quota::ApiKeys), "ERR_QUOTA_001"),
            (DenyReason::KeyBudgetSpent, "ERR_QUOTA_002"),
        ] {
            assert_eq!(denied(reason), code, "{reason:?}");
        }
        for (failure, expected) in [
            (AskFailure::KeyNotFound, "ERR_NOT_FOUND_001"),
            (AskFailure::KeyDestroyed, "ERR_KMS_004"),
            (AskFailure::ActiveKeyExists, "ERR_CONFLICT_002"),
            (AskFailure::IllegalTransition, "ERR_CONFLICT_003"),
            (AskFailure::NotRestorable, "ERR_CONFLICT_006"),
            (AskFailure::IdempotencyMismatch, "ERR_CONFLICT_004"),
            (AskFailure::IdempotencyInProgress, "ERR_CONFLICT_005"),
            (AskFailure::TenantNotFound, "ERR_NOT_FOUND_001"),
            (AskFailure::NameTaken, "ERR_CONFLICT_001"),
            (AskFailure::ApiKeyNotFound, "ERR_NOT_FOUND_001"),
            (AskFailure::ApiKeyRevoked, "ERR_CONFLICT_003"),
            (AskFailure::BeyondOwnRights, "ERR_POLICY_001"),
            (AskFailure::DenyRuleNotFound, "ERR_NOT_FOUND_001"),
            (AskFailure::TooManyDenyRules, "ERR_QUOTA_001"),
            (AskFailure::DestructionDays, "ERR_INVALID_001"),
            (AskFailure::Busy, "ERR_SERVICE_001"),
            (AskFailure::KeydUnavailable, "ERR_SERVICE_001"),
        ] {
            assert_eq!(code(Verdict::Failed(failure), &ask), expected, "{failure:?}");
        }
    }

    #[test]
    fn a_grant_of_another_kind_is_of_no_use() {
        let outcome = || {
            Grant(Granted::Done(Outcome::Keys {
                keys: Vec::new(),
                total: 0,
            }))
        };
        assert_eq!(outcome().public_key().unwrap_err(), ApiError::Internal);
        assert_eq!(outcome().private_key().unwrap_err(), ApiError::Internal);
    }
}
