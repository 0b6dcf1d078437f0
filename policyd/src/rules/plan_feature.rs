//! plan-feature: some operations are only in some plans.

use super::{Context, RuleError, Ruling, Seen};
use chancel_domain::{Algorithm, Feature, Operation};
use chancel_wire::policyd::DenyReason;

pub(super) fn judge(context: &Context<'_>) -> Result<Ruling, RuleError> {
    // Operators have no plan.
    if context.caller.is_operator() {
        return Ok(Ruling::Pass);
    }
    let lacking = needed(context).any(|feature| !context.terms.include(feature));
    Ok(Ruling::deny_if(lacking, DenyReason::NotInPlan))
}

pub(super) fn saw(context: &Context<'_>) -> Seen {
    let mut names: Vec<_> = needed(context).map(Feature::name).collect();
    if names.is_empty() {
        names.push("none");
    }
    let included: Vec<_> = context
        .terms
        .features
        .iter()
        .map(|feature| feature.name())
        .collect();
    vec![
        ("plan", context.caller.plan.to_string()),
        ("needed", names.join(" ")),
        ("included", included.join(" ")),
    ]
}

fn needed(context: &Context<'_>) -> impl Iterator<Item = Feature> {
    // What rewrapping makes is new for its target.
    let made = context
        .target
        .or(context.algorithm.filter(|_| makes_new(context.operation)));
    let features = [feature_of(context.operation), made.and_then(feature_with)];
    features.into_iter().flatten()
}

/// The feature an algorithm belongs to.
const fn feature_with(algorithm: Algorithm) -> Option<Feature> {
    match algorithm {
        Algorithm::XWing | Algorithm::CompositeMlDsa65EcdsaP256 => Some(Feature::Hybrid),
        slh_dsa if slh_dsa.is_slow() => Some(Feature::SlhDsa),
        _ => None,
    }
}

/// Whether something new comes of an operation. What was made while the plan had an algorithm can be read for ever.
const fn makes_new(operation: Operation) -> bool {
    matches!(
        operation,
        Operation::GenerateKey
            | Operation::RotateKey
            | Operation::RestoreKey
            | Operation::Encrypt
            | Operation::EncryptDeterministic
            | Operation::Encapsulate
            | Operation::Wrap
            | Operation::Sign
            | Operation::SignHash
            | Operation::SignMu
    )
}

/// The feature an operation belongs to; `None` for what every plan has. No wildcard: a new operation must be put
/// somewhere.
const fn feature_of(operation: Operation) -> Option<Feature> {
    match operation {
        Operation::RotateKey => Some(Feature::KeyRotation),
        Operation::RotateApiKey => Some(Feature::ApiKeyRotation),
        Operation::ScheduleDestruction => Some(Feature::KeyDestruction),
        Operation::EncryptDeterministic => Some(Feature::DeterministicEncryption),
        Operation::Encrypt
        | Operation::Decrypt
        | Operation::Encapsulate
        | Operation::Decapsulate
        | Operation::Wrap
        | Operation::Unwrap
        | Operation::Rewrap
        | Operation::Sign
        | Operation::SignHash
        | Operation::SignMu
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
