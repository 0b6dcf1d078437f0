//! The rules, a file each, and the chain they form. A rule is a pure function of its [`Context`]: no database, no
//! clock, no memory of earlier requests, so that what it says can be tested for every input.

mod api_key_standing;
mod chain;
mod plan_feature;
mod scope;
mod tenant_standing;

#[cfg(test)]
mod tests;

pub use chain::{CHAIN, RuleEntry, STANDING};

use crate::api_keys::Caller;
use chancel_domain::{Algorithm, Operation};
use chancel_wire::policyd::DenyReason;

/// Everything a rule may look at.
pub struct Context<'a> {
    /// Who asks.
    pub caller: &'a Caller,
    /// What for.
    pub operation: Operation,
    /// With a key of which algorithm, where the operation names one.
    pub algorithm: Option<Algorithm>,
    /// Unix milliseconds.
    pub now_ms: i64,
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

/// Why a rule could not be evaluated. What cannot be judged is denied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// The clock stands before the API key was made: it says nothing about whether the key has expired.
    #[error("the clock stands before the API key was made")]
    ClockBeforeApiKey,
    /// The API key's stored scopes do not parse.
    #[error("the stored scopes do not parse")]
    ScopesUnreadable,
}
