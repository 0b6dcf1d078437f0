//! Tenants: the caller's own in the two shapes that clients read, any for an operator, and new ones.

use super::parameter::{id_in_path, id_in_query, name, number_in_query};
use super::{Body, Field, Query};
use crate::envelope::{self, Json, Object};
use crate::error::ApiError;
use crate::pipeline::Operation;
use crate::pipeline::context::Context;
use crate::pipeline::policy::{Grant, unexpected};
use crate::timestamp;
use chancel_domain::tenant::Name;
use chancel_domain::{Plan, TenantId};
use chancel_wire::limits::ADMIN_PAGE;
use chancel_wire::policyd::{Ask, Outcome, TenantView};

/// A request of a tenant for the tenants it may see: itself.
pub struct OwnTenantAsList;

/// A request of an operator for a page of all tenants.
pub struct ListTenants(Option<TenantId>, usize);

/// A request for the caller's tenant.
pub struct OwnTenant;

/// A request for one tenant.
pub struct ReadTenant(TenantId);

/// A request for a new tenant.
pub struct CreateTenant(Name, Plan);

impl ListTenants {
    /// Reads the request.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(query: Query<'_>) -> Result<Self, ApiError> {
        let most = number_in_query(query, Field::Limit, (1, ADMIN_PAGE), "a number from 1 to 64")?;
        Ok(Self(
            id_in_query(query, Field::After)?,
            most.unwrap_or(ADMIN_PAGE),
        ))
    }
}

impl ReadTenant {
    /// Reads the request.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(path: &str) -> Result<Self, ApiError> {
        id_in_path(path, 0).map(Self)
    }
}

impl CreateTenant {
    /// Reads the request.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(body: &Body<'_>) -> Result<Self, ApiError> {
        body.only(&[Field::Name, Field::Plan])?;
        let plan = match body.text(Field::Plan)? {
            None => Plan::Free,
            Some(text) => Plan::from_name(text).map_err(|_| ApiError::WrongField {
                field: Field::Plan,
                expected: "'free', 'starter', 'growth', 'pro' or 'enterprise'",
            })?,
        };
        Ok(Self(name(body)?, plan))
    }
}

impl Operation for OwnTenantAsList {
    fn ask(&self) -> Ask {
        Ask::ReadTenant
    }

    async fn carry_out(&self, grant: Grant, context: Context<'_>) -> Result<Json, ApiError> {
        let tenants = [tenant(grant)?];
        Ok(envelope::success(context.request, 0, |data| {
            data.list("tenants", &tenants, write_tenant);
            data.number("total", 1u32);
        }))
    }
}

impl Operation for ListTenants {
    fn ask(&self) -> Ask {
        Ask::ListTenants(self.0)
    }

    async fn carry_out(&self, grant: Grant, context: Context<'_>) -> Result<Json, ApiError> {
        let Outcome::Tenants { mut tenants, more } = grant.outcome()? else {
            return Err(unexpected());
        };
        let more = more || tenants.len() > self.1;
        tenants.truncate(self.1);
        Ok(envelope::success(context.request, 0, |data| {
            data.list("tenants", &tenants, write_tenant);
            if let (true, Some(last)) = (more, tenants.last()) {
                data.text("next", &last.id.to_string());
            }
        }))
    }
}

impl Operation for OwnTenant {
    fn ask(&self) -> Ask {
        Ask::ReadTenant
    }

    async fn carry_out(&self, grant: Grant, context: Context<'_>) -> Result<Json, ApiError> {
        one_tenant(grant, context)
    }
}

impl Operation for ReadTenant {
    fn ask(&self) -> Ask {
        Ask::ReadTenantById(self.0)
    }

    async fn carry_out(&self, grant: Grant, context: Context<'_>) -> Result<Json, ApiError> {
        one_tenant(grant, context)
    }
}

impl Operation for CreateTenant {
    fn ask(&self) -> Ask {
        Ask::CreateTenant(self.0.clone(), self.1)
    }

    async fn carry_out(&self, grant: Grant, context: Context<'_>) -> Result<Json, ApiError> {
        one_tenant(grant, context)
    }
}

fn one_tenant(grant: Grant, context: Context<'_>) -> Result<Json, ApiError> {
    let tenant = tenant(grant)?;
    Ok(envelope::success(context.request, 0, |data| {
        write_tenant(data, &tenant);
    }))
}

fn tenant(grant: Grant) -> Result<TenantView, ApiError> {
    match grant.outcome()? {
        Outcome::Tenant(tenant) => Ok(tenant),
        _ => Err(unexpected()),
    }
}

fn write_tenant(object: &mut Object<'_>, tenant: &TenantView) {
    object.text("id", &tenant.id.to_string());
    object.text("name", &tenant.name);
    object.text("tenant_name", &tenant.name);
    object.text("status", tenant.status.name());
    object.object("plan", |plan| plan.text("name", tenant.plan.name()));
    object.object("usage", |usage| {
        usage.number("api_calls", tenant.calls);
        usage.number("kem_keys", tenant.kem_keys);
        usage.number("sig_keys", tenant.signature_keys);
        usage.number("api_keys", tenant.api_keys);
    });
    let limits = tenant.limits;
    object.object("limits", |object| {
        let limits = [
            ("api_calls", limits.calls_per_month),
            ("kem_keys", limits.keys_per_family.map(u64::from)),
            ("sig_keys", limits.keys_per_family.map(u64::from)),
            ("key_versions", limits.versions_per_key.map(u64::from)),
            ("api_keys", limits.api_keys.map(u64::from)),
            (
                "requests_per_second",
                limits.rate.map(|rate| rate.per_second.into()),
            ),
            ("burst", limits.rate.map(|rate| rate.burst.into())),
        ];
        for (name, limit) in limits {
            if let Some(limit) = limit {
                object.number(name, limit);
            }
        }
    });
    object.text("renews_at", &timestamp::from_unix_ms(tenant.renews_at_ms));
    object.text("created_at", &timestamp::from_unix_ms(tenant.created_at_ms));
    object.text("updated_at", &timestamp::from_unix_ms(tenant.updated_at_ms));
}
