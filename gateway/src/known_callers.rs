//! API keys that policyd has confirmed lately: who they stand for, under a hash of the key whose own key is made at
//! start and is nowhere else. The keys themselves are not kept.
//!
//! Nothing is allowed on the strength of this. It lets the rate of a caller be taken before policyd is asked, keeps
//! callers apart from guessers at the same address, and says whom break-glass may serve.

use crate::recent::Recent;
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use chancel_domain::ApiKeyId;
use chancel_wire::policyd::Subject;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Callers that are remembered.
pub const MAX_KNOWN_CALLERS: usize = 65_536;

/// How long after policyd's last word break-glass serves a caller.
const FRESH: Duration = Duration::from_secs(600);

/// Locks, so that serving threads seldom wait for each other.
const SHARDS: usize = 16;

/// The cryptographic library has no randomness.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the cryptographic library has no randomness")]
pub struct NoRandomness;

/// What an API key is remembered under: HMAC-SHA256 (RFC 2104) of its text.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Tag([u8; 32]);

/// A caller that policyd has confirmed.
#[derive(Debug, Clone)]
pub struct Known {
    /// Who it is.
    pub subject: Arc<Subject>,
    /// When policyd said so last; `None` when it has said since that this caller may do nothing.
    confirmed: Option<Instant>,
}

/// All of them.
pub struct KnownCallers {
    key: hmac::Key,
    shards: [Mutex<Recent<Tag, Known>>; SHARDS],
}

impl KnownCallers {
    /// Nobody, under a fresh key.
    ///
    /// # Errors
    /// [`NoRandomness`].
    pub fn new() -> Result<Self, NoRandomness> {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new());
        Ok(Self {
            key: key.map_err(|_| NoRandomness)?,
            shards: std::array::from_fn(|_| Mutex::new(Recent::new(MAX_KNOWN_CALLERS / SHARDS))),
        })
    }

    /// What an API key is remembered under.
    pub fn tag(&self, api_key: &str) -> Tag {
        let mut tag = [0; 32];
        tag.copy_from_slice(hmac::sign(&self.key, api_key.as_bytes()).as_ref());
        Tag(tag)
    }

    /// Who that is, as far as is remembered.
    pub fn find(&self, tag: &Tag) -> Option<Known> {
        self.shard(tag).find(tag).cloned()
    }

    /// policyd says who that is.
    pub fn confirm(&self, tag: Tag, subject: &Subject) -> Known {
        let confirmed = Some(Instant::now());
        let mut shard = self.shard(&tag);
        if let Some(known) = shard.find(&tag).filter(|known| *known.subject == *subject) {
            known.confirmed = confirmed;
            return known.clone();
        }
        let known = Known {
            subject: Arc::new(subject.clone()),
            confirmed,
        };
        shard.insert(tag, known.clone());
        known
    }

    /// policyd says that this is nobody.
    pub fn forget(&self, tag: &Tag) {
        self.shard(tag).remove(tag);
    }

    /// policyd says that this caller, and with it its tenant, may do nothing: its rate is remembered, and break-glass does
    /// not serve it.
    pub fn distrust(&self, tag: &Tag) {
        let Some(tenant) = self.shard(tag).find(tag).and_then(|known| {
            let served_so_far = known.confirmed.take().is_some();
            served_so_far.then_some(known.subject.tenant)
        }) else {
            return;
        };
        for shard in &self.shards {
            lock(shard).for_each(|known| {
                if known.subject.tenant == tenant {
                    known.confirmed = None;
                }
            });
        }
    }

    /// An API key was revoked, or has another text now: what is remembered of it serves nobody.
    pub fn distrust_api_key(&self, api_key: ApiKeyId) {
        for shard in &self.shards {
            lock(shard).for_each(|known| {
                if known.subject.api_key == api_key {
                    known.confirmed = None;
                }
            });
        }
    }

    /// How many are remembered.
    pub fn len(&self) -> usize {
        let guards = self.shards.iter().map(|shard| lock(shard).len());
        guards.sum()
    }

    /// Whether nobody is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn shard(&self, tag: &Tag) -> MutexGuard<'_, Recent<Tag, Known>> {
        // NOTE(index): a remainder by the length.
        lock(&self.shards[usize::from(tag.0[0]) % SHARDS])
    }
}

impl Known {
    /// Whether policyd's word is not long ago.
    pub fn is_fresh(&self, now: Instant) -> bool {
        self.confirmed
            .is_some_and(|confirmed| now.saturating_duration_since(confirmed) <= FRESH)
    }
}

/// A thread that panicked here left whole entries: each is put in by one call.
fn lock<T>(shard: &Mutex<T>) -> MutexGuard<'_, T> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use chancel_domain::{Networks, TenantId};

    fn subject(byte: u8) -> Subject {
        Subject {
            tenant: TenantId::from_bytes([byte; 16]),
            api_key: ApiKeyId::from_bytes([byte; 16]),
            api_key_version: 1,
            rate: None,
            expires_at_ms: None,
            networks: Networks::default(),
        }
    }

    #[test]
    fn a_caller_is_known_from_policyds_word_on_until_policyds_word() {
        let callers = KnownCallers::new().unwrap();
        let tag = callers.tag("qph_a");
        assert!(callers.find(&tag).is_none());
        callers.confirm(tag, &subject(1));
        assert_eq!(callers.find(&tag).unwrap().subject.tenant, subject(1).tenant);
        assert!(callers.find(&callers.tag("qph_b")).is_none());
        callers.confirm(tag, &subject(2));
        assert_eq!(callers.find(&tag).unwrap().subject.tenant, subject(2).tenant);
        callers.forget(&tag);
        assert!(callers.find(&tag).is_none());
    }

    #[test]
    fn tags_of_two_processes_have_nothing_in_common() {
        let (one, other) = (KnownCallers::new().unwrap(), KnownCallers::new().unwrap());
        assert!(one.tag("qph_a") == one.tag("qph_a"));
        assert!(one.tag("qph_a") != other.tag("qph_a"));
    }

    #[test]
    fn ever_more_callers_take_no_more_room() {
        let callers = KnownCallers::new().unwrap();
        for number in 0..2 * MAX_KNOWN_CALLERS {
            callers.confirm(callers.tag(&format!("qph_{number}")), &subject(1));
        }
        assert!(callers.len() <= MAX_KNOWN_CALLERS, "{}", callers.len());
    }

    #[test]
    fn who_may_do_nothing_any_more_is_remembered_and_not_served() {
        let callers = KnownCallers::new().unwrap();
        let (one, of_the_same, other) = (callers.tag("qph_1"), callers.tag("qph_2"), callers.tag("qph_3"));
        for (tag, who) in [(one, 1), (of_the_same, 1), (other, 2)] {
            callers.confirm(tag, &subject(who));
        }
        let is_served = |tag| callers.find(&tag).unwrap().is_fresh(Instant::now());
        callers.distrust(&one);
        assert!(!is_served(one) && !is_served(of_the_same) && is_served(other));
        callers.distrust_api_key(subject(2).api_key);
        assert!(!is_served(other));
        callers.confirm(one, &subject(1));
        assert!(is_served(one) && !is_served(of_the_same));
    }

    #[test]
    fn a_confirmation_is_fresh_for_ten_minutes() {
        let callers = KnownCallers::new().unwrap();
        let known = callers.confirm(callers.tag("qph_a"), &subject(1));
        assert!(known.is_fresh(known.confirmed.unwrap() + Duration::from_secs(600)));
        assert!(!known.is_fresh(known.confirmed.unwrap() + Duration::from_secs(601)));
    }
}
