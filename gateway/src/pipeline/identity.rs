//! Stage 3: policyd resolves the API key. Its answer to the same question holds the verdict of stage 6, which
//! is not looked at before its turn.

use crate::deadline::Deadline;
use crate::error::ApiError;
use crate::pipeline::policy::{self, About};
use crate::policyd_client::{Judgement, NotJudged, PolicydClient, Recognised};
use chancel_wire::policyd::{Ask, Caller, DenyReason, Subject, Verdict};

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
/// [`ApiError::Unauthenticated`] for a key that policyd does not know or no longer accepts; else why policyd does
/// not say.
pub async fn identify(
    policyd: &PolicydClient,
    caller: Caller<'_>,
    ask: Ask,
    deadline: Deadline,
) -> Result<Identified, NotJudged> {
    match policyd.ask(caller, ask, deadline).await? {
        // A revoked or expired key is no key: it must not use up the rate of the tenant it was for.
        Judgement::Unauthenticated
        | Judgement::Judged(
            _,
            Verdict::Denied {
                reason: DenyReason::NotAuthenticated,
                ..
            },
        ) => Err(NotJudged::Failed(ApiError::Unauthenticated)),
        Judgement::Judged(subject, verdict) => Ok(Identified { subject, verdict }),
    }
}

/// Who sent a request, and whether that caller may do nothing at all: its rate is taken either way.
pub struct Recognition {
    /// Who it is.
    pub subject: Subject,
    /// Why it may do nothing.
    pub denial: Option<ApiError>,
}

/// Asks policyd who sent a request that makes no sense; only a caller in good standing is then told what is
/// wrong with it.
///
/// # Errors
/// As [`identify`], in the terms of the caller; for one that may do nothing, why.
pub async fn recognise(
    policyd: &PolicydClient,
    caller: Caller<'_>,
    about: About,
    deadline: Deadline,
) -> Result<Recognition, ApiError> {
    match policyd.identify(caller, deadline).await? {
        Recognised::Unauthenticated => Err(ApiError::Unauthenticated),
        Recognised::Known(subject) => Ok(Recognition {
            subject,
            denial: None,
        }),
        Recognised::Denied(subject, verdict) => match policy::judge(verdict, about) {
            // A revoked or expired key is no key.
            Err(ApiError::Unauthenticated) => Err(ApiError::Unauthenticated),
            Err(denial) => Ok(Recognition {
                subject,
                denial: Some(denial),
            }),
            Ok(_) => Err(policy::unexpected()),
        },
    }
}
