//! tenant-rule: what the tenant itself has forbidden.

use super::{Context, RuleError, Ruling, Seen};
use chancel_domain::DenyRule;
use chancel_wire::policyd::DenyReason;

pub(super) fn judge(context: &Context<'_>) -> Result<Ruling, RuleError> {
    let rules = context.deny_rules.ok_or(RuleError::DenyRulesUnreadable)?;
    let denied = rules.iter().any(|rule| denies(rule, context));
    Ok(Ruling::deny_if(denied, DenyReason::TenantRule))
}

pub(super) fn saw(context: &Context<'_>) -> Seen {
    let Some(rules) = context.deny_rules else {
        return vec![("rules", "unreadable".to_owned())];
    };
    let of = |rule: &DenyRule| {
        let says = if denies(rule, context) {
            "denies"
        } else {
            "does not apply"
        };
        ("rule", format!("{}: {says}", rule.name))
    };
    rules.iter().map(of).collect()
}

fn denies(rule: &DenyRule, context: &Context<'_>) -> bool {
    let passes = |algorithm| !rule.denies(context.operation, algorithm, context.source, context.now_ms);
    !context.each_algorithm(passes)
}
