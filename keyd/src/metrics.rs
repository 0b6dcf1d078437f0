//! keyd's counters. Names, labels and their values are written in this crate, never taken from a message.

use chancel_domain::Operation;
use chancel_wire::keyd::KeydError;
use chancel_wire::metric::Sample;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

type Series = (&'static str, &'static str, &'static str);

/// Counters that only grow, from 0 at start.
#[derive(Debug, Default)]
pub struct Metrics(Mutex<BTreeMap<Series, u64>>);

impl Metrics {
    /// A private key was used.
    pub fn key_used(&self, operation: Operation) {
        self.count("chancel_keyd_key_uses_total", "operation", operation.name());
    }

    /// A request was refused or failed.
    pub fn refused(&self, error: KeydError) {
        let (name, reason) = match error {
            KeydError::PermitForged => ("chancel_keyd_permits_refused_total", "forged"),
            KeydError::PermitExpired => ("chancel_keyd_permits_refused_total", "expired"),
            KeydError::PermitReplayed => ("chancel_keyd_permits_refused_total", "replayed"),
            KeydError::PermitForOtherOperation => ("chancel_keyd_permits_refused_total", "other-operation"),
            KeydError::PermitForOtherPayload => ("chancel_keyd_permits_refused_total", "other-payload"),
            KeydError::Malformed => (REQUESTS_REFUSED, "malformed"),
            KeydError::NotForThisPeer => (REQUESTS_REFUSED, "not-for-this-peer"),
            KeydError::KeyNotFound => (REQUESTS_REFUSED, "key-not-found"),
            KeydError::KeyExists => (REQUESTS_REFUSED, "key-exists"),
            KeydError::KeyFileDamaged(_) => (REQUESTS_REFUSED, "key-file-damaged"),
            KeydError::Undecryptable => (REQUESTS_REFUSED, "undecryptable"),
            KeydError::InvalidInput => (REQUESTS_REFUSED, "invalid-input"),
            KeydError::Overloaded => (REQUESTS_REFUSED, "overloaded"),
            KeydError::DeadlinePassed => (REQUESTS_REFUSED, "deadline-passed"),
            KeydError::StorageFailed => (REQUESTS_REFUSED, "storage-failed"),
            KeydError::SelfCheckFailed => (REQUESTS_REFUSED, "self-check-failed"),
        };
        self.count(name, "reason", reason);
    }

    /// A connection was refused, or closed for what it sent. `Some` count when it is worth a line in the log:
    /// the first, the second, the fourth of its reason and so on, so that nobody can drown the log by knocking.
    pub fn connection_refused(&self, reason: &'static str) -> Option<u64> {
        let count = self.count("chancel_keyd_connections_refused_total", "reason", reason);
        count.is_power_of_two().then_some(count)
    }

    /// All counters that are not 0.
    pub fn samples(&self) -> Vec<Sample> {
        self.series()
            .iter()
            .map(|((name, label, text), value)| Sample::new(name, Some((label, text)), *value))
            .collect()
    }

    fn count(&self, name: &'static str, label: &'static str, value: &'static str) -> u64 {
        let mut series = self.series();
        let counter = series.entry((name, label, value)).or_default();
        *counter = counter.saturating_add(1);
        *counter
    }

    fn series(&self) -> MutexGuard<'_, BTreeMap<Series, u64>> {
        // A counter is one number: it cannot be half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const REQUESTS_REFUSED: &str = "chancel_keyd_requests_refused_total";
