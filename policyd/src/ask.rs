//! One question of the gateway, from the API key to the answer: who asks, may they, the record of it, and the thing
//! itself. What only reads is answered on the spot; what changes something is answered when it is done.

mod judge;
mod manage;
mod use_key;

use judge::judge;
pub(crate) use judge::{Request, explained};

use crate::api_keys::{ApiKeyChanges, ApiKeyHasher, Caller, ServiceContext, authenticate};
use crate::clock;
use crate::decide::{Decision, Grant, decide, first_denial};
use crate::events::Events;
use crate::failure::Failure;
use crate::idempotency::{Begun, Idempotency};
use crate::keyd::KeydFailure;
use crate::keys::Lifecycle;
use crate::metrics::{Metrics, Outcome as Judgement};
use crate::permit::PermitIssuer;
use crate::plans::PlanTable;
use crate::policies::PolicyChanges;
use crate::record::{RecordedKey, Recorder, may_go_unrecorded};
use crate::rules::{CHAIN, Context, Counters, STANDING};
use crate::store::{Read, ReadView, Reader, StoreError, TenantScope};
use crate::tenants::TenantChanges;
use crate::usage::{Counted, Usage};
use chancel_domain::network::{Network, Networks};
use chancel_domain::plan::Plans;
use chancel_domain::{KeyVersion, Operation};
use chancel_ledger::Position;
use chancel_link::{Handled, Reply};
use chancel_wire::keyd::KeydError;
use chancel_wire::policyd::{
    self as wire, Ask, AskFailure, DenyReason, Outcome, PolicydFailure, PolicydReply, Rule, Subject, Verdict,
};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

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
    /// Changes API keys.
    pub api_keys: ApiKeyChanges,
    /// Changes tenants.
    pub tenants: TenantChanges,
    /// Changes deny rules and budgets.
    pub policies: PolicyChanges,
    /// First answers under an `Idempotency-Key`.
    pub idempotency: Idempotency,
    /// Reads tenants' own events.
    pub events: Events,
    /// What the plans offer.
    pub plans: Arc<PlanTable>,
    /// Counts what is used.
    pub usage: Arc<Usage>,
    /// Writes the ledger.
    pub recorder: Recorder,
    /// Counts.
    pub metrics: Arc<Metrics>,
}

impl Asks {
    /// Answers one question; `budget` is how long the gateway still waits.
    pub fn answer(&self, caller: &wire::Caller<'_>, ask: Ask, budget: Duration) -> Handled {
        let plans = self.plans.current();
        self.of_known(caller, |view, known| {
            let scope = view.tenant(&known.context);
            let begun = match caller.idempotency_key.filter(|_| ask.is_change()) {
                None => None,
                Some(key) => Some(
                    self.idempotency
                        .begin(&scope, known.context.api_key(), key, &ask)?,
                ),
            };
            let request = Request {
                operation: ask.operation(),
                algorithm: ask.algorithm(),
                source: caller.source,
                now_ms: clock::now_ms(),
                is_repeated: matches!(begun, Some(Begun::Again(_))),
            };
            let subject = subject(known, &plans);
            let standing = &known.standing;
            let judged = judge(
                &self.usage,
                &plans,
                &scope,
                standing,
                request,
                |context| match decide(&known.context, context) {
                    Decision::Deny { rule, reason } => {
                        Err(self.denied(&known.context, context, subject.clone(), rule, reason))
                    }
                    Decision::Allow(grant) => Ok(grant),
                },
            )?;
            let grant = match judged {
                Ok(grant) => grant,
                Err(denied) => return Ok(denied),
            };
            self.metrics.judged(Judgement::Allow);
            match ask {
                Ask::Use {
                    algorithm,
                    version,
                    payload,
                    ..
                } => {
                    let wanted = use_key::Wanted {
                        algorithm,
                        version,
                        payload,
                        target: None,
                    };
                    self.use_key(&scope, grant, subject, wanted)
                }
                Ask::Rewrap {
                    algorithm,
                    version,
                    target_algorithm,
                    target_version,
                    payload,
                } => {
                    let wanted = use_key::Wanted {
                        algorithm,
                        version: Some(version),
                        payload: Some(payload),
                        target: Some((target_algorithm, target_version)),
                    };
                    self.use_key(&scope, grant, subject, wanted)
                }
                ask => {
                    let is_change = ask.is_change();
                    let recorded = self.record(&scope, &grant, RecordedKey::default(), None, is_change)?;
                    let position = match recorded {
                        Ok(position) => position,
                        Err(unrecorded) => return Ok(not_answered_now(&self.metrics, unrecorded)),
                    };
                    let handled = self.manage(
                        view,
                        manage::Granted {
                            grant,
                            subject,
                            standing,
                            plans: plans.clone(),
                            budget,
                            begun,
                        },
                        ask,
                        caller.source,
                    )?;
                    Ok(self.when_recorded(handled, position))
                }
            }
        })
    }

