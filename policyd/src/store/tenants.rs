//! Tenants: as operators see all of them, and as a tenant sees itself.

use super::access::{Session, Write};
use super::{StoreError, TenantScope, columns};
use chancel_domain::{Family, Plan, TenantId, TenantStatus};
use chancel_wire::admin::TenantRecord;
use rusqlite::{Row, params};

/// The tenants of the installation. Only an operator gets one.
pub struct Operators<'a, Access> {
    session: Session<'a, Access>,
}

impl<'a, Access> Operators<'a, Access> {
    pub(super) const fn new(session: Session<'a, Access>) -> Self {
        Self { session }
    }

    /// One tenant.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot answer.
    pub fn tenant(&self, id: TenantId) -> Result<Option<TenantRecord>, StoreError> {
        let mut statement = self.session.statement(
            "SELECT id, name, plan, status, created_at_ms FROM tenants WHERE id = ?1 AND status <> 'deleted'",
        )?;
        let mut rows = statement.query([id.as_bytes()])?;
        rows.next()?.map(record).transpose()
    }

    /// At most `most` tenants in the order of their ids, after a given one.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot answer.
    pub fn tenants_after(
        &self,
        after: Option<TenantId>,
        most: usize,
    ) -> Result<Vec<TenantRecord>, StoreError> {
        // No id sorts before the empty blob.
        let after = after.as_ref().map_or(&[][..], |id| id.as_bytes());
        let mut statement = self.session.statement(
            "SELECT id, name, plan, status, created_at_ms FROM tenants
             WHERE id > ?1 AND status <> 'deleted' AND id <> x'ffffffffffffffffffffffffffffffff'
             ORDER BY id LIMIT ?2",
        )?;
        let mut rows = statement.query(params![after, most as i64])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push(record(row)?);
        }
        Ok(found)
    }

    /// What belongs to a tenant; `None` when there is no such tenant.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot answer.
    pub fn scope(&self, id: TenantId) -> Result<Option<(TenantRecord, TenantScope<'a, Access>)>, StoreError> {
        let tenant = self.tenant(id)?;
        Ok(tenant.map(|record| (record, TenantScope::new(self.session, id))))
    }
}

impl Operators<'_, Write> {
    /// Stores a new tenant; `false` when its name is taken.
    ///
    /// # Errors
    /// [`StoreError`] when it could not be stored.
    pub fn insert_tenant(&self, tenant: &TenantRecord) -> Result<bool, StoreError> {
        let mut statement = self.session.statement(
            "INSERT INTO tenants (id, name, plan, status, created_at_ms, updated_at_ms)
             VALUES (?1, ?2, ?3, ?4, ?5, ?5) ON CONFLICT (name) DO NOTHING",
        )?;
        let inserted = statement.execute(params![
            tenant.id.as_bytes(),
            tenant.name.as_str(),
            tenant.plan.name(),
            tenant.status.name(),
            tenant.created_at_ms,
        ])?;
        Ok(inserted == 1)
    }

    /// Changes a tenant's standing; nothing happens when it has that standing or does not exist.
    ///
    /// # Errors
    /// [`StoreError`] when it could not be stored.
    pub fn set_tenant_status(
        &self,
        id: TenantId,
        status: TenantStatus,
        now_ms: i64,
    ) -> Result<(), StoreError> {
        let mut statement = self.session.statement(
            "UPDATE tenants SET status = ?2, updated_at_ms = ?3
                 WHERE id = ?1 AND status <> ?2 AND status <> 'deleted'",
        )?;
        statement.execute(params![id.as_bytes(), status.name(), now_ms])?;
        Ok(())
    }

    /// Puts a tenant on another plan.
    ///
    /// # Errors
    /// [`StoreError`] when it could not be stored.
    pub fn set_tenant_plan(&self, id: TenantId, plan: Plan, now_ms: i64) -> Result<(), StoreError> {
        let mut statement = self.session.statement(
            "UPDATE tenants SET plan = ?2, updated_at_ms = ?3 WHERE id = ?1 AND status <> 'deleted'",
        )?;
        statement.execute(params![id.as_bytes(), plan.name(), now_ms])?;
        Ok(())
    }

    /// Deletes a tenant: its keys get a date of destruction, everything else of it goes. What is left of its row has
    /// no name.
    ///
    /// # Errors
    /// [`StoreError`] when it could not be stored.
    pub fn delete_tenant(&self, id: TenantId, destroy_at_ms: i64, now_ms: i64) -> Result<(), StoreError> {
        let run = |sql, parameters: &[&dyn rusqlite::ToSql]| -> Result<(), StoreError> {
            self.session.statement(sql)?.execute(parameters)?;
            Ok(())
        };
        let id = id.as_bytes();
        // By way of 'retired' and 'archived', as the table of transitions has it.
        run(
            "UPDATE keys SET state = 'pending_destruction', destroy_at_ms = ?2
             WHERE tenant_id = ?1 AND state IN ('active', 'retired', 'archived')",
            &[id, &destroy_at_ms],
        )?;
        run("UPDATE keys SET made_by = NULL WHERE tenant_id = ?1", &[id])?;
        run("DELETE FROM api_keys WHERE tenant_id = ?1", &[id])?;
        run("DELETE FROM deny_rules WHERE tenant_id = ?1", &[id])?;
        run("DELETE FROM key_budgets WHERE tenant_id = ?1", &[id])?;
        run("DELETE FROM usage_months WHERE tenant_id = ?1", &[id])?;
        run("DELETE FROM usage_days WHERE tenant_id = ?1", &[id])?;
        run("DELETE FROM idempotent_answers WHERE tenant_id = ?1", &[id])?;
        run(
            "UPDATE tenants SET status = 'deleted', name = NULL, updated_at_ms = ?2 WHERE id = ?1",
            &[id, &now_ms],
        )
    }
}

