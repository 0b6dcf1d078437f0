//! How a request would be judged, rule by rule, with what each rule looked at.

use super::rule::{DenyReason, Rule};
use serde::{Deserialize, Serialize};

/// The whole chain's word on a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// A step for each rule of the chain, in its order.
    pub steps: Vec<Step>,
}

/// One rule's word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// The rule.
    pub rule: Rule,
    /// What it says, whatever the rules before it say.
    pub finding: Finding,
    /// What it looked at: names and values as text.
    pub saw: Vec<(String, String)>,
}

/// What a rule says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Finding {
    /// Nothing against it.
    Pass,
    /// Denied.
    Deny(DenyReason),
}

impl Explanation {
    /// The first rule that denies, which is the one that would.
    pub fn denial(&self) -> Option<(Rule, DenyReason)> {
        self.steps.iter().find_map(|step| match step.finding {
            Finding::Pass => None,
            Finding::Deny(reason) => Some((step.rule, reason)),
        })
    }
}
