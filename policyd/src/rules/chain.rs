//! The chain as data, in the order in which its rules are asked. The first that denies decides and is named.

use super::{Context, RuleError, Ruling, Seen};
use super::{
    api_key_standing, key_budget, plan_feature, quota, scope, source_network, tenant_rule, tenant_standing,
};
use chancel_wire::policyd::Rule;

/// One rule of the chain.
#[derive(Debug, Clone, Copy)]
pub struct RuleEntry {
    /// Its name.
    pub rule: Rule,
    /// What it says of a request.
    pub judge: fn(&Context<'_>) -> Result<Ruling, RuleError>,
    /// What it looks at.
    pub saw: fn(&Context<'_>) -> Seen,
}

/// How many rules at the start of the chain look at the caller alone and not at what it asks for.
pub const STANDING: usize = 3;

/// The rules in force.
#[rustfmt::skip]
pub const CHAIN: [RuleEntry; 8] = [
    // tenant suspended
    RuleEntry { rule: Rule::TenantStanding, judge: tenant_standing::judge,  saw: tenant_standing::saw },
    // API key revoked or expired
    RuleEntry { rule: Rule::ApiKeyStanding, judge: api_key_standing::judge, saw: api_key_standing::saw },
    // API key used from outside its networks
    RuleEntry { rule: Rule::SourceNetwork,  judge: source_network::judge,   saw: source_network::saw },
    // operation not in the API key's scopes
    RuleEntry { rule: Rule::Scope,          judge: scope::judge,            saw: scope::saw },
    // plan lacks the feature
    RuleEntry { rule: Rule::PlanFeature,    judge: plan_feature::judge,     saw: plan_feature::saw },
    // a limit of the plan is reached
    RuleEntry { rule: Rule::Quota,          judge: quota::judge,            saw: quota::saw },
    // the key's uses of the day are spent
    RuleEntry { rule: Rule::KeyBudget,      judge: key_budget::judge,       saw: key_budget::saw },
    // the tenant has a rule against it
    RuleEntry { rule: Rule::TenantRule,     judge: tenant_rule::judge,      saw: tenant_rule::saw },
];
