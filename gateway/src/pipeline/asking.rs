//! The stages that every operation goes through once it has been parsed: who asks, the rate, policyd's word or what
//! stands in for it, and then the work.

use super::break_glass::{PATIENCE, Unanswered, Wish};
use super::context::Context;
use super::identity::{self, Identified};
use super::policy::{self, About, Grant};
use super::{Gateway, Noted, Operation};
use crate::api::batch::Read;
use crate::api::{Body, KeyFormat, Query};
use crate::deadline::Deadline;
use crate::envelope::Json;
use crate::error::ApiError;
use crate::known_callers::{Known, Tag};
use crate::limits::{Claim, stream_len};
use crate::policyd_client::NotJudged;
use crate::shares::Share;
use chancel_domain::operation::Place;
use chancel_domain::{Algorithm, Family};
use chancel_wire::limits::{BATCH_DEADLINE, LIFECYCLE_DEADLINE, REQUEST_DEADLINE, SLOW_DEADLINE};
use chancel_wire::policyd::{Ask, Caller, DenyReason, Outcome, Subject, Verdict};
use std::pin::pin;
use std::time::{Duration, Instant};
use tokio::time::{sleep, timeout};
use zeroize::Zeroizing;

/// For how long a request is asked for again whose permit keyd has forgotten: what is left of its time is enough for the last.
const RESTART_PATIENCE: Duration = Duration::from_millis(700);

/// How long it waits before that.
const RESTART_PAUSE: Duration = Duration::from_millis(20);

/// Whether something is asked for again, because keyd was started anew and has forgotten the permit. policyd hears of it as
/// we did, and asks keyd for another permit key.
pub(crate) struct Again {
    began: Instant,
}

impl Again {
    pub(crate) fn begin() -> Self {
        Self {
            began: Instant::now(),
        }
    }

    /// Waits a moment when it is.
    pub(crate) async fn is_due<T>(&self, outcome: &Result<T, ApiError>) -> bool {
        let is_due =
            matches!(outcome, Err(ApiError::PermitForgotten)) && self.began.elapsed() < RESTART_PATIENCE;
        if is_due {
            sleep(RESTART_PAUSE).await;
        }
        is_due
    }
}

/// A request on its way through the stages.
pub struct Stages<'a> {
    gateway: &'a Gateway,
    caller: Caller<'a>,
    tag: Tag,
    known: Option<Known>,
    noted: &'a mut Noted,
    /// What it has of what its tenant may have.
    share: Option<Share>,
}

/// What may be done, and by when.
pub struct Allowed<'a> {
    /// That it may.
    pub grant: Grant,
    /// For whom, and with what.
    pub context: Context<'a>,
    /// A place among changes, until the work is done.
    _change: Option<Claim>,
}

impl<'a> Stages<'a> {
    /// Looks who calls, as far as can be said without policyd, and takes its rate.
    pub(super) fn begin(
        gateway: &'a Gateway,
        caller: Caller<'a>,
        noted: &'a mut Noted,
    ) -> Result<Self, ApiError> {
        let tag = gateway.callers.tag(caller.api_key);
        let known = gateway.callers.find(&tag);
        let stages = Self {
            gateway,
            caller,
            tag,
            known,
            noted,
            share: None,
        };
        match &stages.known {
            Some(known) => count(gateway, stages.noted, &known.subject)?,
            None => gateway.sources.admit(stages.caller.source)?,
        }
        Ok(stages)
    }

    pub(super) const fn with_idempotency_key(&mut self, key: Option<&'a str>) {
        self.caller.idempotency_key = key;
    }

    /// In which form a key is to be answered; the media type is noted for the response.
    pub(super) fn key_format(
        &mut self,
        query: Query<'_>,
        accept: Option<&str>,
    ) -> Result<KeyFormat, ApiError> {
        let format = KeyFormat::of(query, accept)?;
        self.noted.media_type = format.media_type();
        Ok(format)
    }

    /// Runs an operation, or says what is wrong with what should have been one.
    pub(crate) async fn run<O: Operation>(&mut self, parsed: Result<O, ApiError>) -> Result<Json, ApiError> {
        let operation = self.accepted(parsed).await?;
        let again = Again::begin();
        loop {
            let allowed = self.ask_since(&again, operation.ask()).await?;
            let outcome = operation.carry_out(allowed.grant, allowed.context).await;
            if !again.is_due(&outcome).await {
                return outcome;
            }
        }
    }

