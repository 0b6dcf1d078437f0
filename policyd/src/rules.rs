//! The rules, a file each, and the chain they form. A rule is a pure function of its [`Context`]: no database, no
//! clock, no memory of earlier requests, so that what it says can be tested for every input.

mod api_key_standing;
mod chain;
mod counters;
mod key_budget;
mod plan_feature;
mod quota;
mod scope;
mod source_network;
mod tenant_rule;
mod tenant_standing;

#[cfg(test)]
pub(crate) mod tests;

pub use chain::{CHAIN, RuleEntry, STANDING};
pub use counters::{Counters, KeyCounts};

use crate::api_keys::Standing;
use chancel_domain::plan::Terms;
use chancel_domain::{Algorithm, BatchSize, DenyRule, Operation};
use chancel_wire::policyd::DenyReason;
use std::net::IpAddr;

/// Everything a rule may look at.
pub struct Context<'a> {
    /// Who asks.
    pub caller: &'a Standing,
    /// What for.
    pub operation: Operation,
    /// With a key of which algorithm, where the operation names one.
    pub algorithm: Option<Algorithm>,
    /// For a key of which algorithm, where a ciphertext is to be rewrapped.
    pub target: Option<Algorithm>,
    /// With how many inputs, when they are a batch.
    pub batch: Option<BatchSize>,
    /// From where.
    pub source: IpAddr,
    /// Unix milliseconds.
    pub now_ms: i64,
    /// What the tenant's plan offers.
    pub terms: &'a Terms,
    /// What has been used so far, as far as the operation's rules need it.
    pub counters: &'a Counters,
    /// The tenant's own rules; `None` when they could not be read.
    pub deny_rules: Option<&'a [DenyRule]>,
}

impl Context<'_> {
    /// How many calls, and how many uses of a private key where one is used, come of it.
    pub fn uses(&self) -> u64 {
        self.batch.map_or(1, |batch| batch.number().into())
    }

    /// Whether something holds of each algorithm that the request names; of none, where it names none.
    pub fn each_algorithm(&self, mut holds: impl FnMut(Option<Algorithm>) -> bool) -> bool {
        holds(self.algorithm) && self.target.is_none_or(|target| holds(Some(target)))
    }
}

/// What a rule says. There is no "allow": a rule can only refrain from denying.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Ruling {
    /// Nothing against it, as far as this rule goes.
    Pass,
    /// Denied.
    Deny(DenyReason),
}

impl Ruling {
    /// Denies for this reason if something is so.
    const fn deny_if(denied: bool, reason: DenyReason) -> Self {
        if denied { Self::Deny(reason) } else { Self::Pass }
    }
}

/// Why a rule could not be evaluated. What cannot be judged is denied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// The clock stands before the API key was made: it says nothing about whether the key has expired.
    #[error("the clock stands before the API key was made")]
    ClockBeforeApiKey,
    /// The API key's stored scopes do not parse.
    #[error("the stored scopes do not parse")]
    ScopesUnreadable,
    /// The API key's stored networks do not parse.
    #[error("the stored networks do not parse")]
    NetworksUnreadable,
    /// A count that the rule compares is not there.
    #[error("a count is missing")]
    CountMissing,
    /// The tenant's deny rules could not be read.
    #[error("the tenant's deny rules cannot be read")]
    DenyRulesUnreadable,
}

/// What a rule looked at, as names and values, for somebody who asks why.
pub type Seen = Vec<(&'static str, String)>;
