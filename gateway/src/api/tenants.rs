//! The caller's own tenant, in the two shapes that clients read: a list of one, and by itself.

use crate::envelope::{self, Json, Object};
use crate::error::ApiError;
use crate::pipeline::Operation;
use crate::pipeline::context::Context;
use crate::pipeline::policy::{Grant, unexpected};
use crate::timestamp;
use chancel_domain::TenantStatus;
use chancel_wire::policyd::{Ask, Outcome, TenantView};

/// A request for the tenants the caller may see.
pub struct ListTenants;

/// A request for the caller's tenant.
pub struct OwnTenant;

impl Operation for ListTenants {
    fn ask(&self) -> Ask {
        Ask::ReadTenant
    }

    async fn carry_out(self, grant: Grant, context: Context<'_>) -> Result<Json, ApiError> {
        let tenants = [tenant(grant)?];
        Ok(envelope::success(context.request, 0, |data| {
            data.list("tenants", &tenants, write_tenant);
            data.number("total", 1u32);
        }))
    }
}

impl Operation for OwnTenant {
    fn ask(&self) -> Ask {
        Ask::ReadTenant
    }

    async fn carry_out(self, grant: Grant, context: Context<'_>) -> Result<Json, ApiError> {
        let tenant = tenant(grant)?;
        Ok(envelope::success(context.request, 0, |data| {
            write_tenant(data, &tenant)
        }))
    }
}

fn tenant(grant: Grant) -> Result<TenantView, ApiError> {
    match grant.outcome()? {
        Outcome::Tenant(tenant) => Ok(tenant),
        Outcome::Key(_) | Outcome::Rotated { .. } | Outcome::Keys { .. } => Err(unexpected()),
    }
}

fn write_tenant(object: &mut Object<'_>, tenant: &TenantView) {
    object.text("id", &tenant.id.to_string());
    object.text("name", &tenant.name);
    object.text("tenant_name", &tenant.name);
    // Any other tenant was denied before it could read this.
    object.text("status", TenantStatus::Active.name());
    object.object("plan", |plan| plan.text("name", tenant.plan.name()));
    object.object("usage", |usage| {
        usage.number("kem_keys", tenant.kem_keys);
        usage.number("sig_keys", tenant.signature_keys);
        usage.number("api_keys", tenant.api_keys);
    });
    let limits = tenant.plan.limits();
    object.object("limits", |object| {
        let limits = [
            ("api_calls", limits.calls_per_month),
            ("kem_keys", limits.keys_per_family.map(u64::from)),
            ("sig_keys", limits.keys_per_family.map(u64::from)),
            ("api_keys", limits.api_keys.map(u64::from)),
        ];
        for (name, limit) in limits {
            if let Some(limit) = limit {
                object.number(name, limit);
            }
        }
    });
    object.text("created_at", &timestamp::from_unix_ms(tenant.created_at_ms));
    object.text("updated_at", &timestamp::from_unix_ms(tenant.updated_at_ms));
}
