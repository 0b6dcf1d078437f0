//! The one match from a request to its handler, and the one table of who may ask for what.

use crate::keyring::Keyring;
use crate::listen::AuthenticatedPeer;
use crate::metrics::Metrics;
use crate::ops;
use crate::permit::PermitBook;
use crate::pool::Pools;
use chancel_sandbox::Sandboxed;
use chancel_wire::hello::Role;
use chancel_wire::keyd::{KeydError, KeydReply, KeydRequest};
use std::sync::OnceLock;

/// Everything a request can reach.
pub struct Keyd {
    keyring: Keyring,
    permits: PermitBook,
    metrics: Metrics,
    pools: Pools,
    sandboxed: OnceLock<Sandboxed>,
}

impl Keyd {
    /// Puts the parts together. No connection is accepted before [`Keyd::open`].
    pub fn new(keyring: Keyring, pools: Pools) -> Self {
        Self {
            keyring,
            permits: PermitBook::new(),
            metrics: Metrics::default(),
            pools,
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
        &self.pools
    }

    /// All private keys.
    pub(crate) const fn keyring(&self) -> &Keyring {
        &self.keyring
    }

    /// Answers one request of one peer; `send` is called exactly once.
    pub fn answer(&self, peer: AuthenticatedPeer, body: &[u8], send: &dyn Fn(&KeydReply<'_>)) {
        let handled = chancel_wire::decode(body)
            .map_err(|_| KeydError::Malformed)
            .and_then(|request| admit(peer, request))
            .and_then(|request| self.handle(request, send));
        if let Err(error) = handled {
            self.metrics.refused(error);
            send(&KeydReply::Refused(error));
        }
    }

    /// Sends the answer, or returns why there is none.
    fn handle(&self, request: KeydRequest<'_>, send: &dyn Fn(&KeydReply<'_>)) -> Result<(), KeydError> {
        match request {
            KeydRequest::Use { permit, input } => {
                let permitted = self.permits.verify(&permit, input)?;
                let performed = ops::perform(&self.keyring, &permitted);
                let operation = permitted.input().operation();
                tracing::debug!(request = %permitted.request(), tenant = %permitted.key().tenant, %operation,
                    key = %permitted.key().handle, succeeded = performed.is_ok(), "key used");
                let output = performed?;
                self.metrics.key_used(operation);
                send(&KeydReply::Output(&output));
            }
            KeydRequest::Generate(key) => {
                let key = ops::generate(&self.keyring, &key)?;
                send(&KeydReply::Generated {
                    public_key: key.public(),
                });
            }
            KeydRequest::Destroy(key) => {
                ops::destroy(&self.keyring, &key)?;
                send(&KeydReply::Destroyed);
            }
            KeydRequest::RenewPermitKey => send(&KeydReply::PermitKey(self.permits.renew()?)),
            KeydRequest::Inventory { after } => send(&ops::inventory(&self.keyring, after)?),
            KeydRequest::Health => send(&KeydReply::Healthy(ops::health(&self.keyring))),
            KeydRequest::Metrics => send(&KeydReply::Metrics(self.metrics.samples())),
        }
        Ok(())
    }
}

/// Who may ask for what.
fn admit<'a>(peer: AuthenticatedPeer, request: KeydRequest<'a>) -> Result<KeydRequest<'a>, KeydError> {
    let allowed = match request {
        KeydRequest::Use { .. } => peer.role() == Role::Gateway,
        KeydRequest::Generate(_)
        | KeydRequest::Destroy(_)
        | KeydRequest::RenewPermitKey
        | KeydRequest::Inventory { .. } => peer.role() == Role::Policyd,
        KeydRequest::Health | KeydRequest::Metrics => true,
    };
    if allowed {
        Ok(request)
    } else {
        Err(KeydError::NotForThisPeer)
    }
}
