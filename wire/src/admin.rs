//! What operators ask policyd on its admin socket.

use crate::policyd::{DenyRuleView, Explanation, NewApiKeyTerms, Question};
use chancel_domain::plan::Plans;
use chancel_domain::tenant::Name;
use chancel_domain::{
    Algorithm, ApiKeyId, DenyRule, DenyRuleId, Networks, Plan, Scopes, TenantId, TenantStatus,
};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A request to policyd's admin socket.
#[derive(Debug, Serialize, Deserialize)]
pub enum AdminRequest {
    /// Make a tenant.
    CreateTenant {
        /// Its name, unique in the installation.
        name: Name,
        /// Its plan.
        plan: Plan,
    },
    /// One page of the tenants, in the order of their ids.
    ListTenants {
        /// Where the page starts: after this tenant; `None` for the first page.
        after: Option<TenantId>,
    },
    /// Suspend a tenant, or lift its suspension.
    SetTenantStatus {
        /// Which.
        tenant: TenantId,
        /// Its new standing.
        status: TenantStatus,
    },
    /// Make an API key; for [`TenantId::OPERATORS`], an operator's.
    CreateApiKey {
        /// Whose.
        tenant: TenantId,
        /// What it shall be.
        terms: NewApiKeyTerms,
    },
    /// One page of a tenant's API keys, in the order of their ids.
    ListApiKeys {
        /// Whose.
        tenant: TenantId,
        /// Where the page starts: after this API key; `None` for the first page.
        after: Option<ApiKeyId>,
    },
    /// Replace an API key's secret; the old one is dead on the next request.
    RotateApiKey(TenantId, ApiKeyId),
    /// Revoke an API key for good.
    RevokeApiKey(TenantId, ApiKeyId),
    /// How the daemons are.
    Status,
    /// Put a tenant on another plan.
    SetTenantPlan {
        /// Which.
        tenant: TenantId,
        /// Its new plan.
        plan: Plan,
    },
    /// Delete a tenant: its keys are scheduled for destruction, its API keys and rules are gone.
    DeleteTenant(TenantId),
    /// What a tenant has used and may use.
    ReadUsage(TenantId),
    /// The terms of all plans, as they are in force.
    ReadPlans,
    /// A tenant's deny rules.
    ListDenyRules(TenantId),
    /// Add a deny rule to a tenant.
    AddDenyRule(TenantId, DenyRule),
    /// Remove a deny rule of a tenant.
    RemoveDenyRule(TenantId, DenyRuleId),
    /// How a request of a tenant would be judged; the question must name an API key.
    Explain(TenantId, Question),
    /// Limit the private-key uses of a key in a day; `None` for no limit.
    SetKeyBudget(TenantId, Algorithm, Option<u32>),
}

/// An answer of the admin socket.
#[derive(Debug, Serialize, Deserialize)]
pub enum AdminReply {
    /// The tenant made or changed.
    Tenant(TenantRecord),
    /// A page of tenants.
    Tenants {
        /// At most [`crate::limits::ADMIN_PAGE`] of them.
        tenants: Vec<TenantRecord>,
        /// Whether more follow the last of them.
        more: bool,
    },
    /// A new or rotated API key, with its secret for this one time.
    ApiKey(ApiKeyRecord, NewApiKey),
    /// The revoked API key.
    Revoked(ApiKeyRecord),
    /// A page of a tenant's API keys.
    ApiKeys {
        /// At most [`crate::limits::ADMIN_PAGE`] of them.
        api_keys: Vec<ApiKeyRecord>,
        /// Whether more follow the last of them.
        more: bool,
    },
    /// How the daemons are.
    Status(Status),
    /// It could not be done.
    Failed(AdminError),
    /// What a tenant has used and may use.
    Usage(crate::policyd::TenantView),
    /// The terms of all plans.
    Plans(Plans),
    /// A tenant's deny rules.
    DenyRules(Vec<DenyRuleView>),
    /// The deny rule added or removed.
    DenyRule(DenyRuleView),
    /// How a request would be judged.
    Explained(Explanation),
    /// The budget as it is now.
    KeyBudget(Option<u32>),
}

/// The text of a new API key. Shown once, never printed by Debug.
#[derive(Clone, Serialize, Deserialize)]
pub struct NewApiKey(pub String);

impl fmt::Debug for NewApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NewApiKey(..)")
    }
}

/// A tenant as operators see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenantRecord {
    /// Its id.
    pub id: TenantId,
    /// Its name.
    pub name: Name,
    /// Its plan.
    pub plan: Plan,
    /// Its standing.
    pub status: TenantStatus,
    /// When it was made, Unix milliseconds.
    pub created_at_ms: i64,
}

/// An API key as operators see it: everything but its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKeyRecord {
    /// Its id, the same across rotations.
    pub id: ApiKeyId,
    /// Its version: 1, and one more at each rotation.
    pub version: u32,
    /// What it is called.
    pub name: Name,
    /// What it may do.
    pub scopes: Scopes,
    /// When it was made, Unix milliseconds.
    pub created_at_ms: i64,
    /// When it stops working, Unix milliseconds.
    pub expires_at_ms: Option<i64>,
    /// When it was revoked, Unix milliseconds.
    pub revoked_at_ms: Option<i64>,
    /// Where it may be used; empty for everywhere.
    pub networks: Networks,
}

/// How the daemons are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// policyd's version.
    pub policyd_version: String,
    /// What keyd says of itself; `None` when it is away.
    pub keyd: Option<crate::keyd::KeydHealth>,
    /// How the decision ledger is: `writable`, `low` on space, or `unwritable`.
    pub ledger: String,
    /// What the last comparison of keyd's files with the database found; `None` before the first.
    pub reconciliation: Option<Reconciliation>,
}

/// What a comparison of key files with database rows found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reconciliation {
    /// Files that open and have their row.
    pub sound: u64,
    /// Files that do not open; those keys answer a typed error.
    pub damaged: u64,
    /// Rows without a file; those keys answer a typed error.
    pub missing: u64,
    /// Files without a row, left alone: a restored database may yet claim them.
    pub unclaimed: u64,
    /// Files that were destroyed: of half-made keys, which nobody was told of, and of destroyed ones that came back, from a
    /// backup.
    pub rolled_back: u64,
}

/// Why an admin request failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum AdminError {
    /// The bytes were no request.
    #[error("malformed request")]
    Malformed,
    /// No such tenant.
    #[error("no such tenant")]
    TenantNotFound,
    /// No such API key in that tenant.
    #[error("no such API key in that tenant")]
    ApiKeyNotFound,
    /// A tenant of that name exists.
    #[error("a tenant of that name exists")]
    NameTaken,
    /// The API key is revoked and stays so.
    #[error("the API key is revoked")]
    ApiKeyRevoked,
    /// The plan allows no more API keys.
    #[error("the plan allows no more API keys")]
    PlanLimit,
    /// The database failed.
    #[error("the database failed")]
    Storage,
    /// What cannot be recorded is not done.
    #[error("the ledger cannot be written")]
    LedgerUnwritable,
    /// No such deny rule in that tenant.
    #[error("no such deny rule in that tenant")]
    DenyRuleNotFound,
    /// The tenant has as many deny rules as it may have.
    #[error("the tenant has as many deny rules as it may have")]
    TooManyDenyRules,
    /// Operators have no plan, no keys and no rules.
    #[error("this is for tenants; operators are none")]
    NotForOperators,
}
