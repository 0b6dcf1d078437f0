//! One question of the gateway, from the API key to the answer: who asks, may they, and the thing itself. What
//! only reads is answered on the spot; what changes keys is answered when it is done.

mod use_key;

use crate::api_keys::{ApiKeyHasher, Caller, authenticate};
use crate::clock;
use crate::decide::{Decision, Grant, decide, first_denial};
use crate::failure::Failure;
use crate::keys::Lifecycle;
use crate::metrics::{Metrics, Outcome as Judgement};
use crate::permit::PermitIssuer;
use crate::rules::{CHAIN, Context, STANDING};
use crate::store::{ReadView, Reader, StoreError};
use chancel_domain::{Algorithm, Operation};
use chancel_link::{Handled, Reply};
use chancel_wire::policyd::{
    self as wire, Ask, AskFailure, DenyReason, Outcome, PolicydFailure, PolicydReply, Rule, Subject, Verdict,
};
use std::sync::Arc;
use std::time::Duration;
use use_key::Unusable;

/// Keys in one answer, the newest versions first: an answer of two kilobytes a key must stay cheap to ask for.
const MOST_KEYS: usize = 100;

/// Everything that answering needs.
pub struct Asks {
    /// Where look-ups go.
    pub reader: Arc<Reader>,
    /// Hashes API keys.
    pub hasher: Arc<ApiKeyHasher>,
    /// Issues permits.
    pub issuer: Arc<PermitIssuer>,
    /// Changes keys.
    pub lifecycle: Arc<Lifecycle>,
    /// Counts.
    pub metrics: Arc<Metrics>,
}

impl Asks {
    /// Answers one question; `budget` is how long the gateway still waits.
    pub fn answer(&self, caller: &wire::Caller<'_>, ask: Ask, budget: Duration) -> Handled {
        self.of_known(caller, |view, known| {
            let subject = subject(known);
            let context = Context {
                caller: known,
                operation: ask.operation(),
                algorithm: ask.algorithm(),
                now_ms: clock::now_ms(),
            };
            match decide(&context) {
                Decision::Deny { rule, reason } => Ok(self.denied(&context, rule, reason)),
                Decision::Allow(grant) => {
                    self.metrics.judged(Judgement::Allow);
                    self.carry_out(view, grant, subject, ask, budget)
                }
            }
        })
    }

    /// Says who calls, for a request that asks for nothing. Permits nothing.
    pub fn identify(&self, caller: &wire::Caller<'_>) -> Handled {
        self.of_known(caller, |_, known| {
            let context = Context {
                caller: known,
                // The rules of standing look at neither.
                operation: Operation::ReadTenant,
                algorithm: None,
                now_ms: clock::now_ms(),
            };
            Ok(match first_denial(&CHAIN[..STANDING], &context) {
                Some((rule, reason)) => self.denied(&context, rule, reason),
                None => Handled::now(&PolicydReply::Identified(subject(known))),
            })
        })
    }

