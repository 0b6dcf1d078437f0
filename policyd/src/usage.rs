//! How much each tenant has used: counted in memory as decisions are recorded, written to the database every few
//! seconds, and read on from the ledger when policyd starts. The ledger is the log, the database its checkpoint; no
//! request waits for a transaction.

mod flush;
mod pending;
mod period;
mod replay;
#[cfg(test)]
mod tests;

pub use flush::flush_until_stopped;
pub use pending::Pending;
pub use period::{Day, Month};
pub use replay::{ReplayError, catch_up};

use crate::decide::Grant;
use crate::store::{Read, StoreError, TenantScope, UsageFigure};
use chancel_domain::operation::Place;
use chancel_domain::{Algorithm, KeyVersion, Operation, TenantId};
use chancel_wire::permit::PermitClaims;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Whether an allowed call counts. A question about the policy does not: it is asked to find out what would.
pub const fn counts(operation: Operation) -> bool {
    !matches!(operation, Operation::ExplainPolicy)
}

/// The counts.
#[derive(Debug)]
pub struct Usage(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    calls: HashMap<(TenantId, Month), Count>,
    uses: HashMap<(TenantId, Algorithm, Day), Count>,
    last_used: HashMap<(TenantId, Algorithm, KeyVersion), i64>,
    /// The newest record that is counted.
    seq: u64,
}

/// A count since the beginning of its period.
#[derive(Debug, Clone, Copy)]
struct Count {
    total: u64,
    /// What the database has of it.
    stored: u64,
    /// Whether it was looked at or changed since the last time counts were written.
    is_warm: bool,
}

impl Count {
    const fn stored(total: u64) -> Self {
        Self {
            total,
            stored: total,
            is_warm: true,
        }
    }
}

/// What a recorded decision adds.
#[derive(Debug, Clone, Copy)]
pub struct Counted {
    /// Whose.
    pub tenant: TenantId,
    /// What for.
    pub operation: Operation,
    /// The key, where a permit was issued.
    pub key: Option<(Algorithm, KeyVersion)>,
    /// How many times: as many as a batch has items.
    pub times: u64,
}

impl Counted {
    /// What an allowance adds.
    pub fn of(grant: &Grant, permit: Option<&PermitClaims>) -> Self {
        Self {
            tenant: grant.context().tenant(),
            operation: grant.operation(),
            key: permit.map(|claims| (claims.algorithm, claims.key_version)),
            times: grant.batch().map_or(1, |batch| batch.number().into()),
        }
    }

    /// The key whose private half will be used.
    fn use_of_key(&self) -> Option<(Algorithm, KeyVersion)> {
        self.key.filter(|_| self.operation.place() == Place::PrivateKey)
    }
}

impl Usage {
    /// Nothing counted beyond what the database has, which is everything up to a record.
    pub fn since(seq: u64) -> Self {
        Self(Mutex::new(State {
            seq,
            ..State::default()
        }))
    }

    /// Calls of a tenant in a month.
    ///
    /// # Errors
    /// [`StoreError`] when the database does not say what it has.
    pub fn calls(&self, scope: &TenantScope<'_, Read>, month: Month) -> Result<u64, StoreError> {
        let mut state = self.state();
        total(&mut state.calls, (scope.tenant(), month), || {
            scope.calls_of(month)
        })
    }

    /// Private-key uses of a tenant's key on a day.
    ///
    /// # Errors
    /// [`StoreError`] when the database does not say what it has.
    pub fn uses(
        &self,
        scope: &TenantScope<'_, Read>,
        algorithm: Algorithm,
        day: Day,
    ) -> Result<u64, StoreError> {
        let mut state = self.state();
        let of = (scope.tenant(), algorithm, day);
        total(&mut state.uses, of, || scope.uses_of(algorithm, day))
    }

    /// When the private half of a key was last used, as far as that is newer than the database.
    pub fn last_used(&self, tenant: TenantId, algorithm: Algorithm, version: KeyVersion) -> Option<i64> {
        self.state().last_used.get(&(tenant, algorithm, version)).copied()
    }

    /// Reads what is counted on from, so that counting itself cannot fail: before the record of an allowance is written.
    ///
    /// # Errors
    /// [`StoreError`] when the database does not say what it has.
    pub fn prepare(
        &self,
        scope: &TenantScope<'_, Read>,
        counted: &Counted,
        now_ms: i64,
    ) -> Result<(), StoreError> {
        if counts(counted.operation) {
            self.calls(scope, Month::of(now_ms))?;
        }
        if let Some((algorithm, _)) = counted.use_of_key() {
            self.uses(scope, algorithm, Day::of(now_ms))?;
        }
        Ok(())
    }

