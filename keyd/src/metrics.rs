//! keyd's counters. Names, labels and their values are written in this crate, never taken from a message.

use chancel_domain::Operation;
use chancel_ledger::{Health, Statistics};
use chancel_wire::keyd::{BreakGlassState, KeydError};
use chancel_wire::metric::Sample;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

type Series = (&'static str, &'static str, &'static str);

const PERMITS_REFUSED: &str = "chancel_keyd_permits_refused_total";
const REQUESTS_REFUSED: &str = "chancel_keyd_requests_refused_total";
const CONNECTIONS_REFUSED: &str = "chancel_keyd_connections_refused_total";
/// Of connections: what strangers come with.
const STRANGERS: [&str; 3] = ["wrong-account", "wrong-token", "bad-hello"];
/// What may be wrong with a permit.
const PERMIT_ERRORS: [KeydError; 5] = [
    KeydError::PermitForged,
    KeydError::PermitExpired,
    KeydError::PermitReplayed,
    KeydError::PermitForOtherOperation,
    KeydError::PermitForOtherPayload,
];

/// Counters that only grow, from 0 at start.
#[derive(Debug)]
pub struct Metrics(Mutex<BTreeMap<Series, u64>>);

impl Default for Metrics {
    /// What somebody is woken for at its first time is there from the start: an alert on an increase needs a 0 to see the
    /// first one from.
    fn default() -> Self {
        let permits = PERMIT_ERRORS.map(|error| (PERMITS_REFUSED, name_of(error)));
        let requests = [(REQUESTS_REFUSED, name_of(KeydError::SelfCheckFailed))];
        let connections = STRANGERS.map(|reason| (CONNECTIONS_REFUSED, reason));
        let all = permits.into_iter().chain(requests).chain(connections);
        Self(Mutex::new(
            all.map(|(name, reason)| ((name, "reason", reason), 0)).collect(),
        ))
    }
}

impl Metrics {
    /// A private key was used so many times.
    pub fn key_used(&self, operation: Operation, times: usize) {
        self.add(
            "chancel_keyd_key_uses_total",
            "operation",
            operation.name(),
            u64::try_from(times).unwrap_or(u64::MAX),
        );
    }

    /// A request was refused or failed.
    pub fn refused(&self, error: KeydError) {
        let name = if PERMIT_ERRORS.contains(&error) {
            PERMITS_REFUSED
        } else {
            REQUESTS_REFUSED
        };
        self.count(name, "reason", name_of(error));
    }

    /// A connection was refused, or closed for what it sent. `Some` count when it is worth a line in the log:
    /// the first, the second, the fourth of its reason and so on, so that nobody can drown the log by knocking.
    pub fn connection_refused(&self, reason: &'static str) -> Option<u64> {
        let count = self.count(CONNECTIONS_REFUSED, "reason", reason);
        count.is_power_of_two().then_some(count)
    }

    /// All counters that were counted, and those that are there from the start.
    pub fn samples(&self) -> Vec<Sample> {
        self.series()
            .iter()
            .map(|((name, label, text), value)| Sample::new(name, Some((label, text)), *value))
            .collect()
    }

    fn count(&self, name: &'static str, label: &'static str, value: &'static str) -> u64 {
        self.add(name, label, value, 1)
    }

    fn add(&self, name: &'static str, label: &'static str, value: &'static str, more: u64) -> u64 {
        let mut series = self.series();
        let counter = series.entry((name, label, value)).or_default();
        *counter = counter.saturating_add(more);
        *counter
    }

    fn series(&self) -> MutexGuard<'_, BTreeMap<Series, u64>> {
        // A counter is one number: it cannot be half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An error's name, in metrics and in the ledger.
pub const fn name_of(error: KeydError) -> &'static str {
    match error {
        KeydError::PermitForged => "forged",
        KeydError::PermitExpired => "expired",
        KeydError::PermitReplayed => "replayed",
        KeydError::PermitForOtherOperation => "other-operation",
        KeydError::PermitForOtherPayload => "other-payload",
        KeydError::Malformed => "malformed",
        KeydError::NotForThisPeer => "not-for-this-peer",
        KeydError::KeyNotFound => "key-not-found",
        KeydError::KeyExists => "key-exists",
        KeydError::KeyFileDamaged(_) => "key-file-damaged",
        KeydError::Undecryptable => "undecryptable",
        KeydError::InvalidInput => "invalid-input",
        KeydError::Overloaded => "overloaded",
        KeydError::DeadlinePassed => "deadline-passed",
        KeydError::StorageFailed => "storage-failed",
        KeydError::SelfCheckFailed => "self-check-failed",
        KeydError::LedgerUnwritable => "ledger-unwritable",
        KeydError::BreakGlassClosed => "break-glass-closed",
        KeydError::BreakGlassTime => "break-glass-time",
    }
}

/// The ledger's.
pub fn of_ledger(health: Health, statistics: Statistics) -> [Sample; 5] {
    [
        Sample::new("chancel_keyd_ledger_records_total", None, statistics.records),
        Sample::new("chancel_keyd_ledger_bytes_total", None, statistics.bytes),
        Sample::new("chancel_keyd_ledger_refused_total", None, statistics.refused),
        Sample::new(
            "chancel_keyd_ledger_unwritable",
            None,
            u64::from(health == Health::Unwritable),
        ),
        Sample::new("chancel_keyd_ledger_low", None, u64::from(health == Health::Low)),
    ]
}

/// Break-glass's.
pub fn of_break_glass(state: &BreakGlassState, uses: u64) -> [Sample; 2] {
    [
        Sample::new(
            "chancel_keyd_break_glass_open",
            None,
            u64::from(state.remaining_ms > 0),
        ),
        Sample::new("chancel_keyd_break_glass_uses_total", None, uses),
    ]
}