    /// Answers for somebody policyd knows, in one snapshot of the database; everybody else hears that they are
    /// unknown.
    fn of_known(
        &self,
        caller: &wire::Caller<'_>,
        answer: impl FnOnce(ReadView<'_>, &Caller) -> Result<Handled, StoreError>,
    ) -> Handled {
        let answered = self.reader.look(|view| {
            let store = view.authentication();
            match authenticate(&store, &self.hasher, caller.api_key, caller.request)? {
                Some(known) => answer(view, &known),
                None => {
                    self.metrics.judged(Judgement::Unauthenticated);
                    Ok(Handled::now(&PolicydReply::Unauthenticated))
                }
            }
        });
        answered.unwrap_or_else(|error: StoreError| {
            tracing::error!(request = %caller.request, %error, "the database could not be asked");
            Handled::now(&not_answered(&self.metrics, PolicydFailure::Storage))
        })
    }

    fn denied(&self, context: &Context<'_>, rule: Rule, reason: DenyReason) -> Handled {
        self.metrics.judged(Judgement::Denied(rule));
        let subject = subject(context.caller);
        tracing::debug!(tenant = %subject.tenant, api_key = %subject.api_key,
            request = %context.caller.context.request(), operation = %context.operation, rule = rule.name(), "denied");
        let verdict = Verdict::Denied { rule, reason };
        Handled::now(&PolicydReply::Judged { subject, verdict })
    }

    fn carry_out(
        &self,
        view: ReadView<'_>,
        grant: Grant,
        subject: Subject,
        ask: Ask,
        budget: Duration,
    ) -> Result<Handled, StoreError> {
        let scope = view.tenant(grant.context());
        let found = match ask {
            Ask::Use {
                algorithm,
                version,
                payload,
                ..
            } => {
                let reply = match self.use_key(&scope, grant, algorithm, version, payload) {
                    Ok(verdict) => PolicydReply::Judged { subject, verdict },
                    Err(Unusable::Failed(failure)) => failed(&self.metrics, subject, failure),
                    Err(Unusable::NotAnswered(failure)) => not_answered(&self.metrics, failure),
                    Err(Unusable::Storage(error)) => return Err(error),
                };
                return Ok(Handled::now(&reply));
            }
            Ask::GenerateKey(algorithm) => return Ok(self.generate(grant, subject, algorithm, budget)),
            Ask::RotateKey(algorithm) => return Ok(self.rotate(grant, subject, algorithm, budget)),
            Ask::RetireKey(algorithm, version) => {
                let lifecycle = self.lifecycle.clone();
                let work = async move { lifecycle.retire(grant, algorithm, version, budget).await };
                return Ok(self.later(subject, work));
            }
            Ask::ReadActiveKey(algorithm) => scope.active_key(algorithm)?.map(Outcome::Key),
            Ask::ReadKey(algorithm, version) => scope.key(algorithm, version)?.map(Outcome::Key),
            Ask::ListKeys(algorithm, state) => Some(Outcome::Keys {
                keys: scope.keys(algorithm, state, MOST_KEYS)?,
                total: scope.count_keys(algorithm, state)?,
            }),
            Ask::ReadTenant => scope.own_tenant()?.map(Outcome::Tenant),
        };
        let reply = match found {
            Some(outcome) => PolicydReply::Judged {
                subject,
                verdict: Verdict::Done(outcome),
            },
            None => failed(&self.metrics, subject, AskFailure::KeyNotFound),
        };
        Ok(Handled::now(&reply))
    }

    fn generate(&self, grant: Grant, subject: Subject, algorithm: Algorithm, budget: Duration) -> Handled {
        let lifecycle = self.lifecycle.clone();
        self.later(subject, async move {
            lifecycle.generate(grant, algorithm, budget).await
        })
    }

    fn rotate(&self, grant: Grant, subject: Subject, algorithm: Algorithm, budget: Duration) -> Handled {
        let lifecycle = self.lifecycle.clone();
        self.later(subject, async move {
            lifecycle.rotate(grant, algorithm, budget).await
        })
    }

    fn later(
        &self,
        subject: Subject,
        work: impl Future<Output = Result<Outcome, Failure>> + Send + 'static,
    ) -> Handled {
        let metrics = self.metrics.clone();
        Handled::later(async move { Reply::new(&done(&metrics, subject, work.await)) })
    }
}

fn subject(caller: &Caller) -> Subject {
    Subject {
        tenant: caller.context.tenant(),
        api_key: caller.context.api_key(),
        api_key_version: caller.context.api_key_version(),
        plan: caller.plan,
    }
}

fn done(metrics: &Metrics, subject: Subject, outcome: Result<Outcome, Failure>) -> PolicydReply {
    match outcome {
        Ok(outcome) => PolicydReply::Judged {
            subject,
            verdict: Verdict::Done(outcome),
        },
        Err(Failure::Ask(failure)) => failed(metrics, subject, failure),
        Err(Failure::Keyd(_)) => failed(metrics, subject, AskFailure::KeydUnavailable),
        Err(Failure::Storage(error)) => {
            tracing::error!(tenant = %subject.tenant, %error, "the database could not be changed");
            not_answered(metrics, PolicydFailure::Storage)
        }
    }
}

fn failed(metrics: &Metrics, subject: Subject, failure: AskFailure) -> PolicydReply {
    metrics.ask_failed(failure);
    PolicydReply::Judged {
        subject,
        verdict: Verdict::Failed(failure),
    }
}

fn not_answered(metrics: &Metrics, failure: PolicydFailure) -> PolicydReply {
    metrics.not_answered(failure);
    PolicydReply::Failed(failure)
}
