//! Break-glass: minutes in which the gateway's word stands for a permit, because policyd cannot give one and the host's
//! operator has decided that reading and signing must go on.
//!
//! A small state machine on the monotonic clock, which callers pass in. Its state is in memory alone, so a restart closes
//! it; each change is recorded before it counts, except that time closes it whatever the ledger says.

use chancel_wire::keyd::{BreakGlassState, KeydError};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, TryLockError};
use std::time::{Duration, Instant};

/// No configuration and no operator can open it for longer.
pub const HARD_MAXIMUM: Duration = Duration::from_secs(15 * 60);

/// How long it can be opened for where the configuration does not say.
pub const DEFAULT_LONGEST: Duration = Duration::from_secs(5 * 60);

/// What a record of break-glass says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Incident {
    /// It was opened, or its time begun anew, for so long.
    Opened(Duration),
    /// It was closed before its time, after so many uses.
    Closed(u64),
    /// Its time was up, after so many uses.
    Expired(u64),
}

/// What cannot be recorded is not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotRecorded;

impl From<NotRecorded> for KeydError {
    fn from(NotRecorded: NotRecorded) -> Self {
        Self::LedgerUnwritable
    }
}

/// Break-glass of this process. Uses share the lock for as long as they take, so that in the ledger every one of them
/// stands between an opening and an end.
#[derive(Debug)]
pub struct BreakGlass {
    /// Zero when it cannot be opened at all.
    longest: Duration,
    opened: RwLock<Option<Opened>>,
    uses_in_all: AtomicU64,
    /// As many of them were before it was opened last.
    uses_before: AtomicU64,
}

#[derive(Debug)]
struct Opened {
    until: Instant,
    uses: AtomicU64,
}

/// Proof that break-glass is open; while it is held, nothing closes it.
#[derive(Debug)]
pub struct Open<'a> {
    opened: RwLockReadGuard<'a, Option<Opened>>,
    uses_in_all: &'a AtomicU64,
}

impl Open<'_> {
    /// Counts a use that has its record.
    pub fn count(&self) {
        if let Some(opened) = self.opened.as_ref() {
            opened.uses.fetch_add(1, Ordering::Relaxed);
        }
        self.uses_in_all.fetch_add(1, Ordering::Relaxed);
    }
}

impl BreakGlass {
    /// Closed, and never to be opened for longer than `longest` or [`HARD_MAXIMUM`]; never at all when that is zero.
    pub fn new(longest: Duration) -> Self {
        Self {
            longest: longest.min(HARD_MAXIMUM),
            opened: RwLock::new(None),
            uses_in_all: AtomicU64::new(0),
            uses_before: AtomicU64::new(0),
        }
    }

    /// Opens it, or begins its time anew; open only once `record` has.
    ///
    /// # Errors
    /// `BreakGlassTime` for no time or too long a time, `LedgerUnwritable`; nothing has changed then.
    pub fn open(
        &self,
        now: Instant,
        span: Duration,
        record: impl Fn(Incident) -> Result<(), NotRecorded>,
    ) -> Result<(), KeydError> {
        if span.is_zero() || span > self.longest {
            return Err(KeydError::BreakGlassTime);
        }
        let until = now.checked_add(span).ok_or(KeydError::BreakGlassTime)?;
        let mut opened = self.write();
        expire(&mut opened, now, &record)?;
        record(Incident::Opened(span))?;
        match opened.as_mut() {
            Some(opened) => opened.until = until,
            None => {
                self.uses_before.store(self.uses_in_all(), Ordering::Relaxed);
                *opened = Some(Opened {
                    until,
                    uses: AtomicU64::new(0),
                });
            }
        }
        Ok(())
    }

    /// Closes it; nothing, when it is closed. It is closed also when that cannot be recorded, and the record follows
    /// from [`BreakGlass::look`].
    ///
    /// # Errors
    /// `LedgerUnwritable`; it is closed nevertheless.
    pub fn close(
        &self,
        now: Instant,
        record: impl Fn(Incident) -> Result<(), NotRecorded>,
    ) -> Result<(), KeydError> {
        let mut opened = self.write();
        expire(&mut opened, now, &record)?;
        if let Some(found) = opened.as_mut() {
            found.until = now;
            record(Incident::Closed(found.uses.load(Ordering::Relaxed)))?;
            *opened = None;
        }
        Ok(())
    }

    /// Begins a use; `None` when it is closed, or its time is up.
    pub fn enter(&self, now: Instant) -> Option<Open<'_>> {
        let opened = self.opened.read().unwrap_or_else(PoisonError::into_inner);
        opened.as_ref().filter(|found| now < found.until)?;
        Some(Open {
            opened,
            uses_in_all: &self.uses_in_all,
        })
    }

    /// Records that its time is up, where it is, or that the process ends. Waits for nobody: who calls may be what a use
    /// is waiting for.
    pub fn look(&self, now: Instant, at_end: bool, record: impl Fn(Incident) -> Result<(), NotRecorded>) {
        let mut opened = match self.opened.try_write() {
            Ok(opened) => opened,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return,
        };
        // Looked at again a second later; after the end, the line of the next start says as much.
        let _ = expire(&mut opened, now, &record);
        if at_end && let Some(found) = opened.take() {
            let _ = record(Incident::Closed(found.uses.into_inner()));
        }
    }

    /// As it stands.
    pub fn state(&self, now: Instant) -> BreakGlassState {
        let opened = self.opened.read().unwrap_or_else(PoisonError::into_inner);
        let found = opened.as_ref().filter(|found| now < found.until);
        BreakGlassState {
            remaining_ms: found.map_or(0, |found| {
                millis(found.until.saturating_duration_since(now)).max(1)
            }),
            uses: self
                .uses_in_all()
                .saturating_sub(self.uses_before.load(Ordering::Relaxed)),
            longest_ms: millis(self.longest),
        }
    }

    /// Uses since this process began.
    pub fn uses_in_all(&self) -> u64 {
        self.uses_in_all.load(Ordering::Relaxed)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Option<Opened>> {
        // Each change is one assignment.
        self.opened.write().unwrap_or_else(PoisonError::into_inner)
    }
}

fn expire(
    opened: &mut Option<Opened>,
    now: Instant,
    record: &impl Fn(Incident) -> Result<(), NotRecorded>,
) -> Result<(), NotRecorded> {
    if let Some(found) = opened.as_ref().filter(|found| now >= found.until) {
        record(Incident::Expired(found.uses.load(Ordering::Relaxed)))?;
        *opened = None;
    }
    Ok(())
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
