//! scope: an API key may do what one of its grants covers, and nothing else. What is for operators no tenant's scopes
//! cover, and the other way round.

use super::{Context, RuleError, Ruling, Seen};
use chancel_domain::Algorithm;
use chancel_domain::operation::Audience;
use chancel_wire::policyd::DenyReason;

pub(super) fn judge(context: &Context<'_>) -> Result<Ruling, RuleError> {
    let scopes = context
        .caller
        .scopes
        .as_ref()
        .map_err(|_| RuleError::ScopesUnreadable)?;
    let is_operator = context.caller.is_operator();
    let addressed = match context.operation.audience() {
        Audience::Tenants => !is_operator,
        Audience::Operators => is_operator,
        Audience::Both => true,
    };
    let covers = |algorithm| scopes.cover(context.operation, algorithm);
    let covered = addressed && context.each_algorithm(covers);
    Ok(Ruling::deny_if(!covered, DenyReason::OutOfScope))
}

pub(super) fn saw(context: &Context<'_>) -> Seen {
    let scopes = context.caller.scopes.as_ref();
    vec![
        ("operation", context.operation.to_string()),
        ("algorithm", name(context.algorithm)),
        ("target", name(context.target)),
        (
            "scopes",
            scopes.map_or_else(|_| "unreadable".to_owned(), ToString::to_string),
        ),
        ("operator", context.caller.is_operator().to_string()),
    ]
}

fn name(algorithm: Option<Algorithm>) -> String {
    algorithm.map_or_else(|| "none".to_owned(), |named| named.to_string())
}
