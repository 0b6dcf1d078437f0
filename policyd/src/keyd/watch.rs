//! Follows the connection to keyd: each new one gets a permit key and a comparison of keyd's files with the
//! database; one that is lost takes its permit key with it.

use super::{Keyd, KeydFailure};
use crate::keys::Reconciler;
use crate::permit::PermitIssuer;
use crate::record::Recorder;
use chancel_link::CallError;
use chancel_wire::keyd::KeydHealth;
use chancel_wire::limits::PERMIT_KEY_RENEWAL;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::task::AbortHandle;
use tokio::time::{MissedTickBehavior, interval};

/// How often keyd is asked how it is. With the deadline of the question, a keyd that is away is known to be
/// within a second or so.
const CHECK_EVERY: Duration = Duration::from_millis(500);

/// What is known of keyd, for those who cannot wait for an answer.
#[derive(Default)]
pub struct KeydState(Mutex<Option<KeydHealth>>);

impl KeydState {
    /// What keyd last said of itself; `None` while it is away.
    pub fn health(&self) -> Option<KeydHealth> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether keyd answers.
    pub fn is_present(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    fn set(&self, health: Option<KeydHealth>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = health;
    }
}

/// The task that follows the connection.
pub struct Watch {
    /// The connection.
    pub keyd: Keyd,
    /// Who needs the permit key.
    pub issuer: Arc<PermitIssuer>,
    /// Who compares files with rows.
    pub reconciler: Arc<Reconciler>,
    /// What others read.
    pub state: Arc<KeydState>,
    /// Writes the ledger.
    pub recorder: Recorder,
}

impl Watch {
    /// Runs until the client is gone.
    pub async fn run(self) {
        let mut connections = self.keyd.connections();
        let mut checks = interval(CHECK_EVERY);
        checks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut comparison = Comparison::default();
        loop {
            tokio::select! {
                biased;
                changed = connections.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    // The keyd behind the new connection may be another process, which knows no earlier key. Until there
                    // is one that it knows, permits are made with the earlier: the gateway asks again for one that keyd
                    // has forgotten, which is better than none.
                    if !self.renew().await {
                        self.issuer.forget();
                    }
                    self.check().await;
                    if let Some(health) = self.state.health() {
                        // It says so itself when it cannot be written.
                        let _ = self.recorder.met_keyd(&health);
                    }
                    comparison.restart(&self.reconciler);
                }
                _ = checks.tick() => self.check().await,
            }
        }
    }

    async fn check(&self) {
        match self.keyd.health().await {
            Ok(health) => self.state.set(Some(health)),
            Err(failure) => {
                self.state.set(None);
                if is_loss(failure) {
                    self.issuer.forget();
                }
                return;
            }
        }
        if self.issuer.key_age().is_none_or(|age| age >= PERMIT_KEY_RENEWAL) {
            self.renew().await;
        }
    }

    async fn renew(&self) -> bool {
        match self.keyd.renew_permit_key().await {
            Ok(grant) => self.issuer.adopt(grant),
            Err(failure) => {
                tracing::warn!(reason = %failure, "no new permit key");
                return false;
            }
        }
        true
    }
}

/// Whether the connection is gone, rather than keyd busy.
const fn is_loss(failure: KeydFailure) -> bool {
    matches!(
        failure,
        KeydFailure::NoAnswer(CallError::Unreachable | CallError::Hung | CallError::Lost)
    )
}

/// The comparison under way, if any: a new connection starts it again from the beginning.
#[derive(Default)]
struct Comparison(Option<AbortHandle>);

impl Comparison {
    fn restart(&mut self, reconciler: &Arc<Reconciler>) {
        let reconciler = reconciler.clone();
        let task = tokio::spawn(async move { reconciler.run().await });
        if let Some(earlier) = self.0.replace(task.abort_handle()) {
            earlier.abort();
        }
    }
}

impl Drop for Comparison {
    fn drop(&mut self) {
        if let Some(task) = &self.0 {
            task.abort();
        }
    }
}
