//! How much of something scarce one tenant may have at once: of the requests that take long, for there are few places in
//! the queues for them, and of the memory for streams. Nobody is to have it all.

use crate::error::ApiError;
use chancel_domain::TenantId;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Streams, batches and slow requests of a tenant, together; a batch of slow signatures is as many as it has. A quarter of
/// the places that keyd has for slow signatures, and for batches.
pub const MOST_OF_A_TENANT: usize = 4;

/// What each tenant has under way; tenants that have nothing are not kept.
#[derive(Debug)]
pub struct Shares {
    most: usize,
    taken: Mutex<HashMap<TenantId, usize>>,
}

/// A request's part of what its tenant may have, given back when dropped.
#[derive(Debug)]
pub struct Share {
    shares: Arc<Shares>,
    tenant: TenantId,
    size: usize,
}

impl Shares {
    /// So much for each tenant.
    pub fn of(most: usize) -> Arc<Self> {
        Arc::new(Self {
            most,
            taken: Mutex::default(),
        })
    }

    /// How many tenants have something.
    pub fn tenants(&self) -> usize {
        self.taken().len()
    }

    /// A part of so many.
    ///
    /// # Errors
    /// [`ApiError::ShareTaken`] when the tenant would have more than it may have.
    pub fn take(self: &Arc<Self>, tenant: TenantId, size: usize) -> Result<Share, ApiError> {
        let mut share = Share {
            shares: Arc::clone(self),
            tenant,
            size: 0,
        };
        share.grow_to(size).map(|()| share)
    }

    fn taken(&self) -> MutexGuard<'_, HashMap<TenantId, usize>> {
        // Single additions: a panic elsewhere leaves whole counts.
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Share {
    /// Raises it to so many; a larger one stays as it is.
    ///
    /// # Errors
    /// [`ApiError::ShareTaken`]; it is then unchanged.
    pub fn grow_to(&mut self, size: usize) -> Result<(), ApiError> {
        let more = size.saturating_sub(self.size);
        let mut taken = self.shares.taken();
        let of_tenant = taken.get(&self.tenant).copied().unwrap_or_default();
        if of_tenant.saturating_add(more) > self.shares.most {
            return Err(ApiError::ShareTaken);
        }
        taken.insert(self.tenant, of_tenant + more);
        self.size += more;
        Ok(())
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut taken = self.shares.taken();
        if let Some(of_tenant) = taken.get_mut(&self.tenant) {
            *of_tenant -= self.size;
            if *of_tenant == 0 {
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
        let shares = Shares::of(MOST_OF_A_TENANT);
        let [one, other] = [1, 2].map(|byte| TenantId::from_bytes([byte; 16]));
        let mut held: Vec<_> = (1..MOST_OF_A_TENANT)
            .map(|_| shares.take(one, 1).unwrap())
            .collect();
        assert_eq!(shares.take(one, 2).unwrap_err(), ApiError::ShareTaken);
        held[0].grow_to(2).unwrap();
        held[0].grow_to(1).unwrap();
        assert_eq!(held[0].grow_to(3), Err(ApiError::ShareTaken));
        assert!(shares.take(one, 1).is_err());
        assert!(shares.take(other, MOST_OF_A_TENANT).is_ok());
        assert!(shares.take(other, MOST_OF_A_TENANT + 1).is_err());
        drop(held);
        assert!(shares.taken().is_empty());
        assert!(shares.take(one, MOST_OF_A_TENANT).is_ok());
    }
}
