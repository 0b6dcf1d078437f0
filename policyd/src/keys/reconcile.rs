//! The comparison of keyd's files with the database, after each connection to keyd. The one rule by which
//! differences are settled: what nobody was told of, or whose owner was told that it is gone, is destroyed; everything else
//! is reported and left alone.
//!
//! It goes through both sides in pages, in the background. Rows are read before the files of the same range, so
//! that a row without a file is one whose file should have been there; a file without a row is looked up once
//! more, for its row may have come meanwhile.

use super::Lifecycle;
use super::compare::{Finding, compare};
use crate::failure::Failure;
use crate::keyd::{Keyd, KeydFailure};
use crate::store::{Reader, StoreError};
use chancel_wire::admin::Reconciliation;
use chancel_wire::keyd::KeyIdentity;
use chancel_wire::limits::INVENTORY_PAGE;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::sleep;

/// How long to wait after a comparison that could not be finished, while the connection stands.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// Compares, and keeps what the last whole comparison found.
pub struct Reconciler {
    keyd: Keyd,
    reader: Arc<Reader>,
    lifecycle: Arc<Lifecycle>,
    last: Mutex<Option<Reconciliation>>,
}

/// Why a comparison was not finished.
#[derive(Debug, thiserror::Error)]
enum Unfinished {
    #[error(transparent)]
    Keyd(#[from] KeydFailure),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    RollBack(#[from] Failure),
    #[error("keyd's inventory does not go forward")]
    InventoryStuck,
}

impl Reconciler {
    /// With these.
    pub const fn new(keyd: Keyd, reader: Arc<Reader>, lifecycle: Arc<Lifecycle>) -> Self {
        Self {
            keyd,
            reader,
            lifecycle,
            last: Mutex::new(None),
        }
    }

    /// What the last comparison found; `None` before the first.
    pub fn last(&self) -> Option<Reconciliation> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Compares until one comparison is finished.
    pub async fn run(&self) {
        loop {
            match self.compare_all().await {
                Ok(found) => {
                    let Reconciliation {
                        sound,
                        damaged,
                        missing,
                        unclaimed,
                        rolled_back,
                    } = found;
                    tracing::info!(
                        sound,
                        damaged,
                        missing,
                        unclaimed,
                        rolled_back,
                        "key files compared"
                    );
                    *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(found);
                    return;
                }
                Err(reason) => tracing::warn!(%reason, "comparison of key files not finished; again soon"),
            }
            sleep(RETRY_AFTER).await;
        }
    }

    async fn compare_all(&self) -> Result<Reconciliation, Unfinished> {
        let mut found = Reconciliation::default();
        self.roll_back_left_overs(&mut found).await?;
        let mut after = None;
        loop {
            let rows = self
                .reader
                .look(|view| view.walk().keys_after(after, INVENTORY_PAGE))?;
            let page = self.keyd.inventory(after).await?;
            let last_row = rows
                .last()
                .filter(|_| rows.len() == INVENTORY_PAGE)
                .map(|row| row.key);
            let last_file = page.files.last().filter(|_| page.more).map(|file| file.key);
            if page.more && last_file.is_none_or(|last| Some(last) <= after) {
                return Err(Unfinished::InventoryStuck);
            }
            // As far as both lists are complete.
            let until = match (last_row, last_file) {
                (Some(row), Some(file)) => Some(row.min(file)),
                (row, file) => row.or(file),
            };
            let is_within = |key: &KeyIdentity| until.is_none_or(|until| *key <= until);
            let rows = &rows[..rows.partition_point(|row| is_within(&row.key))];
            let files = &page.files[..page.files.partition_point(|file| is_within(&file.key))];
            for finding in compare(rows, files) {
                self.settle(finding, &mut found).await?;
            }
            if until.is_none() {
                return Ok(found);
            }
            after = until;
        }
    }

    async fn roll_back_left_overs(&self, found: &mut Reconciliation) -> Result<(), Unfinished> {
        let mut after = None;
        loop {
            let page = self
                .reader
                .look(|view| view.walk().reserved_after(after, INVENTORY_PAGE))?;
            for key in &page {
                if self.lifecycle.roll_back_left_over(*key).await? {
                    found.rolled_back += 1;
                    log_warning("half-made key of an interrupted change destroyed", key);
                }
            }
            let Some(last) = page.last() else {
                return Ok(());
            };
            after = Some(*last);
        }
    }

    async fn settle(&self, finding: Finding, found: &mut Reconciliation) -> Result<(), Unfinished> {
        match finding {
            Finding::Sound => found.sound += 1,
            Finding::Damaged(key, damage) => {
                found.damaged += 1;
                tracing::error!(tenant = %key.tenant, algorithm = %key.algorithm, version = %key.version,
                    key = %key.handle, reason = %damage, "key file is damaged: this key cannot be used");
            }
            Finding::Missing(key) => {
                found.missing += 1;
                tracing::error!(tenant = %key.tenant, algorithm = %key.algorithm, version = %key.version,
                    key = %key.handle, "key file is missing: this key cannot be used");
            }
            Finding::Unclaimed(key) => self.settle_unclaimed(key, found).await?,
        }
        Ok(())
    }

    async fn settle_unclaimed(&self, key: KeyIdentity, found: &mut Reconciliation) -> Result<(), Unfinished> {
        match self.reader.look(|view| view.walk().was_destroyed(&key))? {
            // Made since the rows were read: not a finding.
            Some(false) => {}
            Some(true) => {
                if self.lifecycle.destroy_again(key).await? {
                    found.rolled_back += 1;
                    log_warning("file of a destroyed key had come back, destroyed again", &key);
                }
            }
            None => {
                found.unclaimed += 1;
                log_warning("key file that the database does not know, left alone", &key);
            }
        }
        Ok(())
    }
}

fn log_warning(what: &'static str, key: &KeyIdentity) {
    tracing::warn!(tenant = %key.tenant, algorithm = %key.algorithm, version = %key.version,
        key = %key.handle, "{what}");
}
