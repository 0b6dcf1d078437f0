//! The gateway's side of keyd's socket: one use of one private key, under the permit that policyd made for it, or in
//! break-glass, which keyd alone knows to be open.

use crate::deadline::Deadline;
use crate::error::ApiError;
use crate::pipeline::policy::Authority;
use chancel_domain::{Operation, RequestId};
use chancel_link::{Answer, Client};
use chancel_wire::keyd::{KeydError, KeydReply, KeydRequest};
use chancel_wire::metric::Sample;
use std::time::Duration;
use zeroize::Zeroizing;

/// keyd.
#[derive(Debug, Clone)]
pub struct KeydClient(Client);

/// One use of a private key.
pub struct Use<'a> {
    /// policyd's permit, or what stands for it in break-glass.
    pub authority: Authority,
    /// The encoded input that a permit is bound to.
    pub input: &'a [u8],
    /// What it is, for the terms of an error.
    pub operation: Operation,
    /// The HTTP request, for the log.
    pub request: RequestId,
}

impl KeydClient {
    /// Speaks over a connection.
    pub const fn new(client: Client) -> Self {
        Self(client)
    }

    /// Uses a private key; `read` makes what it needs of the output, which is wiped afterwards.
    ///
    /// # Errors
    /// [`ApiError::Unavailable`] when keyd is away, hung or overloaded; else what keyd's refusal means for the
    /// caller.
    pub async fn use_key<T>(
        &self,
        what: Use<'_>,
        deadline: Deadline,
        read: impl FnOnce(&[u8]) -> T,
    ) -> Result<T, ApiError> {
        let (operation, request) = (what.operation, what.request);
        let answer = self.use_for(what, deadline).await?;
        match answer.decode() {
            Ok(KeydReply::Output(output)) => Ok(read(output)),
            other => Err(not_done(other.ok(), operation, request)),
        }
    }

    /// Uses a private key on a batch of inputs; what comes of each, in their order.
    ///
    /// # Errors
    /// As [`Self::use_key`], for all of them; and each may have one of its own.
    pub async fn use_key_on_batch(
        &self,
        what: Use<'_>,
        deadline: Deadline,
        items: usize,
    ) -> Result<Vec<Result<Zeroizing<Vec<u8>>, ApiError>>, ApiError> {
        let (operation, request) = (what.operation, what.request);
        let answer = self.use_for(what, deadline).await?;
        match answer.decode() {
            Ok(KeydReply::Outputs(outputs)) if outputs.len() == items => Ok(outputs
                .into_iter()
                .map(|output| match output {
                    Ok(bytes) => Ok(Zeroizing::new(bytes.to_vec())),
                    Err(error) => Err(refused(error, operation, request)),
                })
                .collect()),
            other => Err(not_done(other.ok(), operation, request)),
        }
    }

    async fn use_for(&self, what: Use<'_>, deadline: Deadline) -> Result<Answer, ApiError> {
        let Use {
            authority,
            input,
            request,
            ..
        } = what;
        let message = match authority {
            Authority::Permit(permit) => KeydRequest::Use { permit, input },
            Authority::BreakGlass(claims) => KeydRequest::UseInBreakGlass { claims, input },
        };
        let call = self.0.call(&message, deadline.remaining()?);
        call.await.map_err(|error| {
            tracing::debug!(%request, %error, "keyd did not answer");
            ApiError::Unavailable
        })
    }

    /// Whether keyd says that break-glass is open.
    pub async fn is_break_glass_open(&self, within: Duration) -> bool {
        let Ok(answer) = self.0.call(&KeydRequest::Health, within).await else {
            return false;
        };
        matches!(answer.decode(), Ok(KeydReply::Healthy(health)) if health.break_glass.remaining_ms > 0)
    }

    /// Whether keyd can work.
    pub async fn is_healthy(&self, within: Duration) -> bool {
        let answer = self.0.call(&KeydRequest::Health, within).await;
        answer.is_ok_and(|answer| matches!(answer.decode(), Ok(KeydReply::Healthy(_))))
    }

    /// keyd's counters; none when it does not answer.
    pub async fn samples(&self, within: Duration) -> Option<Vec<Sample>> {
        let answer = self.0.call(&KeydRequest::Metrics, within).await.ok()?;
        match answer.decode() {
            Ok(KeydReply::Metrics(samples)) => Some(samples),
            _ => None,
        }
    }
}

