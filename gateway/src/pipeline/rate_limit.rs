//! Stage 5: a token bucket for each tenant and each API key, of the size and rate that policyd gives with the caller.
//!
//! Buckets exist only for tenants and API keys that policyd has vouched for, and full ones are forgotten, so
//! memory is bounded by who really calls. An API key's bucket is as large as its tenant's: it is the one that
//! empties when a single client runs wild, and what it then refuses is not taken from the tenant's.

use crate::error::ApiError;
use chancel_domain::plan::{PLANS, Plans, Rate};
use chancel_domain::{ApiKeyId, TenantId};
use chancel_wire::policyd::Subject;
use governor::clock::{Clock, DefaultClock};
use governor::middleware::{StateInformationMiddleware, StateSnapshot};
use governor::state::keyed::DashMapStateStore;
use governor::{NotUntil, Quota, RateLimiter};
use std::collections::HashMap;
use std::hash::Hash;
use std::num::NonZeroU32;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

type Bucket<K> = RateLimiter<K, DashMapStateStore<K>, DefaultClock, StateInformationMiddleware>;
type Refusal = NotUntil<<DefaultClock as Clock>::Instant>;

/// What a bucket holds, as callers read it in the `RateLimit-*` headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    /// Requests a full bucket holds.
    pub limit: u32,
    /// Requests it holds now.
    pub remaining: u32,
    /// Seconds until it is full.
    pub reset_s: u64,
    /// Seconds until it holds one request; 0 when it does.
    pub retry_after_s: u64,
}

/// The buckets, those of each rate together. A caller whose rate changes finds new ones.
pub struct RateLimits {
    rates: RwLock<HashMap<Rate, Arc<Buckets>>>,
    clock: DefaultClock,
}

struct Buckets {
    tenants: Bucket<TenantId>,
    api_keys: Bucket<ApiKeyId>,
}

impl Default for RateLimits {
    /// The usual plans' buckets are made at once: the first of all looks at the system for the number of its cores,
    /// which a sandboxed process cannot.
    fn default() -> Self {
        let plans = Plans::default();
        let rates = PLANS.iter().filter_map(|(plan, _)| plans.of(*plan).limits.rate);
        Self {
            rates: RwLock::new(rates.map(|rate| (rate, Arc::new(Buckets::of(rate)))).collect()),
            clock: DefaultClock::default(),
        }
    }
}

impl RateLimits {
    /// Takes one request out of the buckets of who calls; `None` when there is no limit.
    ///
    /// # Errors
    /// [`ApiError::RateLimited`] when a bucket is empty.
    pub fn take(&self, subject: &Subject) -> Result<Option<Allowance>, ApiError> {
        let Some(rate) = subject.rate else {
            return Ok(None);
        };
        let buckets = self.buckets(rate);
        self.take_one(&buckets.api_keys, &subject.api_key)?;
        self.take_one(&buckets.tenants, &subject.tenant).map(Some)
    }

    fn buckets(&self, rate: Rate) -> Arc<Buckets> {
        let known = self.rates.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(buckets) = known.get(&rate) {
            return buckets.clone();
        }
        drop(known);
        let mut rates = self.rates.write().unwrap_or_else(PoisonError::into_inner);
        rates
            .entry(rate)
            .or_insert_with(|| Arc::new(Buckets::of(rate)))
            .clone()
    }

    /// Forgets full buckets, and rates that nobody has any more. To be called now and then.
    pub fn sweep(&self) {
        let mut rates = self.rates.write().unwrap_or_else(PoisonError::into_inner);
        rates.retain(|_, buckets| {
            buckets.tenants.retain_recent();
            buckets.tenants.shrink_to_fit();
            buckets.api_keys.retain_recent();
            buckets.api_keys.shrink_to_fit();
            !buckets.tenants.is_empty() || !buckets.api_keys.is_empty()
        });
    }

    /// How many buckets there are.
    pub fn len(&self) -> usize {
        let rates = self.rates.read().unwrap_or_else(PoisonError::into_inner);
        let of_one = |buckets: &Arc<Buckets>| buckets.tenants.len() + buckets.api_keys.len();
        rates.values().map(of_one).sum()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn take_one<K: Hash + Eq + Clone>(&self, bucket: &Bucket<K>, key: &K) -> Result<Allowance, ApiError> {
        match bucket.check_key(key) {
            Ok(state) => Ok(Allowance::left(&state)),
            Err(refusal) => Err(ApiError::RateLimited(Allowance::none(
                &refusal,
                refusal.wait_time_from(self.clock.now()),
            ))),
        }
    }
}

impl Buckets {
    /// A rate of 0 is none that policyd gives; read as 1, it limits most.
    fn of(rate: Rate) -> Self {
        let one_or_more = |number| NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN);
        let quota = Quota::per_second(one_or_more(rate.per_second)).allow_burst(one_or_more(rate.burst));
        Self {
            tenants: RateLimiter::dashmap(quota).with_middleware(),
            api_keys: RateLimiter::dashmap(quota).with_middleware(),
        }
    }
}

