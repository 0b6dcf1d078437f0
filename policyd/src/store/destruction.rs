//! Keys whose date of destruction has come, and what a deleted tenant leaves: the service's own work, for no caller.

use super::access::{Session, Write};
use super::{StoreError, columns};
use chancel_domain::{KeyHandle, TenantId};
use chancel_wire::keyd::KeyIdentity;
use rusqlite::params;

/// The keys to destroy.
pub struct Destruction<'a, Access> {
    session: Session<'a, Access>,
}

impl<'a, Access> Destruction<'a, Access> {
    pub(super) const fn new(session: Session<'a, Access>) -> Self {
        Self { session }
    }

    /// At most `most` keys whose date has come, after the first `skipped`.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot answer.
    pub fn due(&self, now_ms: i64, skipped: usize, most: usize) -> Result<Vec<KeyIdentity>, StoreError> {
        let mut statement = self.session.statement(
            "SELECT tenant_id, algorithm, version, handle FROM keys
             WHERE state = 'pending_destruction' AND destroy_at_ms <= ?1 ORDER BY destroy_at_ms, handle LIMIT ?2 OFFSET ?3",
        )?;
        let mut rows = statement.query(params![now_ms, most as i64, skipped as i64])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push(KeyIdentity {
                tenant: TenantId::from_bytes(row.get(0)?),
                algorithm: columns::algorithm(row, 1)?,
                version: columns::key_version(row, 2)?,
                handle: KeyHandle::from_bytes(row.get(3)?),
            });
        }
        Ok(found)
    }

    /// Whether a key is still to be destroyed by now.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot answer.
    pub fn is_due(&self, key: &KeyIdentity, now_ms: i64) -> Result<bool, StoreError> {
        let mut statement = self.session.statement(
            "SELECT EXISTS (SELECT 1 FROM keys WHERE tenant_id = ?1 AND algorithm = ?2 AND version = ?3
             AND handle = ?4 AND state = 'pending_destruction' AND destroy_at_ms <= ?5)",
        )?;
        let due = statement.query_row(
            params![
                key.tenant.as_bytes(),
                u16::from(key.algorithm),
                key.version.number(),
                key.handle.as_bytes(),
                now_ms,
            ],
            |row| row.get(0),
        )?;
        Ok(due)
    }
}

impl Destruction<'_, Write> {
    /// The private key is gone: its row keeps the handle, so that no other key can ever have it, and nothing that
    /// could be used. `false` when the row was not waiting for that.
    ///
    /// # Errors
    /// [`StoreError`] when it could not be stored.
    pub fn destroyed(&self, key: &KeyIdentity, now_ms: i64) -> Result<bool, StoreError> {
        let mut statement = self.session.statement(
            "UPDATE keys SET state = 'destroyed', public_key = x'', destroy_at_ms = NULL, destroyed_at_ms = ?5
             WHERE tenant_id = ?1 AND algorithm = ?2 AND version = ?3 AND handle = ?4
               AND state = 'pending_destruction'",
        )?;
        let changed = statement.execute(params![
            key.tenant.as_bytes(),
            u16::from(key.algorithm),
            key.version.number(),
            key.handle.as_bytes(),
            now_ms,
        ])?;
        Ok(changed == 1)
    }

    /// Forgets first answers that are older than a time.
    ///
    /// # Errors
    /// [`StoreError`] when they could not be removed.
    pub fn forget_answers_before(&self, time_ms: i64) -> Result<(), StoreError> {
        let mut statement = self
            .session
            .statement("DELETE FROM idempotent_answers WHERE created_at_ms < ?1")?;
        statement.execute([time_ms])?;
        Ok(())
    }
}
