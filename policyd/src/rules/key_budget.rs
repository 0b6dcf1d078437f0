//! key-budget: so many uses of a private key in a day (UTC), all versions of the key together.

use super::{Context, RuleError, Ruling, Seen};
use chancel_domain::operation::Place;
use chancel_wire::policyd::DenyReason;

pub(super) fn judge(context: &Context<'_>) -> Result<Ruling, RuleError> {
    if context.operation.place() != Place::PrivateKey {
        return Ok(Ruling::Pass);
    }
    let Some(budget) = context.counters.budget.ok_or(RuleError::CountMissing)? else {
        return Ok(Ruling::Pass);
    };
    let uses = context.counters.uses.ok_or(RuleError::CountMissing)?;
    Ok(Ruling::deny_if(
        uses.saturating_add(context.uses()) > u64::from(budget),
        DenyReason::KeyBudgetSpent,
    ))
}

pub(super) fn saw(context: &Context<'_>) -> Seen {
    let value = match (context.counters.uses, context.counters.budget) {
        (Some(uses), Some(Some(budget))) => format!("{uses} of {budget}"),
        (_, Some(None)) => "unlimited".to_owned(),
        _ if context.operation.place() != Place::PrivateKey => "no private key is used".to_owned(),
        _ => "unknown".to_owned(),
    };
    vec![("uses_today", value)]
}
