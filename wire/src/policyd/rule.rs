//! The names of the rules, and what a denied caller is told.

use serde::{Deserialize, Serialize};

/// The rules of the chain, in its order. The name of each is final.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Rule {
    /// The tenant is suspended.
    TenantStanding,
    /// The API key is revoked or has expired.
    ApiKeyStanding,
    /// The request comes from outside the API key's networks.
    SourceNetwork,
    /// The API key's scopes do not cover the operation.
    Scope,
    /// The tenant's plan lacks the feature.
    PlanFeature,
    /// A limit of number is reached.
    Quota,
    /// The key's uses of this day are used up.
    KeyBudget,
    /// One of the tenant's own deny rules.
    TenantRule,
}

impl Rule {
    /// Its name in the ledger, in logs, in metrics and in answers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::TenantStanding => "tenant-standing",
            Self::ApiKeyStanding => "api-key-standing",
            Self::SourceNetwork => "source-network",
            Self::Scope => "scope",
            Self::PlanFeature => "plan-feature",
            Self::Quota => "quota",
            Self::KeyBudget => "key-budget",
            Self::TenantRule => "tenant-rule",
        }
    }
}

/// What a denied caller is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum DenyReason {
    /// As if the API key were unknown.
    NotAuthenticated,
    /// The tenant is suspended.
    TenantSuspended,
    /// The API key may not be used from there.
    ForeignNetwork,
    /// The API key's scopes do not cover this.
    OutOfScope,
    /// The plan does not include this.
    NotInPlan,
    /// A limit of the plan is reached.
    QuotaSpent(Quota),
    /// The key's uses of this day are used up.
    KeyBudgetSpent,
    /// The tenant has a rule against it.
    TenantRule,
    /// A rule could not be evaluated, and what cannot be judged is denied.
    RuleFailed,
}

impl DenyReason {
    /// Its name in the ledger and in answers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotAuthenticated => "not-authenticated",
            Self::TenantSuspended => "tenant-suspended",
            Self::ForeignNetwork => "foreign-network",
            Self::OutOfScope => "out-of-scope",
            Self::NotInPlan => "not-in-plan",
            Self::QuotaSpent(quota) => quota.name(),
            Self::KeyBudgetSpent => "key-budget-spent",
            Self::TenantRule => "tenant-rule",
            Self::RuleFailed => "rule-failed",
        }
    }
}

/// A limit of number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Quota {
    /// Allowed calls in a calendar month.
    Calls,
    /// Keys of a family.
    Keys,
    /// Versions of a key.
    KeyVersions,
    /// API keys.
    ApiKeys,
}

impl Quota {
    /// Its name in the ledger and in answers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Calls => "calls-per-month",
            Self::Keys => "keys-per-family",
            Self::KeyVersions => "versions-per-key",
            Self::ApiKeys => "api-keys",
        }
    }
}
