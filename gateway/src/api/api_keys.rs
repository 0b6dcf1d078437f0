//! API keys of a tenant: made, listed, replaced and revoked by policyd. The text of a key is in the answer that makes
//! it, and in no other.

use super::parameter::{id, id_in_path, id_in_query, instant, name, networks, scopes};
use super::{Body, Field, Query};
use crate::envelope::{self, Json, Object};
use crate::error::ApiError;
use crate::pipeline::Operation;
use crate::pipeline::context::Context;
use crate::pipeline::policy::{Grant, unexpected};
use crate::timestamp;
use chancel_domain::{ApiKeyId, TenantId};
use chancel_wire::policyd::{ApiKeyView, Ask, NewApiKeyTerms, Outcome};

/// Bytes of an API key object with names, scopes and networks of usual length; a longer one makes the buffer grow,
/// which nothing secret is in by then.
const API_KEY_OBJECT: usize = 1024;

/// A request for a new API key.
pub struct CreateApiKey(TenantId, NewApiKeyTerms);

/// A request for a page of API keys.
pub struct ListApiKeys(TenantId, Option<ApiKeyId>);

/// A request for another secret; of the caller's own API key when none is named.
pub struct RotateApiKey(TenantId, Option<ApiKeyId>);

/// A request to revoke an API key.
pub struct RevokeApiKey(TenantId, ApiKeyId);

impl CreateApiKey {
    /// Reads the request.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(path: &str, body: &Body<'_>) -> Result<Self, ApiError> {
        body.only(&[Field::Name, Field::Scopes, Field::ExpiresAt, Field::Networks])?;
        let terms = NewApiKeyTerms {
            name: name(body)?,
            scopes: scopes(body)?,
            expires_at_ms: expiry(body)?,
            networks: networks(body, Field::Networks)?.unwrap_or_default(),
        };
        Ok(Self(id_in_path(path, 1)?, terms))
    }
}

/// When a new API key stops working. One that has stopped before it is made is a mistake.
fn expiry(body: &Body<'_>) -> Result<Option<i64>, ApiError> {
    match instant(body, Field::ExpiresAt)? {
        Some(at) if at <= timestamp::now_ms() => Err(ApiError::WrongField {
            field: Field::ExpiresAt,
            expected: "a time to come",
        }),
        expiry => Ok(expiry),
    }
}

impl ListApiKeys {
    /// Reads the request.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(path: &str, query: Query<'_>) -> Result<Self, ApiError> {
        Ok(Self(id_in_path(path, 1)?, id_in_query(query, Field::After)?))
    }
}

impl RotateApiKey {
    /// Reads the request.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(path: &str, body: &Body<'_>) -> Result<Self, ApiError> {
        // Without the field it would be the caller's own API key.
        body.only(&[Field::KeyId])?;
        Ok(Self(id_in_path(path, 2)?, id(body, Field::KeyId)?))
    }
}

impl RevokeApiKey {
    /// Reads the request.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(path: &str) -> Result<Self, ApiError> {
        Ok(Self(id_in_path(path, 2)?, id_in_path(path, 0)?))
    }
}

impl Operation for CreateApiKey {
    fn ask(&self) -> Ask {
        Ask::CreateApiKey(self.0, self.1.clone())
    }

    async fn carry_out(&self, grant: Grant, context: Context<'_>) -> Result<Json, ApiError> {
        with_secret(grant, context, self.0)
    }
}

impl Operation for RotateApiKey {
    fn ask(&self) -> Ask {
        Ask::RotateApiKey(self.0, self.1)
    }

    async fn carry_out(&self, grant: Grant, context: Context<'_>) -> Result<Json, ApiError> {
        with_secret(grant, context, self.0)
    }
}

impl Operation for RevokeApiKey {
    fn ask(&self) -> Ask {
        Ask::RevokeApiKey(self.0, self.1)
    }

    async fn carry_out(&self, grant: Grant, context: Context<'_>) -> Result<Json, ApiError> {
        let Outcome::ApiKey(api_key) = grant.outcome()? else {
            return Err(unexpected());
        };
        Ok(envelope::success(context.request, API_KEY_OBJECT, |data| {
            write_api_key(data, self.0, &api_key);
        }))
    }
}

impl Operation for ListApiKeys {
    fn ask(&self) -> Ask {
        Ask::ListApiKeys(self.0, self.1)
    }

    async fn carry_out(&self, grant: Grant, context: Context<'_>) -> Result<Json, ApiError> {
        let Outcome::ApiKeys { api_keys, more } = grant.outcome()? else {
            return Err(unexpected());
        };
        let room = API_KEY_OBJECT * api_keys.len();
        Ok(envelope::success(context.request, room, |data| {
            data.list("api_keys", &api_keys, |object, api_key| {
                write_api_key(object, self.0, api_key);
            });
            if let (true, Some(last)) = (more, api_keys.last()) {
                data.text("next", &last.id.to_string());
            }
        }))
    }
}

fn with_secret(grant: Grant, context: Context<'_>, tenant: TenantId) -> Result<Json, ApiError> {
    let Outcome::ApiKeySecret(api_key, secret) = grant.outcome()? else {
        return Err(unexpected());
    };
    let secret = zeroize::Zeroizing::new(secret.0);
    Ok(envelope::success(context.request, API_KEY_OBJECT, |data| {
        write_api_key(data, tenant, &api_key);
        // Last, so that nothing after it can make the buffer grow and leave a copy behind.
        data.reserve(secret.len());
        data.text("api_key", &secret);
    }))
}

fn write_api_key(object: &mut Object<'_>, tenant: TenantId, api_key: &ApiKeyView) {
    object.text("key_id", &api_key.id.to_string());
    object.text("tenant_id", &tenant.to_string());
    object.number("version", api_key.version);
    object.text("name", api_key.name.as_str());
    object.texts("scopes", api_key.scopes.to_string().split(' '));
    let networks: Vec<_> = api_key.networks.iter().map(ToString::to_string).collect();
    object.texts("networks", networks.iter().map(String::as_str));
    object.text("created_at", &timestamp::from_unix_ms(api_key.created_at_ms));
    object.optional_text(
        "expires_at",
        api_key.expires_at_ms.map(timestamp::from_unix_ms).as_deref(),
    );
    object.optional_text(
        "revoked_at",
        api_key.revoked_at_ms.map(timestamp::from_unix_ms).as_deref(),
    );
}