/// What an answer that brings nothing means for the caller.
fn not_done(reply: Option<KeydReply<'_>>, operation: Operation, request: RequestId) -> ApiError {
    match reply {
        Some(KeydReply::Refused(error)) => refused(error, operation, request),
        _ => {
            tracing::error!(%request, "keyd answered something else than was asked");
            ApiError::Internal
        }
    }
}

/// What a refusal means for the caller.
fn refused(error: KeydError, operation: Operation, request: RequestId) -> ApiError {
    match error {
        KeydError::Undecryptable | KeydError::InvalidInput => match operation {
            Operation::Unwrap => ApiError::InvalidWrappedKey,
            Operation::Sign | Operation::SignHash | Operation::SignMu => ApiError::InvalidMessage,
            _ => ApiError::InvalidCiphertext,
        },
        KeydError::Overloaded | KeydError::DeadlinePassed => ApiError::Unavailable,
        // The caller cannot have caused these; they are reported once more by the daemon that knows why.
        KeydError::KeyNotFound | KeydError::KeyFileDamaged(_) => {
            tracing::error!(%request, %operation, reason = %error, "a private key is unavailable");
            ApiError::KeyUnavailable
        }
        KeydError::SelfCheckFailed => {
            tracing::error!(%request, %operation, "keyd's self-check failed");
            ApiError::SelfCheckFailed
        }
        KeydError::LedgerUnwritable => ApiError::LedgerUnwritable,
        // It has closed meanwhile.
        KeydError::BreakGlassClosed => ApiError::Unavailable,
        // A private-key use that could not be recorded or read for: fails closed, and may pass.
        KeydError::StorageFailed => ApiError::Unavailable,
        // keyd was started anew, or this host slept, after policyd made the permit: the next one is good again.
        KeydError::PermitForged | KeydError::PermitExpired => {
            tracing::warn!(%request, %operation, reason = %error, "keyd no longer knows the permit");
            ApiError::PermitForgotten
        }
        KeydError::Malformed
        | KeydError::NotForThisPeer
        | KeydError::PermitReplayed
        | KeydError::PermitForOtherOperation
        | KeydError::PermitForOtherPayload
        | KeydError::KeyExists
        | KeydError::BreakGlassTime => {
            tracing::error!(%request, %operation, reason = %error, "keyd refused");
            ApiError::Internal
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chancel_wire::keyd::KeyFileDamage;

    #[test]
    fn each_refusal_has_its_code() {
        let request = RequestId::from_bytes([0; 16]);
        for (error, operation, code) in [
            (KeydError::Undecryptable, Operation::Decrypt, "ERR_KEM_003"),
            (KeydError::InvalidInput, Operation::Decrypt, "ERR_KEM_003"),
            (KeydError::InvalidInput, Operation::Decapsulate, "ERR_KEM_003"),
            (KeydError::Undecryptable, Operation::Unwrap, "ERR_KEM_011"),
            (KeydError::KeyNotFound, Operation::Sign, "ERR_KMS_003"),
            (
                KeydError::KeyFileDamaged(KeyFileDamage::NotAuthentic),
                Operation::Sign,
                "ERR_KMS_003",
            ),
            (KeydError::SelfCheckFailed, Operation::Sign, "ERR_CRYPTO_001"),
            (KeydError::PermitForged, Operation::Sign, "ERR_SERVICE_001"),
            (KeydError::PermitExpired, Operation::Decrypt, "ERR_SERVICE_001"),
            (KeydError::PermitReplayed, Operation::Decrypt, "ERR_INTERNAL_001"),
            (KeydError::Overloaded, Operation::Sign, "ERR_SERVICE_001"),
            (KeydError::DeadlinePassed, Operation::Sign, "ERR_SERVICE_001"),
            (KeydError::StorageFailed, Operation::Sign, "ERR_SERVICE_001"),
            (KeydError::LedgerUnwritable, Operation::Sign, "ERR_AUDIT_001"),
            (KeydError::BreakGlassClosed, Operation::Sign, "ERR_SERVICE_001"),
        ] {
            assert_eq!(
                refused(error, operation, request).code().name(),
                code,
                "{error:?}"
            );
        }
    }
}
