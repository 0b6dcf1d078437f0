//! The gateway's side of policyd's service socket. Everything but a judgement is an error: without policyd's
//! word nothing is allowed.

use crate::deadline::Deadline;
use crate::error::ApiError;
use crate::pipeline::policy::unexpected;
use chancel_domain::RequestId;
use chancel_link::{CallError, Client};
use chancel_wire::metric::Sample;
use chancel_wire::policyd::{Ask, Caller, PolicydFailure, PolicydReply, PolicydRequest, Subject, Verdict};
use std::time::Duration;

/// policyd.
#[derive(Debug, Clone)]
pub struct PolicydClient(Client);

/// What policyd says of a caller and its request.
pub enum Judgement {
    /// No such API key.
    Unauthenticated,
    /// This is who asked, and how it was judged.
    Judged(Subject, Verdict),
}

/// What policyd says of a caller alone.
pub enum Recognised {
    /// No such API key.
    Unauthenticated,
    /// This is who it is.
    Known(Subject),
    /// This is who it is, it may do nothing at all, and this is why.
    Denied(Subject, Verdict),
}

/// Why there is no judgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotJudged {
    /// policyd is away, hung, or without its database: where an operator has opened break-glass, that stands in.
    Silent,
    /// policyd answered, and this is what it comes to.
    Failed(ApiError),
}

impl From<NotJudged> for ApiError {
    fn from(why: NotJudged) -> Self {
        match why {
            NotJudged::Silent => Self::Unavailable,
            NotJudged::Failed(error) => error,
        }
    }
}

/// How policyd is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PolicydHealth {
    /// It can work.
    Ready,
    /// It answers, and cannot issue permits: its keyd is away.
    WithoutKeyd,
    /// It does not answer, or cannot work.
    Unavailable,
}

impl PolicydClient {
    /// Speaks over a connection.
    pub const fn new(client: Client) -> Self {
        Self(client)
    }

    /// Has a request judged.
    ///
    /// # Errors
    /// [`NotJudged`]; of its errors [`ApiError::Unavailable`] when policyd is overloaded or cannot judge,
    /// [`ApiError::LedgerUnwritable`], [`ApiError::Internal`] when it answers something else.
    pub async fn ask(
        &self,
        caller: Caller<'_>,
        ask: Ask,
        deadline: Deadline,
    ) -> Result<Judgement, NotJudged> {
        let request = caller.request;
        match self
            .say(&PolicydRequest::Ask { caller, ask }, request, deadline)
            .await?
        {
            PolicydReply::Unauthenticated => Ok(Judgement::Unauthenticated),
            PolicydReply::Judged { subject, verdict } => Ok(Judgement::Judged(subject, verdict)),
            _ => Err(NotJudged::Failed(unexpected())),
        }
    }

    /// Has a caller recognised that sent nothing to judge.
    ///
    /// # Errors
    /// As [`PolicydClient::ask`], in the terms of the caller.
    pub async fn identify(&self, caller: Caller<'_>, deadline: Deadline) -> Result<Recognised, ApiError> {
        let request = caller.request;
        match self
            .say(&PolicydRequest::Identify(caller), request, deadline)
            .await?
        {
            PolicydReply::Unauthenticated => Ok(Recognised::Unauthenticated),
            PolicydReply::Identified(subject) => Ok(Recognised::Known(subject)),
            PolicydReply::Judged { subject, verdict } => Ok(Recognised::Denied(subject, verdict)),
            _ => Err(unexpected()),
        }
    }

    async fn say(
        &self,
        what: &PolicydRequest<'_>,
        request: RequestId,
        deadline: Deadline,
    ) -> Result<PolicydReply, NotJudged> {
        let left = deadline.remaining().map_err(NotJudged::Failed)?;
        let answer = self.0.call(what, left).await.map_err(|error| {
            tracing::debug!(%request, %error, "policyd did not answer");
            match error {
                // Our own doing, and no sign that policyd is away.
                CallError::Overloaded => NotJudged::Failed(ApiError::Unavailable),
                _ => NotJudged::Silent,
            }
        })?;
        match answer.decode() {
            Ok(PolicydReply::Failed(failure)) => Err(failed(request, failure)),
            Ok(reply) => Ok(reply),
            Err(_) => Err(NotJudged::Failed(unexpected())),
        }
    }

    /// How policyd is.
    pub async fn health(&self, within: Duration) -> PolicydHealth {
        match self.0.call(&PolicydRequest::Health, within).await {
            Ok(answer) => match answer.decode() {
                Ok(PolicydReply::Healthy) => PolicydHealth::Ready,
                Ok(PolicydReply::Failed(PolicydFailure::KeydUnavailable)) => PolicydHealth::WithoutKeyd,
                _ => PolicydHealth::Unavailable,
            },
            Err(_) => PolicydHealth::Unavailable,
        }
    }

    /// policyd's counters; none when it does not answer.
    pub async fn samples(&self, within: Duration) -> Option<Vec<Sample>> {
        let answer = self.0.call(&PolicydRequest::Metrics, within).await.ok()?;
        match answer.decode() {
            Ok(PolicydReply::Metrics(samples)) => Some(samples),
            _ => None,
        }
    }
}

fn failed(request: RequestId, failure: PolicydFailure) -> NotJudged {
    tracing::debug!(%request, reason = %failure, "policyd could not judge");
    match failure {
        PolicydFailure::Storage => NotJudged::Silent,
        PolicydFailure::KeydUnavailable | PolicydFailure::Overloaded => {
            NotJudged::Failed(ApiError::Unavailable)
        }
        PolicydFailure::LedgerUnwritable => NotJudged::Failed(ApiError::LedgerUnwritable),
        PolicydFailure::Malformed | PolicydFailure::NotForThisPeer => {
            tracing::error!(%request, reason = %failure, "policyd refused the question");
            NotJudged::Failed(ApiError::Internal)
        }
    }
}
