//! Counts of usage, all tenants' together: they are written by the service for itself, in one transaction with the
//! place in the ledger up to which they count. A tenant that has been deleted meanwhile is passed over.

use super::access::{Session, Write};
use super::{StoreError, TenantScope};
use crate::usage::{Day, Month};
use chancel_domain::{Algorithm, KeyVersion, TenantId};
use rusqlite::{OptionalExtension, params};

/// A count: as it is now, or what is to be added to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UsageFigure {
    /// Calls in a month.
    Calls(TenantId, Month, u64),
    /// Private-key uses on a day.
    Uses(TenantId, Algorithm, Day, u64),
    /// When a key's private half was last used, Unix milliseconds.
    LastUsed(TenantId, Algorithm, KeyVersion, i64),
}

/// What becomes of the count that is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stored {
    Replaced,
    AddedTo,
}

/// The tables of usage.
pub struct UsageTables<'a> {
    session: Session<'a, Write>,
}

impl<'a> UsageTables<'a> {
    pub(super) const fn new(session: Session<'a, Write>) -> Self {
        Self { session }
    }

    /// Sets counts.
    ///
    /// # Errors
    /// [`StoreError`] when they could not be stored.
    pub fn apply(&self, totals: &[UsageFigure]) -> Result<(), StoreError> {
        self.write(totals, Stored::Replaced)
    }

    /// Adds to counts.
    ///
    /// # Errors
    /// [`StoreError`] when they could not be stored.
    pub fn add(&self, additions: &[UsageFigure]) -> Result<(), StoreError> {
        self.write(additions, Stored::AddedTo)
    }

    /// The record up to which a ledger is counted; `None` when none of it is.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot answer.
    pub fn position(&self, ledger: &[u8; 16]) -> Result<Option<u64>, StoreError> {
        let mut statement = self
            .session
            .statement("SELECT seq FROM usage_position WHERE ledger = ?1")?;
        let seq = statement
            .query_row([ledger], |row| row.get::<_, i64>(0))
            .optional()?;
        Ok(seq.map(i64::unsigned_abs))
    }

    /// Sets the record up to which a ledger is counted.
    ///
    /// # Errors
    /// [`StoreError`] when it could not be stored.
    pub fn set_position(&self, ledger: &[u8; 16], seq: u64) -> Result<(), StoreError> {
        let mut statement = self.session.statement(
            "INSERT INTO usage_position (ledger, seq) VALUES (?1, ?2)
             ON CONFLICT (ledger) DO UPDATE SET seq = excluded.seq",
        )?;
        statement.execute(params![ledger, signed(seq)])?;
        Ok(())
    }

    /// Forgets the uses of days that no rule looks at any more.
    ///
    /// # Errors
    /// [`StoreError`] when they could not be removed.
    pub fn forget_days_before(&self, day: Day) -> Result<(), StoreError> {
        let mut statement = self.session.statement("DELETE FROM usage_days WHERE day < ?1")?;
        statement.execute([day.number()])?;
        Ok(())
    }

    fn write(&self, figures: &[UsageFigure], stored: Stored) -> Result<(), StoreError> {
        for figure in figures {
            match *figure {
                UsageFigure::Calls(tenant, month, count) => self.calls(tenant, month, count, stored)?,
                UsageFigure::Uses(tenant, algorithm, day, count) => {
                    self.uses(tenant, algorithm, day, count, stored)?;
                }
                UsageFigure::LastUsed(tenant, algorithm, version, at) => {
                    self.last_used(tenant, algorithm, version, at)?;
                }
            }
        }
        Ok(())
    }

    fn calls(&self, tenant: TenantId, month: Month, count: u64, stored: Stored) -> Result<(), StoreError> {
        let mut statement = self.session.statement(
            "INSERT INTO usage_months (tenant_id, month, calls)
             SELECT id, ?2, ?3 FROM tenants WHERE id = ?1 AND status <> 'deleted'
             ON CONFLICT (tenant_id, month) DO UPDATE SET calls = iif(?4, calls, 0) + excluded.calls",
        )?;
        statement.execute(params![
            tenant.as_bytes(),
            month.number(),
            signed(count),
            stored == Stored::AddedTo
        ])?;
        Ok(())
    }

    fn uses(
        &self,
        tenant: TenantId,
        algorithm: Algorithm,
        day: Day,
        count: u64,
        stored: Stored,
    ) -> Result<(), StoreError> {
        let mut statement = self.session.statement(
            "INSERT INTO usage_days (tenant_id, algorithm, day, uses)
             SELECT id, ?2, ?3, ?4 FROM tenants WHERE id = ?1 AND status <> 'deleted'
             ON CONFLICT (tenant_id, algorithm, day) DO UPDATE SET uses = iif(?5, uses, 0) + excluded.uses",
        )?;
        statement.execute(params![
            tenant.as_bytes(),
            u16::from(algorithm),
            day.number(),
            signed(count),
            stored == Stored::AddedTo
        ])?;
        Ok(())
    }

    fn last_used(
        &self,
        tenant: TenantId,
        algorithm: Algorithm,
        version: KeyVersion,
        at_ms: i64,
    ) -> Result<(), StoreError> {
        let mut statement = self.session.statement(
            "UPDATE keys SET last_used_at_ms = max(?4, coalesce(last_used_at_ms, ?4))
             WHERE tenant_id = ?1 AND algorithm = ?2 AND version = ?3",
        )?;
        statement.execute(params![
            tenant.as_bytes(),
            u16::from(algorithm),
            version.number(),
            at_ms
        ])?;
        Ok(())
    }
}

/// SQLite's integers have a sign.
fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

impl<Access> TenantScope<'_, Access> {
    /// Calls in a month, as far as they have been written.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot answer.
    pub fn calls_of(&self, month: Month) -> Result<u64, StoreError> {
        let mut statement =
            self.statement("SELECT calls FROM usage_months WHERE tenant_id = ?1 AND month = ?2")?;
        let parameters = params![self.tenant_id(), month.number()];
        let calls = statement
            .query_row(parameters, |row| row.get::<_, i64>(0))
            .optional()?;
        Ok(calls.map_or(0, i64::unsigned_abs))
    }

    /// Private-key uses on a day, as far as they have been written.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot answer.
    pub fn uses_of(&self, algorithm: Algorithm, day: Day) -> Result<u64, StoreError> {
        let mut statement = self
            .statement("SELECT uses FROM usage_days WHERE tenant_id = ?1 AND algorithm = ?2 AND day = ?3")?;
        let parameters = params![self.tenant_id(), u16::from(algorithm), day.number()];
        let uses = statement
            .query_row(parameters, |row| row.get::<_, i64>(0))
            .optional()?;
        Ok(uses.map_or(0, i64::unsigned_abs))
    }
}
