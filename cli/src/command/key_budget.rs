//! `chancel key-budget …`

use crate::arguments::{BudgetCommand, Uses};
use crate::client::Policyd;
use crate::failure::{Daemon, Failure};
use crate::output::{Output, Table, limit};
use chancel_wire::admin::{AdminReply, AdminRequest};
use serde::Serialize;

/// The budget in JSON; `uses_per_day` is null for no limit.
#[derive(Serialize)]
struct Budget {
    tenant_id: String,
    algorithm: String,
    uses_per_day: Option<u32>,
}

pub(super) async fn run(policyd: &Policyd, output: Output, command: BudgetCommand) -> Result<(), Failure> {
    let BudgetCommand::Set {
        tenant,
        algorithm,
        uses: Uses(uses),
    } = command;
    let request = AdminRequest::SetKeyBudget(tenant, algorithm, uses);
    let AdminReply::KeyBudget(uses_per_day) = policyd.ask(&request).await? else {
        return Err(Failure::Unintelligible(Daemon::Policyd));
    };
    let budget = Budget {
        tenant_id: tenant.to_string(),
        algorithm: algorithm.to_string(),
        uses_per_day,
    };
    output.print(&budget, || {
        let mut table = Table::without_heading();
        table.row(&["tenant", &budget.tenant_id]);
        table.row(&["algorithm", &budget.algorithm]);
        table.row(&["uses a day", &limit(budget.uses_per_day)]);
        table
    })
}
