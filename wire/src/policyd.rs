//! What the gateway asks policyd, and what policyd answers.
//!
//! One question covers stages 3 and 6 of a request: who is this, and may it. The answer tells the two apart,
//! so that each stage keeps its own error. The gateway never says which tenant it asks for.

use crate::metric::Sample;
use crate::permit::{PayloadDigest, SignedPermit};
use chancel_domain::{
    Algorithm, ApiKeyId, KeyHandle, KeyState, KeyVersion, Operation, Plan, RequestId, TenantId,
};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::IpAddr;

/// A request to policyd's service socket.
#[derive(Debug, Serialize, Deserialize)]
pub enum PolicydRequest<'a> {
    /// Judge a request, and carry it out if it is policyd's to carry out.
    Ask {
        /// Who asks.
        #[serde(borrow)]
        caller: Caller<'a>,
        /// What for.
        ask: Ask,
    },
    /// Whether policyd and its keyd can work.
    Health,
    /// Counters of policyd.
    Metrics,
    /// Who asks, for a request that says nothing that could be asked: a caller whom policyd does not know hears
    /// that and not what is wrong with its request.
    Identify(#[serde(borrow)] Caller<'a>),
}

/// What the gateway knows of a caller: what was sent, nothing concluded from it.
#[derive(Serialize, Deserialize)]
pub struct Caller<'a> {
    /// The `x-api-key` header.
    pub api_key: &'a str,
    /// The request's id.
    pub request: RequestId,
    /// Where the request came from.
    pub source: IpAddr,
}

impl fmt::Debug for Caller<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Caller")
            .field("request", &self.request)
            .field("source", &self.source)
            .finish()
    }
}

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
}

impl Ask {
    /// The operation whose grant this needs.
    pub const fn operation(&self) -> Operation {
        match self {
            Self::Use { operation, .. } => *operation,
            Self::GenerateKey(_) => Operation::GenerateKey,
            Self::RotateKey(_) => Operation::RotateKey,
            Self::RetireKey(..) => Operation::RetireKey,
            Self::ReadActiveKey(_) | Self::ReadKey(..) => Operation::ReadKey,
            Self::ListKeys(..) => Operation::ListKeys,
            Self::ReadTenant => Operation::ReadTenant,
        }
    }

    /// The algorithm it concerns, where it names one.
    pub const fn algorithm(&self) -> Option<Algorithm> {
        match self {
            Self::Use { algorithm, .. }
            | Self::GenerateKey(algorithm)
            | Self::RotateKey(algorithm)
            | Self::RetireKey(algorithm, _)
            | Self::ReadActiveKey(algorithm)
            | Self::ReadKey(algorithm, _) => Some(*algorithm),
            Self::ListKeys(algorithm, _) => *algorithm,
            Self::ReadTenant => None,
        }
    }
}

/// An answer of policyd.
#[derive(Debug, Serialize, Deserialize)]
pub enum PolicydReply {
    /// No such API key. Malformed, unknown, all the same.
    Unauthenticated,
    /// Somebody policyd knows asked; this is how it was judged.
    Judged {
        /// Who.
        subject: Subject,
        /// How.
        verdict: Verdict,
    },
    /// policyd and its keyd can work.
    Healthy,
    /// Counters.
    Metrics(Vec<Sample>),
    /// policyd could not answer: deny.
    Failed(PolicydFailure),
    /// Somebody policyd knows asked, in good standing as far as that can be said without a request.
    Identified(Subject),
}

/// Who an API key stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// The tenant.
    pub tenant: TenantId,
    /// The API key.
    pub api_key: ApiKeyId,
    /// Its version.
    pub api_key_version: u32,
    /// The tenant's plan, whose rate limits the gateway applies.
    pub plan: Plan,
}

