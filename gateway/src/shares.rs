//! How many requests that take long one tenant may have under way: in the queues for them there are few places, and
//! nobody is to have them all.

use crate::error::ApiError;
use chancel_domain::TenantId;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Slow requests and batches of a tenant: a quarter of the places that keyd has for each.
pub const MOST_OF_A_TENANT: usize = 4;

/// What each tenant has under way; tenants that have nothing are not kept.
#[derive(Debug, Default)]
pub struct Shares(Mutex<HashMap<TenantId, usize>>);

/// One request under way, given back when dropped.
#[derive(Debug)]
pub struct Share {
    shares: Arc<Shares>,
    tenant: TenantId,
}

impl Shares {
    /// Takes one.
    ///
    /// # Errors
    /// [`ApiError::ShareTaken`] when the tenant has as many as it may have.
    pub fn take(self: &Arc<Self>, tenant: TenantId) -> Result<Share, ApiError> {
        let mut taken = self.taken();
        let count = taken.entry(tenant).or_default();
        if *count >= MOST_OF_A_TENANT {
            return Err(ApiError::ShareTaken);
        }
        *count += 1;
        Ok(Share {
            shares: Arc::clone(self),
            tenant,
        })
    }

    fn taken(&self) -> MutexGuard<'_, HashMap<TenantId, usize>> {
        // Single additions: a panic elsewhere leaves whole counts.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut taken = self.shares.taken();
        if let Some(count) = taken.get_mut(&self.tenant) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.tenant);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_has_its_share_and_takes_nothing_from_others() {
        let shares = Arc::new(Shares::default());
        let [one, other] = [1, 2].map(|byte| TenantId::from_bytes([byte; 16]));
        let held: Vec<_> = (0..MOST_OF_A_TENANT).map(|_| shares.take(one).unwrap()).collect();
        assert_eq!(shares.take(one).unwrap_err(), ApiError::ShareTaken);
        assert!(shares.take(other).is_ok());
        drop(held);
        assert!(shares.taken().is_empty());
        assert!(shares.take(one).is_ok());
    }
}
