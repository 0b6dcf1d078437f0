//! Does what has a date: destroys keys, and forgets old first answers.

use super::Lifecycle;
use crate::clock;
use crate::idempotency::KEPT_MS;
use crate::store::{Reader, StoreError, Writer};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::time::timeout;

/// How often it looks.
const INTERVAL: Duration = Duration::from_secs(30);
/// Keys of one look.
const MOST: usize = 64;
/// By how much the wall clock may have run ahead of the monotonic one: synchronisation corrects seconds. Beyond that it
/// was set, and what cannot be undone is not done by a clock that may be set wrong.
const LEAP_MS: i64 = 3_600_000;

/// The task.
pub struct Sweeper {
    /// Where look-ups go.
    pub reader: Arc<Reader>,
    /// Where changes go.
    pub writer: Writer,
    /// Destroys keys.
    pub lifecycle: Arc<Lifecycle>,
}

impl Sweeper {
    /// Runs until `stopped` turns true.
    pub async fn run(self, mut stopped: watch::Receiver<bool>) {
        let (began, began_ms) = (Instant::now(), clock::now_ms());
        let mut told = false;
        loop {
            let expected_ms =
                began_ms.saturating_add(i64::try_from(began.elapsed().as_millis()).unwrap_or(i64::MAX));
            let leapt = clock::now_ms().saturating_sub(expected_ms) > LEAP_MS;
            if leapt && !told {
                tracing::error!(
                    "the clock has leapt ahead: no key is destroyed until policyd is started anew"
                );
            }
            told |= leapt;
            if let Err(error) = self.sweep(!leapt).await {
                tracing::warn!(%error, "what has a date could not be looked for");
            }
            // A sender that is gone stops as well.
            if timeout(INTERVAL, stopped.wait_for(|stopped| *stopped))
                .await
                .is_ok()
            {
                return;
            }
        }
    }

    async fn sweep(&self, may_destroy: bool) -> Result<(), StoreError> {
        let now_ms = clock::now_ms();
        let due = if may_destroy {
            self.reader.look(|view| view.destruction().due(now_ms, MOST))?
        } else {
            Vec::new()
        };
        for key in due {
            if let Err(reason) = self.lifecycle.destroy_due(key).await {
                tracing::warn!(tenant = %key.tenant, key = %key.handle, %reason, "a key could not be destroyed yet");
            }
        }
        self.writer
            .change(move |view| {
                view.destruction()
                    .forget_answers_before(now_ms.saturating_sub(KEPT_MS))
            })
            .await
    }
}