/// How a request was judged. Denied is the absence of a grant: nothing here says "allowed" without bringing
/// what the allowance is for.
#[derive(Debug, Serialize, Deserialize)]
pub enum Verdict {
    /// A rule of the chain denied it.
    Denied {
        /// The rule.
        rule: Rule,
        /// What to tell the caller.
        reason: DenyReason,
    },
    /// Allowed; here is the key to use, and the permit where one is needed.
    Granted {
        /// The key.
        key: KeyView,
        /// For keyd; `None` for public-key work.
        permit: Option<SignedPermit>,
    },
    /// Allowed and carried out.
    Done(Outcome),
    /// Allowed, but it cannot be done.
    Failed(AskFailure),
}

/// The rules of the chain, in its order. The chain grows by later rules; the wire name of each is final.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Rule {
    /// The tenant is suspended.
    TenantStanding,
    /// The API key is revoked or has expired.
    ApiKeyStanding,
    /// The API key's scopes do not cover the operation.
    Scope,
    /// The tenant's plan lacks the feature.
    PlanFeature,
}

impl Rule {
    /// Its name in the ledger, in logs and in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::TenantStanding => "tenant-standing",
            Self::ApiKeyStanding => "api-key-standing",
            Self::Scope => "scope",
            Self::PlanFeature => "plan-feature",
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
    /// The API key's scopes do not cover this.
    OutOfScope,
    /// The plan does not include this.
    NotInPlan,
    /// A rule could not be evaluated, and what cannot be judged is denied.
    RuleFailed,
}

/// A key as policyd's database knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyView {
    /// The parameter set.
    pub algorithm: Algorithm,
    /// The version.
    pub version: KeyVersion,
    /// Where it stands in its life.
    pub state: KeyState,
    /// keyd's name for it.
    pub handle: KeyHandle,
    /// The encoded public key.
    #[serde(with = "serde_bytes")]
    pub public_key: Vec<u8>,
    /// When it was made, Unix milliseconds.
    pub created_at_ms: i64,
}

/// What was carried out.
#[derive(Debug, Serialize, Deserialize)]
pub enum Outcome {
    /// Generated, retired, or read.
    Key(KeyView),
    /// Rotated.
    Rotated {
        /// The new active version.
        key: KeyView,
        /// The version that is now retired.
        old_version: KeyVersion,
    },
    /// Listed.
    Keys {
        /// The newest of each algorithm first; no more than fit in a frame.
        keys: Vec<KeyView>,
        /// How many there are.
        total: u64,
    },
    /// The tenant.
    Tenant(TenantView),
}

/// A tenant as it sees itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenantView {
    /// Its id.
    pub id: TenantId,
    /// Its name.
    pub name: String,
    /// Its plan.
    pub plan: Plan,
    /// When it was made, Unix milliseconds.
    pub created_at_ms: i64,
    /// When it last changed, Unix milliseconds.
    pub updated_at_ms: i64,
    /// KEM keys that are not archived.
    pub kem_keys: u32,
    /// Signature keys that are not archived.
    pub signature_keys: u32,
    /// API keys that are not revoked.
    pub api_keys: u32,
}

/// Why an allowed request cannot be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum AskFailure {
    /// There is no such key, or it is not in a state that permits the operation.
    KeyNotFound,
    /// There is an active key already: rotate it.
    ActiveKeyExists,
    /// The key's state does not permit the change.
    IllegalTransition,
    /// Another change of the same key is under way.
    Busy,
    /// keyd is away or refused.
    KeydUnavailable,
}

/// Why policyd could not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
pub enum PolicydFailure {
    /// The bytes were no request.
    #[error("malformed request")]
    Malformed,
    /// This peer may not ask for this.
    #[error("this peer may not ask for this")]
    NotForThisPeer,
    /// The database failed.
    #[error("the database failed")]
    Storage,
    /// keyd is away: no permit can be issued.
    #[error("keyd is away")]
    KeydUnavailable,
    /// Too much at once; try again.
    #[error("too many requests under way")]
    Overloaded,
}
