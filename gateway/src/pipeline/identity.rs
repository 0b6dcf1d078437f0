//! Stage 3: policyd resolves the API key. Its answer to the same question holds the verdict of stage 6, which
//! is not looked at before its turn.

use crate::deadline::Deadline;
use crate::error::ApiError;
use crate::policyd_client::{Judgement, PolicydClient};
use chancel_wire::policyd::{Ask, Caller, Subject, Verdict};

/// A caller that policyd knows.
pub struct Identified {
    /// Who it is.
    pub subject: Subject,
    /// How its request was judged.
    pub verdict: Verdict,
}

/// Asks policyd who calls.
///
/// # Errors
/// [`ApiError::Unauthenticated`] for a key that policyd does not know, [`ApiError::Unavailable`] when policyd
/// does not say.
pub async fn identify(
    policyd: &PolicydClient,
    caller: Caller<'_>,
    ask: Ask,
    deadline: Deadline,
) -> Result<Identified, ApiError> {
    match policyd.ask(caller, ask, deadline).await? {
        Judgement::Unauthenticated => Err(ApiError::Unauthenticated),
        Judgement::Judged(subject, verdict) => Ok(Identified { subject, verdict }),
    }
}
