//! What the rules compare: a tenant's own deny rules, budgets of its keys, and counts of what its plan limits.

use super::access::Write;
use super::{Damage, StoreError, TenantScope, columns};
use crate::rules::KeyCounts;
use chancel_domain::{Algorithm, DenyRule, DenyRuleId};
use chancel_wire::policyd::DenyRuleView;
use rusqlite::{OptionalExtension, params};

impl<Access> TenantScope<'_, Access> {
    /// The tenant's deny rules, in the order of their ids.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot answer, or a stored rule does not decode.
    pub fn deny_rules(&self) -> Result<Vec<DenyRuleView>, StoreError> {
        let mut statement = self
            .statement("SELECT id, rule, created_at_ms FROM deny_rules WHERE tenant_id = ?1 ORDER BY id")?;
        let mut rows = statement.query([self.tenant_id()])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let bytes = row.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?;
            found.push(DenyRuleView {
                id: DenyRuleId::from_bytes(row.get(0)?),
                rule: chancel_wire::decode(bytes).map_err(|_| Damage::DenyRule)?,
                created_at_ms: row.get(2)?,
            });
        }
        Ok(found)
    }

    /// How many private-key uses a day may have; `None` for no limit.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot answer.
    pub fn key_budget(&self, algorithm: Algorithm) -> Result<Option<u32>, StoreError> {
        let mut statement =
            self.statement("SELECT uses_per_day FROM key_budgets WHERE tenant_id = ?1 AND algorithm = ?2")?;
        let parameters = params![self.tenant_id(), u16::from(algorithm)];
        Ok(statement.query_row(parameters, |row| row.get(0)).optional()?)
    }

    /// The tenant's keys, seen from an algorithm.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot answer.
    pub fn key_counts(&self, algorithm: Algorithm) -> Result<KeyCounts, StoreError> {
        let mut statement = self.statement(
            "SELECT algorithm, count(*) FROM keys
             WHERE tenant_id = ?1 AND state IN ('active', 'retired') GROUP BY algorithm",
        )?;
        let mut rows = statement.query([self.tenant_id()])?;
        let mut counts = KeyCounts::default();
        while let Some(row) = rows.next()? {
            let counted = columns::algorithm(row, 0)?;
            if counted.family() == algorithm.family() {
                counts.in_family += 1;
            }
            if counted == algorithm {
                counts.versions = row.get(1)?;
            }
        }
        Ok(counts)
    }
}

impl TenantScope<'_, Write> {
    /// Adds a deny rule.
    ///
    /// # Errors
    /// [`StoreError`] when it could not be stored.
    pub fn insert_deny_rule(&self, id: DenyRuleId, rule: &DenyRule, now_ms: i64) -> Result<(), StoreError> {
        let mut statement = self.statement(
            "INSERT INTO deny_rules (tenant_id, id, rule, created_at_ms) VALUES (?1, ?2, ?3, ?4)",
        )?;
        statement.execute(params![
            self.tenant_id(),
            id.as_bytes(),
            chancel_wire::encode(rule),
            now_ms
        ])?;
        Ok(())
    }

    /// Removes a deny rule; `false` when there is none of that id.
    ///
    /// # Errors
    /// [`StoreError`] when it could not be removed.
    pub fn delete_deny_rule(&self, id: DenyRuleId) -> Result<bool, StoreError> {
        let mut statement = self.statement("DELETE FROM deny_rules WHERE tenant_id = ?1 AND id = ?2")?;
        Ok(statement.execute(params![self.tenant_id(), id.as_bytes()])? == 1)
    }

    /// Sets or takes away the limit of a day's private-key uses.
    ///
    /// # Errors
    /// [`StoreError`] when it could not be stored.
    pub fn set_key_budget(&self, algorithm: Algorithm, uses_per_day: Option<u32>) -> Result<(), StoreError> {
        match uses_per_day {
            Some(uses) => self
                .statement(
                    "INSERT INTO key_budgets (tenant_id, algorithm, uses_per_day) VALUES (?1, ?2, ?3)
                     ON CONFLICT (tenant_id, algorithm) DO UPDATE SET uses_per_day = excluded.uses_per_day",
                )?
                .execute(params![self.tenant_id(), u16::from(algorithm), uses])?,
            None => self
                .statement("DELETE FROM key_budgets WHERE tenant_id = ?1 AND algorithm = ?2")?
                .execute(params![self.tenant_id(), u16::from(algorithm)])?,
        };
        Ok(())
    }
}
