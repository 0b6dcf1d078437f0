//! The chain as data, in the order in which its rules are asked. The first that denies decides and is named.

use super::{Context, RuleError, Ruling};
use super::{api_key_standing, plan_feature, scope, tenant_standing};
use chancel_wire::policyd::Rule;

/// One rule of the chain.
#[derive(Debug, Clone, Copy)]
pub struct RuleEntry {
    /// Its name.
    pub rule: Rule,
    /// What it says of a request.
    pub judge: fn(&Context<'_>) -> Result<Ruling, RuleError>,
}

/// How many rules at the start of the chain look at the caller alone and not at what it asks for.
pub const STANDING: usize = 2;

/// The rules in force.
#[rustfmt::skip]
pub const CHAIN: [RuleEntry; 4] = [
    // tenant suspended
    RuleEntry { rule: Rule::TenantStanding,  judge: tenant_standing::judge },
    // API key revoked or expired
    RuleEntry { rule: Rule::ApiKeyStanding,  judge: api_key_standing::judge },
    // operation not in the API key's scopes
    RuleEntry { rule: Rule::Scope,           judge: scope::judge },
    // plan lacks the feature
    RuleEntry { rule: Rule::PlanFeature,     judge: plan_feature::judge },
];
