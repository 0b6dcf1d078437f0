//! Writes counts to the database. Only what is on the disk in the ledger is written: a count that the ledger does not
//! have after a power failure would be counted a second time, under the same numbers.

use super::Usage;
use crate::store::{StoreError, Writer};
use chancel_ledger::Ledger;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{oneshot, watch};
use tokio::time::timeout;

/// How often counts are written.
const INTERVAL: Duration = Duration::from_secs(5);

/// Writes counts every few seconds until `stopped` turns true, and then once more.
pub async fn flush_until_stopped(
    usage: Arc<Usage>,
    ledger: Arc<Ledger>,
    writer: Writer,
    mut stopped: watch::Receiver<bool>,
) {
    loop {
        // A sender that is gone stops as well.
        let stop = timeout(INTERVAL, stopped.wait_for(|stopped| *stopped))
            .await
            .is_ok();
        if let Err(error) = flush(&usage, &ledger, &writer).await {
            tracing::warn!(%error, "counts of usage could not be written; they are kept, and stand in the ledger");
        }
        if stop {
            return;
        }
    }
}

async fn flush(usage: &Usage, ledger: &Ledger, writer: &Writer) -> Result<(), StoreError> {
    let (changes, seq) = usage.unwritten();
    if changes.is_empty() {
        usage.written(&changes);
        return Ok(());
    }
    let (sender, durable) = oneshot::channel();
    // Nobody waiting means that policyd stops.
    ledger.when_durable(seq, move |outcome| {
        let _ = sender.send(outcome);
    });
    if !matches!(durable.await, Ok(Ok(()))) {
        // The ledger is in trouble; it says so itself. What was only looked at need not be kept for that.
        usage.written(&[]);
        return Ok(());
    }
    let id = *ledger.id().as_bytes();
    let written = writer
        .change(move |view| {
            view.usage().apply(&changes)?;
            view.usage().set_position(&id, seq)?;
            Ok::<_, StoreError>(changes)
        })
        .await?;
    usage.written(&written);
    Ok(())
}
