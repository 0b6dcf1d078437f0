//! One tenant's keys. A key that is reserved ('pending') is invisible to everything but the lifecycle, which
//! asks for it by name.

use super::access::Write;
use super::{StoreError, TenantScope, columns};
use chancel_domain::{Algorithm, ApiKeyId, KeyHandle, KeyState, KeyVersion};
use chancel_wire::keyd::KeyIdentity;
use chancel_wire::policyd::KeyView;
use rusqlite::{Row, params};

/// In the path of every use of a key.
pub(super) const ACTIVE_KEY: &str =
    "SELECT algorithm, version, state, handle, public_key, created_at_ms, last_used_at_ms, destroy_at_ms
     FROM keys WHERE tenant_id = ?1 AND algorithm = ?2 AND state = 'active'";

/// In the path of every use of a key.
pub(super) const ONE_KEY: &str =
    "SELECT algorithm, version, state, handle, public_key, created_at_ms, last_used_at_ms, destroy_at_ms
     FROM keys WHERE tenant_id = ?1 AND algorithm = ?2 AND version = ?3 AND state <> 'pending'";

impl<Access> TenantScope<'_, Access> {
    /// The active key of an algorithm.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot answer.
    pub fn active_key(&self, algorithm: Algorithm) -> Result<Option<KeyView>, StoreError> {
        let mut statement = self.statement(ACTIVE_KEY)?;
        let mut rows = statement.query(params![self.tenant_id(), u16::from(algorithm)])?;
        rows.next()?.map(view).transpose()
    }

    /// One version of a key.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot answer.
    pub fn key(&self, algorithm: Algorithm, version: KeyVersion) -> Result<Option<KeyView>, StoreError> {
        let mut statement = self.statement(ONE_KEY)?;
        let mut rows = statement.query(params![self.tenant_id(), u16::from(algorithm), version.number()])?;
        rows.next()?.map(view).transpose()
    }

    /// At most `most` keys, the newest of each algorithm first, only those of an algorithm or in a state where
    /// one is given.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot answer.
    pub fn keys(
        &self,
        algorithm: Option<Algorithm>,
        state: Option<KeyState>,
        most: usize,
    ) -> Result<Vec<KeyView>, StoreError> {
        let mut statement = self.statement(
            "SELECT algorithm, version, state, handle, public_key, created_at_ms, last_used_at_ms, destroy_at_ms
             FROM keys WHERE tenant_id = ?1 AND state <> 'pending'
               AND (?2 IS NULL OR algorithm = ?2) AND (?3 IS NULL OR state = ?3)
             ORDER BY algorithm, version DESC LIMIT ?4",
        )?;
        let mut rows = statement.query(params![
            self.tenant_id(),
            algorithm.map(u16::from),
            state.map(KeyState::name),
            most as i64,
        ])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push(view(row)?);
        }
        Ok(found)
    }

    /// How many keys there are, only those of an algorithm or in a state where one is given.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot answer.
    pub fn count_keys(
        &self,
        algorithm: Option<Algorithm>,
        state: Option<KeyState>,
    ) -> Result<u64, StoreError> {
        let mut statement = self.statement(
            "SELECT count(*) FROM keys WHERE tenant_id = ?1 AND state <> 'pending'
               AND (?2 IS NULL OR algorithm = ?2) AND (?3 IS NULL OR state = ?3)",
        )?;
        let parameters = params![
            self.tenant_id(),
            algorithm.map(u16::from),
            state.map(KeyState::name)
        ];
        Ok(statement
            .query_row(parameters, |row| row.get::<_, i64>(0))?
            .unsigned_abs())
    }
}

