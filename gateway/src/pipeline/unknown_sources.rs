//! A token bucket for each address that sends API keys which policyd does not know. When it is empty, further unknown
//! keys from there are refused unasked; callers that policyd has confirmed pass.
//!
//! An address is one of IPv4, or the first 64 bits of IPv6, which is what one site has. At most so many are
//! remembered, those seen last.

use super::rate_limit::{Allowance, whole_seconds};
use crate::error::ApiError;
use crate::recent::Recent;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Addresses that are remembered.
pub const MAX_SOURCES: usize = 65_536;

/// Unknown API keys that may come at once from an address.
pub const BURST: u32 = 200;

/// After that one each: 20 a second.
const INTERVAL: Duration = Duration::from_millis(50);

/// The buckets: for each address, when it will be full.
pub struct UnknownSources(Mutex<Recent<IpAddr, Instant>>);

impl Default for UnknownSources {
    fn default() -> Self {
        Self(Mutex::new(Recent::new(MAX_SOURCES)))
    }
}

impl UnknownSources {
    /// Whether an API key that nobody has confirmed may be asked about.
    ///
    /// # Errors
    /// [`ApiError::RateLimited`] when the bucket is empty.
    pub fn admit(&self, source: IpAddr) -> Result<(), ApiError> {
        self.admit_at(source, Instant::now())
    }

    /// policyd did not know the API key: takes one out of the bucket.
    pub fn failed(&self, source: IpAddr) {
        self.failed_at(source, Instant::now());
    }

    fn admit_at(&self, source: IpAddr, now: Instant) -> Result<(), ApiError> {
        let mut buckets = self.lock();
        let Some(full) = buckets.find(&site(source)) else {
            return Ok(());
        };
        let missing = full.saturating_duration_since(now);
        let wait = (missing + INTERVAL).saturating_sub(INTERVAL * BURST);
        if wait.is_zero() {
            return Ok(());
        }
        Err(ApiError::RateLimited(Allowance {
            limit: BURST,
            remaining: 0,
            reset_s: whole_seconds(missing),
            retry_after_s: whole_seconds(wait).max(1),
        }))
    }

    fn failed_at(&self, source: IpAddr, now: Instant) {
        let mut buckets = self.lock();
        let site = site(source);
        match buckets.find(&site) {
            Some(full) => *full = (*full).max(now) + INTERVAL,
            None => buckets.insert(site, now + INTERVAL),
        }
    }

    /// A thread that panicked here left whole entries.
    fn lock(&self) -> MutexGuard<'_, Recent<IpAddr, Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What one bucket is for.
fn site(source: IpAddr) -> IpAddr {
    match source.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)).into(),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn the_burst_passes_then_one_each_interval() {
        let (sources, now) = (UnknownSources::default(), Instant::now());
        let source = address("192.0.2.1");
        for _ in 0..BURST {
            sources.admit_at(source, now).unwrap();
            sources.failed_at(source, now);
        }
        let Err(ApiError::RateLimited(allowance)) = sources.admit_at(source, now) else {
            panic!("not limited");
        };
        assert_eq!((allowance.remaining, allowance.retry_after_s), (0, 1));
        assert!(sources.admit_at(address("192.0.2.2"), now).is_ok());
        sources.admit_at(source, now + INTERVAL).unwrap();
        sources.failed_at(source, now + INTERVAL);
        sources.admit_at(source, now + INTERVAL).unwrap_err();
        sources.admit_at(source, now + INTERVAL * 2).unwrap();
    }

    #[test]
    fn a_site_of_ipv6_has_one_bucket_and_ipv4_inside_it_is_ipv4() {
        let (sources, now) = (UnknownSources::default(), Instant::now());
        for last in 0..BURST {
            sources.failed_at(address(&format!("2001:db8::{last:x}")), now);
        }
        sources.admit_at(address("2001:db8::ffff:1"), now).unwrap_err();
        sources.admit_at(address("2001:db8:0:1::1"), now).unwrap();
        for _ in 0..BURST {
            sources.failed_at(address("::ffff:192.0.2.1"), now);
        }
        sources.admit_at(address("192.0.2.1"), now).unwrap_err();
    }

    #[test]
    fn a_million_addresses_take_bounded_room() {
        let (sources, now) = (UnknownSources::default(), Instant::now());
        for number in 0..1_000_000 {
            sources.failed_at(std::net::Ipv4Addr::from_bits(number).into(), now);
        }
        assert!(sources.lock().len() <= MAX_SOURCES);
    }
}
