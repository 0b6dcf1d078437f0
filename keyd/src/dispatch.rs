//! The one match from a request to its handler, and the one table of who may ask for what.

use crate::audit_key::AuditKey;
use crate::break_glass::{BreakGlass, Incident, NotRecorded};
use crate::keyring::Keyring;
use crate::listen::AuthenticatedPeer;
use crate::metrics::Metrics;
use crate::ops;
use crate::permit::PermitBook;
use crate::pool::Pools;
use crate::use_ledger::UseLedger;
use crate::verified::VerifiedUse;
use chancel_ledger::{CheckpointRequest, Hash, LedgerId, LedgerName};
use chancel_sandbox::Sandboxed;
use chancel_wire::hello::Role;
use chancel_wire::keyd::{
    BreakGlassClaims, BreakGlassCommand, BreakGlassState, CheckpointClaims, KeyIdentity, KeydError,
    KeydHealth, KeydReply, KeydRequest,
};
use std::sync::OnceLock;
use std::time::{Duration, Instant};
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
    /// The workers.
    pub pools: Pools,
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

    /// The workers.
    pub const fn pools(&self) -> &Pools {
        &self.parts.pools
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

    /// Answers one request of one peer; `send` is called exactly once.
    pub fn answer(&self, peer: AuthenticatedPeer, body: &[u8], send: &dyn Fn(&KeydReply<'_>)) {
        let handled = chancel_wire::decode(body)
            .map_err(|_| KeydError::Malformed)
            .and_then(|request| admit(peer, request))
            .and_then(|request| self.handle(peer, request, send));
        if let Err(error) = handled {
            self.metrics.refused(error);
            if is_want_of_right(error) {
                self.uses().refused(error, Instant::now());
            }
            send(&KeydReply::Refused(error));
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

    /// Sends the answer, or returns why there is none.
    fn handle(
        &self,
        peer: AuthenticatedPeer,
        request: KeydRequest<'_>,
        send: &dyn Fn(&KeydReply<'_>),
    ) -> Result<(), KeydError> {
        match request {
            KeydRequest::Use { permit, input } => {
                let output = self.use_key(&self.permits.verify(&permit, input)?)?;
                send(&KeydReply::Output(&output));
            }
            KeydRequest::UseInBreakGlass { claims, input } => {
                let output = self.use_in_break_glass(&claims, input)?;
                send(&KeydReply::Output(&output));
            }
            KeydRequest::Generate(key) => {
                let key = self.generate(&key)?;
                send(&KeydReply::Generated { public_key: &key });
            }
            KeydRequest::Destroy(key) => {
                self.destroy(&key)?;
                send(&KeydReply::Destroyed);
            }
            KeydRequest::RenewPermitKey => send(&KeydReply::PermitKey(self.permits.renew()?)),
            KeydRequest::Inventory { after } => send(&ops::inventory(self.keyring(), after)?),
            KeydRequest::SignCheckpoint(claims) => {
                send(&KeydReply::Checkpoint(&self.sign_policyds_checkpoint(&claims)?));
            }
            KeydRequest::AuditKey => send(&KeydReply::AuditKey(self.audit_key().public())),
            KeydRequest::BreakGlass(command) => {
                send(&KeydReply::BreakGlass(self.command_break_glass(peer, &command)?));
            }
            KeydRequest::Health => send(&KeydReply::Healthy(self.health())),
            KeydRequest::Metrics => send(&KeydReply::Metrics(self.samples())),
        }
        Ok(())
    }

    /// Does what may be done, and records it: the output leaves this function after its record was written, or not at all.
    fn use_key(&self, verified: &VerifiedUse<'_>) -> Result<Zeroizing<Vec<u8>>, KeydError> {
        let performed = ops::perform(self.keyring(), verified);
        let operation = verified.input().operation();
        tracing::debug!(request = %verified.caller().request, tenant = %verified.tenant(), %operation,
            key = %verified.key().handle, succeeded = performed.is_ok(), "key used");
        let result = performed.as_ref().map(|_| ()).map_err(|error| *error);
        self.uses().used(verified, result)?;
        if performed.is_ok() {
            self.metrics.key_used(operation);
        }
        performed
    }

    fn use_in_break_glass(
        &self,
        claims: &BreakGlassClaims,
        input: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, KeydError> {
        let entered = self.parts.break_glass.enter(Instant::now());
        let open = entered.ok_or(KeydError::BreakGlassClosed)?;
        let verified = VerifiedUse::in_break_glass(&open, claims, input)?;
        tracing::error!(tenant = %claims.tenant, api_key = %claims.api_key, request = %claims.request,
            operation = %verified.input().operation(), key = %claims.key.handle, "break-glass used");
        self.use_key(&verified)
    }

    fn command_break_glass(
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
    fn generate(&self, key: &KeyIdentity) -> Result<Vec<u8>, KeydError> {
        self.refuse_when_unwritable()?;
        let made = ops::generate(self.keyring(), key)?;
        if let Err(error) = self.uses().key_changed("generated", key) {
            ops::destroy(self.keyring(), key)?;
            return Err(error.into());
        }
        Ok(made.public().to_vec())
    }

    /// Destroys a key. When the end of it cannot be recorded, policyd hears of an error and asks again.
    fn destroy(&self, key: &KeyIdentity) -> Result<(), KeydError> {
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
    fn sign_policyds_checkpoint(&self, claims: &CheckpointClaims) -> Result<Vec<u8>, KeydError> {
        let state = CheckpointRequest {
            id: LedgerId::from_bytes(claims.ledger),
            covers: claims.seq,
            head: Hash::from_bytes(claims.head),
        };
        self.audit_key()
            .sign(LedgerName::Decisions, &state)
            .map_err(|error| {
                tracing::error!(%error, "checkpoint not signed");
                KeydError::SelfCheckFailed
            })
    }

    fn sign_own_checkpoint(&self, state: &CheckpointRequest) -> Option<Vec<u8>> {
        self.audit_key()
            .sign(LedgerName::Uses, state)
            .inspect_err(|error| tracing::error!(%error, "checkpoint not signed"))
            .ok()
    }

    fn health(&self) -> KeydHealth {
        KeydHealth {
            kek_source: self.keyring().kek().source().to_owned(),
            secret_memory: self.keyring().secret_memory().to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            break_glass: self.parts.break_glass.state(Instant::now()),
            ledger: self.uses().health().name().to_owned(),
        }
    }

    fn samples(&self) -> Vec<chancel_wire::metric::Sample> {
        let glass = &self.parts.break_glass;
        let mut samples = self.metrics.samples();
        samples.extend(crate::metrics::of_ledger(
            self.uses().health(),
            self.uses().statistics(),
        ));
        samples.extend(crate::metrics::of_break_glass(
            &glass.state(Instant::now()),
            glass.uses_in_all(),
        ));
        samples
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

/// Break-glass is an alarm whatever becomes of it: each of these is a line that a host's monitoring wakes people for.
fn announce(incident: Incident, reason: Option<&chancel_domain::tenant::Name>) {
    let reason = reason.map(tracing::field::display);
    match incident {
        Incident::Opened(span) => tracing::error!(seconds = span.as_secs(), reason, "break-glass opened"),
        Incident::Closed(uses) => tracing::error!(uses, "break-glass closed"),
        Incident::Expired(uses) => tracing::error!(uses, "break-glass expired"),
    }
}

#[cfg(test)]
mod tests;
