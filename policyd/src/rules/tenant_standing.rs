//! tenant-standing: a suspended tenant may do nothing.

use super::{Context, RuleError, Ruling};
use chancel_domain::TenantStatus;
use chancel_wire::policyd::DenyReason;

pub(super) fn judge(context: &Context<'_>) -> Result<Ruling, RuleError> {
    Ok(match context.caller.tenant_status {
        TenantStatus::Active => Ruling::Pass,
        TenantStatus::Suspended => Ruling::Deny(DenyReason::TenantSuspended),
    })
}
