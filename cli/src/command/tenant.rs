//! `chancel tenant …`

use crate::arguments::TenantCommand;
use crate::client::Policyd;
use crate::failure::{Daemon, Failure};
use crate::output::{Output, Table, limit, time};
use chancel_domain::tenant::Name;
use chancel_domain::{Plan, TenantId, TenantStatus};
use chancel_wire::admin::{AdminReply, AdminRequest, TenantRecord};
use chancel_wire::policyd::TenantView;
use serde::Serialize;
use std::io::{self, BufRead};

/// A tenant in JSON.
#[derive(Serialize)]
struct Tenant {
    id: String,
    name: String,
    plan: &'static str,
    status: &'static str,
    created_at: String,
}

/// All tenants in JSON, the oldest first.
#[derive(Serialize)]
struct Tenants {
    tenants: Vec<Tenant>,
}

pub(super) async fn run(policyd: &Policyd, output: Output, command: TenantCommand) -> Result<(), Failure> {
    let request = match command {
        TenantCommand::List => return list(policyd, output).await,
        TenantCommand::Usage { id } => {
            let usage = Usage::from(&read(policyd, id).await?);
            return output.print(&usage, || usage.table());
        }
        TenantCommand::Create { name, plan } => AdminRequest::CreateTenant { name, plan },
        TenantCommand::Suspend { id } => AdminRequest::SetTenantStatus {
            tenant: id,
            status: TenantStatus::Suspended,
        },
        TenantCommand::Resume { id } => AdminRequest::SetTenantStatus {
            tenant: id,
            status: TenantStatus::Active,
        },
        TenantCommand::SetPlan { id, plan } => AdminRequest::SetTenantPlan { tenant: id, plan },
        TenantCommand::Delete { id, yes } => {
            if !yes {
                confirm(&read(policyd, id).await?)?;
            }
            AdminRequest::DeleteTenant(id)
        }
    };
    match policyd.ask(&request).await? {
        AdminReply::Tenant(record) => {
            let tenant = Tenant::from(&record);
            output.print(&tenant, || tenant.table())
        }
        _ => Err(Failure::Unintelligible(Daemon::Policyd)),
    }
}

async fn read(policyd: &Policyd, tenant: TenantId) -> Result<TenantView, Failure> {
    match policyd.ask(&AdminRequest::ReadUsage(tenant)).await? {
        AdminReply::Usage(view) => Ok(view),
        _ => Err(Failure::Unintelligible(Daemon::Policyd)),
    }
}

/// Asks for the tenant's name, on standard error so that standard output stays an answer.
fn confirm(tenant: &TenantView) -> Result<(), Failure> {
    eprintln!(
        "Tenant {} ({:?}) will be deleted: its API keys stop working now and cannot be brought back, {} KEM and {} \
         signature keys are scheduled for destruction, and what they encrypted cannot be read after that.\n\
         Type the tenant's name to go on:",
        tenant.id, tenant.name, tenant.kem_keys, tenant.signature_keys
    );
    let mut typed = String::new();
    io::stdin()
        .lock()
        .read_line(&mut typed)
        .map_err(|source| Failure::NotRead {
            path: "standard input".into(),
            source,
        })?;
    if typed.strip_suffix('\n').unwrap_or(&typed) == tenant.name {
        Ok(())
    } else {
        Err(Failure::NotConfirmed)
    }
}

/// Makes one.
pub(super) async fn create(policyd: &Policyd, name: Name, plan: Plan) -> Result<TenantRecord, Failure> {
    match policyd.ask(&AdminRequest::CreateTenant { name, plan }).await? {
        AdminReply::Tenant(record) => Ok(record),
        _ => Err(Failure::Unintelligible(Daemon::Policyd)),
    }
}

/// All there are, the oldest first.
pub(super) async fn all(policyd: &Policyd) -> Result<Vec<TenantRecord>, Failure> {
    let mut records: Vec<TenantRecord> = Vec::new();
    loop {
        let after = records.last().map(|record| record.id);
        let AdminReply::Tenants { tenants, more } = policyd.ask(&AdminRequest::ListTenants { after }).await?
        else {
            return Err(Failure::Unintelligible(Daemon::Policyd));
        };
        let ended = !more || tenants.is_empty();
        records.extend(tenants);
        if ended {
            break;
        }
    }
    records.sort_by_key(|record| record.created_at_ms);
    Ok(records)
}

async fn list(policyd: &Policyd, output: Output) -> Result<(), Failure> {
    let tenants = Tenants {
        tenants: all(policyd).await?.iter().map(Tenant::from).collect(),
    };
    output.print(&tenants, || {
        let mut table = Table::new(&["ID", "NAME", "PLAN", "STATUS", "CREATED"]);
        for Tenant {
            id,
            name,
            plan,
            status,
            created_at,
        } in &tenants.tenants
        {
            table.row(&[id, name, plan, status, created_at]);
        }
        table
    })
}

impl From<&TenantRecord> for Tenant {
    fn from(record: &TenantRecord) -> Self {
        Self {
            id: record.id.to_string(),
            name: record.name.to_string(),
            plan: record.plan.name(),
            status: record.status.name(),
            created_at: time(record.created_at_ms),
        }
    }
}

impl Tenant {
    fn table(&self) -> Table {
        let mut table = Table::without_heading();
        table.row(&["id", &self.id]);
        table.row(&["name", &self.name]);
        table.row(&["plan", self.plan]);
        table.row(&["status", self.status]);
        table.row(&["created", &self.created_at]);
        table
    }
}

/// What a tenant uses in JSON; limits are null where there is none.
#[derive(Serialize)]
struct Usage {
    id: String,
    name: String,
    plan: &'static str,
    status: &'static str,
    calls: u64,
    calls_per_month: Option<u64>,
    renews_at: String,
    kem_keys: u32,
    signature_keys: u32,
    keys_per_family: Option<u32>,
    versions_per_key: Option<u32>,
    api_keys: u32,
    api_keys_limit: Option<u32>,
    requests_per_second: Option<u32>,
}

impl From<&TenantView> for Usage {
    fn from(view: &TenantView) -> Self {
        Self {
            id: view.id.to_string(),
            name: view.name.clone(),
            plan: view.plan.name(),
            status: view.status.name(),
            calls: view.calls,
            calls_per_month: view.limits.calls_per_month,
            renews_at: time(view.renews_at_ms),
            kem_keys: view.kem_keys,
            signature_keys: view.signature_keys,
            keys_per_family: view.limits.keys_per_family,
            versions_per_key: view.limits.versions_per_key,
            api_keys: view.api_keys,
            api_keys_limit: view.limits.api_keys,
            requests_per_second: view.limits.rate.map(|rate| rate.per_second),
        }
    }
}

impl Usage {
    fn table(&self) -> Table {
        let mut table = Table::new(&["", "USED", "LIMIT"]);
        table.row(&["tenant", &self.name, self.status]);
        table.row(&["plan", self.plan, ""]);
        table.row(&[
            "calls this month",
            &self.calls.to_string(),
            &limit(self.calls_per_month),
        ]);
        table.row(&["  counted anew at", &self.renews_at, ""]);
        let keys = limit(self.keys_per_family);
        table.row(&["KEM keys", &self.kem_keys.to_string(), &keys]);
        table.row(&["signature keys", &self.signature_keys.to_string(), &keys]);
        table.row(&["versions per key", "-", &limit(self.versions_per_key)]);
        table.row(&[
            "API keys",
            &self.api_keys.to_string(),
            &limit(self.api_keys_limit),
        ]);
        table.row(&["requests a second", "-", &limit(self.requests_per_second)]);
        table
    }
}
