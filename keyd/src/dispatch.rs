//! The one match from a request to its handler, and the one table of who may ask for what.

mod handlers;

use crate::audit_key::AuditKey;
use crate::break_glass::BreakGlass;
use crate::keyring::Keyring;
use crate::listen::AuthenticatedPeer;
use crate::metrics::Metrics;
use crate::ops;
use crate::permit::PermitBook;
use crate::use_ledger::UseLedger;
use chancel_ledger::Batch;
use chancel_sandbox::Sandboxed;
use chancel_wire::hello::Role;
use chancel_wire::keyd::{KeydError, KeydReply, KeydRequest};
use handlers::announce;
use std::sync::OnceLock;
use std::time::Instant;

/// What a keyd is made of.
pub struct Parts {
    /// All private keys.
    pub keyring: Keyring,
    /// What signs checkpoints.
    pub audit_key: AuditKey,
    /// What is recorded.
    pub uses: UseLedger,
    /// Closed.
    pub break_glass: BreakGlass,
}

/// When an answer may leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leaves {
    /// Whatever has to be recorded has been.
    AtOnce,
    /// When the records that were added have been written; if they cannot be, the answer is that.
    Recorded,
}

/// Takes the one answer to a request.
pub type Send<'a> = &'a mut dyn FnMut(Leaves, &KeydReply<'_>);

/// Everything a request can reach.
pub struct Keyd {
    parts: Parts,
    permits: PermitBook,
    metrics: Metrics,
    sandboxed: OnceLock<Sandboxed>,
}

impl Keyd {
    /// Puts the parts together. No connection is accepted before [`Keyd::open`].
    pub fn new(parts: Parts) -> Self {
        Self {
            parts,
            permits: PermitBook::new(),
            metrics: Metrics::default(),
            sandboxed: OnceLock::new(),
        }
    }

    /// Begins to answer, on the proof that the sandbox holds.
    pub fn open(&self, sandboxed: Sandboxed) {
        // A second proof adds nothing to the first.
        let _ = self.sandboxed.set(sandboxed);
    }

    /// Waits for the proof that the sandbox holds.
    pub fn sandboxed(&self) -> &Sandboxed {
        self.sandboxed.wait()
    }

    /// The counters.
    pub const fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// All private keys.
    pub(crate) const fn keyring(&self) -> &Keyring {
        &self.parts.keyring
    }

    /// The ledger.
    pub(crate) const fn uses(&self) -> &UseLedger {
        &self.parts.uses
    }

    /// The audit key.
    pub(crate) const fn audit_key(&self) -> &AuditKey {
        &self.parts.audit_key
    }

    /// Answers one request of one peer; `send` is called exactly once. What is to be recorded before the answer leaves is
    /// added to `records`, for [`Self::record`].
    pub fn answer(&self, peer: AuthenticatedPeer, body: &[u8], records: &mut Batch, send: Send<'_>) {
        let handled = chancel_wire::decode(body)
            .map_err(|_| KeydError::Malformed)
            .and_then(|request| admit(peer, request))
            .and_then(|request| self.handle(peer, request, records, send));
        if let Err(error) = handled {
            self.metrics.refused(error);
            if is_want_of_right(error) {
                self.uses().refused(error, Instant::now());
            }
            send(Leaves::AtOnce, &KeydReply::Refused(error));
        }
    }

    /// Records what was done.
    ///
    /// # Errors
    /// `LedgerUnwritable`: none of the answers that wait for it may leave.
    pub fn record(&self, records: &Batch) -> Result<(), KeydError> {
        Ok(self.uses().write(records)?)
    }

    /// Once a second, on the thread that syncs the ledger, and a last time at the end: whatever time brings. Waits for no
    /// request, for requests wait for this thread.
    pub fn look_after(&self, at_end: bool) {
        let now = Instant::now();
        self.parts.break_glass.look(now, at_end, |incident| {
            self.uses().break_glass_ended(incident)?;
            announce(incident, None);
            Ok(())
        });
        if at_end {
            self.uses().stopping(now);
        } else {
            self.uses().look_after(now);
        }
        self.uses()
            .checkpoint(at_end, |state| self.sign_own_checkpoint(state));
    }

    /// Sends the answer, or returns why there is none.
    fn handle(
        &self,
        peer: AuthenticatedPeer,
        request: KeydRequest<'_>,
        records: &mut Batch,
        send: Send<'_>,
    ) -> Result<(), KeydError> {
        let mut at_once = |reply: KeydReply<'_>| send(Leaves::AtOnce, &reply);
        match request {
            KeydRequest::Use { permit, input } => {
                self.use_with_permit(&self.permits.verify(&permit, input)?, records, send);
            }
            KeydRequest::UseInBreakGlass { claims, input } => {
                at_once(KeydReply::Output(&self.use_in_break_glass(&claims, input)?));
            }
            KeydRequest::Generate(key) => at_once(KeydReply::Generated {
                public_key: &self.generate(&key)?,
            }),
            KeydRequest::Destroy(key) => {
                self.destroy(&key)?;
                at_once(KeydReply::Destroyed);
            }
            KeydRequest::RenewPermitKey => at_once(KeydReply::PermitKey(self.permits.renew()?)),
            KeydRequest::Inventory { after } => at_once(ops::inventory(self.keyring(), after)?),
            KeydRequest::SignCheckpoint(claims) => {
                at_once(KeydReply::Checkpoint(&self.sign_policyds_checkpoint(&claims)?));
            }
            KeydRequest::AuditKey => at_once(KeydReply::AuditKey(self.audit_key().public())),
            KeydRequest::BreakGlass(command) => {
                at_once(KeydReply::BreakGlass(self.command_break_glass(peer, &command)?));
            }
            KeydRequest::Health => at_once(KeydReply::Healthy(self.health())),
            KeydRequest::Metrics => at_once(KeydReply::Metrics(self.samples())),
        }
        Ok(())
    }
}

/// Who may ask for what.
fn admit<'a>(peer: AuthenticatedPeer, request: KeydRequest<'a>) -> Result<KeydRequest<'a>, KeydError> {
    let may: &[Role] = match request {
        KeydRequest::Use { .. } | KeydRequest::UseInBreakGlass { .. } => &[Role::Gateway],
        KeydRequest::Generate(_)
        | KeydRequest::Destroy(_)
        | KeydRequest::RenewPermitKey
        | KeydRequest::Inventory { .. }
        | KeydRequest::SignCheckpoint(_) => &[Role::Policyd],
        KeydRequest::AuditKey => &[Role::Policyd, Role::Operator],
        KeydRequest::BreakGlass(_) => &[Role::Operator],
        KeydRequest::Health => &[Role::Gateway, Role::Policyd, Role::Operator],
        KeydRequest::Metrics => &[Role::Gateway, Role::Policyd],
    };
    if may.contains(&peer.role()) {
        Ok(request)
    } else {
        Err(KeydError::NotForThisPeer)
    }
}

/// Whether a request was refused because who sent it had no right to. What came of a right that there was stands in the
/// record of the use.
const fn is_want_of_right(error: KeydError) -> bool {
    matches!(
        error,
        KeydError::PermitForged
            | KeydError::PermitExpired
            | KeydError::PermitReplayed
            | KeydError::PermitForOtherOperation
            | KeydError::PermitForOtherPayload
            | KeydError::NotForThisPeer
            | KeydError::BreakGlassClosed
    )
}

#[cfg(test)]
mod tests;
