//! The rows of one tenant. The value is made for a tenant once, from proof of who asks, and every query that
//! goes through it carries that tenant's id: there is no argument by which another tenant's row could be named.

use super::StoreError;
use super::access::Session;
use chancel_domain::TenantId;
use rusqlite::CachedStatement;

/// Everything that belongs to one tenant. `impl` blocks with its queries stand beside the tables they read.
pub struct TenantScope<'a, Access> {
    session: Session<'a, Access>,
    tenant: TenantId,
}

impl<'a, Access> TenantScope<'a, Access> {
    pub(super) const fn new(session: Session<'a, Access>, tenant: TenantId) -> Self {
        Self { session, tenant }
    }

    /// Whose rows these are.
    pub const fn tenant(&self) -> TenantId {
        self.tenant
    }

    /// The tenant's id as the first parameter of every query.
    pub(super) const fn tenant_id(&self) -> &[u8; 16] {
        self.tenant.as_bytes()
    }

    pub(super) fn statement(&self, sql: &'static str) -> Result<CachedStatement<'a>, StoreError> {
        self.session.statement(sql)
    }
}
