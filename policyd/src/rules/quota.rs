//! quota: the numbers that a plan limits. What a tenant has beyond a limit that was lowered keeps working; nothing is
//! added until it is within the limit again.

use super::{Context, RuleError, Ruling, Seen};
use crate::usage::counts;
use chancel_domain::Operation;
use chancel_wire::policyd::{DenyReason, Quota};

pub(super) fn judge(context: &Context<'_>) -> Result<Ruling, RuleError> {
    // Operators have no plan: whose API keys they make has.
    if context.caller.is_operator() {
        return Ok(Ruling::Pass);
    }
    for quota in quotas_of(context.operation) {
        if let Some((used, limit)) = standing(context, *quota)?
            && used.saturating_add(added(context, *quota)) > limit
        {
            return Ok(Ruling::Deny(DenyReason::QuotaSpent(*quota)));
        }
    }
    Ok(Ruling::Pass)
}

pub(super) fn saw(context: &Context<'_>) -> Seen {
    let of = |quota: &Quota| {
        let value = match standing(context, *quota) {
            Ok(Some((used, limit))) => format!("{used} of {limit}"),
            Ok(None) => "unlimited".to_owned(),
            Err(_) => "unknown".to_owned(),
        };
        (quota.name(), value)
    };
    quotas_of(context.operation).iter().map(of).collect()
}

/// The quotas an operation draws on.
fn quotas_of(operation: Operation) -> &'static [Quota] {
    match operation {
        Operation::GenerateKey => &[Quota::Calls, Quota::Keys, Quota::KeyVersions],
        Operation::RotateKey => &[Quota::Calls, Quota::KeyVersions],
        // Back among those that count.
        Operation::RestoreKey => &[Quota::Calls, Quota::Keys, Quota::KeyVersions],
        Operation::CreateApiKey => &[Quota::Calls, Quota::ApiKeys],
        _ if counts(operation) => &[Quota::Calls],
        _ => &[],
    }
}

/// How much of it the request takes.
fn added(context: &Context<'_>, quota: Quota) -> u64 {
    match quota {
        Quota::Calls => context.uses(),
        Quota::Keys | Quota::KeyVersions | Quota::ApiKeys => 1,
    }
}

/// How much is used of how much; `None` where there is no limit.
fn standing(context: &Context<'_>, quota: Quota) -> Result<Option<(u64, u64)>, RuleError> {
    let (limits, counters) = (&context.terms.limits, context.counters);
    let limit = match quota {
        Quota::Calls => limits.calls_per_month,
        Quota::Keys => limits.keys_per_family.map(u64::from),
        Quota::KeyVersions => limits.versions_per_key.map(u64::from),
        Quota::ApiKeys => limits.api_keys.map(u64::from),
    };
    let Some(limit) = limit else { return Ok(None) };
    let used = match quota {
        Quota::Calls => counters.calls,
        // A further version of a key that is counted already is no further key.
        Quota::Keys => counters.keys.map(|keys| match keys.versions {
            0 => u64::from(keys.in_family),
            _ => u64::from(keys.in_family.saturating_sub(1)),
        }),
        Quota::KeyVersions => counters.keys.map(|keys| keys.versions.into()),
        Quota::ApiKeys => counters.api_keys.map(u64::from),
    };
    used.map(|used| Some((used, limit)))
        .ok_or(RuleError::CountMissing)
}
