//! What the gateway can ask for, a variant an operation. The order of the variants is part of the wire format:
//! append only.

use crate::permit::PayloadDigest;
use chancel_domain::tenant::Name;
use chancel_domain::{
    Algorithm, ApiKeyId, BatchSize, DenyRule, DenyRuleId, KeyState, KeyVersion, Networks, Operation, Plan,
    RequestId, Scopes, TenantId,
};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ask {
    /// Use a key: the answer brings its public key, and a permit where the private key is needed.
    Use {
        /// The operation, of the private-key or the public-key kind.
        operation: Operation,
        /// The parameter set.
        algorithm: Algorithm,
        /// The version; `None` for the active one.
        version: Option<KeyVersion>,
        /// Digest of the encoded input, where a permit is needed; `None` for public-key work.
        payload: Option<PayloadDigest>,
        /// How many inputs, when it is for a batch; `None` for a single one.
        batch: Option<BatchSize>,
    },
    /// Make the first key of an algorithm.
    GenerateKey(Algorithm),
    /// Make the next version of a key.
    RotateKey(Algorithm),
    /// Take a version out of use for new work.
    RetireKey(Algorithm, KeyVersion),
    /// The active version.
    ReadActiveKey(Algorithm),
    /// One version.
    ReadKey(Algorithm, KeyVersion),
    /// All versions, by algorithm and state where given.
    ListKeys(Option<Algorithm>, Option<KeyState>),
    /// The caller's own tenant.
    ReadTenant,
    /// Take a retired version out of every use.
    ArchiveKey(Algorithm, KeyVersion),
    /// Make an archived version a retired one again.
    RestoreKey(Algorithm, KeyVersion),
    /// Have a version destroyed after so many days; `None` for the installation's usual time.
    ScheduleDestruction(Algorithm, KeyVersion, Option<u16>),
    /// Take the date of a destruction back.
    CancelDestruction(Algorithm, KeyVersion),
    /// Turn a ciphertext for one key into one for another.
    Rewrap {
        /// The parameter set of the key it is for.
        algorithm: Algorithm,
        /// That key's version.
        version: KeyVersion,
        /// The parameter set of the key it shall be for.
        target_algorithm: Algorithm,
        /// That key's version; `None` for the active one.
        target_version: Option<KeyVersion>,
        /// Digest of the encoded input.
        payload: PayloadDigest,
        /// How many ciphertexts, when it is for a batch; `None` for a single one.
        batch: Option<BatchSize>,
    },
    /// Limit the private-key uses of an algorithm's key in a day (UTC); `None` for no limit.
    SetKeyBudget(Algorithm, Option<u32>),
    /// Make an API key of a tenant: the caller's own, or any for an operator.
    CreateApiKey(TenantId, NewApiKeyTerms),
    /// A tenant's API keys, a page in the order of their ids after a given one.
    ListApiKeys(TenantId, Option<ApiKeyId>),
    /// Replace an API key's secret; `None` for the one the caller uses.
    RotateApiKey(TenantId, Option<ApiKeyId>),
    /// Revoke an API key.
    RevokeApiKey(TenantId, ApiKeyId),
    /// The tenant's deny rules.
    ListDenyRules,
    /// Add one.
    AddDenyRule(DenyRule),
    /// Remove one.
    RemoveDenyRule(DenyRuleId),
    /// How another request would be judged. Counts nothing, and asks keyd nothing.
    Explain(Question),
    /// The tenant's own events, a page.
    ReadEvents(EventFilter),
    /// Make a tenant; for operators.
    CreateTenant(Name, Plan),
    /// A tenant by its id: the caller's own, or any for an operator.
    ReadTenantById(TenantId),
    /// A page of all tenants in the order of their ids after a given one; for operators.
    ListTenants(Option<TenantId>),
    /// The key of a private-key use that will be asked for when its input is there. Judged like it, and recorded when it
    /// is denied; permits and counts nothing.
    Prepare {
        /// The operation.
        operation: Operation,
        /// The parameter set.
        algorithm: Algorithm,
        /// The version; `None` for the active one.
        version: Option<KeyVersion>,
    },
}

/// What a new API key shall be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewApiKeyTerms {
    /// What it is called.
    pub name: Name,
    /// What it may do.
    pub scopes: Scopes,
    /// When it stops working, Unix milliseconds; `None` for never.
    pub expires_at_ms: Option<i64>,
    /// Where it may be used; empty for everywhere.
    pub networks: Networks,
}

/// A request that is not made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// What it would ask for.
    pub operation: Operation,
    /// With a key of which algorithm.
    pub algorithm: Option<Algorithm>,
    /// For a key of which algorithm, where a ciphertext would be rewrapped.
    pub target: Option<Algorithm>,
    /// With how many inputs, when it would be for a batch.
    pub batch: Option<BatchSize>,
    /// With which of the tenant's API keys; `None` for the caller's.
    pub api_key: Option<ApiKeyId>,
    /// From where; `None` for where the question comes from.
    pub source: Option<IpAddr>,
    /// When, Unix milliseconds; `None` for now.
    pub at_ms: Option<i64>,
}

