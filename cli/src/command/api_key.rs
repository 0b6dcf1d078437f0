//! `chancel api-key …`, `chancel operator-key …`

use crate::arguments::{ApiKeyCommand, NewKey, OperatorKeyCommand};
use crate::client::Policyd;
use crate::failure::{Daemon, Failure};
use crate::output::{Output, Table, time};
use chancel_domain::{Networks, TenantId};
use chancel_wire::admin::{AdminReply, AdminRequest, ApiKeyRecord, NewApiKey};
use chancel_wire::policyd::NewApiKeyTerms;
use serde::Serialize;

/// An API key in JSON. `api_key`, its text, is there only when it was made or rotated just now.
#[derive(Serialize)]
struct ApiKey {
    tenant_id: String,
    id: String,
    version: u32,
    name: String,
    scopes: String,
    networks: Vec<String>,
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

pub(super) async fn of_tenant(
    policyd: &Policyd,
    output: Output,
    command: ApiKeyCommand,
) -> Result<(), Failure> {
    match command {
        ApiKeyCommand::List { tenant } => list(policyd, output, tenant).await,
        ApiKeyCommand::Create { tenant, key } => create_as_asked(policyd, output, tenant, key).await,
        ApiKeyCommand::Rotate { tenant, id } => {
            change(policyd, output, tenant, &AdminRequest::RotateApiKey(tenant, id)).await
        }
        ApiKeyCommand::Revoke { tenant, id } => {
            change(policyd, output, tenant, &AdminRequest::RevokeApiKey(tenant, id)).await
        }
    }
}

pub(super) async fn of_operators(
    policyd: &Policyd,
    output: Output,
    command: OperatorKeyCommand,
) -> Result<(), Failure> {
    let command = match command {
        OperatorKeyCommand::List => ApiKeyCommand::List {
            tenant: TenantId::OPERATORS,
        },
        OperatorKeyCommand::Create { key } => ApiKeyCommand::Create {
            tenant: TenantId::OPERATORS,
            key,
        },
        OperatorKeyCommand::Rotate { id } => ApiKeyCommand::Rotate {
            tenant: TenantId::OPERATORS,
            id,
        },
        OperatorKeyCommand::Revoke { id } => ApiKeyCommand::Revoke {
            tenant: TenantId::OPERATORS,
            id,
        },
    };
    of_tenant(policyd, output, command).await
}

/// Makes one, and returns its text with what it is.
pub(super) async fn create(
    policyd: &Policyd,
    tenant: TenantId,
    terms: NewApiKeyTerms,
) -> Result<(ApiKeyRecord, NewApiKey), Failure> {
    match policyd.ask(&AdminRequest::CreateApiKey { tenant, terms }).await? {
        AdminReply::ApiKey(record, text) => Ok((record, text)),
        _ => Err(Failure::Unintelligible(Daemon::Policyd)),
    }
}

async fn create_as_asked(
    policyd: &Policyd,
    output: Output,
    tenant: TenantId,
    key: NewKey,
) -> Result<(), Failure> {
    let terms = NewApiKeyTerms {
        name: key.name,
        scopes: key.scopes,
        expires_at_ms: key.expires.map(|expiry| expiry.as_millis()),
        networks: Networks::try_from(key.networks).map_err(|_| Failure::TooManyNetworks)?,
    };
    let (record, text) = create(policyd, tenant, terms).await?;
    print_with_text(output, tenant, &record, text)
}

async fn change(
    policyd: &Policyd,
    output: Output,
    tenant: TenantId,
    request: &AdminRequest,
) -> Result<(), Failure> {
    match policyd.ask(request).await? {
        AdminReply::ApiKey(record, text) => print_with_text(output, tenant, &record, text),
        AdminReply::Revoked(record) => {
            let api_key = ApiKey::new(tenant, &record);
            output.print(&api_key, || api_key.table())
        }
        _ => Err(Failure::Unintelligible(Daemon::Policyd)),
    }
}

fn print_with_text(
    output: Output,
    tenant: TenantId,
    record: &ApiKeyRecord,
    text: NewApiKey,
) -> Result<(), Failure> {
    let api_key = ApiKey {
        api_key: Some(text.0),
        ..ApiKey::new(tenant, record)
    };
    output.print(&api_key, || api_key.table())?;
    eprintln!("warning: the API key is not shown again; keep it now");
    Ok(())
}

async fn list(policyd: &Policyd, output: Output, tenant: TenantId) -> Result<(), Failure> {
    let mut records: Vec<ApiKeyRecord> = Vec::new();
    loop {
        let after = records.last().map(|record| record.id);
        let AdminReply::ApiKeys { api_keys, more } =
            policyd.ask(&AdminRequest::ListApiKeys { tenant, after }).await?
        else {
            return Err(Failure::Unintelligible(Daemon::Policyd));
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
        let mut table = Table::new(&[
            "ID", "VERSION", "NAME", "SCOPES", "NETWORKS", "CREATED", "EXPIRES", "REVOKED",
        ]);
        for key in &api_keys.api_keys {
            table.row(&[
                &key.id,
                &key.version.to_string(),
                &key.name,
                &key.scopes,
                &key.networks(),
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
            networks: record.networks.iter().map(ToString::to_string).collect(),
            created_at: time(record.created_at_ms),
            expires_at: record.expires_at_ms.map(time),
            revoked_at: record.revoked_at_ms.map(time),
            api_key: None,
        }
    }

    fn networks(&self) -> String {
        if self.networks.is_empty() {
            "everywhere".to_owned()
        } else {
            self.networks.join(" ")
        }
    }

    fn table(&self) -> Table {
        let mut table = Table::without_heading();
        table.row(&["id", &self.id]);
        table.row(&["version", &self.version.to_string()]);
        table.row(&["name", &self.name]);
        table.row(&["scopes", &self.scopes]);
        table.row(&["networks", &self.networks()]);
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
