//! tenant-standing: a suspended tenant may do nothing; a deleted one is as good as none.

use super::{Context, RuleError, Ruling, Seen};
use chancel_domain::TenantStatus;
use chancel_wire::policyd::DenyReason;

pub(super) fn judge(context: &Context<'_>) -> Result<Ruling, RuleError> {
    Ok(match context.caller.tenant_status {
        TenantStatus::Active => Ruling::Pass,
        TenantStatus::Suspended => Ruling::Deny(DenyReason::TenantSuspended),
        TenantStatus::Deleted => Ruling::Deny(DenyReason::NotAuthenticated),
    })
}

pub(super) fn saw(context: &Context<'_>) -> Seen {
    vec![("tenant_status", context.caller.tenant_status.name().to_owned())]
}
