//! What operators ask policyd on its admin socket.

use chancel_domain::tenant::Name;
use chancel_domain::{ApiKeyId, Plan, Scopes, TenantId, TenantStatus};
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
    /// Make an API key.
    CreateApiKey {
        /// Whose.
        tenant: TenantId,
        /// What it is called.
        name: Name,
        /// What it may do.
        scopes: Scopes,
        /// When it stops working, Unix milliseconds; `None` for never.
        expires_at_ms: Option<i64>,
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
}

/// How the daemons are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// policyd's version.
    pub policyd_version: String,
    /// What keyd says of itself; `None` when it is away.
    pub keyd: Option<crate::keyd::KeydHealth>,
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
    /// Half-made keys of an interrupted generation, destroyed: nobody was told of them.
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
}
