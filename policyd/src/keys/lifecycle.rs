//! The life of keys, from their making to their destruction. A version is reserved in the database, then keyd makes the
//! key and its file, then the row becomes active: at every instant in between a crash leaves a reservation that nobody
//! was told of, which is rolled back. What was acknowledged is in both places.

use super::changes::{Purpose, Reservation, activate, change_state, reserve};
use super::{KeyLock, KeyLocks};
use crate::actor::Actor;
use crate::api_keys::ServiceContext;
use crate::clock;
use crate::decide::Grant;
use crate::failure::Failure;
use crate::idempotency::Slot;
use crate::keyd::{Keyd, KeydFailure};
use crate::record::Recorder;
use crate::store::{Reader, Writer};
use chancel_domain::plan::Limits;
use chancel_domain::{Algorithm, KeyVersion, Operation};
use chancel_ledger::Change;
use chancel_link::CallError;
use chancel_wire::keyd::KeyIdentity;
use chancel_wire::policyd::{AskFailure, KeyView, Outcome};
use std::sync::Arc;
use std::time::Duration;

/// How long a second change of the same key waits for the first: keyd makes a key in milliseconds.
const PATIENCE: Duration = Duration::from_secs(2);

/// Conducts the life of keys.
pub struct Lifecycle {
    keyd: Keyd,
    reader: Arc<Reader>,
    writer: Writer,
    recorder: Recorder,
    locks: Arc<KeyLocks>,
}

/// A change of keys that was granted.
pub struct Order {
    /// By whom, for what.
    pub grant: Grant,
    /// The limits of the tenant's plan.
    pub limits: Limits,
    /// How long the caller still waits.
    pub budget: Duration,
    /// Where the first answer is kept.
    pub slot: Option<Slot>,
}

impl Lifecycle {
    /// With these.
    pub const fn new(
        keyd: Keyd,
        reader: Arc<Reader>,
        writer: Writer,
        recorder: Recorder,
        locks: Arc<KeyLocks>,
    ) -> Self {
        Self {
            keyd,
            reader,
            writer,
            recorder,
            locks,
        }
    }