impl Allowance {
    fn left(state: &StateSnapshot) -> Self {
        let quota = state.quota();
        let remaining = state.remaining_burst_capacity();
        let spent = quota.burst_size().get().saturating_sub(remaining);
        Self {
            limit: quota.burst_size().get(),
            remaining,
            reset_s: whole_seconds(quota.replenish_interval() * spent),
            retry_after_s: 0,
        }
    }

    fn none(refusal: &Refusal, wait: Duration) -> Self {
        let quota = refusal.quota();
        Self {
            limit: quota.burst_size().get(),
            remaining: 0,
            reset_s: whole_seconds(quota.burst_size_replenished_in()),
            retry_after_s: whole_seconds(wait).max(1),
        }
    }
}

/// Rounded up: who waits that long has waited long enough.
pub(super) fn whole_seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use chancel_domain::Networks;

    const FREE: Rate = Rate {
        per_second: 10,
        burst: 20,
    };

    fn subject(rate: impl Into<Option<Rate>>, tenant: u32, api_key: u32) -> Subject {
        let id = |number: u32| {
            let mut bytes = [0; 16];
            bytes[..4].copy_from_slice(&number.to_be_bytes());
            bytes
        };
        Subject {
            tenant: TenantId::from_bytes(id(tenant)),
            api_key: ApiKeyId::from_bytes(id(api_key)),
            api_key_version: 1,
            rate: rate.into(),
            expires_at_ms: None,
            networks: Networks::default(),
        }
    }

    #[test]
    fn the_burst_passes_and_the_next_request_waits() {
        let rates = RateLimits::default();
        let caller = subject(FREE, 1, 1);
        for left in (0..20).rev() {
            let allowance = rates.take(&caller).unwrap().unwrap();
            assert_eq!(allowance.limit, 20);
            // A token may have come back meanwhile.
            assert!(allowance.remaining.abs_diff(left) <= 1, "{allowance:?}");
        }
        let mut refused = rates.take(&caller);
        if refused.is_ok() {
            refused = rates.take(&caller);
        }
        let Err(ApiError::RateLimited(allowance)) = refused else {
            panic!("not limited");
        };
        assert_eq!(
            (allowance.remaining, allowance.retry_after_s, allowance.reset_s),
            (0, 1, 2)
        );
    }

    #[test]
    fn tenants_do_not_share_buckets_and_their_api_keys_do() {
        let rates = RateLimits::default();
        for _ in 0..22 {
            let _ = rates.take(&subject(FREE, 1, 1));
        }
        assert!(
            rates.take(&subject(FREE, 1, 2)).is_err(),
            "another key of the same tenant"
        );
        assert!(rates.take(&subject(FREE, 2, 3)).is_ok(), "another tenant");
    }

    #[test]
    fn callers_without_a_rate_have_no_buckets() {
        let rates = RateLimits::default();
        for _ in 0..10_000 {
            assert_eq!(rates.take(&subject(None, 1, 1)), Ok(None));
        }
        assert!(rates.is_empty());
    }

    #[test]
    fn a_changed_rate_has_buckets_of_its_own_size() {
        let rates = RateLimits::default();
        while rates.take(&subject(FREE, 1, 1)).is_ok() {}
        let more = Rate {
            per_second: 7,
            burst: 70,
        };
        let allowance = rates.take(&subject(more, 1, 1)).unwrap().unwrap();
        assert_eq!((allowance.limit, allowance.remaining), (70, 69));
    }

    #[test]
    fn full_buckets_are_forgotten() {
        let rates = RateLimits::default();
        let fast = Rate {
            per_second: 500,
            burst: 1_000,
        };
        for tenant in 0..100 {
            rates.take(&subject(fast, tenant, tenant)).unwrap();
        }
        std::thread::sleep(Duration::from_millis(50));
        rates.sweep();
        assert!(rates.is_empty());
    }

    /// Resident memory of this process, KiB.
    fn resident() -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    #[test]
    fn the_buckets_of_a_million_callers_take_some_megabytes() {
        let rates = RateLimits::default();
        let before = resident();
        for number in 0..1_000_000 {
            rates.take(&subject(FREE, number, number)).unwrap();
        }
        let grown = resident().saturating_sub(before) >> 10;
        println!(
            "{} buckets of a million tenants and API keys: {grown} MiB",
            rates.len()
        );
        assert!(grown < 256, "{grown} MiB");
    }
}
