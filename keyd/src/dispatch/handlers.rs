//! What is done for each request: the part of [`Keyd`] behind the match.

use super::{Answer, Keyd, Used};
use crate::break_glass::{Incident, NotRecorded};
use crate::listen::AuthenticatedPeer;
use crate::ops::Outputs;
use crate::verified::VerifiedUse;
use crate::{metrics, ops, use_ledger};
use chancel_domain::tenant::Name;
use chancel_ledger::{Batch, CheckpointRequest, Hash, LedgerId, LedgerName};
use chancel_wire::keyd::{
    BreakGlassClaims, BreakGlassCommand, BreakGlassState, CheckpointClaims, KeyIdentity, KeydError,
    KeydHealth, KeydReply,
};
use chancel_wire::metric::Sample;
use serde_bytes::Bytes;
use std::time::{Duration, Instant};

impl Keyd {
    /// Does what a permit permits.
    pub(super) fn use_with_permit(&self, verified: &VerifiedUse<'_>, records: &mut Batch) -> Answer {
        let performed = self.perform(verified);
        records.add(&use_ledger::of_use(verified, &performed));
        self.count_errors(&performed);
        match performed {
            Ok(outputs) => Answer::to_use(&reply_of(&outputs), Ok(used(verified, &outputs))),
            Err(error) => Answer::to_use(&KeydReply::Refused(error), Err(error)),
        }
    }

    /// Does what break-glass allows. For such a use no other ledger has a line: it is on the disk when this returns.
    pub(super) fn use_in_break_glass(
        &self,
        claims: &BreakGlassClaims,
        input: &[u8],
    ) -> Result<Answer, KeydError> {
        let entered = self.parts.break_glass.enter(Instant::now());
        let open = entered.ok_or(KeydError::BreakGlassClosed)?;
        let verified = VerifiedUse::in_break_glass(&open, claims, input)?;
        let operation = verified.operation();
        tracing::error!(tenant = %claims.tenant, api_key = %claims.api_key, request = %claims.request, %operation,
            key = %claims.key.handle, inputs = verified.inputs().as_slice().len(), "break-glass used");
        let performed = self.perform(&verified);
        self.uses().used_in_break_glass(&verified, &performed)?;
        self.count_errors(&performed);
        open.count(verified.inputs().as_slice().len());
        let outputs = performed?;
        let Used { operation, times } = used(&verified, &outputs);
        self.metrics.key_used(operation, times);
        Ok(Answer::now(&reply_of(&outputs)))
    }

    /// Each input of a batch that gave nothing counts like a request.
    fn count_errors(&self, performed: &Result<Outputs, KeydError>) {
        for error in performed.iter().flat_map(Outputs::errors) {
            self.metrics.refused(error);
        }
    }

    fn perform(&self, verified: &VerifiedUse<'_>) -> Result<Outputs, KeydError> {
        let performed = ops::perform(self.keyring(), verified);
        tracing::debug!(request = %verified.caller().request, tenant = %verified.tenant(),
            operation = %verified.operation(), key = %verified.key().handle, succeeded = performed.is_ok(),
            "key used");
        performed
    }

    pub(super) fn command_break_glass(
        &self,
        peer: AuthenticatedPeer,
        command: &BreakGlassCommand,
    ) -> Result<BreakGlassState, KeydError> {
        let (glass, now) = (&self.parts.break_glass, Instant::now());
        let record = |reason| {
            move |incident| -> Result<(), NotRecorded> {
                self.uses().break_glass(incident, Some(peer.uid()), reason)?;
                announce(incident, reason);
                Ok(())
            }
        };
        match command {
            BreakGlassCommand::Open { for_ms, reason } => {
                glass.open(now, Duration::from_millis(*for_ms), record(Some(reason)))?;
            }
            BreakGlassCommand::Close => glass.close(now, record(None))?,
            BreakGlassCommand::Status => {}
        }
        Ok(glass.state(now))
    }

