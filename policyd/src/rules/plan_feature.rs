//! plan-feature: some operations are only in some plans.

use super::{Context, RuleError, Ruling};
use chancel_domain::{Feature, Operation};
use chancel_wire::policyd::DenyReason;

pub(super) fn judge(context: &Context<'_>) -> Result<Ruling, RuleError> {
    Ok(if context.caller.plan.includes(feature_of(context.operation)) {
        Ruling::Pass
    } else {
        Ruling::Deny(DenyReason::NotInPlan)
    })
}

/// The feature an operation belongs to. No wildcard: a new operation must be put somewhere.
const fn feature_of(operation: Operation) -> Feature {
    match operation {
        Operation::RotateKey => Feature::KeyRotation,
        Operation::Encrypt
        | Operation::Decrypt
        | Operation::Encapsulate
        | Operation::Decapsulate
        | Operation::Wrap
        | Operation::Unwrap
        | Operation::Sign
        | Operation::Verify
        | Operation::GenerateKey
        | Operation::RetireKey
        | Operation::ReadKey
        | Operation::ListKeys
        | Operation::ReadTenant => Feature::Core,
    }
}
