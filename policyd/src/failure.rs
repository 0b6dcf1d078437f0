//! Why an allowed request was not carried out.

use crate::keyd::KeydFailure;
use crate::keys::Busy;
use crate::store::StoreError;
use chancel_ledger::Unwritable;
use chancel_wire::policyd::AskFailure;

/// Why an allowed request was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// For a reason that the caller is told.
    #[error("{}", ask_failure_name(*.0))]
    Ask(AskFailure),
    /// keyd is away or refused; the caller hears no more than that.
    #[error(transparent)]
    Keyd(#[from] KeydFailure),
    /// The ledger cannot be written, so nothing is done.
    #[error(transparent)]
    Ledger(#[from] Unwritable),
    /// The database failed; the caller hears no more than that.
    #[error(transparent)]
    Storage(#[from] StoreError),
}

impl From<AskFailure> for Failure {
    fn from(failure: AskFailure) -> Self {
        Self::Ask(failure)
    }
}

impl From<Busy> for Failure {
    fn from(Busy: Busy) -> Self {
        Self::Ask(AskFailure::Busy)
    }
}

/// A failure's name in logs and metrics.
pub const fn ask_failure_name(failure: AskFailure) -> &'static str {
    match failure {
        AskFailure::KeyNotFound => "key-not-found",
        AskFailure::ActiveKeyExists => "active-key-exists",
        AskFailure::IllegalTransition => "illegal-transition",
        AskFailure::Busy => "busy",
        AskFailure::KeydUnavailable => "keyd-unavailable",
        AskFailure::KeyDestroyed => "key-destroyed",
        AskFailure::NotRestorable => "not-restorable",
        AskFailure::IdempotencyMismatch => "idempotency-mismatch",
        AskFailure::IdempotencyInProgress => "idempotency-in-progress",
        AskFailure::TenantNotFound => "tenant-not-found",
        AskFailure::NameTaken => "name-taken",
        AskFailure::ApiKeyNotFound => "api-key-not-found",
        AskFailure::ApiKeyRevoked => "api-key-revoked",
        AskFailure::BeyondOwnRights => "beyond-own-rights",
        AskFailure::DenyRuleNotFound => "deny-rule-not-found",
        AskFailure::TooManyDenyRules => "too-many-deny-rules",
        AskFailure::DestructionDays => "destruction-days",
        AskFailure::QuotaSpent(quota) => quota.name(),
    }
}