/// A tenant's row, and how many of what is limited it has.
#[derive(Debug, Clone)]
pub struct TenantRow {
    /// Its id, name, plan and standing, and when it was made.
    pub record: TenantRecord,
    /// When it last changed, Unix milliseconds.
    pub updated_at_ms: i64,
    /// KEM keys: algorithms with a version that is active or retired.
    pub kem_keys: u32,
    /// Signature keys, in the same way.
    pub signature_keys: u32,
    /// API keys that are not revoked.
    pub api_keys: u32,
}

impl<Access> TenantScope<'_, Access> {
    /// The tenant itself; `None` when it has been deleted.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot answer.
    pub fn own_tenant(&self) -> Result<Option<TenantRow>, StoreError> {
        let (kem_keys, signature_keys) = self.keys_that_count()?;
        let api_keys = self.unrevoked_api_keys()?;
        let mut statement = self.statement(
            "SELECT id, name, plan, status, created_at_ms, updated_at_ms FROM tenants
             WHERE id = ?1 AND status <> 'deleted'",
        )?;
        let mut rows = statement.query([self.tenant_id()])?;
        let Some(row) = rows.next()? else {
            return Ok(None);
        };
        Ok(Some(TenantRow {
            record: record(row)?,
            updated_at_ms: row.get(5)?,
            kem_keys,
            signature_keys,
            api_keys,
        }))
    }

    fn keys_that_count(&self) -> Result<(u32, u32), StoreError> {
        let mut statement = self.statement(
            "SELECT DISTINCT algorithm FROM keys WHERE tenant_id = ?1 AND state IN ('active', 'retired')",
        )?;
        let mut rows = statement.query([self.tenant_id()])?;
        let (mut kem, mut signature) = (0, 0);
        while let Some(row) = rows.next()? {
            match columns::algorithm(row, 0)?.family() {
                Family::Kem => kem += 1,
                Family::Signature => signature += 1,
            }
        }
        Ok((kem, signature))
    }
}

fn record(row: &Row<'_>) -> Result<TenantRecord, StoreError> {
    Ok(TenantRecord {
        id: TenantId::from_bytes(row.get(0)?),
        name: columns::name(row, 1)?,
        plan: columns::plan(row, 2)?,
        status: columns::tenant_status(row, 3)?,
        created_at_ms: row.get(4)?,
    })
}
