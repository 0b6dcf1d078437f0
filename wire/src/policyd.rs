//! What the gateway asks policyd, and what policyd answers.
//!
//! One question covers stages 3 and 6 of a request: who is this, and may it. The answer tells the two apart,
//! so that each stage keeps its own error. The gateway never says for which
//! tenant it asks: where a question names a tenant, that is what it is about, and policyd compares it with who asks.

mod ask;
mod explanation;
mod outcome;
mod rule;

pub use ask::{Ask, EventFilter, NewApiKeyTerms, Question};
pub use explanation::{Explanation, Finding, Step};
pub use outcome::{ApiKeyView, AskFailure, DenyRuleView, KeyView, Outcome, TenantView};
pub use rule::{DenyReason, Quota, Rule};

use crate::metric::Sample;
use crate::permit::SignedPermit;
use chancel_domain::plan::Rate;
use chancel_domain::{ApiKeyId, Networks, RequestId, TenantId};
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
    /// The `Idempotency-Key` header, where the request is one that honours it: the first answer under the same key
    /// is given again for a day, and nothing is done again.
    pub idempotency_key: Option<&'a str>,
}

impl fmt::Debug for Caller<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Caller")
            .field("request", &self.request)
            .field("source", &self.source)
            .finish()
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

/// Who an API key stands for, and what the gateway must know to admit it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// The tenant.
    pub tenant: TenantId,
    /// The API key.
    pub api_key: ApiKeyId,
    /// Its version.
    pub api_key_version: u32,
    /// The rate of the tenant and of each of its API keys; `None` for no limit.
    pub rate: Option<Rate>,
    /// When the API key stops working, Unix milliseconds.
    pub expires_at_ms: Option<i64>,
    /// Where the API key may be used; empty for everywhere.
    pub networks: Networks,
}

impl Subject {
    /// Whether an operator calls.
    pub fn is_operator(&self) -> bool {
        self.tenant == TenantId::OPERATORS
    }
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
        /// The key that a rewrapped ciphertext will be for; `None` for every other operation. The permit names it.
        target: Option<KeyView>,
    },
    /// Allowed and carried out.
    Done(Outcome),
    /// Allowed, but it cannot be done.
    Failed(AskFailure),
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
    /// What cannot be recorded is not done.
    #[error("the ledger cannot be written")]
    LedgerUnwritable,
}
