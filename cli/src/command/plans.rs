//! `chancel plans …`

use crate::arguments::PlansCommand;
use crate::client::Policyd;
use crate::failure::{Daemon, Failure};
use crate::output::{Output, Table, limit};
use chancel_domain::plan::{PLANS, Plans, Terms};
use chancel_wire::admin::{AdminReply, AdminRequest};
use serde::Serialize;

/// The terms in JSON, the smallest plan first. Limits are null where there is none.
#[derive(Serialize)]
struct InForce {
    plans: Vec<Plan>,
}

#[derive(Serialize)]
struct Plan {
    name: &'static str,
    /// Whether these are the figures of a new installation.
    is_default: bool,
    requests_per_second: Option<u32>,
    burst: Option<u32>,
    calls_per_month: Option<u64>,
    keys_per_family: Option<u32>,
    versions_per_key: Option<u32>,
    api_keys: Option<u32>,
    features: Vec<&'static str>,
}

pub(super) async fn run(policyd: &Policyd, output: Output, command: PlansCommand) -> Result<(), Failure> {
    let PlansCommand::Show = command;
    let in_force = InForce::from(&read(policyd).await?);
    output.print(&in_force, || in_force.table())
}

/// The plans in force.
pub(super) async fn read(policyd: &Policyd) -> Result<Plans, Failure> {
    match policyd.ask(&AdminRequest::ReadPlans).await? {
        AdminReply::Plans(plans) => Ok(plans),
        _ => Err(Failure::Unintelligible(Daemon::Policyd)),
    }
}

/// The names of the plans whose terms are not those of a new installation.
pub(super) fn changed(plans: &Plans) -> Vec<&'static str> {
    let defaults = Plans::default();
    PLANS
        .iter()
        .filter(|(plan, _)| plans.of(*plan) != defaults.of(*plan))
        .map(|(_, name)| *name)
        .collect()
}

impl From<&Plans> for InForce {
    fn from(plans: &Plans) -> Self {
        let changed = changed(plans);
        let plan = |name, Terms { features, limits }: &Terms| Plan {
            name,
            is_default: !changed.contains(&name),
            requests_per_second: limits.rate.map(|rate| rate.per_second),
            burst: limits.rate.map(|rate| rate.burst),
            calls_per_month: limits.calls_per_month,
            keys_per_family: limits.keys_per_family,
            versions_per_key: limits.versions_per_key,
            api_keys: limits.api_keys,
            features: features.iter().map(|feature| feature.name()).collect(),
        };
        Self {
            plans: PLANS.map(|(which, name)| plan(name, plans.of(which))).into(),
        }
    }
}

impl InForce {
    fn table(&self) -> Table {
        let mut table = Table::new(&[
            "PLAN",
            "REQUESTS/S",
            "BURST",
            "CALLS/MONTH",
            "KEYS/FAMILY",
            "VERSIONS/KEY",
            "API KEYS",
            "TERMS",
            "FEATURES",
        ]);
        for plan in &self.plans {
            table.row(&[
                plan.name,
                &limit(plan.requests_per_second),
                &limit(plan.burst),
                &limit(plan.calls_per_month),
                &limit(plan.keys_per_family),
                &limit(plan.versions_per_key),
                &limit(plan.api_keys),
                if plan.is_default { "default" } else { "plans file" },
                &plan.features.join(" "),
            ]);
        }
        table
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chancel_domain::plan::Plan as Which;

    #[test]
    fn a_plan_with_other_terms_than_a_new_installation_s_is_named() {
        let defaults = Plans::default();
        assert!(changed(&defaults).is_empty());
        let mut terms = PLANS.map(|(plan, _)| defaults.of(plan).clone());
        terms[3].limits.api_keys = Some(11);
        let plans = Plans::new(terms);
        assert_eq!(changed(&plans), ["pro"]);
        let table = InForce::from(&plans).table().to_string();
        let row = |name: &str| {
            table
                .lines()
                .find(|line| line.starts_with(name))
                .unwrap()
                .to_owned()
        };
        assert!(row("pro").contains("plans file"));
        assert!(row(Which::Free.name()).contains("default"));
        assert!(row("enterprise").contains("no limit"));
    }
}