    /// Counts decisions, for each of which [`Self::prepare`] was called: at their time, Unix milliseconds, and up to which
    /// record, if they could be recorded.
    pub fn count<'a>(
        &self,
        decisions: impl IntoIterator<Item = &'a Counted>,
        time_ms: i64,
        recorded: Option<u64>,
    ) {
        let (month, day) = (Month::of(time_ms), Day::of(time_ms));
        let mut state = self.state();
        for counted in decisions {
            let tenant = counted.tenant;
            if counts(counted.operation) {
                add(&mut state.calls, &(tenant, month), counted.times);
            }
            if let Some((algorithm, version)) = counted.use_of_key() {
                add(&mut state.uses, &(tenant, algorithm, day), counted.times);
                let key = (tenant, algorithm, version);
                let last = state.last_used.entry(key).or_insert(time_ms);
                *last = time_ms.max(*last);
            }
        }
        state.seq = state.seq.max(recorded.unwrap_or_default());
    }

    /// What the database does not have yet, and up to which record.
    fn unwritten(&self) -> (Vec<UsageFigure>, u64) {
        let state = self.state();
        let calls = state
            .calls
            .iter()
            .filter(|(_, count)| count.total != count.stored);
        let uses = state.uses.iter().filter(|(_, count)| count.total != count.stored);
        let mut changes: Vec<_> = calls
            .map(|((tenant, month), count)| UsageFigure::Calls(*tenant, *month, count.total))
            .collect();
        changes.extend(uses.map(|((tenant, algorithm, day), count)| {
            UsageFigure::Uses(*tenant, *algorithm, *day, count.total)
        }));
        let last_used = state.last_used.iter();
        changes.extend(last_used.map(|((tenant, algorithm, version), at)| {
            UsageFigure::LastUsed(*tenant, *algorithm, *version, *at)
        }));
        (changes, state.seq)
    }

    /// The database has these now. What nobody asked for since the last time is forgotten here: it can be read.
    fn written(&self, changes: &[UsageFigure]) {
        let mut state = self.state();
        for change in changes {
            match change {
                UsageFigure::Calls(tenant, month, total) => {
                    if let Some(count) = state.calls.get_mut(&(*tenant, *month)) {
                        count.stored = *total;
                    }
                }
                UsageFigure::Uses(tenant, algorithm, day, total) => {
                    if let Some(count) = state.uses.get_mut(&(*tenant, *algorithm, *day)) {
                        count.stored = *total;
                    }
                }
                UsageFigure::LastUsed(tenant, algorithm, version, at) => {
                    let key = (*tenant, *algorithm, *version);
                    if state.last_used.get(&key) == Some(at) {
                        state.last_used.remove(&key);
                    }
                }
            }
        }
        state.calls.retain(|_, count| keep(count));
        state.uses.retain(|_, count| keep(count));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Single additions: a panic elsewhere leaves whole counts.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const fn keep(count: &mut Count) -> bool {
    let keep = count.is_warm || count.total != count.stored;
    count.is_warm = false;
    keep
}

fn entry<K: Hash + Eq>(
    counts: &mut HashMap<K, Count>,
    key: K,
    load: impl FnOnce() -> Result<u64, StoreError>,
) -> Result<&mut Count, StoreError> {
    let count = match counts.entry(key) {
        Entry::Occupied(known) => known.into_mut(),
        Entry::Vacant(unknown) => unknown.insert(Count::stored(load()?)),
    };
    count.is_warm = true;
    Ok(count)
}

fn total<K: Hash + Eq>(
    counts: &mut HashMap<K, Count>,
    key: K,
    load: impl FnOnce() -> Result<u64, StoreError>,
) -> Result<u64, StoreError> {
    entry(counts, key, load).map(|count| count.total)
}

fn add<K: Hash + Eq>(counts: &mut HashMap<K, Count>, key: &K, times: u64) {
    match counts.get_mut(key) {
        Some(count) => count.total = count.total.saturating_add(times),
        // Nothing comes between the two on the one thread that serves.
        None => tracing::error!("a use was not counted: it had not been prepared"),
    }
}