    /// Has a question answered, with what it holds until the work is done.
    pub(crate) async fn ask_for(&mut self, ask: Ask) -> Result<Allowed<'a>, ApiError> {
        self.ask_since(&Again::begin(), ask).await
    }

    /// The same, perhaps not for the first time, in the time it had then.
    pub(crate) async fn ask_since(&mut self, again: &Again, ask: Ask) -> Result<Allowed<'a>, ApiError> {
        let is_change = ask.is_change();
        let budget = if is_change {
            LIFECYCLE_DEADLINE
        } else {
            REQUEST_DEADLINE
        };
        let deadline = Deadline::since(again.began, budget);
        // policyd's answer to these means that the change is done, so the rate is looked at before the question.
        let change = if is_change {
            self.recognise().await?;
            Some(self.gateway.limits.enter_change()?)
        } else {
            None
        };
        let is_slow = ask.is_use() && ask.algorithm().is_some_and(Algorithm::is_slow);
        let is_batch = ask.batch().is_some();
        match (is_slow, ask.batch()) {
            // Each of its signatures takes as long as one alone.
            (true, Some(batch)) if ask.operation().place() == Place::PrivateKey => {
                self.hold_share(batch.number().into()).await?;
            }
            (true, _) | (_, Some(_)) => self.hold_share(1).await?,
            (false, None) => {}
        }
        let request = self.caller.request;
        let (known, grant) = self.judged(ask, deadline).await?;
        // policyd answers such questions as fast as any; what takes time is the work.
        let deadline = match (is_slow, is_batch) {
            (true, _) => Deadline::after(SLOW_DEADLINE),
            (false, true) => Deadline::after(BATCH_DEADLINE),
            (false, false) => deadline,
        };
        Ok(Allowed {
            grant,
            context: Context::attach(&known.subject, request, self.gateway, deadline),
            _change: change,
        })
    }

    /// What was parsed; or, when it makes no sense, what is wrong with it.
    pub(crate) async fn accepted<T>(&mut self, parsed: Result<T, ApiError>) -> Result<T, ApiError> {
        match parsed {
            Ok(parsed) => Ok(parsed),
            Err(error) => Err(self.refuse(error).await?),
        }
    }

    /// Takes so much of what the tenant may have of requests that take long, for as long as this request does.
    pub(crate) async fn hold_share(&mut self, size: usize) -> Result<(), ApiError> {
        let tenant = self.recognise().await?.subject.tenant;
        match &mut self.share {
            Some(share) => share.grow_to(size),
            none => self
                .gateway
                .shares
                .take(tenant, size)
                .map(|share| *none = Some(share)),
        }
    }

    /// The share, for work that goes on when the request has been answered.
    pub(crate) const fn take_share(&mut self) -> Option<Share> {
        self.share.take()
    }

    /// A claim on memory, of nothing yet.
    pub(crate) fn memory(&self) -> Claim {
        self.gateway.limits.memory()
    }

    /// A claim on what a stream of a declared length may come to hold, in all and of its tenant's part.
    pub(crate) async fn claim_stream(&mut self, declared: Option<usize>) -> Result<(Claim, Share), ApiError> {
        let tenant = self.recognise().await?.subject.tenant;
        let part = self.gateway.stream_bytes.take(tenant, stream_len(declared))?;
        Ok((self.gateway.limits.stream(declared)?, part))
    }

    /// The body is asked for: a client that waits for leave to send it has that now.
    pub(crate) const fn begin_body(&mut self) {
        self.noted.has_begun_body = true;
    }

    /// Runs a batch; of one without an item that makes sense, says what is wrong with each. Reading it takes too long for a
    /// thread that serves others.
    pub(super) async fn run_batch(
        &mut self,
        family: Family,
        body: Zeroizing<Vec<u8>>,
        claim: &mut Claim,
    ) -> Result<Json, ApiError> {
        let length = body.len();
        let parse = move || Body::parse(&body).and_then(|body| Read::parse(&body, family));
        let deadline = Deadline::after(REQUEST_DEADLINE);
        let parsed = self.gateway.helpers.run(deadline, parse).await?;
        match self.accepted(parsed).await? {
            Read::Work(batch) => {
                // Before it is asked for: what was done and counted must not be lost for want of room.
                claim.grow_to(length + batch.memory())?;
                self.run(Ok(batch)).await
            }
            Read::Faults(faults) => {
                self.ask_who().await?;
                Ok(faults.answer(self.caller.request))
            }
        }
    }

    /// Whether an operator calls, for routes that mean something else then.
    pub(super) async fn is_operator(&mut self) -> Result<bool, ApiError> {
        self.recognise().await.map(|known| known.subject.is_operator())
    }

    /// A request that makes no sense goes through the stages before the last all the same: what is wrong with it
    /// is for a caller that policyd knows, and counts as one of its requests.
    pub(super) async fn refuse(&mut self, error: ApiError) -> Result<ApiError, ApiError> {
        self.ask_who().await?;
        Ok(error)
    }

    /// Stages 3 to 5, by what is remembered or else with a question that permits nothing.
    pub(crate) async fn recognise(&mut self) -> Result<Known, ApiError> {
        match &self.known {
            Some(known) => Ok(known.clone()),
            None => self.ask_who().await,
        }
    }

    async fn ask_who(&mut self) -> Result<Known, ApiError> {
        let about = About::of(&Ask::ReadTenant);
        let deadline = Deadline::after(REQUEST_DEADLINE);
        let recognised = identity::recognise(&self.gateway.policyd, self.caller(), about, deadline).await;
        let recognition = recognised.map_err(|error| self.not_known(error))?;
        // Who may do nothing has a rate all the same: each of its requests costs a word in the ledger.
        let known = self.confirmed(&recognition.subject)?;
        match recognition.denial {
            None => Ok(known),
            Some(denial) => {
                self.gateway.callers.distrust(&self.tag);
                Err(denial)
            }
        }
    }

    /// Stages 3 to 6.
    async fn judged(&mut self, ask: Ask, deadline: Deadline) -> Result<(Known, Grant), ApiError> {
        let about = About::of(&ask);
        let (wish, is_change) = (Wish::of(&ask), ask.is_change());
        let Identified { subject, verdict } = match self.ask(ask, wish.is_some(), deadline).await {
            Ok(identified) => identified,
            Err(NotJudged::Silent) => return self.unjudged(wish, deadline).await,
            Err(NotJudged::Failed(error)) => return Err(self.not_known(error)),
        };
        let known = self.confirmed(&subject)?;
        if matches!(
            verdict,
            Verdict::Denied {
                reason: DenyReason::TenantSuspended,
                ..
            }
        ) {
            // Nothing of a suspended tenant is left for break-glass to go by; its rate goes on.
            self.gateway.callers.distrust(&self.tag);
        }
        if let (true, Verdict::Denied { rule, .. }) = (subject.is_operator(), &verdict) {
            self.noted.marks.deny_rule = Some(rule.name());
        }
        let grant = policy::judge(verdict, about)?;
        let break_glass = &self.gateway.break_glass;
        match (wish, grant.key(), grant.done()) {
            (Some(wish), Some(key), _) => break_glass.remember(subject.tenant, wish, key),
            (_, _, Some(outcome)) if is_change => {
                break_glass.changed(subject.tenant, outcome);
                if let Outcome::ApiKey(changed) | Outcome::ApiKeySecret(changed, _) = outcome {
                    // Its old text is dead, in break-glass too.
                    self.gateway.callers.distrust_api_key(changed.id);
                }
            }
            _ => {}
        }
        Ok((known, grant))
    }

    /// Asks policyd; when it is silent for long, and break-glass is open, no longer.
    async fn ask(&self, ask: Ask, is_use: bool, deadline: Deadline) -> Result<Identified, NotJudged> {
        let Gateway {
            policyd,
            keyd,
            break_glass,
            ..
        } = self.gateway;
        let mut answer = pin!(identity::identify(policyd, self.caller(), ask, deadline));
        if !is_use || self.known.is_none() {
            return answer.await;
        }
        match timeout(PATIENCE, answer.as_mut()).await {
            Ok(answer) => answer,
            Err(_) if break_glass.is_open(keyd, deadline).await => Err(NotJudged::Silent),
            Err(_) => answer.await,
        }
    }

    /// What becomes of a request that policyd did not judge.
    async fn unjudged(&mut self, wish: Option<Wish>, deadline: Deadline) -> Result<(Known, Grant), ApiError> {
        let Gateway {
            keyd, break_glass, ..
        } = self.gateway;
        let (Some(wish), Some(known)) = (wish, &self.known) else {
            return Err(ApiError::Unavailable);
        };
        if !break_glass.is_open(keyd, deadline).await {
            return Err(ApiError::Unavailable);
        }
        let unanswered = Unanswered {
            wish,
            known,
            request: self.caller.request,
            source: self.caller.source,
        };
        let grant = break_glass.grant(unanswered).ok_or(ApiError::Unavailable)?;
        self.noted.marks.break_glass = true;
        Ok((known.clone(), grant))
    }

    /// policyd says who calls; the rate is taken unless that has happened.
    fn confirmed(&mut self, subject: &Subject) -> Result<Known, ApiError> {
        let known = self.gateway.callers.confirm(self.tag, subject);
        if self.known.is_none() {
            self.known = Some(known.clone());
            count(self.gateway, self.noted, subject)?;
        }
        Ok(known)
    }

    /// When policyd says that nobody calls, that is remembered.
    fn not_known(&self, error: ApiError) -> ApiError {
        if error == ApiError::Unauthenticated {
            self.gateway.callers.forget(&self.tag);
            self.gateway.sources.failed(self.caller.source);
        }
        error
    }

    const fn caller(&self) -> Caller<'a> {
        Caller { ..self.caller }
    }
}

fn count(gateway: &Gateway, noted: &mut Noted, subject: &Subject) -> Result<(), ApiError> {
    noted.tenant = Some(subject.tenant);
    noted.marks.allowance = gateway.rates.take(subject)?;
    Ok(())
}
