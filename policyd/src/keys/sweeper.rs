//! Does what has a date: destroys keys, and forgets old first answers.

use super::Lifecycle;
use crate::clock;
use crate::idempotency::KEPT_MS;
use crate::keyd::KeydState;
use crate::store::{Reader, StoreError, Writer};
use crate::usage::Day;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::time::timeout;

/// How often it looks.
const INTERVAL: Duration = Duration::from_secs(30);
/// How often while keyd is away, without which nothing is destroyed.
const UNTIL_KEYD: Duration = Duration::from_secs(1);
/// Keys of one look.
const MOST: usize = 64;
/// By how much the wall clock may have run ahead of the monotonic one: synchronisation corrects seconds. Beyond that it
/// was set, and what cannot be undone is not done by a clock that may be set wrong.
const LEAP_MS: i64 = 3_600_000;
/// How long a day's uses are kept, milliseconds: no rule looks at them after the day.
const USAGE_KEPT_MS: i64 = 35 * 24 * 3600 * 1000;

/// The task.
pub struct Sweeper {
    /// Where look-ups go.
    pub reader: Arc<Reader>,
    /// Where changes go.
    pub writer: Writer,
    /// Destroys keys.
    pub lifecycle: Arc<Lifecycle>,
    /// How keyd is.
    pub keyd: Arc<KeydState>,
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
                    "the clock has leapt ahead: no key is destroyed until it is set back or policyd is started anew"
                );
            }
            told |= leapt;
            if let Err(error) = self.sweep(!leapt, &stopped).await {
                tracing::warn!(%error, "what has a date could not be looked for");
            }
            let pause = if self.keyd.is_present() {
                INTERVAL
            } else {
                UNTIL_KEYD
            };
            // A sender that is gone stops as well.
            if timeout(pause, stopped.wait_for(|stopped| *stopped)).await.is_ok() {
                return;
            }
        }
    }

    async fn sweep(&self, clock_is_trusted: bool, stopped: &watch::Receiver<bool>) -> Result<(), StoreError> {
        let now_ms = clock::now_ms();
        // Those that cannot be destroyed yet stay due, and must not keep the others waiting.
        let mut left = 0;
        // Without keyd each attempt would be one more word in the ledger.
        while clock_is_trusted && self.keyd.is_present() && !*stopped.borrow() {
            let due = self
                .reader
                .look(|view| view.destruction().due(now_ms, left, MOST))?;
            if due.is_empty() {
                break;
            }
            for key in due {
                if *stopped.borrow() {
                    return Ok(());
                }
                match self.lifecycle.destroy_due(key).await {
                    Ok(true) => {}
                    Ok(false) => left += 1,
                    Err(reason) => {
                        left += 1;
                        tracing::warn!(tenant = %key.tenant, key = %key.handle, %reason,
                            "a key could not be destroyed yet");
                    }
                }
            }
        }
        if !clock_is_trusted {
            return Ok(());
        }
        let old = clock::now_ms();
        self.writer
            .change(move |view| {
                view.destruction()
                    .forget_answers_before(old.saturating_sub(KEPT_MS))?;
                view.usage()
                    .forget_days_before(Day::of(old.saturating_sub(USAGE_KEPT_MS)))
            })
            .await
    }
}
