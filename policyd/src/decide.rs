//! The one place where a request is allowed. [`decide`] walks the chain; what it allows, it allows by handing
//! out a [`Grant`], and everything that acts on a request asks for one.

use crate::api_keys::ServiceContext;
use crate::rules::{CHAIN, Context, RuleEntry, Ruling};
use chancel_domain::{Algorithm, BatchSize, Operation};
use chancel_wire::policyd::{DenyReason, Explanation, Finding, Rule, Step};
use std::net::IpAddr;

/// Proof that the chain was walked for this request and nothing denied it. Made by [`decide`] alone, used up by
/// what it permits.
#[derive(Debug)]
#[must_use = "a grant that is not used up permits nothing"]
pub struct Grant {
    context: ServiceContext,
    operation: Operation,
    algorithm: Option<Algorithm>,
    batch: Option<BatchSize>,
    source: IpAddr,
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

    /// With how many inputs, when they are a batch.
    pub const fn batch(&self) -> Option<BatchSize> {
        self.batch
    }

    /// From where.
    pub const fn source(&self) -> IpAddr {
        self.source
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

/// Judges the request of a caller, whose standing the context holds.
pub fn decide(caller: &ServiceContext, context: &Context<'_>) -> Decision {
    match first_denial(&CHAIN, context) {
        Some((rule, reason)) => Decision::Deny { rule, reason },
        None => Decision::Allow(Grant {
            context: *caller,
            operation: context.operation,
            algorithm: context.algorithm,
            batch: context.batch,
            source: context.source,
        }),
    }
}

/// The first rule of a chain that denies. A rule that cannot be evaluated denies.
pub(crate) fn first_denial(chain: &[RuleEntry], context: &Context<'_>) -> Option<(Rule, DenyReason)> {
    chain.iter().find_map(|entry| match finding(entry, context) {
        Finding::Pass => None,
        Finding::Deny(reason) => Some((entry.rule, reason)),
    })
}

/// What every rule of the chain says of a request, and what it looked at. Grants nothing.
pub fn explain(context: &Context<'_>) -> Explanation {
    let step = |entry: &RuleEntry| Step {
        rule: entry.rule,
        finding: finding(entry, context),
        saw: (entry.saw)(context)
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect(),
    };
    Explanation {
        steps: CHAIN.iter().map(step).collect(),
    }
}

fn finding(entry: &RuleEntry, context: &Context<'_>) -> Finding {
    match (entry.judge)(context) {
        Ok(Ruling::Pass) => Finding::Pass,
        Ok(Ruling::Deny(reason)) => Finding::Deny(reason),
        Err(error) => {
            let (tenant, api_key) = (context.caller.tenant, context.caller.api_key);
            tracing::error!(%tenant, %api_key, rule = entry.rule.name(), reason = %error,
                "a rule could not be evaluated; denied");
            Finding::Deny(DenyReason::RuleFailed)
        }
    }
}
