//! How an API key stands: what the rules look at. Stored facts, and no proof of anything.

use chancel_domain::network::InvalidNetwork;
use chancel_domain::scope::InvalidScopes;
use chancel_domain::{ApiKeyId, Networks, Plan, Scopes, TenantId, TenantStatus};

/// What is known of an API key and of its tenant.
#[derive(Debug, Clone)]
pub struct Standing {
    /// The tenant.
    pub tenant: TenantId,
    /// The API key.
    pub api_key: ApiKeyId,
    /// The tenant's plan.
    pub plan: Plan,
    /// The tenant's standing.
    pub tenant_status: TenantStatus,
    /// What the API key may do; an error when the stored text does not parse, which denies this API key alone.
    pub scopes: Result<Scopes, InvalidScopes>,
    /// Where it may be used; an error when the stored text does not parse.
    pub networks: Result<Networks, InvalidNetwork>,
    /// When it was made.
    pub created_at_ms: i64,
    /// When it stops working.
    pub expires_at_ms: Option<i64>,
    /// Whether it was revoked.
    pub is_revoked: bool,
    /// Whether the tenant has deny rules.
    pub has_deny_rules: bool,
    /// Whether some key of the tenant has a budget.
    pub has_budgets: bool,
}

impl Standing {
    /// Whether it is an operator's.
    pub fn is_operator(&self) -> bool {
        self.tenant == TenantId::OPERATORS
    }
}