/// Which events. What is `None` (or empty) does not restrict.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventFilter {
    /// Only those before this number in the ledger: where the page before ended, newest first.
    pub before: Option<u64>,
    /// At most so many.
    pub limit: u16,
    /// Kinds of records by name: `allow`, `deny`, `change`.
    pub kind: Option<String>,
    /// Of one operation.
    pub operation: Option<Operation>,
    /// By one API key.
    pub api_key: Option<ApiKeyId>,
    /// Of one request.
    pub request: Option<RequestId>,
    /// Not before this instant, Unix milliseconds.
    pub since_ms: Option<i64>,
    /// Before this instant, Unix milliseconds.
    pub until_ms: Option<i64>,
}

impl Ask {
    /// The operation whose grant this needs.
    pub const fn operation(&self) -> Operation {
        match self {
            Self::Use { operation, .. } | Self::Prepare { operation, .. } => *operation,
            Self::GenerateKey(_) => Operation::GenerateKey,
            Self::RotateKey(_) => Operation::RotateKey,
            Self::RetireKey(..) => Operation::RetireKey,
            Self::ReadActiveKey(_) | Self::ReadKey(..) => Operation::ReadKey,
            Self::ListKeys(..) => Operation::ListKeys,
            Self::ReadTenant => Operation::ReadTenant,
            Self::ArchiveKey(..) => Operation::ArchiveKey,
            Self::RestoreKey(..) => Operation::RestoreKey,
            Self::ScheduleDestruction(..) => Operation::ScheduleDestruction,
            Self::CancelDestruction(..) => Operation::CancelDestruction,
            Self::Rewrap { .. } => Operation::Rewrap,
            Self::SetKeyBudget(..) => Operation::SetKeyBudget,
            Self::CreateApiKey(..) => Operation::CreateApiKey,
            Self::ListApiKeys(..) => Operation::ListApiKeys,
            Self::RotateApiKey(..) => Operation::RotateApiKey,
            Self::RevokeApiKey(..) => Operation::RevokeApiKey,
            Self::ListDenyRules => Operation::ListDenyRules,
            Self::AddDenyRule(_) => Operation::AddDenyRule,
            Self::RemoveDenyRule(_) => Operation::RemoveDenyRule,
            Self::Explain(_) => Operation::ExplainPolicy,
            Self::ReadEvents(_) => Operation::ReadEvents,
            Self::CreateTenant(..) => Operation::CreateTenant,
            Self::ReadTenantById(_) => Operation::ReadTenant,
            Self::ListTenants(_) => Operation::ReadTenants,
        }
    }

    /// The algorithm it concerns, where it names one.
    pub const fn algorithm(&self) -> Option<Algorithm> {
        match self {
            Self::Use { algorithm, .. }
            | Self::Prepare { algorithm, .. }
            | Self::GenerateKey(algorithm)
            | Self::RotateKey(algorithm)
            | Self::RetireKey(algorithm, _)
            | Self::ReadActiveKey(algorithm)
            | Self::ReadKey(algorithm, _)
            | Self::ArchiveKey(algorithm, _)
            | Self::RestoreKey(algorithm, _)
            | Self::ScheduleDestruction(algorithm, ..)
            | Self::CancelDestruction(algorithm, _)
            | Self::Rewrap { algorithm, .. }
            | Self::SetKeyBudget(algorithm, _) => Some(*algorithm),
            Self::ListKeys(algorithm, _) => *algorithm,
            Self::ReadTenant
            | Self::CreateApiKey(..)
            | Self::ListApiKeys(..)
            | Self::RotateApiKey(..)
            | Self::RevokeApiKey(..)
            | Self::ListDenyRules
            | Self::AddDenyRule(_)
            | Self::RemoveDenyRule(_)
            | Self::Explain(_)
            | Self::ReadEvents(_)
            | Self::CreateTenant(..)
            | Self::ReadTenantById(_)
            | Self::ListTenants(_) => None,
        }
    }

    /// The algorithm of the key that a rewrapped ciphertext shall be for.
    pub const fn target_algorithm(&self) -> Option<Algorithm> {
        match self {
            Self::Rewrap { target_algorithm, .. } => Some(*target_algorithm),
            _ => None,
        }
    }

    /// How many inputs a use is for, when it is for a batch.
    pub const fn batch(&self) -> Option<BatchSize> {
        match self {
            Self::Use { batch, .. } | Self::Rewrap { batch, .. } => *batch,
            _ => None,
        }
    }

    /// Whether it is about the use of a key, which may take long for some algorithms.
    pub const fn is_use(&self) -> bool {
        matches!(self, Self::Use { .. } | Self::Rewrap { .. })
    }

    /// Whether carrying it out changes something that lasts: such a question is answered when the change is on
    /// the disk, and is not asked before the caller's rate has been looked at.
    pub const fn is_change(&self) -> bool {
        matches!(
            self,
            Self::GenerateKey(_)
                | Self::RotateKey(_)
                | Self::RetireKey(..)
                | Self::ArchiveKey(..)
                | Self::RestoreKey(..)
                | Self::ScheduleDestruction(..)
                | Self::CancelDestruction(..)
                | Self::SetKeyBudget(..)
                | Self::CreateApiKey(..)
                | Self::RotateApiKey(..)
                | Self::RevokeApiKey(..)
                | Self::AddDenyRule(_)
                | Self::RemoveDenyRule(_)
                | Self::CreateTenant(..)
        )
    }
}
