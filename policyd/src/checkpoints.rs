//! Checkpoints of the decision ledger: keyd's audit key states up to where it was whole. While keyd is away there are
//! none; the chain goes on without.

use crate::keyd::Keyd;
use chancel_ledger::Ledger;
use chancel_wire::keyd::CheckpointClaims;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::timeout;

/// How often it is looked whether a checkpoint is due.
const INTERVAL: Duration = Duration::from_secs(1);

/// Writes checkpoints when they are due until `stopped` turns true, and then a last one.
pub async fn write_until_stopped(ledger: Arc<Ledger>, keyd: Keyd, mut stopped: watch::Receiver<bool>) {
    let mut failing = false;
    loop {
        // A sender that is gone stops as well.
        let stop = timeout(INTERVAL, stopped.wait_for(|stopped| *stopped))
            .await
            .is_ok();
        if let Some(request) = ledger.checkpoint_due(stop) {
            let claims = CheckpointClaims {
                ledger: *request.id.as_bytes(),
                seq: request.covers,
                head: *request.head.as_bytes(),
            };
            let written = match keyd.sign_checkpoint(claims).await {
                Ok(signature) => ledger
                    .append_checkpoint(&request, &signature)
                    .map_err(|error| error.to_string()),
                Err(failure) => Err(failure.to_string()),
            };
            if let Err(reason) = &written
                && !failing
            {
                tracing::warn!(%reason, "no checkpoint of the decision ledger could be made; tried again until one can");
            }
            failing = written.is_err();
        }
        if stop {
            return;
        }
    }
}
