//! `chancel api-key …`

use crate::arguments::{ApiKeyCommand, ApiKeyName};
use crate::client::Policyd;
use crate::failure::Failure;
use crate::output::{Output, Table, time};
use chancel_domain::TenantId;
use chancel_wire::admin::{AdminReply, AdminRequest, ApiKeyRecord};
use serde::Serialize;

/// An API key in JSON. `api_key`, its text, is there only when it was made or rotated just now.
#[derive(Serialize)]
struct ApiKey {
    tenant_id: String,
    id: String,
    version: u32,
    name: String,
    scopes: String,
    created_at: String,
    expires_at: Option<String>,
    revoked_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    api_key: Option<String>,
}

/// A tenant's API keys in JSON, the oldest first.
#[derive(Serialize)]
struct ApiKeys {
    api_keys: Vec<ApiKey>,
}

pub(super) async fn run(policyd: &Policyd, output: Output, command: ApiKeyCommand) -> Result<(), Failure> {
    let (tenant, request) = match command {
        ApiKeyCommand::List { tenant } => return list(policyd, output, tenant).await,
        ApiKeyCommand::Create {
            tenant,
            name,
            scopes,
            expires,
        } => {
            let expires_at_ms = expires.map(|expiry| expiry.as_millis());
            (
                tenant,
                AdminRequest::CreateApiKey {
                    tenant,
                    name,
                    scopes,
                    expires_at_ms,
                },
            )
        }
        ApiKeyCommand::Rotate(ApiKeyName { tenant, id }) => (tenant, AdminRequest::RotateApiKey(tenant, id)),
        ApiKeyCommand::Revoke(ApiKeyName { tenant, id }) => (tenant, AdminRequest::RevokeApiKey(tenant, id)),
    };
    match policyd.ask(&request).await? {
        AdminReply::ApiKey(record, text) => {
            let api_key = ApiKey {
                api_key: Some(text.0),
                ..ApiKey::new(tenant, &record)
            };
            output.print(&api_key, || api_key.table())?;
            eprintln!("warning: the API key is not shown again; keep it now");
            Ok(())
        }
        AdminReply::Revoked(record) => {
            let api_key = ApiKey::new(tenant, &record);
            output.print(&api_key, || api_key.table())
        }
        _ => Err(Failure::Unintelligible),
    }
}

async fn list(policyd: &Policyd, output: Output, tenant: TenantId) -> Result<(), Failure> {
    let mut records: Vec<ApiKeyRecord> = Vec::new();
    loop {
        let after = records.last().map(|record| record.id);
        let AdminReply::ApiKeys { api_keys, more } =
            policyd.ask(&AdminRequest::ListApiKeys { tenant, after }).await?
        else {
            return Err(Failure::Unintelligible);
        };
        let ended = !more || api_keys.is_empty();
        records.extend(api_keys);
        if ended {
            break;
        }
    }
    records.sort_by_key(|record| record.created_at_ms);
    let api_keys = ApiKeys {
        api_keys: records.iter().map(|record| ApiKey::new(tenant, record)).collect(),
    };
    output.print(&api_keys, || {
        let mut table = Table::new(&["ID", "VERSION", "NAME", "SCOPES", "CREATED", "EXPIRES", "REVOKED"]);
        for key in &api_keys.api_keys {
            table.row(&[
                &key.id,
                &key.version.to_string(),
                &key.name,
                &key.scopes,
                &key.created_at,
                key.expires_at.as_deref().unwrap_or("never"),
                key.revoked_at.as_deref().unwrap_or("-"),
            ]);
        }
        table
    })
}

impl ApiKey {
    fn new(tenant: TenantId, record: &ApiKeyRecord) -> Self {
        Self {
            tenant_id: tenant.to_string(),
            id: record.id.to_string(),
            version: record.version,
            name: record.name.to_string(),
            scopes: record.scopes.to_string(),
            created_at: time(record.created_at_ms),
            expires_at: record.expires_at_ms.map(time),
            revoked_at: record.revoked_at_ms.map(time),
            api_key: None,
        }
    }

    fn table(&self) -> Table {
        let mut table = Table::without_heading();
        table.row(&["id", &self.id]);
        table.row(&["version", &self.version.to_string()]);
        table.row(&["name", &self.name]);
        table.row(&["scopes", &self.scopes]);
        table.row(&["created", &self.created_at]);
        table.row(&["expires", self.expires_at.as_deref().unwrap_or("never")]);
        if let Some(revoked_at) = &self.revoked_at {
            table.row(&["revoked", revoked_at]);
        }
        if let Some(api_key) = &self.api_key {
            table.row(&["api key", api_key]);
        }
        table
    }
}
