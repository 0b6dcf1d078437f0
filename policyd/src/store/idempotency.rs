//! First answers under an `Idempotency-Key`.

use super::access::Write;
use super::{StoreError, TenantScope};
use rusqlite::params;

/// A first answer, sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredAnswer {
    /// Of which request.
    pub request_hash: [u8; 32],
    /// What was answered.
    pub sealed: Vec<u8>,
}

impl<Access> TenantScope<'_, Access> {
    /// The first answer under a key, when it is not older than a time.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot answer.
    pub fn first_answer(
        &self,
        key_hash: &[u8; 32],
        not_before_ms: i64,
    ) -> Result<Option<StoredAnswer>, StoreError> {
        let mut statement = self.statement(
            "SELECT request_hash, sealed_answer FROM idempotent_answers
             WHERE tenant_id = ?1 AND key_hash = ?2 AND created_at_ms >= ?3",
        )?;
        let mut rows = statement.query(params![self.tenant_id(), key_hash, not_before_ms])?;
        let answer = |row: &rusqlite::Row<'_>| {
            Ok(StoredAnswer {
                request_hash: row.get(0)?,
                sealed: row.get(1)?,
            })
        };
        rows.next()?.map(answer).transpose()
    }
}

impl TenantScope<'_, Write> {
    /// Keeps a first answer, in the place of one that is older than a time; `false` when there is one that is not.
    ///
    /// # Errors
    /// [`StoreError`] when it could not be stored.
    pub fn keep_first_answer(
        &self,
        key_hash: &[u8; 32],
        answer: &StoredAnswer,
        not_before_ms: i64,
        now_ms: i64,
    ) -> Result<bool, StoreError> {
        let mut statement = self.statement(
            "INSERT INTO idempotent_answers (tenant_id, key_hash, request_hash, sealed_answer, created_at_ms)
             VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (tenant_id, key_hash) DO UPDATE
             SET request_hash = excluded.request_hash, sealed_answer = excluded.sealed_answer,
                 created_at_ms = excluded.created_at_ms
             WHERE created_at_ms < ?6",
        )?;
        let kept = statement.execute(params![
            self.tenant_id(),
            key_hash,
            answer.request_hash,
            answer.sealed,
            now_ms,
            not_before_ms,
        ])?;
        Ok(kept == 1)
    }
}
