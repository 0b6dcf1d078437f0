//! Stage 5: a token bucket for each tenant and each API key, of the size and rate of the tenant's plan.
//!
//! Buckets exist only for tenants and API keys that policyd has vouched for, and full ones are forgotten, so
//! memory is bounded by who really calls. An API key's bucket is as large as its tenant's: it is the one that
//! empties when a single client runs wild, and what it then refuses is not taken from the tenant's.

use crate::error::ApiError;
use chancel_domain::plan::PLANS;
use chancel_domain::{ApiKeyId, Plan, TenantId};
use chancel_wire::policyd::Subject;
use governor::clock::{Clock, DefaultClock};
use governor::middleware::{StateInformationMiddleware, StateSnapshot};
use governor::state::keyed::DashMapStateStore;
use governor::{NotUntil, Quota, RateLimiter};
use std::hash::Hash;
use std::num::NonZeroU32;
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

/// The buckets of all plans that have limits.
pub struct RateLimits {
    plans: [Option<Buckets>; PLANS.len()],
    clock: DefaultClock,
}

struct Buckets {
    tenants: Bucket<TenantId>,
    api_keys: Bucket<ApiKeyId>,
}

impl Default for RateLimits {
    fn default() -> Self {
        Self {
            plans: PLANS.map(|(plan, _)| Buckets::of(plan)),
            clock: DefaultClock::default(),
        }
    }
}

impl RateLimits {
    /// Takes one request out of the buckets of who calls; `None` when the plan has no limit.
    ///
    /// # Errors
    /// [`ApiError::RateLimited`] when a bucket is empty.
    pub fn take(&self, subject: &Subject) -> Result<Option<Allowance>, ApiError> {
        // NOTE(index): one place a plan, in the order of the table, which is that of the variants.
        let Some(buckets) = &self.plans[subject.plan as usize] else {
            return Ok(None);
        };
        self.take_one(&buckets.api_keys, &subject.api_key)?;
        self.take_one(&buckets.tenants, &subject.tenant).map(Some)
    }

    /// Forgets full buckets. To be called now and then.
    pub fn sweep(&self) {
        for buckets in self.plans.iter().flatten() {
            buckets.tenants.retain_recent();
            buckets.tenants.shrink_to_fit();
            buckets.api_keys.retain_recent();
            buckets.api_keys.shrink_to_fit();
        }
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
    fn of(plan: Plan) -> Option<Self> {
        let limits = plan.limits();
        let rate = NonZeroU32::new(limits.requests_per_second?)?;
        let burst = limits.burst.and_then(NonZeroU32::new).unwrap_or(rate);
        let quota = Quota::per_second(rate).allow_burst(burst);
        Some(Self {
            tenants: RateLimiter::dashmap(quota).with_middleware(),
            api_keys: RateLimiter::dashmap(quota).with_middleware(),
        })
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
fn whole_seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject(plan: Plan, tenant: u8, api_key: u8) -> Subject {
        Subject {
            tenant: TenantId::from_bytes([tenant; 16]),
            api_key: ApiKeyId::from_bytes([api_key; 16]),
            api_key_version: 1,
            plan,
        }
    }

    #[test]
    fn the_burst_passes_and_the_next_request_waits() {
        let rates = RateLimits::default();
        let caller = subject(Plan::Free, 1, 1);
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
            let _ = rates.take(&subject(Plan::Free, 1, 1));
        }
        assert!(
            rates.take(&subject(Plan::Free, 1, 2)).is_err(),
            "another key of the same tenant"
        );
        assert!(rates.take(&subject(Plan::Free, 2, 3)).is_ok(), "another tenant");
    }

    #[test]
    fn plans_without_limits_have_no_buckets() {
        let rates = RateLimits::default();
        for _ in 0..10_000 {
            assert_eq!(rates.take(&subject(Plan::Enterprise, 1, 1)), Ok(None));
        }
    }

    #[test]
    fn full_buckets_are_forgotten() {
        let rates = RateLimits::default();
        for tenant in 0..100 {
            rates.take(&subject(Plan::Pro, tenant, tenant)).unwrap();
        }
        std::thread::sleep(Duration::from_millis(50));
        rates.sweep();
        let buckets = rates.plans[Plan::Pro as usize].as_ref().unwrap();
        assert_eq!((buckets.tenants.len(), buckets.api_keys.len()), (0, 0));
    }
}
