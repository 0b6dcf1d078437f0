//! API keys: the look-up that every request starts with, and what is done to one tenant's API keys.

use super::access::{Read, Session, Write};
use super::{Damage, StoreError, TenantScope, columns};
use crate::api_keys::{LookupHash, ScopedHash, SecretHashes, Standing};
use chancel_domain::tenant::Name;
use chancel_domain::{ApiKeyId, Networks, Scopes, TenantId};
use chancel_wire::admin::ApiKeyRecord;
use rusqlite::{Row, params};

/// Columns of a [`Standing`], and what else an authentication needs.
macro_rules! standing {
    ($condition:literal) => {
        concat!(
            "SELECT a.tenant_id, t.plan, t.status, a.id, a.version, a.scopes, a.scoped_hash,
                    a.created_at_ms, a.expires_at_ms, a.revoked_at_ms, a.networks,
                    EXISTS (SELECT 1 FROM deny_rules AS r WHERE r.tenant_id = a.tenant_id),
                    EXISTS (SELECT 1 FROM key_budgets AS b WHERE b.tenant_id = a.tenant_id)
             FROM api_keys AS a JOIN tenants AS t ON t.id = a.tenant_id
             WHERE ",
            $condition
        )
    };
}

/// In the path of every request.
pub(super) const FIND: &str = standing!("a.lookup_hash = ?1");

/// The one question about API keys that is not asked for a tenant, because its answer is the tenant.
pub struct Authentication<'a> {
    session: Session<'a, Read>,
}

/// The row that a look-up hash led to, with its tenant's standing. **Not authenticated**: whose it is has to be
/// confirmed with the scoped hash.
pub struct StoredApiKey {
    /// How it stands.
    pub standing: Standing,
    /// Its version.
    pub version: u32,
    /// Proves that the secret belongs to the tenant.
    pub scoped_hash: ScopedHash,
}

impl<'a> Authentication<'a> {
    pub(super) const fn new(session: Session<'a, Read>) -> Self {
        Self { session }
    }

    /// Finds the API key with this look-up hash.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot answer.
    pub fn find(&self, hash: &LookupHash) -> Result<Option<StoredApiKey>, StoreError> {
        let mut statement = self.session.statement(FIND)?;
        let mut rows = statement.query([hash.as_bytes()])?;
        let Some(row) = rows.next()? else {
            return Ok(None);
        };
        Ok(Some(StoredApiKey {
            standing: standing_of(row)?,
            version: row.get(4)?,
            scoped_hash: ScopedHash::from_bytes(row.get(6)?),
        }))
    }
}

fn standing_of(row: &Row<'_>) -> Result<Standing, StoreError> {
    Ok(Standing {
        tenant: TenantId::from_bytes(row.get(0)?),
        plan: columns::plan(row, 1)?,
        tenant_status: columns::tenant_status(row, 2)?,
        api_key: ApiKeyId::from_bytes(row.get(3)?),
        scopes: columns::text(row, 5)?.parse(),
        created_at_ms: row.get(7)?,
        expires_at_ms: row.get(8)?,
        is_revoked: row.get::<_, Option<i64>>(9)?.is_some(),
        networks: columns::text(row, 10)?.parse(),
        has_deny_rules: row.get(11)?,
        has_budgets: row.get(12)?,
    })
}

/// An API key to store.
pub struct NewApiKeyRow {
    /// Its id.
    pub id: ApiKeyId,
    /// What it is called.
    pub name: Name,
    /// What it may do.
    pub scopes: Scopes,
    /// When it stops working.
    pub expires_at_ms: Option<i64>,
    /// Where it may be used.
    pub networks: Networks,
    /// Now.
    pub created_at_ms: i64,
}

