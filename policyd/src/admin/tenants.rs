//! Making, listing and suspending tenants.

use super::{Failure, Operator};
use crate::store::{Operators, Read, Writer};
use crate::{clock, identifier};
use chancel_domain::tenant::Name;
use chancel_domain::{Plan, TenantId, TenantStatus};
use chancel_wire::admin::{AdminError, AdminReply, TenantRecord};
use chancel_wire::limits::ADMIN_PAGE;

pub(super) fn list(operators: &Operators<'_, Read>, after: Option<TenantId>) -> Result<AdminReply, Failure> {
    let mut tenants = operators.tenants_after(after, ADMIN_PAGE + 1)?;
    let more = tenants.len() > ADMIN_PAGE;
    tenants.truncate(ADMIN_PAGE);
    Ok(AdminReply::Tenants { tenants, more })
}

pub(super) async fn create(
    writer: &Writer,
    operator: Operator,
    name: Name,
    plan: Plan,
) -> Result<AdminReply, Failure> {
    let tenant = TenantRecord {
        id: TenantId::from_bytes(identifier::fresh()),
        name,
        plan,
        status: TenantStatus::Active,
        created_at_ms: clock::now_ms(),
    };
    let stored = tenant.clone();
    writer
        .change(
            move |view| match view.operators(&operator).insert_tenant(&stored)? {
                true => Ok(()),
                false => Err(Failure::from(AdminError::NameTaken)),
            },
        )
        .await?;
    tracing::info!(uid = operator.uid(), pid = operator.pid(), tenant = %tenant.id, plan = %tenant.plan,
        "tenant made");
    Ok(AdminReply::Tenant(tenant))
}

pub(super) async fn set_status(
    writer: &Writer,
    operator: Operator,
    id: TenantId,
    status: TenantStatus,
) -> Result<AdminReply, Failure> {
    let tenant = writer
        .change(move |view| {
            let operators = view.operators(&operator);
            operators.set_tenant_status(id, status, clock::now_ms())?;
            operators
                .tenant(id)?
                .ok_or_else(|| Failure::from(AdminError::TenantNotFound))
        })
        .await?;
    tracing::info!(uid = operator.uid(), pid = operator.pid(), tenant = %id, status = status.name(),
        "tenant's standing set");
    Ok(AdminReply::Tenant(tenant))
}