    /// Says who calls, for a request that asks for nothing. Permits nothing.
    pub fn identify(&self, caller: &wire::Caller<'_>) -> Handled {
        let plans = self.plans.current();
        self.of_known(caller, |_, known| {
            let context = Context {
                caller: &known.standing,
                // The rules of standing look at none of these.
                operation: Operation::ReadTenant,
                algorithm: None,
                terms: plans.of(known.standing.plan),
                counters: &Counters::default(),
                deny_rules: None,
                source: caller.source,
                now_ms: clock::now_ms(),
            };
            let subject = subject(known, &plans);
            Ok(match first_denial(&CHAIN[..STANDING], &context) {
                Some((rule, reason)) => self.denied(&known.context, &context, subject, rule, reason),
                None => Handled::now(&PolicydReply::Identified(subject)),
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
            not_answered_now(&self.metrics, PolicydFailure::Storage)
        })
    }

    fn denied(
        &self,
        known: &ServiceContext,
        context: &Context<'_>,
        subject: Subject,
        rule: Rule,
        reason: DenyReason,
    ) -> Handled {
        self.metrics.judged(Judgement::Denied(rule));
        tracing::debug!(tenant = %subject.tenant, api_key = %subject.api_key,
            request = %known.request(), operation = %context.operation, rule = rule.name(), "denied");
        self.recorder.denied(known, context, rule, reason);
        let verdict = Verdict::Denied { rule, reason };
        Handled::now(&PolicydReply::Judged { subject, verdict })
    }

    /// Records an allowance and counts it; the inner error is for what must not be done unrecorded.
    fn record(
        &self,
        scope: &TenantScope<'_, Read>,
        grant: &Grant,
        about: RecordedKey<'_>,
        permit: Option<&chancel_wire::permit::PermitClaims>,
        is_change: bool,
    ) -> Result<Result<Option<Position>, PolicydFailure>, StoreError> {
        let counted = Counted {
            tenant: grant.context().tenant(),
            operation: grant.operation(),
            key: permit.map(|claims| (claims.algorithm, claims.key_version)),
        };
        self.usage.prepare(scope, &counted, clock::now_ms())?;
        Ok(match self.recorder.allowed(grant, about, permit) {
            Ok(position) => {
                self.usage.count(scope, &counted, Ok(position));
                Ok(Some(position))
            }
            Err(_) if may_go_unrecorded(grant.operation(), is_change) => {
                self.recorder.ledger().note_unrecorded(true);
                self.usage.count(scope, &counted, Err(clock::now_ms()));
                Ok(None)
            }
            Err(_) => Err(PolicydFailure::LedgerUnwritable),
        })
    }

    /// Holds an answer back until its record is on the disk, where the installation asks for that.
    fn when_recorded(&self, handled: Handled, position: Option<Position>) -> Handled {
        match (handled, position) {
            (Handled::Now(reply), Some(position)) if self.recorder.waits() => {
                let (recorder, metrics) = (self.recorder.clone(), self.metrics.clone());
                Handled::later(async move {
                    match recorder.durable(position).await {
                        Ok(()) => reply,
                        Err(_) => Reply::new(&not_answered(&metrics, PolicydFailure::LedgerUnwritable)),
                    }
                })
            }
            (handled, _) => handled,
        }
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

fn subject(caller: &Caller, plans: &Plans) -> Subject {
    let limits = &plans.of(caller.standing.plan).limits;
    Subject {
        tenant: caller.context.tenant(),
        api_key: caller.context.api_key(),
        api_key_version: caller.context.api_key_version(),
        // Operators have no plan.
        rate: limits.rate.filter(|_| !caller.standing.is_operator()),
        expires_at_ms: caller.standing.expires_at_ms,
        networks: caller.standing.networks.clone().unwrap_or_else(|_| nowhere()),
    }
}

/// What cannot be read allows no place: the rule has denied it, and nobody else is to take it for everywhere.
fn nowhere() -> Networks {
    let broadcast = Network::from(IpAddr::V4(Ipv4Addr::BROADCAST));
    Networks::try_from(vec![broadcast]).unwrap_or_default()
}

fn done(metrics: &Metrics, subject: Subject, outcome: Result<Outcome, Failure>) -> PolicydReply {
    match outcome {
        Ok(outcome) => PolicydReply::Judged {
            subject,
            verdict: Verdict::Done(outcome),
        },
        Err(Failure::Ask(failure)) => failed(metrics, subject, failure),
        Err(Failure::Keyd(KeydFailure::Refused(KeydError::LedgerUnwritable))) => {
            not_answered(metrics, PolicydFailure::LedgerUnwritable)
        }
        Err(Failure::Keyd(_)) => failed(metrics, subject, AskFailure::KeydUnavailable),
        Err(Failure::Ledger(_)) => not_answered(metrics, PolicydFailure::LedgerUnwritable),
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

fn not_answered_now(metrics: &Metrics, failure: PolicydFailure) -> Handled {
    Handled::now(&not_answered(metrics, failure))
}

/// A version that was asked for and is not there stands in the record all the same.
const fn missing(version: Option<KeyVersion>) -> RecordedKey<'static> {
    RecordedKey {
        key: None,
        target: None,
        version,
    }
}
