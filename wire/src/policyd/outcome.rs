//! What policyd carried out, and why it could not.

use super::explanation::Explanation;
use super::rule::Quota;
use crate::admin::NewApiKey;
use chancel_domain::plan::Limits;
use chancel_domain::{
    Algorithm, DenyRule, DenyRuleId, KeyHandle, KeyState, KeyVersion, Plan, TenantId, TenantStatus,
};
use serde::{Deserialize, Serialize};

/// A key as policyd's database knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyView {
    /// The parameter set.
    pub algorithm: Algorithm,
    /// The version.
    pub version: KeyVersion,
    /// Where it stands in its life.
    pub state: KeyState,
    /// keyd's name for it.
    pub handle: KeyHandle,
    /// The encoded public key.
    #[serde(with = "serde_bytes")]
    pub public_key: Vec<u8>,
    /// When it was made, Unix milliseconds.
    pub created_at_ms: i64,
    /// When its private half was last used, Unix milliseconds; up to some seconds late.
    pub last_used_at_ms: Option<i64>,
    /// When it will be destroyed, Unix milliseconds, while that date is set.
    pub destroy_at_ms: Option<i64>,
}

/// What was carried out. The order of the variants is part of the wire format: append only.
#[derive(Debug, Serialize, Deserialize)]
pub enum Outcome {
    /// Generated, retired, or read.
    Key(KeyView),
    /// Rotated.
    Rotated {
        /// The new active version.
        key: KeyView,
        /// The version that is now retired.
        old_version: KeyVersion,
    },
    /// Listed.
    Keys {
        /// The newest of each algorithm first; no more than fit in a frame.
        keys: Vec<KeyView>,
        /// How many there are.
        total: u64,
    },
    /// The tenant.
    Tenant(TenantView),
    /// A page of tenants.
    Tenants {
        /// At most [`crate::limits::ADMIN_PAGE`] of them.
        tenants: Vec<TenantView>,
        /// Whether more follow the last of them.
        more: bool,
    },
    /// A new or rotated API key, with its secret for this one time.
    ApiKeySecret(ApiKeyView, NewApiKey),
    /// A revoked API key.
    ApiKey(ApiKeyView),
    /// A page of API keys.
    ApiKeys {
        /// At most [`crate::limits::ADMIN_PAGE`] of them.
        api_keys: Vec<ApiKeyView>,
        /// Whether more follow the last of them.
        more: bool,
    },
    /// A deny rule that was added or removed.
    DenyRule(DenyRuleView),
    /// All deny rules of the tenant.
    DenyRules(Vec<DenyRuleView>),
    /// How a request would be judged.
    Explained(Explanation),
    /// Events of the ledger, newest first.
    Events {
        /// The records as they stand in the ledger, each a JSON object.
        records: Vec<String>,
        /// Where the next page begins; `None` after the last.
        next: Option<u64>,
    },
    /// The private-key uses that an algorithm's key has left in a day from now on; `None` for no limit.
    KeyBudget(Option<u32>),
}

/// An API key as its tenant sees it.
pub type ApiKeyView = crate::admin::ApiKeyRecord;

/// A deny rule as its tenant sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DenyRuleView {
    /// Its id.
    pub id: DenyRuleId,
    /// The rule.
    pub rule: DenyRule,
    /// When it was added, Unix milliseconds.
    pub created_at_ms: i64,
}

/// A tenant as it sees itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenantView {
    /// Its id.
    pub id: TenantId,
    /// Its name.
    pub name: String,
    /// Its plan.
    pub plan: Plan,
    /// Its standing.
    pub status: TenantStatus,
    /// The limits of its plan.
    pub limits: Limits,
    /// Calls allowed in this calendar month (UTC).
    pub calls: u64,
    /// When the count of calls begins anew, Unix milliseconds.
    pub renews_at_ms: i64,
    /// When it was made, Unix milliseconds.
    pub created_at_ms: i64,
    /// When it last changed, Unix milliseconds.
    pub updated_at_ms: i64,
    /// KEM keys: algorithms with a version that is active or retired.
    pub kem_keys: u32,
    /// Signature keys, in the same way.
    pub signature_keys: u32,
    /// API keys that are not revoked.
    pub api_keys: u32,
}

/// Why an allowed request cannot be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum AskFailure {
    /// There is no such key, or it is not in a state that permits the operation.
    KeyNotFound,
    /// There is an active key already: rotate it.
    ActiveKeyExists,
    /// The key's state does not permit the change.
    IllegalTransition,
    /// Another change of the same key is under way.
    Busy,
    /// keyd is away or refused.
    KeydUnavailable,
    /// The key was destroyed.
    KeyDestroyed,
    /// The time in which an archived key can be restored is over.
    NotRestorable,
    /// The `Idempotency-Key` came with another request before.
    IdempotencyMismatch,
    /// A request with this `Idempotency-Key` is under way.
    IdempotencyInProgress,
    /// No such tenant, or none that the caller may know of.
    TenantNotFound,
    /// A tenant of that name exists.
    NameTaken,
    /// No such API key in that tenant.
    ApiKeyNotFound,
    /// The API key is revoked and stays so.
    ApiKeyRevoked,
    /// The new API key would be able to do what the caller's cannot: more operations, from more places, for longer.
    BeyondOwnRights,
    /// No such deny rule.
    DenyRuleNotFound,
    /// The tenant has as many deny rules as it may have.
    TooManyDenyRules,
    /// A number of days that destruction cannot be put off by.
    DestructionDays,
    /// A limit of the plan is reached: found where it is counted for good, after the rule had passed.
    QuotaSpent(Quota),
}
