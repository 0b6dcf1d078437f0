//! `chancel tenant …`

use crate::arguments::TenantCommand;
use crate::client::Policyd;
use crate::failure::Failure;
use crate::output::{Output, Table, time};
use chancel_domain::TenantStatus;
use chancel_wire::admin::{AdminReply, AdminRequest, TenantRecord};
use serde::Serialize;

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
        TenantCommand::Create { name, plan } => AdminRequest::CreateTenant { name, plan },
        TenantCommand::Suspend { id } => AdminRequest::SetTenantStatus {
            tenant: id,
            status: TenantStatus::Suspended,
        },
        TenantCommand::Resume { id } => AdminRequest::SetTenantStatus {
            tenant: id,
            status: TenantStatus::Active,
        },
    };
    match policyd.ask(&request).await? {
        AdminReply::Tenant(record) => {
            let tenant = Tenant::from(&record);
            output.print(&tenant, || tenant.table())
        }
        _ => Err(Failure::Unintelligible),
    }
}

async fn list(policyd: &Policyd, output: Output) -> Result<(), Failure> {
    let mut records: Vec<TenantRecord> = Vec::new();
    loop {
        let after = records.last().map(|record| record.id);
        let AdminReply::Tenants { tenants, more } = policyd.ask(&AdminRequest::ListTenants { after }).await?
        else {
            return Err(Failure::Unintelligible);
        };
        let ended = !more || tenants.is_empty();
        records.extend(tenants);
        if ended {
            break;
        }
    }
    records.sort_by_key(|record| record.created_at_ms);
    let tenants = Tenants {
        tenants: records.iter().map(Tenant::from).collect(),
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
