//! Private keys ready for use: expanded once from their file, kept in a bounded cache of locked, wiped memory.
//!
//! A key is found by its whole identity, so a permit that names another tenant than the file's owner finds
//! nothing. Least recently used keys make room; dropping one wipes it.

use crate::audit_key;
use crate::crypto::{self, CryptoError, Seed};
use crate::kek::Kek;
use crate::kek_check::{self, KekCheckError};
use crate::keydir::KeyDirectory;
use crate::keyfile::{self, WrappedKey};
use chancel_domain::TenantId;
use chancel_sandbox::{Backing, SecretArena, SecretSlot};
use chancel_wire::keyd::{KeyFileDamage, KeyIdentity, KeydError};
use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};
use zeroize::Zeroizing;

/// A private key in locked memory, with its public key.
pub struct ReadyKey {
    private: SecretSlot,
    public: Vec<u8>,
    last_used: AtomicU64,
}

impl ReadyKey {
    /// The expanded private key. For the operations of this crate only.
    pub(crate) fn expose_private(&self) -> &[u8] {
        self.private.expose()
    }

    /// The encoded public key.
    pub fn public(&self) -> &[u8] {
        &self.public
    }
}

/// All private keys of this keyd: those on disk, and those of them that are ready.
pub struct Keyring {
    kek: Kek,
    directory: KeyDirectory,
    arena: Arc<SecretArena>,
    ready: Mutex<HashMap<KeyIdentity, Arc<ReadyKey>>>,
    clock: AtomicU64,
    /// Loading shares the lock of a handle's file, making and destroying own it: a key cannot come back into the
    /// cache while its file goes, nor be made twice at once. Several locks, so that hardly anybody waits for the
    /// disk on another key's behalf.
    files: [RwLock<()>; FILE_LOCKS],
}

const FILE_LOCKS: usize = 64;

impl Keyring {
    /// Puts the parts together.
    pub fn new(kek: Kek, directory: KeyDirectory, arena: Arc<SecretArena>) -> Self {
        Self {
            kek,
            directory,
            arena,
            ready: Mutex::new(HashMap::new()),
            clock: AtomicU64::new(0),
            files: [const { RwLock::new(()) }; FILE_LOCKS],
        }
    }

