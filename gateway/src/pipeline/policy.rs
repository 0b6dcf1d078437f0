//! Stage 6: policyd's verdict becomes a grant or an error. There is no other way to a [`Grant`], and nothing
//! is done for a caller without one.

use crate::error::ApiError;
use chancel_domain::{KeyVersion, Operation};
use chancel_wire::permit::SignedPermit;
use chancel_wire::policyd::{Ask, AskFailure, DenyReason, KeyView, Outcome, Verdict};

/// Proof that policyd allowed a request.
pub struct Grant(Granted);

enum Granted {
    Use {
        key: KeyView,
        permit: Option<SignedPermit>,
    },
    Done(Outcome),
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
            Ask::Use { version, .. } => *version,
            Ask::RetireKey(_, version) | Ask::ReadKey(_, version) => Some(*version),
            Ask::GenerateKey(_)
            | Ask::RotateKey(_)
            | Ask::ReadActiveKey(_)
            | Ask::ListKeys(..)
            | Ask::ReadTenant => None,
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
        Verdict::Granted { key, permit } => Ok(Grant(Granted::Use { key, permit })),
        Verdict::Done(outcome) => Ok(Grant(Granted::Done(outcome))),
        Verdict::Denied { reason, .. } => Err(match reason {
            DenyReason::NotAuthenticated => ApiError::Unauthenticated,
            DenyReason::TenantSuspended => ApiError::PolicyDenied("the tenant is suspended"),
            DenyReason::OutOfScope => ApiError::PolicyDenied("the API key's scopes do not cover this"),
            DenyReason::RuleFailed => ApiError::PolicyDenied("a rule could not be evaluated"),
            DenyReason::NotInPlan => ApiError::NotInPlan,
        }),
        Verdict::Failed(failure) => Err(match failure {
            AskFailure::KeyNotFound => ApiError::KeyNotFound {
                operation: about.operation,
                version: about.version,
            },
            AskFailure::ActiveKeyExists => ApiError::ActiveKeyExists,
            AskFailure::IllegalTransition => ApiError::IllegalTransition,
            AskFailure::Busy | AskFailure::KeydUnavailable => ApiError::Unavailable,
        }),
    }
}

impl Grant {
    /// The key, for public-key work.
    ///
    /// # Errors
    /// [`ApiError::Internal`] when policyd granted something else.
    pub fn public_key(self) -> Result<KeyView, ApiError> {
        match self.0 {
            Granted::Use { key, .. } => Ok(key),
            Granted::Done(_) => Err(unexpected()),
        }
    }

    /// The key and the permit, for private-key work.
    ///
    /// # Errors
    /// [`ApiError::Internal`] when policyd granted something else.
    pub fn private_key(self) -> Result<(KeyView, SignedPermit), ApiError> {
        match self.0 {
            Granted::Use {
                key,
                permit: Some(permit),
            } => Ok((key, permit)),
            Granted::Use { permit: None, .. } | Granted::Done(_) => Err(unexpected()),
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
    use chancel_wire::policyd::Rule;

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
        assert_eq!(denied(DenyReason::NotAuthenticated), "ERR_AUTH_001");
        assert_eq!(denied(DenyReason::TenantSuspended), "ERR_POLICY_001");
        assert_eq!(denied(DenyReason::OutOfScope), "ERR_POLICY_001");
        assert_eq!(denied(DenyReason::RuleFailed), "ERR_POLICY_001");
        assert_eq!(denied(DenyReason::NotInPlan), "ERR_FORBIDDEN_001");
        let failed = |failure| code(Verdict::Failed(failure), &ask);
        assert_eq!(failed(AskFailure::KeyNotFound), "ERR_NOT_FOUND_001");
        assert_eq!(failed(AskFailure::ActiveKeyExists), "ERR_CONFLICT_002");
        assert_eq!(failed(AskFailure::IllegalTransition), "ERR_CONFLICT_003");
        assert_eq!(failed(AskFailure::Busy), "ERR_SERVICE_001");
        assert_eq!(failed(AskFailure::KeydUnavailable), "ERR_SERVICE_001");
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
