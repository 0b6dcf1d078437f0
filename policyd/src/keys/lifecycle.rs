//! Making, rotating and retiring keys. A version is reserved in the database, then keyd makes the key and its
//! file, then the row becomes active: at every instant in between a crash leaves a reservation that nobody was
//! told of, which is rolled back. What was acknowledged is in both places.

use super::KeyLocks;
use super::changes::{Purpose, Reservation, activate, reserve, retire};
use crate::api_keys::ServiceContext;
use crate::decide::Grant;
use crate::failure::Failure;
use crate::keyd::{Keyd, KeydFailure};
use crate::store::{Reader, Writer};
use chancel_domain::{Algorithm, KeyVersion};
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
    locks: Arc<KeyLocks>,
}

impl Lifecycle {
    /// With these.
    pub const fn new(keyd: Keyd, reader: Arc<Reader>, writer: Writer, locks: Arc<KeyLocks>) -> Self {
        Self {
            keyd,
            reader,
            writer,
            locks,
        }
    }

    /// Makes the active key of an algorithm that has none.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn generate(
        &self,
        grant: Grant,
        algorithm: Algorithm,
        budget: Duration,
    ) -> Result<Outcome, Failure> {
        let (key, _) = self.make(&grant, algorithm, Purpose::First, budget).await?;
        Ok(Outcome::Key(key))
    }

    /// Makes the next version of a key; the active one becomes retired in the same instant.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn rotate(
        &self,
        grant: Grant,
        algorithm: Algorithm,
        budget: Duration,
    ) -> Result<Outcome, Failure> {
        let (key, old_version) = self.make(&grant, algorithm, Purpose::Next, budget).await?;
        let old_version = old_version.ok_or(AskFailure::KeyNotFound)?;
        Ok(Outcome::Rotated { key, old_version })
    }

    /// Takes a version out of use for new work.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn retire(
        &self,
        grant: Grant,
        algorithm: Algorithm,
        version: KeyVersion,
        budget: Duration,
    ) -> Result<Outcome, Failure> {
        let context = *grant.context();
        let _lock = self
            .locks
            .lock(context.tenant(), algorithm, budget.min(PATIENCE))
            .await?;
        let key = self
            .writer
            .change(move |view| retire(&view.tenant(&context), algorithm, version))
            .await?;
        log("key retired", &context, &key);
        Ok(Outcome::Key(key))
    }

    async fn make(
        &self,
        grant: &Grant,
        algorithm: Algorithm,
        purpose: Purpose,
        budget: Duration,
    ) -> Result<(KeyView, Option<KeyVersion>), Failure> {
        let context = *grant.context();
        let _lock = self
            .locks
            .lock(context.tenant(), algorithm, budget.min(PATIENCE))
            .await?;
        let reserved = self.reserve(context, algorithm, purpose).await?;
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
        let outcome = self
            .writer
            .change(move |view| activate(&view.tenant(&context), &reserved, &public_key))
            .await?;
        log("key made", &context, &outcome.0);
        Ok(outcome)
    }

    async fn reserve(
        &self,
        context: ServiceContext,
        algorithm: Algorithm,
        purpose: Purpose,
    ) -> Result<KeyIdentity, Failure> {
        for _ in 0..2 {
            let attempt = self
                .writer
                .change(move |view| reserve(&view.tenant(&context), &context, algorithm, purpose))
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
}

fn log(what: &'static str, context: &ServiceContext, key: &KeyView) {
    tracing::info!(tenant = %context.tenant(), api_key = %context.api_key(), request = %context.request(),
        algorithm = %key.algorithm, version = %key.version, key = %key.handle, "{what}");
}
