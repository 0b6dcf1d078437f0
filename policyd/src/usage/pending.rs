//! Decisions that are made and not recorded yet.

use super::{Counted, counts};
use chancel_domain::{Algorithm, TenantId};

/// Decisions that are made and not recorded yet: counted when they are, and looked at meanwhile, so that no two requests
/// share the last place of a quota.
#[derive(Debug, Default)]
pub struct Pending(Vec<Counted>);

impl Pending {
    /// Adds one.
    pub fn add(&mut self, counted: Counted) {
        self.0.push(counted);
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Counted> {
        self.0.iter()
    }

    /// How many calls of a tenant they are.
    pub fn calls(&self, tenant: TenantId) -> u64 {
        let calls = |counted: &&Counted| counted.tenant == tenant && counts(counted.operation);
        self.times(calls)
    }

    /// How many uses of a tenant's private keys of an algorithm they are.
    pub fn uses(&self, tenant: TenantId, algorithm: Algorithm) -> u64 {
        let uses = |counted: &&Counted| {
            counted.tenant == tenant && counted.use_of_key().is_some_and(|(of, _)| of == algorithm)
        };
        self.times(uses)
    }

    fn times(&self, of: impl Fn(&&Counted) -> bool) -> u64 {
        self.0.iter().filter(of).map(|counted| counted.times).sum()
    }
}
