//! One question of the gateway, from the API key to the answer: who asks, may they, the record of it, and the thing
//! itself. What only reads is answered on the spot; what changes something is answered when it is done.

mod judge;
mod manage;
mod use_key;

use judge::{Counts, judge};
pub(crate) use judge::{Request, explained};

use crate::api_keys::{ApiKeyChanges, ApiKeyHasher, Caller, authenticate};
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
use crate::record::{self, RecordedKey, Recorder, may_go_unrecorded};
use crate::rules::{CHAIN, Context, Counters, STANDING};
use crate::store::{Read, ReadView, Reader, StoreError, TenantScope};
use crate::tenants::TenantChanges;
use crate::turn::{NotRecorded, Turn};
use crate::usage::{Counted, Usage};
use chancel_domain::network::{Network, Networks};
use chancel_domain::plan::Plans;
use chancel_domain::{KeyVersion, Operation};
use chancel_ledger::{Batch, Event, Position};
use chancel_link::{Handled, Reply};
use chancel_wire::keyd::KeydError;
use chancel_wire::permit::PermitClaims;
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
    pub fn answer(&self, caller: &wire::Caller<'_>, ask: Ask, budget: Duration, turn: &mut Turn) -> Handled {
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
                target: ask.target_algorithm(),
                batch: ask.batch(),
                source: caller.source,
                now_ms: turn.now_ms(),
                is_repeated: matches!(begun, Some(Begun::Again(_))),
            };
            let subject = subject(known, &plans);
            let standing = &known.standing;
            let counts = Counts {
                usage: &self.usage,
                pending: turn.allowed(),
            };
            let judged = judge(counts, &plans, &scope, standing, request, |context| match decide(
                &known.context,
                context,
            ) {
                Decision::Deny { rule, reason } => Err(Denial::of(known, context, rule, reason)),
                Decision::Allow(grant) => Ok(grant),
            })?;
            let grant = match judged {
                Ok(grant) => grant,
                Err(denial) => return Ok(self.denied(denial, subject, turn)),
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
                    self.use_key(&scope, grant, subject, wanted, turn)
                }
                Ask::Rewrap {
                    algorithm,
                    version,
                    target_algorithm,
                    target_version,
                    payload,
                    ..
                } => {
                    let wanted = use_key::Wanted {
                        algorithm,
                        version: Some(version),
                        payload: Some(payload),
                        target: Some((target_algorithm, target_version)),
                    };
                    self.use_key(&scope, grant, subject, wanted, turn)
                }
                Ask::Prepare {
                    algorithm, version, ..
                } => self.prepare(&scope, &grant, subject, algorithm, version),
                ask => {
                    let position = match self.record(&scope, &grant, ask.is_change(), request.now_ms)? {
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
    pub fn identify(&self, caller: &wire::Caller<'_>, turn: &mut Turn) -> Handled {
        let plans = self.plans.current();
        self.of_known(caller, |_, known| {
            let context = Context {
                caller: &known.standing,
                // The rules of standing look at none of these.
                operation: Operation::ReadTenant,
                algorithm: None,
                target: None,
                batch: None,
                terms: plans.of(known.standing.plan),
                counters: &Counters::default(),
                deny_rules: None,
                source: caller.source,
                now_ms: turn.now_ms(),
            };
            let subject = subject(known, &plans);
            Ok(match first_denial(&CHAIN[..STANDING], &context) {
                Some((rule, reason)) => self.denied(Denial::of(known, &context, rule, reason), subject, turn),
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

    fn denied(&self, denial: Box<Denial>, subject: Subject, turn: &mut Turn) -> Handled {
        let Denial { record, rule, reason } = *denial;
        self.metrics.judged(Judgement::Denied(rule));
        turn.deny(&record);
        let verdict = Verdict::Denied { rule, reason };
        Handled::now(&PolicydReply::Judged { subject, verdict })
    }

    /// Records an allowance by itself and counts it, before what it allows is done; the inner error is for what must not
    /// be done unrecorded.
    fn record(
        &self,
        scope: &TenantScope<'_, Read>,
        grant: &Grant,
        is_change: bool,
        now_ms: i64,
    ) -> Result<Result<Option<Position>, PolicydFailure>, StoreError> {
        let counted = Counted::of(grant, None);
        self.usage.prepare(scope, &counted, now_ms)?;
        let record = record::of_allowance(grant, RecordedKey::default(), None);
        let ledger = self.recorder.ledger();
        let position = match ledger.append_all(&Batch::of(&record), now_ms) {
            Ok(position) => Some(position),
            Err(_) if may_go_unrecorded(grant.operation(), is_change) => {
                ledger.note_unrecorded(1, 0);
                None
            }
            Err(_) => return Ok(Err(PolicydFailure::LedgerUnwritable)),
        };
        self.usage
            .count([&counted], now_ms, position.map(|position| position.seq));
        Ok(Ok(position))
    }

    /// Ends a turn.
    ///
    /// # Errors
    /// The answer to what must not be answered, for it could not be recorded.
    pub fn end_turn(&self, turn: Turn) -> Result<(), Reply> {
        turn.end(&self.recorder, &self.usage)
            .map_err(|NotRecorded(refused)| {
                let failure = PolicydFailure::LedgerUnwritable;
                for _ in 0..refused {
                    self.metrics.not_answered(failure);
                }
                Reply::new(&PolicydReply::Failed(failure))
            })
    }

    /// Leaves an allowance to be recorded and counted at the end of the turn.
    fn allow(
        &self,
        turn: &mut Turn,
        scope: &TenantScope<'_, Read>,
        grant: &Grant,
        about: RecordedKey<'_>,
        permit: Option<&PermitClaims>,
    ) -> Result<(), StoreError> {
        let counted = Counted::of(grant, permit);
        self.usage.prepare(scope, &counted, turn.now_ms())?;
        turn.allow(&record::of_allowance(grant, about, permit), counted);
        Ok(())
    }

    /// Answers what the turn allows: where that must not go unrecorded, at its end.
    fn at_end(&self, turn: &mut Turn, grant: &Grant, reply: &PolicydReply) -> Handled {
        let is_bound = !may_go_unrecorded(grant.operation(), false);
        let reply = Reply::new(reply);
        if self.recorder.waits() {
            let durable = turn.durable(is_bound);
            let metrics = self.metrics.clone();
            return Handled::later(async move {
                if let Ok(Ok(())) = durable.await {
                    return reply;
                }
                Reply::new(&not_answered(&metrics, PolicydFailure::LedgerUnwritable))
            });
        }
        if is_bound {
            Handled::AtEnd(reply)
        } else {
            Handled::Now(reply)
        }
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

/// A request that a rule denied.
struct Denial {
    record: Event<'static>,
    rule: Rule,
    reason: DenyReason,
}

impl Denial {
    fn of(known: &Caller, context: &Context<'_>, rule: Rule, reason: DenyReason) -> Box<Self> {
        let caller = &known.context;
        tracing::debug!(tenant = %caller.tenant(), api_key = %caller.api_key(), request = %caller.request(),
            operation = %context.operation, rule = rule.name(), "denied");
        Box::new(Self {
            record: record::of_denial(caller, context, rule, reason),
            rule,
            reason,
        })
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
