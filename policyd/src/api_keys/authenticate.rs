//! From the text a caller sent to the tenant it stands for. Everything that is not a known API key gets the same
//! answer, whatever is wrong with it.

use super::{ApiKeyHasher, ReceivedApiKey, ServiceContext};
use crate::store::{Authentication, StoreError};
use chancel_domain::scope::InvalidScopes;
use chancel_domain::{Plan, RequestId, Scopes, TenantStatus};

/// Somebody policyd knows, and what the rules need to know of them. Not yet judged: the API key may be revoked.
#[derive(Debug)]
pub struct Caller {
    /// For whom policyd works.
    pub context: ServiceContext,
    /// The tenant's plan.
    pub plan: Plan,
    /// The tenant's standing.
    pub tenant_status: TenantStatus,
    /// What the API key may do; an error when the stored text does not parse.
    pub scopes: Result<Scopes, InvalidScopes>,
    /// When the API key was made.
    pub created_at_ms: i64,
    /// When it stops working.
    pub expires_at_ms: Option<i64>,
    /// Whether it was revoked.
    pub is_revoked: bool,
}

/// Finds out who sent a request; `None` when nobody policyd knows did.
///
/// # Errors
/// [`StoreError`] when the database cannot answer.
pub fn authenticate(
    store: &Authentication<'_>,
    hasher: &ApiKeyHasher,
    api_key: &str,
    request: RequestId,
) -> Result<Option<Caller>, StoreError> {
    let Ok(received) = ReceivedApiKey::parse(api_key) else {
        return Ok(None);
    };
    let Some(stored) = store.find(&hasher.lookup(&received))? else {
        return Ok(None);
    };
    if !hasher
        .scoped(stored.tenant, &received)
        .matches(&stored.scoped_hash)
    {
        // Only an edit of the database leads here: the row lies with a tenant it was not made for.
        tracing::error!(tenant = %stored.tenant, api_key = %stored.id, %request,
            "an API key's row does not belong to its tenant; refused");
        return Ok(None);
    }
    Ok(Some(Caller {
        context: ServiceContext::assertion(stored.tenant, stored.id, stored.version, request),
        plan: stored.plan,
        tenant_status: stored.tenant_status,
        scopes: stored.scopes,
        created_at_ms: stored.created_at_ms,
        expires_at_ms: stored.expires_at_ms,
        is_revoked: stored.revoked_at_ms.is_some(),
    }))
}
