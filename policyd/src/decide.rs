//! The one place where a request is allowed. [`decide`] walks the chain; what it allows, it allows by handing
//! out a [`Grant`], and everything that acts on a request asks for one.

use crate::api_keys::ServiceContext;
use crate::rules::{CHAIN, Context, RuleEntry, Ruling};
use chancel_domain::{Algorithm, Operation};
use chancel_wire::policyd::{DenyReason, Rule};

/// Proof that the chain was walked for this request and nothing denied it. Made by [`decide`] alone, used up by
/// what it permits.
#[derive(Debug)]
#[must_use = "a grant that is not used up permits nothing"]
pub struct Grant {
    context: ServiceContext,
    operation: Operation,
    algorithm: Option<Algorithm>,
}

impl Grant {
    /// For whom.
    pub const fn context(&self) -> &ServiceContext {
        &self.context
    }

    /// What.
    pub const fn operation(&self) -> Operation {
        self.operation
    }

    /// With a key of which algorithm.
    pub const fn algorithm(&self) -> Option<Algorithm> {
        self.algorithm
    }
}

/// How a request was judged. Denied is the absence of a grant.
#[derive(Debug)]
#[must_use]
pub enum Decision {
    /// It may be done.
    Allow(Grant),
    /// It may not.
    Deny {
        /// The first rule that said so.
        rule: Rule,
        /// What to tell the caller.
        reason: DenyReason,
    },
}

/// Judges a request.
pub fn decide(context: &Context<'_>) -> Decision {
    match first_denial(&CHAIN, context) {
        Some((rule, reason)) => Decision::Deny { rule, reason },
        None => Decision::Allow(Grant {
            context: context.caller.context,
            operation: context.operation,
            algorithm: context.algorithm,
        }),
    }
}

/// The first rule of a chain that denies. A rule that cannot be evaluated denies.
pub(crate) fn first_denial(chain: &[RuleEntry], context: &Context<'_>) -> Option<(Rule, DenyReason)> {
    chain.iter().find_map(|entry| match (entry.judge)(context) {
        Ok(Ruling::Pass) => None,
        Ok(Ruling::Deny(reason)) => Some((entry.rule, reason)),
        Err(error) => {
            let (tenant, request) = (context.caller.context.tenant(), context.caller.context.request());
            tracing::error!(%tenant, %request, rule = entry.rule.name(), reason = %error,
                "a rule could not be evaluated; denied");
            Some((entry.rule, DenyReason::RuleFailed))
        }
    })
}
