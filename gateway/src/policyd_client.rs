//! The gateway's side of policyd's service socket. Everything but a judgement is an error: without policyd's
//! word nothing is allowed.

use crate::deadline::Deadline;
use crate::error::ApiError;
use chancel_link::Client;
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

impl PolicydClient {
    /// Speaks over a connection.
    pub const fn new(client: Client) -> Self {
        Self(client)
    }

    /// Has a request judged.
    ///
    /// # Errors
    /// [`ApiError::Unavailable`] when policyd is away, hung, overloaded or cannot judge;
    /// [`ApiError::Internal`] when it answers something else.
    pub async fn ask(&self, caller: Caller<'_>, ask: Ask, deadline: Deadline) -> Result<Judgement, ApiError> {
        let request = caller.request;
        let call = self
            .0
            .call(&PolicydRequest::Ask { caller, ask }, deadline.remaining()?);
        let answer = call.await.map_err(|error| {
            tracing::debug!(%request, %error, "policyd did not answer");
            ApiError::Unavailable
        })?;
        match answer.decode() {
            Ok(PolicydReply::Unauthenticated) => Ok(Judgement::Unauthenticated),
            Ok(PolicydReply::Judged { subject, verdict }) => Ok(Judgement::Judged(subject, verdict)),
            Ok(PolicydReply::Failed(failure)) => Err(failed(request, failure)),
            Ok(PolicydReply::Healthy | PolicydReply::Metrics(_)) | Err(_) => {
                tracing::error!(%request, "policyd answered something else than was asked");
                Err(ApiError::Internal)
            }
        }
    }

    /// Whether policyd can work.
    pub async fn is_healthy(&self, within: Duration) -> bool {
        let answer = self.0.call(&PolicydRequest::Health, within).await;
        answer.is_ok_and(|answer| matches!(answer.decode(), Ok(PolicydReply::Healthy)))
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

fn failed(request: chancel_domain::RequestId, failure: PolicydFailure) -> ApiError {
    match failure {
        PolicydFailure::Storage | PolicydFailure::KeydUnavailable | PolicydFailure::Overloaded => {
            tracing::debug!(%request, reason = %failure, "policyd could not judge");
            ApiError::Unavailable
        }
        PolicydFailure::Malformed | PolicydFailure::NotForThisPeer => {
            tracing::error!(%request, reason = %failure, "policyd refused the question");
            ApiError::Internal
        }
    }
}