    /// What key bytes lie in: `memfd_secret` or `locked pages`.
    pub fn secret_memory(&self) -> &'static str {
        match self.arena.backing() {
            Backing::MemfdSecret => "memfd_secret",
            Backing::LockedPages => "locked pages",
        }
    }

    /// The key-encryption key, for what may be told of it.
    pub const fn kek(&self) -> &Kek {
        &self.kek
    }

    /// Refuses a key-encryption key that opens none of the keys that are there: one may be damaged, and not all. For a
    /// generation without a check value.
    ///
    /// # Errors
    /// [`KekCheckError`].
    pub(crate) fn try_kek(&self) -> Result<(), KekCheckError> {
        let keys = self.directory.list()?;
        if keys.is_empty() || keys.iter().any(|key| self.damage_of(key).is_none()) {
            return Ok(());
        }
        Err(KekCheckError::OpensNothing {
            origin: self.kek.source(),
            generation: self.kek.generation(),
            files: keys.len(),
        })
    }

    /// Stores the check value of the key-encryption key.
    ///
    /// # Errors
    /// [`KekCheckError`].
    pub(crate) fn store_kek_check(&self) -> Result<(), KekCheckError> {
        kek_check::store(&self.kek, &self.directory)
    }

    /// The audit key, from its file, or a new one where there is none. It never enters the cache: what is asked for by
    /// identity is a tenant's.
    ///
    /// # Errors
    /// `KeyFileDamaged`, `SelfCheckFailed`, `StorageFailed` or `Overloaded`.
    pub(crate) fn audit_key(&self) -> Result<ReadyKey, KeydError> {
        let identity = audit_key::IDENTITY;
        match self.open_file(&identity, self.directory.read_audit_key()) {
            Ok(seed) => {
                let key = self.expand(&identity, &seed, 0)?;
                self.check_pair(&identity, &key)?;
                Ok(key)
            }
            Err(KeydError::KeyNotFound) => {
                let (key, file) = self.make(&identity)?;
                self.directory.store_audit_key(&file).map_err(|error| {
                    tracing::error!(%error, "audit key not stored");
                    KeydError::StorageFailed
                })?;
                tracing::warn!("audit key made; none was there");
                Ok(key)
            }
            Err(error) => Err(error),
        }
    }

    /// A key, from the cache or from its file.
    ///
    /// # Errors
    /// `KeyNotFound`, `KeyFileDamaged`, `StorageFailed`, or `Overloaded` when every slot of locked memory is
    /// in use this instant.
    pub fn key(&self, identity: &KeyIdentity) -> Result<Arc<ReadyKey>, KeydError> {
        if is_no_tenant(identity.tenant) {
            return Err(KeydError::KeyNotFound);
        }
        let now = self.now();
        if let Some(key) = self.ready().get(identity) {
            key.last_used.store(now, Ordering::Relaxed);
            return Ok(Arc::clone(key));
        }
        let seed = {
            let _present = self.present(identity);
            self.load(identity)?
        };
        // Takes up to a second, in which other keys of this lock are made and destroyed.
        let key = Arc::new(self.expand(identity, &seed, now)?);
        let _present = self.present(identity);
        // Perhaps this one was.
        self.load(identity)?;
        self.ready().insert(*identity, Arc::clone(&key));
        Ok(key)
    }

    /// Makes a key pair and stores its private key; when this returns, the file is on disk.
    ///
    /// # Errors
    /// `KeyExists`, `SelfCheckFailed`, `StorageFailed` or `Overloaded`, and `NotForThisPeer` where no tenant is named; no
    /// file is left then.
    pub fn generate(&self, identity: &KeyIdentity) -> Result<Arc<ReadyKey>, KeydError> {
        if is_no_tenant(identity.tenant) {
            return Err(KeydError::NotForThisPeer);
        }
        let (key, file) = self.make(identity)?;
        let key = Arc::new(key);
        let _made_once = self
            .file_of(identity)
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        self.directory.store(identity, &file).map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists => KeydError::KeyExists,
            _ => {
                tracing::error!(tenant = %identity.tenant, key = %identity.handle, %error, "key file not stored");
                KeydError::StorageFailed
            }
        })?;
        self.ready().insert(*identity, Arc::clone(&key));
        Ok(key)
    }

    /// Destroys a key: file overwritten and removed, cached copy wiped as soon as nothing uses it.
    ///
    /// # Errors
    /// `StorageFailed` when the file could not be removed.
    pub fn destroy(&self, identity: &KeyIdentity) -> Result<(), KeydError> {
        if is_no_tenant(identity.tenant) {
            return Err(KeydError::NotForThisPeer);
        }
        let _absent = self
            .file_of(identity)
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        self.ready().remove(identity);
        self.directory.destroy(identity).map_err(|error| {
            tracing::error!(tenant = %identity.tenant, key = %identity.handle, %error, "key file not destroyed");
            KeydError::StorageFailed
        })
    }

    /// All keys that have a file, in order.
    ///
    /// # Errors
    /// `StorageFailed` when the directory cannot be read.
    pub fn list(&self) -> Result<Vec<KeyIdentity>, KeydError> {
        let mut keys = self.directory.list().map_err(|error| {
            tracing::error!(%error, "key directory not readable");
            KeydError::StorageFailed
        })?;
        keys.retain(|key| !is_no_tenant(key.tenant));
        Ok(keys)
    }

    /// Whether a key's file opens, looking at the file itself and not at the cache.
    pub fn damage_of(&self, identity: &KeyIdentity) -> Option<KeyFileDamage> {
        let _whole = self.present(identity);
        match self.load(identity) {
            Ok(_) | Err(KeydError::KeyNotFound) => None,
            Err(KeydError::KeyFileDamaged(damage)) => Some(damage),
            Err(_) => Some(KeyFileDamage::Unreadable),
        }
    }

    /// While it is held, a key's file is neither made nor destroyed.
    fn present(&self, identity: &KeyIdentity) -> RwLockReadGuard<'_, ()> {
        self.file_of(identity)
            .read()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn file_of(&self, identity: &KeyIdentity) -> &RwLock<()> {
        // Handles are random: any of their bytes spreads them.
        let [.., byte] = identity.handle.as_bytes();
        let [first, rest @ ..] = &self.files;
        rest.get(usize::from(*byte) % FILE_LOCKS).unwrap_or(first)
    }

    fn now(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::Relaxed)
    }

    /// Makes a key pair, tried across both libraries, and what may be stored of it.
    fn make(&self, identity: &KeyIdentity) -> Result<(ReadyKey, WrappedKey), KeydError> {
        let seed = Seed::generate(identity.algorithm).map_err(|error| self_check_failed(identity, &error))?;
        let key = self.expand(identity, &seed, self.now())?;
        self.check_pair(identity, &key)?;
        let file =
            keyfile::seal(&self.kek, identity, &seed).map_err(|error| self_check_failed(identity, &error))?;
        Ok((key, file))
    }

    fn check_pair(&self, identity: &KeyIdentity, key: &ReadyKey) -> Result<(), KeydError> {
        crypto::pairwise_check(identity.algorithm, key.expose_private(), key.public())
            .map_err(|error| self_check_failed(identity, &error))
    }

    fn load(&self, identity: &KeyIdentity) -> Result<Seed, KeydError> {
        self.open_file(identity, self.directory.read(identity))
    }

    fn open_file(
        &self,
        identity: &KeyIdentity,
        file: io::Result<Zeroizing<Vec<u8>>>,
    ) -> Result<Seed, KeydError> {
        let file = file.map_err(|error| match error.kind() {
            ErrorKind::NotFound => KeydError::KeyNotFound,
            ErrorKind::FileTooLarge => KeydError::KeyFileDamaged(KeyFileDamage::Malformed),
            _ => KeydError::KeyFileDamaged(KeyFileDamage::Unreadable),
        });
        let seed = file
            .and_then(|file| keyfile::open(&self.kek, identity, &file).map_err(KeydError::KeyFileDamaged));
        if let Err(error @ KeydError::KeyFileDamaged(_)) = &seed {
            tracing::error!(
                tenant = %identity.tenant, algorithm = %identity.algorithm, version = %identity.version,
                key = %identity.handle, %error, "key cannot be used"
            );
        }
        seed
    }

    fn expand(&self, identity: &KeyIdentity, seed: &Seed, now: u64) -> Result<ReadyKey, KeydError> {
        let length = identity.algorithm.spec().private_key_len;
        let mut private = self.slot()?;
        let mut public = Vec::new();
        private
            .write(|slot| {
                let out = slot.get_mut(..length).ok_or(CryptoError::WrongPrivateKeyLength)?;
                public = crypto::expand(identity.algorithm, seed, out)?;
                Ok(length)
            })
            .map_err(|error: CryptoError| self_check_failed(identity, &error))?;
        Ok(ReadyKey {
            private,
            public,
            last_used: AtomicU64::new(now),
        })
    }

    /// A free slot of locked memory, at the cost of the least recently used keys where need be. A key that is
    /// in use at this instant leaves the cache but keeps its slot until its user is done.
    fn slot(&self) -> Result<SecretSlot, KeydError> {
        loop {
            if let Some(slot) = self.arena.claim() {
                return Ok(slot);
            }
            let mut ready = self.ready();
            let oldest = ready
                .iter()
                .min_by_key(|(_, key)| key.last_used.load(Ordering::Relaxed))
                .map(|(identity, _)| *identity)
                .ok_or(KeydError::Overloaded)?;
            ready.remove(&oldest);
        }
    }

    fn ready(&self) -> MutexGuard<'_, HashMap<KeyIdentity, Arc<ReadyKey>>> {
        // The map is whole after any panic: each change to it is one call.
        self.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether an identifier stands for somebody who has no keys that could be asked for.
fn is_no_tenant(tenant: TenantId) -> bool {
    tenant == TenantId::INSTALLATION || tenant == TenantId::OPERATORS
}

/// A fault or a bug, never the caller's doing: the log must say which.
fn self_check_failed(identity: &KeyIdentity, error: &dyn std::fmt::Display) -> KeydError {
    tracing::error!(tenant = %identity.tenant, key = %identity.handle, %error, "cryptographic failure");
    KeydError::SelfCheckFailed
}
