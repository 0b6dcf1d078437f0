//! Making, listing, rotating and revoking a tenant's API keys. The text of a new one leaves in the answer and is
//! kept nowhere.

use super::{Failure, Operator};
use crate::api_keys::{ApiKeyHasher, ApiKeySecretText};
use crate::store::{NewApiKeyRow, Operators, Read, Writer};
use crate::{clock, identifier};
use chancel_domain::tenant::Name;
use chancel_domain::{ApiKeyId, Scopes, TenantId};
use chancel_wire::admin::{AdminError, AdminReply, ApiKeyRecord, NewApiKey};
use chancel_wire::limits::ADMIN_PAGE;

/// What an operator wants of a new API key.
pub(super) struct Wanted {
    pub(super) tenant: TenantId,
    pub(super) name: Name,
    pub(super) scopes: Scopes,
    pub(super) expires_at_ms: Option<i64>,
}

pub(super) fn list(
    operators: &Operators<'_, Read>,
    tenant: TenantId,
    after: Option<ApiKeyId>,
) -> Result<AdminReply, Failure> {
    let (_, scope) = operators.scope(tenant)?.ok_or(AdminError::TenantNotFound)?;
    let mut api_keys = scope.api_keys_after(after, ADMIN_PAGE + 1)?;
    let more = api_keys.len() > ADMIN_PAGE;
    api_keys.truncate(ADMIN_PAGE);
    Ok(AdminReply::ApiKeys { api_keys, more })
}

pub(super) async fn create(
    writer: &Writer,
    hasher: &ApiKeyHasher,
    operator: Operator,
    wanted: Wanted,
) -> Result<AdminReply, Failure> {
    let secret = ApiKeySecretText::generate();
    let tenant = wanted.tenant;
    let hashes = hasher.hashes(tenant, &secret);
    let row = NewApiKeyRow {
        id: ApiKeyId::from_bytes(identifier::fresh()),
        name: wanted.name,
        scopes: wanted.scopes,
        expires_at_ms: wanted.expires_at_ms,
        created_at_ms: clock::now_ms(),
    };
    let record = writer
        .change(move |view| {
            let operators = view.operators(&operator);
            let (record, scope) = operators.scope(tenant)?.ok_or(AdminError::TenantNotFound)?;
            // In the transaction that stores it, so that two at once cannot both be the last one allowed.
            let limit = record.plan.limits().api_keys;
            let held = scope.unrevoked_api_keys()?;
            if limit.is_some_and(|limit| held >= limit) {
                return Err(AdminError::PlanLimit.into());
            }
            scope.insert_api_key(&row, &hashes)?;
            find(scope.api_key(row.id)?)
        })
        .await?;
    log("API key made", operator, tenant, &record);
    Ok(AdminReply::ApiKey(record, reveal(&secret)))
}

pub(super) async fn rotate(
    writer: &Writer,
    hasher: &ApiKeyHasher,
    operator: Operator,
    tenant: TenantId,
    id: ApiKeyId,
) -> Result<AdminReply, Failure> {
    let secret = ApiKeySecretText::generate();
    let hashes = hasher.hashes(tenant, &secret);
    let record = writer
        .change(move |view| {
            let operators = view.operators(&operator);
            let (_, scope) = operators.scope(tenant)?.ok_or(AdminError::TenantNotFound)?;
            if find(scope.api_key(id)?)?.revoked_at_ms.is_some() || !scope.replace_secret(id, &hashes)? {
                return Err(AdminError::ApiKeyRevoked.into());
            }
            find(scope.api_key(id)?)
        })
        .await?;
    log("API key rotated", operator, tenant, &record);
    Ok(AdminReply::ApiKey(record, reveal(&secret)))
}

pub(super) async fn revoke(
    writer: &Writer,
    operator: Operator,
    tenant: TenantId,
    id: ApiKeyId,
) -> Result<AdminReply, Failure> {
    let record = writer
        .change(move |view| {
            let operators = view.operators(&operator);
            let (_, scope) = operators.scope(tenant)?.ok_or(AdminError::TenantNotFound)?;
            scope.revoke_api_key(id, clock::now_ms())?;
            find(scope.api_key(id)?)
        })
        .await?;
    log("API key revoked", operator, tenant, &record);
    Ok(AdminReply::Revoked(record))
}

fn find(record: Option<ApiKeyRecord>) -> Result<ApiKeyRecord, Failure> {
    record.ok_or_else(|| AdminError::ApiKeyNotFound.into())
}

fn reveal(secret: &ApiKeySecretText) -> NewApiKey {
    NewApiKey(secret.expose_text().to_owned())
}

fn log(what: &'static str, operator: Operator, tenant: TenantId, record: &ApiKeyRecord) {
    tracing::info!(uid = operator.uid(), pid = operator.pid(), %tenant, api_key = %record.id,
        version = record.version, "{what}");
}
