//! plan-feature: some operations are only in some plans.

use super::{Context, RuleError, Ruling, Seen};
use chancel_domain::{Feature, Operation};
use chancel_wire::policyd::DenyReason;

pub(super) fn judge(context: &Context<'_>) -> Result<Ruling, RuleError> {
    // Operators have no plan.
    if context.caller.is_operator() {
        return Ok(Ruling::Pass);
    }
    let lacking = feature_of(context.operation).is_some_and(|feature| !context.terms.include(feature));
    Ok(Ruling::deny_if(lacking, DenyReason::NotInPlan))
}

pub(super) fn saw(context: &Context<'_>) -> Seen {
    let needed = feature_of(context.operation).map_or("none", Feature::name);
    let included: Vec<_> = context
        .terms
        .features
        .iter()
        .map(|feature| feature.name())
        .collect();
    vec![
        ("plan", context.caller.plan.to_string()),
        ("needed", needed.to_owned()),
        ("included", included.join(" ")),
    ]
}

/// The feature an operation belongs to; `None` for what every plan has. No wildcard: a new operation must be put
/// somewhere.
const fn feature_of(operation: Operation) -> Option<Feature> {
    match operation {
        Operation::RotateKey => Some(Feature::KeyRotation),
        Operation::RotateApiKey => Some(Feature::ApiKeyRotation),
        Operation::ScheduleDestruction => Some(Feature::KeyDestruction),
        Operation::Encrypt
        | Operation::Decrypt
        | Operation::Encapsulate
        | Operation::Decapsulate
        | Operation::Wrap
        | Operation::Unwrap
        | Operation::Rewrap
        | Operation::Sign
        | Operation::Verify
        | Operation::GenerateKey
        | Operation::RetireKey
        | Operation::ReadKey
        | Operation::ListKeys
        | Operation::ReadTenant
        | Operation::ArchiveKey
        | Operation::RestoreKey
        // Taking the date back must not depend on what was bought since.
        | Operation::CancelDestruction
        | Operation::SetKeyBudget
        | Operation::CreateApiKey
        | Operation::ListApiKeys
        | Operation::RevokeApiKey
        | Operation::ListDenyRules
        | Operation::AddDenyRule
        | Operation::RemoveDenyRule
        | Operation::ExplainPolicy
        | Operation::ReadEvents
        | Operation::CreateTenant
        | Operation::ReadTenants => None,
    }
}
