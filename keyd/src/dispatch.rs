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
use chancel_domain::Operation;
use chancel_ledger::Batch;
use chancel_sandbox::Sandboxed;
use chancel_wire::frame;
use chancel_wire::hello::Role;
use chancel_wire::keyd::{KeydError, KeydReply, KeydRequest};
use handlers::announce;
use std::sync::OnceLock;
use std::time::Instant;
use zeroize::Zeroizing;

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

/// An answer, sealed; the number of its request is still to be put into the frame.
pub struct Answer {
    /// The frame.
    pub frame: Zeroizing<Vec<u8>>,
    /// What came of a use of a private key: then it leaves after the record of it, and is counted then.
    used: Option<Result<Used, KeydError>>,
}

/// What was done with a private key, and how often.
#[derive(Debug, Clone, Copy)]
struct Used {
    operation: Operation,
    times: usize,
}

impl Answer {
    /// One that may leave at once.
    pub(crate) fn now(reply: &KeydReply<'_>) -> Self {
        Self {
            frame: seal(reply),
            used: None,
        }
    }

    /// One to a use, whose record must be written before.
    fn to_use(reply: &KeydReply<'_>, used: Result<Used, KeydError>) -> Self {
        Self {
            frame: seal(reply),
            used: Some(used),
        }
    }
}

fn seal(reply: &KeydReply<'_>) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(frame::seal(0, 0, reply))
}

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

    /// Answers one request of one peer. What is to be recorded before the answer leaves is added to `records`, for
    /// [`Self::record`].
    pub fn answer(&self, peer: AuthenticatedPeer, body: &[u8], records: &mut Batch) -> Answer {
        let handled = chancel_wire::decode(body)
            .map_err(|_| KeydError::Malformed)
            .and_then(|request| admit(peer, request))
            .and_then(|request| self.handle(peer, request, records));
        handled.unwrap_or_else(|error| {
            if is_want_of_right(error) {
                self.uses().refused(error, Instant::now());
            }
            self.refusal(error)
        })
    }

    /// A refusal, counted.
    pub fn refusal(&self, error: KeydError) -> Answer {
        self.metrics.refused(error);
        Answer::now(&KeydReply::Refused(error))
    }

    /// Records what was done, and counts it. When that fails, the answers that depended on it say so and nothing else.
    pub fn record<'a>(&self, records: &Batch, answers: impl Iterator<Item = &'a mut Answer>) {
        let recorded = self.uses().write(records).map_err(KeydError::from);
        for answer in answers {
            match (answer.used, recorded) {
                (None, _) => {}
                (Some(Ok(used)), Ok(())) => self.metrics.key_used(used.operation, used.times),
                (Some(Err(error)), Ok(())) => self.metrics.refused(error),
                (Some(_), Err(error)) => *answer = self.refusal(error),
            }
        }
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

    /// The answer, or why there is none.
    fn handle(
        &self,
        peer: AuthenticatedPeer,
        request: KeydRequest<'_>,
        records: &mut Batch,
    ) -> Result<Answer, KeydError> {
        Ok(Answer::now(&match request {
            KeydRequest::Use { permit, input } => {
                return Ok(self.use_with_permit(&self.permits.verify(&permit, input)?, records));
            }
            KeydRequest::UseInBreakGlass { claims, input } => {
                return self.use_in_break_glass(&claims, input);
            }
            KeydRequest::Generate(key) => return self.generate(&key),
            KeydRequest::Destroy(key) => {
                self.destroy(&key)?;
                KeydReply::Destroyed
            }
            KeydRequest::RenewPermitKey => KeydReply::PermitKey(self.permits.renew()?),
            KeydRequest::Inventory { after } => ops::inventory(self.keyring(), after)?,
            KeydRequest::SignCheckpoint(claims) => {
                return self.sign_policyds_checkpoint(&claims);
            }
            KeydRequest::AuditKey => KeydReply::AuditKey(self.audit_key().public()),
            KeydRequest::BreakGlass(command) => {
                KeydReply::BreakGlass(self.command_break_glass(peer, &command)?)
            }
            KeydRequest::Health => KeydReply::Healthy(self.health()),
            KeydRequest::Metrics => KeydReply::Metrics(self.samples()),
        }))
    }
}

/// How long a request takes, in kinds: each has workers and a queue of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// Less than a millisecond.
    Quick,
    /// Up to hundreds of milliseconds.
    Batch,
    /// Up to seconds.
    Slow,
}

impl Pace {
    /// Of an encoded request. Not believed: whoever says something wrong waits in the wrong queue.
    pub fn of(body: &[u8]) -> Self {
        let (algorithm, batch) = match chancel_wire::decode(body) {
            Ok(KeydRequest::Use { permit, .. }) => match permit.unverified_claims() {
                Ok(claims) => (claims.algorithm, claims.batch),
                Err(_) => return Self::Quick,
            },
            Ok(KeydRequest::UseInBreakGlass { claims, .. }) => (claims.key.algorithm, claims.batch),
            // In one queue, so that no destruction overtakes the making of what it is to destroy.
            Ok(KeydRequest::Generate(key) | KeydRequest::Destroy(key)) => (key.algorithm, None),
            _ => return Self::Quick,
        };
        match (algorithm.is_slow(), batch) {
            (true, _) => Self::Slow,
            (false, Some(_)) => Self::Batch,
            (false, None) => Self::Quick,
        }
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