impl TenantScope<'_, Write> {
    /// The highest version an algorithm has had, reserved ones included.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot answer.
    pub fn highest_version(&self, algorithm: Algorithm) -> Result<Option<KeyVersion>, StoreError> {
        let mut statement = self.statement(
            "SELECT version FROM keys WHERE tenant_id = ?1 AND algorithm = ?2
             ORDER BY version DESC LIMIT 1",
        )?;
        let mut rows = statement.query(params![self.tenant_id(), u16::from(algorithm)])?;
        rows.next()?.map(|row| columns::key_version(row, 0)).transpose()
    }

    /// The version of an algorithm that is reserved.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot answer.
    pub fn reserved_key(&self, algorithm: Algorithm) -> Result<Option<KeyIdentity>, StoreError> {
        let mut statement = self.statement(
            "SELECT version, handle FROM keys
             WHERE tenant_id = ?1 AND algorithm = ?2 AND state = 'pending'",
        )?;
        let mut rows = statement.query(params![self.tenant_id(), u16::from(algorithm)])?;
        let Some(row) = rows.next()? else {
            return Ok(None);
        };
        Ok(Some(KeyIdentity {
            tenant: self.tenant(),
            algorithm,
            version: columns::key_version(row, 0)?,
            handle: KeyHandle::from_bytes(row.get(1)?),
        }))
    }

    /// Reserves a version while keyd makes its key.
    ///
    /// # Errors
    /// [`StoreError`] when it could not be stored.
    pub fn reserve_key(
        &self,
        algorithm: Algorithm,
        version: KeyVersion,
        handle: KeyHandle,
        made_by: ApiKeyId,
        now_ms: i64,
    ) -> Result<KeyIdentity, StoreError> {
        let mut statement = self.statement(
            "INSERT INTO keys (tenant_id, algorithm, version, state, handle, public_key, made_by, created_at_ms)
             VALUES (?1, ?2, ?3, 'pending', ?4, x'', ?5, ?6)",
        )?;
        statement.execute(params![
            self.tenant_id(),
            u16::from(algorithm),
            version.number(),
            handle.as_bytes(),
            made_by.as_bytes(),
            now_ms,
        ])?;
        Ok(KeyIdentity {
            tenant: self.tenant(),
            algorithm,
            version,
            handle,
        })
    }

    /// Makes a reserved key the active one; `false` when it is not reserved any more.
    ///
    /// # Errors
    /// [`StoreError`] when it could not be stored, also when another key of the algorithm is active.
    pub fn activate_key(&self, reserved: &KeyIdentity, public_key: &[u8]) -> Result<bool, StoreError> {
        let mut statement = self.statement(
            "UPDATE keys SET state = 'active', public_key = ?5
             WHERE tenant_id = ?1 AND algorithm = ?2 AND version = ?3 AND handle = ?4 AND state = 'pending'
               AND EXISTS (SELECT 1 FROM tenants WHERE id = ?1 AND status <> 'deleted')",
        )?;
        let changed = statement.execute(params![
            self.tenant_id(),
            u16::from(reserved.algorithm),
            reserved.version.number(),
            reserved.handle.as_bytes(),
            public_key,
        ])?;
        Ok(changed == 1)
    }

    /// Moves a key from one state to another; `false` when it is not in the first. `dates` are those that the new
    /// state has.
    ///
    /// # Errors
    /// [`StoreError`] when it could not be stored.
    pub fn move_key(
        &self,
        algorithm: Algorithm,
        version: KeyVersion,
        from: KeyState,
        to: KeyState,
        dates: StateDates,
    ) -> Result<bool, StoreError> {
        let mut statement = self.statement(
            "UPDATE keys SET state = ?5, archived_at_ms = coalesce(?6, archived_at_ms), destroy_at_ms = ?7
             WHERE tenant_id = ?1 AND algorithm = ?2 AND version = ?3 AND state = ?4",
        )?;
        let changed = statement.execute(params![
            self.tenant_id(),
            u16::from(algorithm),
            version.number(),
            from.name(),
            to.name(),
            dates.archived_at_ms,
            dates.destroy_at_ms,
        ])?;
        Ok(changed == 1)
    }
}

/// The dates that come with a state.
#[derive(Debug, Clone, Copy, Default)]
pub struct StateDates {
    /// When the key was archived.
    pub archived_at_ms: Option<i64>,
    /// When it is to be destroyed.
    pub destroy_at_ms: Option<i64>,
}

impl<Access> TenantScope<'_, Access> {
    /// When a key was archived last.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot answer.
    pub fn archived_at_ms(
        &self,
        algorithm: Algorithm,
        version: KeyVersion,
    ) -> Result<Option<i64>, StoreError> {
        let mut statement = self.statement(
            "SELECT archived_at_ms FROM keys WHERE tenant_id = ?1 AND algorithm = ?2 AND version = ?3",
        )?;
        let mut rows = statement.query(params![self.tenant_id(), u16::from(algorithm), version.number()])?;
        Ok(rows.next()?.map(|row| row.get(0)).transpose()?.flatten())
    }
}

fn view(row: &Row<'_>) -> Result<KeyView, StoreError> {
    Ok(KeyView {
        algorithm: columns::algorithm(row, 0)?,
        version: columns::key_version(row, 1)?,
        state: columns::key_state(row, 2)?,
        handle: KeyHandle::from_bytes(row.get(3)?),
        public_key: row.get(4)?,
        created_at_ms: row.get(5)?,
        last_used_at_ms: row.get(6)?,
        destroy_at_ms: row.get(7)?,
    })
}
