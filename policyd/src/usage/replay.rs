//! Reads the ledger on from where the database's counts end. What a process that was killed had counted in memory is
//! counted again from its records, once.

use super::{Day, Month, counts};
use crate::store::{StoreError, UsageFigure, Writer};
use chancel_domain::operation::Place;
use chancel_domain::{Algorithm, KeyVersion, Operation, TenantId};
use chancel_ledger::{Ledger, Record, Records};
use std::collections::HashMap;
use std::io;

/// Why the counts could not be brought up to date.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The ledger could not be read.
    #[error("the ledger cannot be read: {0}")]
    Ledger(#[source] io::Error),
    /// The database could not be changed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Adds to the database's counts what the ledger says after them; returns the record up to which they count now.
///
/// # Errors
/// [`ReplayError`]; nothing was changed then.
pub async fn catch_up(ledger: &Ledger, writer: &Writer) -> Result<u64, ReplayError> {
    let id = *ledger.id().as_bytes();
    let position = writer.change(move |view| view.usage().position(&id)).await?;
    let newest = ledger.newest();
    // Another ledger lies here than the one that was counted: none of its records is.
    let from = position.unwrap_or(0);
    if from > newest {
        tracing::error!(
            counted = from,
            newest,
            "the ledger ends before the record up to which usage was counted"
        );
    }
    let added = read(ledger, from.min(newest)).map_err(ReplayError::Ledger)?;
    if !added.is_empty() {
        tracing::info!(
            records = newest.saturating_sub(from),
            "usage is counted from the ledger"
        );
    }
    writer
        .change(move |view| {
            view.usage().add(&added)?;
            view.usage().set_position(&id, newest)
        })
        .await?;
    Ok(newest)
}

fn read(ledger: &Ledger, from: u64) -> io::Result<Vec<UsageFigure>> {
    let mut calls = HashMap::new();
    let mut uses = HashMap::new();
    let mut last_used = HashMap::new();
    let mut records = Records::after(ledger.directory(), from)?;
    while let Some(line) = records.next_line()? {
        let Ok(record) = Record::parse(line.bytes) else {
            continue;
        };
        let Some(counted) = (record.seq > from).then(|| Allowed::of(&record)).flatten() else {
            continue;
        };
        if counts(counted.operation) {
            *calls.entry((counted.tenant, Month::of(record.time))).or_insert(0) += counted.times;
        }
        if let Some((algorithm, version)) = counted.key {
            *uses
                .entry((counted.tenant, algorithm, Day::of(record.time)))
                .or_insert(0) += counted.times;
            let last = last_used
                .entry((counted.tenant, algorithm, version))
                .or_insert(record.time);
            *last = record.time.max(*last);
        }
    }
    let calls = calls
        .into_iter()
        .map(|((tenant, month), more)| UsageFigure::Calls(tenant, month, more));
    let uses = uses
        .into_iter()
        .map(|((tenant, algorithm, day), more)| UsageFigure::Uses(tenant, algorithm, day, more));
    let last_used = last_used
        .into_iter()
        .map(|((tenant, algorithm, version), at)| UsageFigure::LastUsed(tenant, algorithm, version, at));
    Ok(calls.chain(uses).chain(last_used).collect())
}

struct Allowed {
    tenant: TenantId,
    operation: Operation,
    key: Option<(Algorithm, KeyVersion)>,
    times: u64,
}

impl Allowed {
    fn of(record: &Record<'_>) -> Option<Self> {
        if record.kind != "allow" {
            return None;
        }
        let operation = Operation::from_name(record.operation.as_deref()?).ok()?;
        let algorithm = || Algorithm::from_name(record.algorithm.as_deref()?).ok();
        let key = record
            .permit
            .as_ref()
            .filter(|_| operation.place() == Place::PrivateKey)
            .and_then(|_| Some((algorithm()?, KeyVersion::new(record.key_version?)?)));
        Some(Self {
            tenant: record.tenant.as_deref()?.parse().ok()?,
            operation,
            key,
            times: record.items.unwrap_or(1),
        })
    }
}
