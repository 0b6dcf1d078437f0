//! One change of a key at a time: a lock for each (tenant, algorithm), held from the reservation of a version to
//! its end. It also keeps the comparison with keyd's files away from a key that is being made.

use chancel_domain::{Algorithm, TenantId};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedMutexGuard, Semaphore, SemaphorePermit};
use tokio::time::timeout;

/// Changes of all keys at once: keyd makes keys and waits for fsyncs, and more would only queue there.
const AT_ONCE: u32 = 32;

type Name = (TenantId, Algorithm);

/// The locks that somebody holds or waits for.
pub struct KeyLocks {
    locks: Mutex<HashMap<Name, Arc<tokio::sync::Mutex<()>>>>,
    room: Semaphore,
}

/// The right to change the keys of one algorithm of one tenant, until it is dropped.
pub struct KeyLock<'a> {
    locks: &'a KeyLocks,
    name: Name,
    held: Option<OwnedMutexGuard<()>>,
    _room: SemaphorePermit<'a>,
}

/// Somebody else is changing the same keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("another change of the same key is under way")]
pub struct Busy;

impl KeyLocks {
    /// No locks held.
    pub fn new() -> Self {
        Self {
            locks: Mutex::default(),
            room: Semaphore::new(AT_ONCE as usize),
        }
    }

    /// Waits a while for a lock.
    ///
    /// # Errors
    /// [`Busy`] when it was not to be had.
    pub async fn lock(
        &self,
        tenant: TenantId,
        algorithm: Algorithm,
        patience: Duration,
    ) -> Result<KeyLock<'_>, Busy> {
        let name = (tenant, algorithm);
        let both = async {
            // Room last: who waits for one key must not keep others from theirs.
            let held = self.named(name).lock_owned().await;
            let room = self.room.acquire().await.map_err(|_| Busy)?;
            Ok((held, room))
        };
        let outcome = timeout(patience, both).await.unwrap_or(Err(Busy));
        if outcome.is_err() {
            self.forget_unused(name);
        }
        let (held, room) = outcome?;
        Ok(KeyLock {
            locks: self,
            name,
            held: Some(held),
            _room: room,
        })
    }

    /// Takes a lock that nobody holds.
    ///
    /// # Errors
    /// [`Busy`] when somebody does.
    pub fn try_lock(&self, tenant: TenantId, algorithm: Algorithm) -> Result<KeyLock<'_>, Busy> {
        let name = (tenant, algorithm);
        let room = self.room.try_acquire().map_err(|_| Busy)?;
        let held = self.named(name).try_lock_owned().map_err(|_| Busy)?;
        Ok(KeyLock {
            locks: self,
            name,
            held: Some(held),
            _room: room,
        })
    }

    /// Waits until nobody changes a key, and lets nobody begin.
    pub async fn close(&self) {
        if let Ok(all) = self.room.acquire_many(AT_ONCE).await {
            all.forget();
        }
    }

    fn named(&self, name: Name) -> Arc<tokio::sync::Mutex<()>> {
        self.table().entry(name).or_default().clone()
    }

    /// Removes a lock that neither anybody holds nor waits for; both have a clone of it.
    fn forget_unused(&self, name: Name) {
        if let Entry::Occupied(entry) = self.table().entry(name)
            && Arc::strong_count(entry.get()) == 1
        {
            entry.remove();
        }
    }

    fn table(&self) -> MutexGuard<'_, HashMap<Name, Arc<tokio::sync::Mutex<()>>>> {
        // Entries come and go whole.
        self.locks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for KeyLocks {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for KeyLock<'_> {
    fn drop(&mut self) {
        drop(self.held.take());
        self.locks.forget_unused(self.name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TENANT: TenantId = TenantId::from_bytes([1; 16]);
    const SHORT: Duration = Duration::from_millis(20);

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap()
    }

    #[test]
    fn one_change_of_a_key_at_a_time_and_no_lock_is_left_behind() {
        runtime().block_on(async {
            let locks = KeyLocks::new();
            let held = locks.lock(TENANT, Algorithm::MlDsa65, SHORT).await.ok().unwrap();
            assert!(locks.try_lock(TENANT, Algorithm::MlDsa65).is_err());
            assert!(locks.lock(TENANT, Algorithm::MlDsa65, SHORT).await.is_err());
            assert!(locks.try_lock(TENANT, Algorithm::MlKem768).is_ok());
            assert!(
                locks
                    .try_lock(TenantId::from_bytes([2; 16]), Algorithm::MlDsa65)
                    .is_ok()
            );
            drop(held);
            assert!(locks.try_lock(TENANT, Algorithm::MlDsa65).is_ok());
            assert!(locks.table().is_empty());
        });
    }

    #[test]
    fn who_waits_gets_the_lock_when_it_is_free() {
        runtime().block_on(async {
            let locks = KeyLocks::new();
            let held = locks.try_lock(TENANT, Algorithm::MlDsa65).ok().unwrap();
            let waiting = locks.lock(TENANT, Algorithm::MlDsa65, Duration::from_secs(5));
            let (waited, ()) = tokio::join!(waiting, async {
                tokio::time::sleep(SHORT).await;
                drop(held);
            });
            drop(waited.ok().unwrap());
            assert!(locks.table().is_empty());
        });
    }

    #[test]
    fn those_who_wait_for_one_key_do_not_keep_others_from_theirs() {
        runtime().block_on(async {
            let locks = KeyLocks::new();
            let held = locks.lock(TENANT, Algorithm::MlDsa65, SHORT).await.ok().unwrap();
            let patience = Duration::from_secs(5);
            let mut crowd: Vec<_> = (0..2 * AT_ONCE)
                .map(|_| Box::pin(locks.lock(TENANT, Algorithm::MlDsa65, patience)))
                .collect();
            for waiting in &mut crowd {
                assert!(timeout(Duration::ZERO, waiting).await.is_err());
            }
            let other = TenantId::from_bytes([2; 16]);
            assert!(locks.lock(other, Algorithm::MlDsa65, SHORT).await.is_ok());
            drop((held, crowd));
        });
    }

    #[test]
    fn closed_locks_are_not_to_be_had() {
        runtime().block_on(async {
            let locks = KeyLocks::new();
            locks.close().await;
            assert!(locks.try_lock(TENANT, Algorithm::MlDsa65).is_err());
        });
    }
}
