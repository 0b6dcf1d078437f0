//! What stands in for policyd when it does not answer and an operator has opened break-glass at keyd: uses of keys
//! that the gateway has seen, by callers that policyd has confirmed lately, from where they may call. Whether it is
//! open is keyd's word, and keyd looks again at each use of a private key. Everything else stays denied.

use super::policy::Grant;
use crate::deadline::Deadline;
use crate::keyd_client::KeydClient;
use crate::known_callers::Known;
use crate::recent::Recent;
use crate::timestamp;
use chancel_domain::operation::Place;
use chancel_domain::{Algorithm, BatchSize, KeyState, KeyVersion, Operation, RequestId, TenantId};
use chancel_wire::keyd::{BreakGlassClaims, KeyIdentity};
use chancel_wire::policyd::{Ask, KeyView, Outcome};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Keys that are remembered; with the longest public key that is 16 MiB.
const MOST_KEYS: usize = 8192;

/// How long keyd's word on whether it is open is taken for true.
const STATE_LIFETIME: Duration = Duration::from_secs(1);

/// How long keyd may take to say so.
const STATE_PATIENCE: Duration = Duration::from_millis(100);

/// How long policyd may be silent before break-glass is thought of: what is left of a request's time is enough for
/// keyd.
pub const PATIENCE: Duration = Duration::from_millis(450);

/// Keys by tenant and algorithm; without a version the active one.
type Keys = Recent<(TenantId, Algorithm, Option<KeyVersion>), Arc<KeyView>>;

/// The stand-in.
pub struct BreakGlass {
    keys: Mutex<Keys>,
    state: Mutex<Option<(Instant, bool)>>,
    granted: AtomicU64,
}

/// A use of a key, which is all that break-glass knows.
#[derive(Debug, Clone, Copy)]
pub struct Wish {
    operation: Operation,
    algorithm: Algorithm,
    version: Option<KeyVersion>,
    batch: Option<BatchSize>,
}

/// A request that policyd did not answer.
#[derive(Debug, Clone, Copy)]
pub struct Unanswered<'a> {
    /// What it is for.
    pub wish: Wish,
    /// Whose it is.
    pub known: &'a Known,
    /// Its id.
    pub request: RequestId,
    /// Where it came from.
    pub source: IpAddr,
}

impl Wish {
    /// The use that a question is about, if it is about one.
    pub const fn of(ask: &Ask) -> Option<Self> {
        match ask {
            Ask::Use {
                operation,
                algorithm,
                version,
                batch,
                ..
            } => Some(Self {
                operation: *operation,
                algorithm: *algorithm,
                version: *version,
                batch: *batch,
            }),
            Ask::Prepare {
                operation,
                algorithm,
                version,
            } => Some(Self {
                operation: *operation,
                algorithm: *algorithm,
                version: *version,
                batch: None,
            }),
            _ => None,
        }
    }
}

impl Default for BreakGlass {
    fn default() -> Self {
        Self {
            keys: Mutex::new(Recent::new(MOST_KEYS)),
            state: Mutex::default(),
            granted: AtomicU64::new(0),
        }
    }
}

impl BreakGlass {
    /// Whether keyd says that it is open.
    pub async fn is_open(&self, keyd: &KeydClient, deadline: Deadline) -> bool {
        let known = *lock(&self.state);
        if let Some((_, open)) = known.filter(|(when, _)| when.elapsed() < STATE_LIFETIME) {
            return open;
        }
        let Ok(left) = deadline.remaining() else {
            return false;
        };
        let asked = Instant::now();
        let open = keyd.is_break_glass_open(left.min(STATE_PATIENCE)).await;
        *lock(&self.state) = Some((asked, open));
        open
    }

    /// What may be done for a request that policyd did not answer; to be asked while it is open.
    pub fn grant(&self, unanswered: Unanswered<'_>) -> Option<Grant> {
        let Unanswered {
            wish,
            known,
            request,
            source,
        } = unanswered;
        let subject = &known.subject;
        let expired = subject.expires_at_ms.is_some_and(|at| at <= timestamp::now_ms());
        let here = subject.networks.is_empty() || subject.networks.contain(source);
        if !known.is_fresh(Instant::now()) || expired || !here {
            return None;
        }
        let key = lock(&self.keys)
            .find(&(subject.tenant, wish.algorithm, wish.version))
            .filter(|key| key.state.permits(wish.operation))
            .cloned()?;
        let claims = match wish.operation.place() {
            Place::PublicKey => None,
            Place::PrivateKey => Some(BreakGlassClaims {
                tenant: subject.tenant,
                api_key: subject.api_key,
                api_key_version: subject.api_key_version,
                request,
                key: KeyIdentity {
                    tenant: subject.tenant,
                    algorithm: key.algorithm,
                    version: key.version,
                    handle: key.handle,
                },
                batch: wish.batch,
            }),
            Place::Management => return None,
        };
        self.granted.fetch_add(1, Ordering::Relaxed);
        tracing::warn!(%request, tenant = %subject.tenant, api_key = %subject.api_key, operation = %wish.operation,
            "break-glass: policyd does not answer, and a request goes on without it");
        Some(Grant::in_break_glass(key, claims))
    }

    /// Requests that went on without policyd.
    pub fn granted(&self) -> u64 {
        self.granted.load(Ordering::Relaxed)
    }

    /// policyd granted the use of a key.
    pub fn remember(&self, tenant: TenantId, wish: Wish, key: &Arc<KeyView>) {
        let mut keys = lock(&self.keys);
        let place = (tenant, wish.algorithm, wish.version);
        let same = |known: &mut Arc<KeyView>| known.handle == key.handle && known.state == key.state;
        if !keys.find(&place).is_some_and(same) {
            keys.insert(place, key.clone());
            keys.insert((tenant, key.algorithm, Some(key.version)), key.clone());
        }
    }

    /// policyd changed a key.
    pub fn changed(&self, tenant: TenantId, outcome: &Outcome) {
        let (key, old_version) = match outcome {
            Outcome::Key(key) => (key, None),
            Outcome::Rotated { key, old_version } => (key, Some(*old_version)),
            _ => return,
        };
        let place = |version| (tenant, key.algorithm, version);
        let view = Arc::new(key.clone());
        let mut keys = lock(&self.keys);
        keys.insert(place(Some(key.version)), view.clone());
        if key.state == KeyState::Active {
            keys.insert(place(None), view);
        } else if keys
            .find(&place(None))
            .is_some_and(|active| active.version == key.version)
        {
            keys.remove(&place(None));
        }
        if let Some(old) = old_version.and_then(|old| keys.find(&place(Some(old)))) {
            Arc::make_mut(old).state = KeyState::Retired;
        }
    }
}

/// A thread that panicked here left whole entries.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