    /// Makes a key pair. One whose making cannot be recorded is destroyed again.
    pub(super) fn generate(&self, key: &KeyIdentity) -> Result<Answer, KeydError> {
        self.refuse_when_unwritable()?;
        let made = ops::generate(self.keyring(), key)?;
        if let Err(error) = self.uses().key_changed("generated", key) {
            ops::destroy(self.keyring(), key)?;
            return Err(error.into());
        }
        Ok(Answer::now(&KeydReply::Generated {
            public_key: made.public(),
        }))
    }

    /// Destroys a key. When the end of it cannot be recorded, policyd hears of an error and asks again.
    pub(super) fn destroy(&self, key: &KeyIdentity) -> Result<(), KeydError> {
        self.refuse_when_unwritable()?;
        ops::destroy(self.keyring(), key)?;
        Ok(self.uses().key_changed("destroyed", key)?)
    }

    fn refuse_when_unwritable(&self) -> Result<(), KeydError> {
        if self.uses().is_unwritable() {
            return Err(KeydError::LedgerUnwritable);
        }
        Ok(())
    }

    /// policyd says which state of its ledger; that it is the ledger of decisions is not for it to say.
    pub(super) fn sign_policyds_checkpoint(&self, claims: &CheckpointClaims) -> Result<Answer, KeydError> {
        let state = CheckpointRequest {
            id: LedgerId::from_bytes(claims.ledger),
            covers: claims.seq,
            head: Hash::from_bytes(claims.head),
        };
        self.audit_key()
            .sign(LedgerName::Decisions, &state)
            .map(|signature| Answer::now(&KeydReply::Checkpoint(&signature)))
            .map_err(|error| {
                tracing::error!(%error, "checkpoint not signed");
                KeydError::SelfCheckFailed
            })
    }

    pub(super) fn sign_own_checkpoint(&self, state: &CheckpointRequest) -> Option<Vec<u8>> {
        self.audit_key()
            .sign(LedgerName::Uses, state)
            .inspect_err(|error| tracing::error!(%error, "checkpoint not signed"))
            .ok()
    }

    pub(super) fn health(&self) -> KeydHealth {
        KeydHealth {
            kek_source: self.keyring().kek().source().to_owned(),
            secret_memory: self.keyring().secret_memory().to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            break_glass: self.parts.break_glass.state(Instant::now()),
            ledger: self.uses().health().name().to_owned(),
        }
    }

    pub(super) fn samples(&self) -> Vec<Sample> {
        let glass = &self.parts.break_glass;
        let mut samples = self.metrics.samples();
        samples.extend(metrics::of_ledger(self.uses().health(), self.uses().statistics()));
        samples.extend(metrics::of_break_glass(
            &glass.state(Instant::now()),
            glass.uses_in_all(),
        ));
        samples
    }
}

fn reply_of(outputs: &Outputs) -> KeydReply<'_> {
    match outputs {
        Outputs::One(output) => KeydReply::Output(output),
        Outputs::Batch(outputs) => {
            let results = outputs.iter().map(|output| match output {
                Ok(output) => Ok(Bytes::new(output)),
                Err(error) => Err(*error),
            });
            KeydReply::Outputs(results.collect())
        }
    }
}

fn used(verified: &VerifiedUse<'_>, outputs: &Outputs) -> Used {
    Used {
        operation: verified.operation(),
        times: outputs.succeeded(),
    }
}

/// Break-glass is an alarm whatever becomes of it: each of these is a line that a host's monitoring wakes people for.
pub(super) fn announce(incident: Incident, reason: Option<&Name>) {
    let reason = reason.map(tracing::field::display);
    match incident {
        Incident::Opened(span) => tracing::error!(seconds = span.as_secs(), reason, "break-glass opened"),
        Incident::Closed(uses) => tracing::error!(uses, "break-glass closed"),
        Incident::Expired(uses) => tracing::error!(uses, "break-glass expired"),
    }
}