    /// Makes the active key of an algorithm that has none.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn generate(&self, order: Order, algorithm: Algorithm) -> Result<Outcome, Failure> {
        self.make(order, algorithm, Purpose::First).await
    }

    /// Makes the next version of a key; the active one becomes retired in the same instant.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn rotate(&self, order: Order, algorithm: Algorithm) -> Result<Outcome, Failure> {
        self.make(order, algorithm, Purpose::Next).await
    }

    /// Moves a version from one state to another, as the granted operation does.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn change_state(
        &self,
        order: Order,
        algorithm: Algorithm,
        version: KeyVersion,
        destroy_after_days: Option<u16>,
    ) -> Result<Outcome, Failure> {
        let context = *order.grant.context();
        let operation = order.grant.operation();
        let limits = order.limits;
        let _lock = self.lock(&order, algorithm).await?;
        let recorder = self.recorder.clone();
        let key = self
            .writer
            .change(move |view| {
                let scope = view.tenant(&context);
                let key = change_state(&scope, algorithm, version, operation, destroy_after_days, &limits)?;
                let what = match operation {
                    Operation::ArchiveKey => "key-archived",
                    Operation::RestoreKey => "key-restored",
                    Operation::ScheduleDestruction => "key-destruction-scheduled",
                    Operation::CancelDestruction => "key-destruction-cancelled",
                    // The only other one in the table of transitions that comes here.
                    _ => "key-retired",
                };
                record(&recorder, what, &context, &key)?;
                Ok::<_, Failure>(key)
            })
            .await?;
        Ok(Outcome::Key(key))
    }

    async fn lock(&self, order: &Order, algorithm: Algorithm) -> Result<KeyLock<'_>, Failure> {
        let tenant = order.grant.context().tenant();
        Ok(self
            .locks
            .lock(tenant, algorithm, order.budget.min(PATIENCE))
            .await?)
    }

    async fn make(&self, order: Order, algorithm: Algorithm, purpose: Purpose) -> Result<Outcome, Failure> {
        let context = *order.grant.context();
        let _lock = self.lock(&order, algorithm).await?;
        let reserved = self.reserve(context, algorithm, purpose, order.limits).await?;
        let public_key = match self.keyd.generate(reserved).await {
            Ok(public_key) => public_key,
            Err(failure) => {
                tracing::error!(tenant = %reserved.tenant, %algorithm, version = %reserved.version,
                    key = %reserved.handle, reason = %failure, "keyd made no key");
                self.abandon(reserved, failure).await;
                return Err(failure.into());
            }
        };
        // A failure here leaves the reservation: whether the row became active on the disk is unknown, and only
        // a later look can tell.
        let slot = order.slot;
        let recorder = self.recorder.clone();
        self.writer
            .change(move |view| {
                let scope = view.tenant(&context);
                let (key, old_version) = activate(&scope, &reserved, &public_key)?;
                let outcome = match (purpose, old_version) {
                    (Purpose::First, _) => Outcome::Key(key.clone()),
                    (Purpose::Next, Some(old_version)) => Outcome::Rotated {
                        key: key.clone(),
                        old_version,
                    },
                    (Purpose::Next, None) => return Err(Failure::from(AskFailure::KeyNotFound)),
                };
                if let Some(slot) = &slot {
                    slot.keep(&scope, &outcome)?;
                }
                let what = match purpose {
                    Purpose::First => "key-generated",
                    Purpose::Next => "key-rotated",
                };
                record(&recorder, what, &context, &key)?;
                Ok(outcome)
            })
            .await
    }

    async fn reserve(
        &self,
        context: ServiceContext,
        algorithm: Algorithm,
        purpose: Purpose,
        limits: Limits,
    ) -> Result<KeyIdentity, Failure> {
        for _ in 0..2 {
            let attempt = self
                .writer
                .change(move |view| reserve(&view.tenant(&context), &context, algorithm, purpose, &limits))
                .await?;
            match attempt {
                Reservation::Made(key) => return Ok(key),
                // Nobody works on it, for this task holds the lock.
                Reservation::LeftOver(key) => self.roll_back(key).await?,
            }
        }
        Err(AskFailure::Busy.into())
    }

    /// Undoes a reservation whose key was never acknowledged: first keyd's file, then the row that knows of it.
    ///
    /// # Errors
    /// [`Failure`]; the reservation then stays for the next comparison.
    async fn roll_back(&self, key: KeyIdentity) -> Result<(), Failure> {
        self.keyd.destroy(key).await?;
        self.forget(key).await
    }

    /// Gives a reservation up after keyd failed, as far as that is safe at this moment.
    async fn abandon(&self, key: KeyIdentity, failure: KeydFailure) {
        let outcome = match failure {
            KeydFailure::Refused(_) | KeydFailure::Unintelligible => self.roll_back(key).await,
            // The request never left: there is no file.
            KeydFailure::NoAnswer(CallError::Unreachable | CallError::Overloaded) => self.forget(key).await,
            // keyd may be making the key at this moment; destroying it now could come too early.
            KeydFailure::NoAnswer(CallError::DeadlinePassed | CallError::Hung | CallError::Lost) => {
                Err(failure.into())
            }
        };
        if let Err(reason) = outcome {
            tracing::warn!(tenant = %key.tenant, algorithm = %key.algorithm, version = %key.version,
                key = %key.handle, %reason, "half-made key left to the next comparison");
        }
    }

    async fn forget(&self, key: KeyIdentity) -> Result<(), Failure> {
        self.writer
            .change(move |view| view.walk().forget_reserved(&key))
            .await?;
        Ok(())
    }

    /// Undoes a reservation that was left by an interrupted change, unless somebody is working on it; `false`
    /// when there was nothing to undo.
    ///
    /// # Errors
    /// [`Failure`]; the reservation then stays for the next comparison.
    pub async fn roll_back_left_over(&self, key: KeyIdentity) -> Result<bool, Failure> {
        let Ok(_lock) = self.locks.try_lock(key.tenant, key.algorithm) else {
            return Ok(false);
        };
        // Under the lock: what was reserved when the list was made may be an active key by now.
        if !self.reader.look(|view| view.walk().is_reserved(&key))? {
            return Ok(false);
        }
        self.roll_back(key).await?;
        Ok(true)
    }

    /// Destroys the file of a destroyed key that has come back, as out of a backup: its owner was told that it is gone.
    /// `false` when there is no such key.
    ///
    /// # Errors
    /// [`Failure`]; the file is then left to the next comparison.
    pub async fn destroy_again(&self, key: KeyIdentity) -> Result<bool, Failure> {
        let _lock = self.locks.lock(key.tenant, key.algorithm, PATIENCE).await?;
        if self.reader.look(|view| view.walk().was_destroyed(&key))? != Some(true) {
            return Ok(false);
        }
        self.recorder
            .announce(destruction("key-destruction-begun", &key))
            .await?;
        self.keyd.destroy(key).await?;
        self.recorder.announce(destruction("key-destroyed", &key)).await?;
        Ok(true)
    }

    /// Destroys a private key whose date has come: first keyd's file, then the row says so. A crash in between is made up
    /// for by doing it again; `false` when it is not to be destroyed after all.
    ///
    /// # Errors
    /// [`Failure`]; the key then stays due.
    pub async fn destroy_due(&self, key: KeyIdentity) -> Result<bool, Failure> {
        let _lock = self.locks.lock(key.tenant, key.algorithm, PATIENCE).await?;
        // Under the lock: its owner may have taken the date back.
        let now_ms = clock::now_ms();
        if !self.reader.look(|view| view.destruction().is_due(&key, now_ms))? {
            return Ok(false);
        }
        // What cannot be undone is not begun without a record of it.
        self.recorder
            .announce(destruction("key-destruction-begun", &key))
            .await?;
        self.keyd.destroy(key).await?;
        let recorder = self.recorder.clone();
        let destroyed = self
            .writer
            .change(move |view| {
                let destroyed = view.destruction().destroyed(&key, clock::now_ms())?;
                if destroyed {
                    recorder.before_commit(destruction("key-destroyed", &key))?;
                }
                Ok::<_, Failure>(destroyed)
            })
            .await?;
        if destroyed {
            tracing::info!(tenant = %key.tenant, algorithm = %key.algorithm, version = %key.version, key = %key.handle,
                "key destroyed");
        }
        Ok(destroyed)
    }
}

/// The last thing in a transaction.
fn record(
    recorder: &Recorder,
    what: &'static str,
    context: &ServiceContext,
    key: &KeyView,
) -> Result<(), Failure> {
    tracing::info!(tenant = %context.tenant(), api_key = %context.api_key(), request = %context.request(),
        algorithm = %key.algorithm, version = %key.version, key = %key.handle, "{what}");
    Ok(recorder.before_commit(Change {
        algorithm: Some(key.algorithm),
        key_version: Some(key.version),
        key: Some(key.handle),
        ..Actor::Tenant(*context).change(what, Some(context.tenant()))
    })?)
}

fn destruction(what: &'static str, key: &KeyIdentity) -> Change<'static> {
    Change {
        what,
        tenant: Some(key.tenant),
        algorithm: Some(key.algorithm),
        key_version: Some(key.version),
        key: Some(key.handle),
        ..Change::default()
    }
}
