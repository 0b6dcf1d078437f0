//! scope: an API key may do what one of its grants covers, and nothing else.

use super::{Context, RuleError, Ruling};
use chancel_wire::policyd::DenyReason;

pub(super) fn judge(context: &Context<'_>) -> Result<Ruling, RuleError> {
    let scopes = context
        .caller
        .scopes
        .as_ref()
        .map_err(|_| RuleError::ScopesUnreadable)?;
    Ok(if scopes.cover(context.operation, context.algorithm) {
        Ruling::Pass
    } else {
        Ruling::Deny(DenyReason::OutOfScope)
    })
}
