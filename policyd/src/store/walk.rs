//! All keys of the installation in the order of keyd's files, for the comparison of the two. It shows names of
//! keys and whether they are half made, and can remove what was never finished; nothing else.

use super::access::{Session, Write};
use super::{StoreError, columns};
use chancel_domain::{KeyHandle, TenantId};
use chancel_wire::keyd::KeyIdentity;
use rusqlite::{OptionalExtension, Row, params};

/// The walk over all tenants' keys.
pub struct Walk<'a, Access> {
    session: Session<'a, Access>,
}

/// A row as the walk sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WalkedRow {
    /// The key.
    pub key: KeyIdentity,
    /// Whether it is only reserved, so that a missing file means nothing.
    pub reserved: bool,
}

impl<'a, Access> Walk<'a, Access> {
    pub(super) const fn new(session: Session<'a, Access>) -> Self {
        Self { session }
    }

    /// At most `most` keys in the order of [`KeyIdentity`], after a given one.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot answer.
    pub fn keys_after(&self, after: Option<KeyIdentity>, most: usize) -> Result<Vec<WalkedRow>, StoreError> {
        let mut statement = self.session.statement(
            "SELECT tenant_id, algorithm, version, handle, state = 'pending' FROM keys
             WHERE (tenant_id, algorithm, version, handle) > (?1, ?2, ?3, ?4) AND state <> 'destroyed'
             ORDER BY tenant_id, algorithm, version LIMIT ?5",
        )?;
        // No row sorts before the empty blob.
        let tenant = after.as_ref().map_or(&[][..], |key| key.tenant.as_bytes());
        let (algorithm, version) = after.map_or((0, 0), |key| (key.algorithm.into(), key.version.number()));
        let handle = after.as_ref().map_or(&[][..], |key| key.handle.as_bytes());
        let mut rows = statement.query(params![tenant, algorithm, version, handle, most as i64])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push(WalkedRow {
                key: identity(row)?,
                reserved: row.get(4)?,
            });
        }
        Ok(found)
    }

    /// At most `most` keys that are only reserved, after a given one.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot answer.
    pub fn reserved_after(
        &self,
        after: Option<KeyIdentity>,
        most: usize,
    ) -> Result<Vec<KeyIdentity>, StoreError> {
        let mut statement = self.session.statement(
            "SELECT tenant_id, algorithm, version, handle FROM keys
             WHERE state = 'pending' AND (tenant_id, algorithm) > (?1, ?2)
             ORDER BY tenant_id, algorithm LIMIT ?3",
        )?;
        let tenant = after.as_ref().map_or(&[][..], |key| key.tenant.as_bytes());
        let algorithm = after.map_or(0, |key| key.algorithm.into());
        let mut rows = statement.query(params![tenant, algorithm, most as i64])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push(identity(row)?);
        }
        Ok(found)
    }

    /// Whether exactly this key was destroyed; `None` when there is no row for it.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot answer.
    pub fn was_destroyed(&self, key: &KeyIdentity) -> Result<Option<bool>, StoreError> {
        let mut statement = self.session.statement(
            "SELECT state = 'destroyed' FROM keys
             WHERE tenant_id = ?1 AND algorithm = ?2 AND version = ?3 AND handle = ?4",
        )?;
        let row = statement.query_row(
            params![
                key.tenant.as_bytes(),
                u16::from(key.algorithm),
                key.version.number(),
                key.handle.as_bytes(),
            ],
            |row| row.get(0),
        );
        Ok(row.optional()?)
    }

    /// Whether exactly this key is reserved.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot answer.
    pub fn is_reserved(&self, key: &KeyIdentity) -> Result<bool, StoreError> {
        let mut statement = self.session.statement(
            "SELECT EXISTS (SELECT 1 FROM keys
             WHERE tenant_id = ?1 AND algorithm = ?2 AND handle = ?3 AND state = 'pending')",
        )?;
        let reserved = statement.query_row(
            params![
                key.tenant.as_bytes(),
                u16::from(key.algorithm),
                key.handle.as_bytes()
            ],
            |row| row.get(0),
        )?;
        Ok(reserved)
    }
}

impl Walk<'_, Write> {
    /// Removes the row of a key that was reserved and never finished. A key that anybody was told of is not
    /// reserved, and stays.
    ///
    /// # Errors
    /// [`StoreError`] when it could not be removed.
    pub fn forget_reserved(&self, key: &KeyIdentity) -> Result<bool, StoreError> {
        let mut statement = self.session.statement(
            "DELETE FROM keys
             WHERE tenant_id = ?1 AND algorithm = ?2 AND version = ?3 AND handle = ?4 AND state = 'pending'",
        )?;
        let removed = statement.execute(params![
            key.tenant.as_bytes(),
            u16::from(key.algorithm),
            key.version.number(),
            key.handle.as_bytes(),
        ])?;
        Ok(removed == 1)
    }
}

fn identity(row: &Row<'_>) -> Result<KeyIdentity, StoreError> {
    Ok(KeyIdentity {
        tenant: TenantId::from_bytes(row.get(0)?),
        algorithm: columns::algorithm(row, 1)?,
        version: columns::key_version(row, 2)?,
        handle: KeyHandle::from_bytes(row.get(3)?),
    })
}