impl<Access> TenantScope<'_, Access> {
    /// How one of the tenant's API keys stands.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot answer.
    pub fn standing(&self, id: ApiKeyId) -> Result<Option<Standing>, StoreError> {
        let mut statement = self.statement(standing!("a.tenant_id = ?1 AND a.id = ?2"))?;
        let mut rows = statement.query(params![self.tenant_id(), id.as_bytes()])?;
        rows.next()?.map(standing_of).transpose()
    }

    /// One API key, revoked or not.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot answer.
    pub fn api_key(&self, id: ApiKeyId) -> Result<Option<ApiKeyRecord>, StoreError> {
        let mut statement = self.statement(
            "SELECT id, version, name, scopes, created_at_ms, expires_at_ms, revoked_at_ms, networks
             FROM api_keys WHERE tenant_id = ?1 AND id = ?2",
        )?;
        let mut rows = statement.query(params![self.tenant_id(), id.as_bytes()])?;
        rows.next()?.map(record).transpose()
    }

    /// At most `most` API keys in the order of their ids, after a given one.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot answer.
    pub fn api_keys_after(
        &self,
        after: Option<ApiKeyId>,
        most: usize,
    ) -> Result<Vec<ApiKeyRecord>, StoreError> {
        // No id sorts before the empty blob.
        let after = after.as_ref().map_or(&[][..], |id| id.as_bytes());
        let mut statement = self.statement(
            "SELECT id, version, name, scopes, created_at_ms, expires_at_ms, revoked_at_ms, networks
             FROM api_keys WHERE tenant_id = ?1 AND id > ?2 ORDER BY id LIMIT ?3",
        )?;
        let mut rows = statement.query(params![self.tenant_id(), after, most as i64])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push(record(row)?);
        }
        Ok(found)
    }

    /// How many API keys are not revoked: what the plan limits.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot answer.
    pub fn unrevoked_api_keys(&self) -> Result<u32, StoreError> {
        let mut statement =
            self.statement("SELECT count(*) FROM api_keys WHERE tenant_id = ?1 AND revoked_at_ms IS NULL")?;
        Ok(statement.query_row([self.tenant_id()], |row| row.get(0))?)
    }
}

impl TenantScope<'_, Write> {
    /// Stores a new API key, version 1.
    ///
    /// # Errors
    /// [`StoreError`] when it could not be stored.
    pub fn insert_api_key(&self, row: &NewApiKeyRow, hashes: &SecretHashes) -> Result<(), StoreError> {
        let mut statement = self.statement(
            "INSERT INTO api_keys (tenant_id, id, version, name, scopes, lookup_hash, scoped_hash,
                                   created_at_ms, expires_at_ms, networks)
             VALUES (?1, ?2, 1, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?;
        statement.execute(params![
            self.tenant_id(),
            row.id.as_bytes(),
            row.name.as_str(),
            row.scopes.to_string(),
            hashes.lookup.as_bytes(),
            hashes.scoped.as_bytes(),
            row.created_at_ms,
            row.expires_at_ms,
            row.networks.to_string(),
        ])?;
        Ok(())
    }

    /// Puts another secret in the place of an API key's old one and raises its version; `false` when there is
    /// no such API key or it is revoked.
    ///
    /// # Errors
    /// [`StoreError`] when it could not be stored.
    pub fn replace_secret(&self, id: ApiKeyId, hashes: &SecretHashes) -> Result<bool, StoreError> {
        let mut statement = self.statement(
            "UPDATE api_keys SET version = version + 1, lookup_hash = ?3, scoped_hash = ?4
             WHERE tenant_id = ?1 AND id = ?2 AND revoked_at_ms IS NULL",
        )?;
        let changed = statement.execute(params![
            self.tenant_id(),
            id.as_bytes(),
            hashes.lookup.as_bytes(),
            hashes.scoped.as_bytes(),
        ])?;
        Ok(changed == 1)
    }

    /// Revokes an API key for good; one that is revoked keeps the time when it was.
    ///
    /// # Errors
    /// [`StoreError`] when it could not be stored.
    pub fn revoke_api_key(&self, id: ApiKeyId, now_ms: i64) -> Result<(), StoreError> {
        let mut statement = self.statement(
            "UPDATE api_keys SET revoked_at_ms = ?3
             WHERE tenant_id = ?1 AND id = ?2 AND revoked_at_ms IS NULL",
        )?;
        statement.execute(params![self.tenant_id(), id.as_bytes(), now_ms])?;
        Ok(())
    }
}

fn record(row: &Row<'_>) -> Result<ApiKeyRecord, StoreError> {
    let scopes = columns::text(row, 3)?.parse().map_err(|_| Damage::Scopes)?;
    Ok(ApiKeyRecord {
        id: ApiKeyId::from_bytes(row.get(0)?),
        version: row.get(1)?,
        name: columns::name(row, 2)?,
        scopes,
        created_at_ms: row.get(4)?,
        expires_at_ms: row.get(5)?,
        revoked_at_ms: row.get(6)?,
        networks: columns::text(row, 7)?.parse().map_err(|_| Damage::Networks)?,
    })
}
