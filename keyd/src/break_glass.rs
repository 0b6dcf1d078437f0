//! Break-glass: minutes in which the gateway's word stands for a permit, because policyd cannot give one and the host's
//! operator has decided that reading and signing must go on.
//!
//! A small state machine on the monotonic clock, which callers pass in. Its state is in memory alone, so a restart closes
//! it; each change is recorded before it counts, except that time closes it whatever the ledger says.

use chancel_wire::keyd::{BreakGlassState, KeydError};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, TryLockError};
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

/// Break-glass of this process. Uses share a lock for as long as they take, so that in the ledger every one of them
/// stands between an opening and an end. A use may take seconds: whether another may begin does not wait for it.
#[derive(Debug)]
pub struct BreakGlass {
    /// Zero when it cannot be opened at all.
    longest: Duration,
    /// How long uses may begin; `None` when it was never opened, or its end is recorded.
    until: Mutex<Option<Instant>>,
    opened: RwLock<Option<Opened>>,
    uses_in_all: AtomicU64,
    /// As many of them were before it was opened last.
    uses_before: AtomicU64,
}

#[derive(Debug)]
struct Opened {
    uses: AtomicU64,
}

/// Proof that break-glass was open when the use began; while it is held, no end of it is recorded.
#[derive(Debug)]
pub struct Open<'a> {
    opened: RwLockReadGuard<'a, Option<Opened>>,
    uses_in_all: &'a AtomicU64,
}

impl Open<'_> {
    /// Counts uses that have their record.
    pub fn count(&self, uses: usize) {
        let uses = u64::try_from(uses).unwrap_or(u64::MAX);
        if let Some(opened) = self.opened.as_ref() {
            opened.uses.fetch_add(uses, Ordering::Relaxed);
        }
        self.uses_in_all.fetch_add(uses, Ordering::Relaxed);
    }
}

impl BreakGlass {
    /// Closed, and never to be opened for longer than `longest` or [`HARD_MAXIMUM`]; never at all when that is zero.
    pub fn new(longest: Duration) -> Self {
        Self {
            longest: longest.min(HARD_MAXIMUM),
            until: Mutex::new(None),
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
        self.expire(&mut opened, now, &record)?;
        record(Incident::Opened(span))?;
        if opened.is_none() {
            self.uses_before.store(self.uses_in_all(), Ordering::Relaxed);
            *opened = Some(Opened {
                uses: AtomicU64::new(0),
            });
        }
        *self.until() = Some(until);
        Ok(())
    }

    /// Closes it; nothing, when it is closed. No use begins from then on; those under way are waited for, because the record
    /// of the end comes after theirs. It is closed also when that cannot be recorded, and the record follows
    /// from [`BreakGlass::look`].
    ///
    /// # Errors
    /// `LedgerUnwritable`; it is closed nevertheless.
    pub fn close(
        &self,
        now: Instant,
        record: impl Fn(Incident) -> Result<(), NotRecorded>,
    ) -> Result<(), KeydError> {
        let was_open = {
            let mut until = self.until();
            let was_open = until.is_some_and(|until| now < until);
            *until = until.map(|until| until.min(now));
            was_open
        };
        let mut opened = self.write();
        match opened.as_ref() {
            Some(found) if was_open => {
                record(Incident::Closed(found.uses.load(Ordering::Relaxed)))?;
                self.end(&mut opened);
                Ok(())
            }
            _ => Ok(self.expire(&mut opened, now, &record)?),
        }
    }

    /// Begins a use; `None` when it is closed, or its time is up.
    pub fn enter(&self, now: Instant) -> Option<Open<'_>> {
        // Asked before and after: who waits for the lock may wait for an end of it all.
        self.is_open(now).then_some(())?;
        let opened = self.opened.read().unwrap_or_else(PoisonError::into_inner);
        opened.as_ref().filter(|_| self.is_open(now))?;
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
        let _ = self.expire(&mut opened, now, &record);
        if at_end && let Some(found) = opened.as_ref() {
            let _ = record(Incident::Closed(found.uses.load(Ordering::Relaxed)));
            self.end(&mut opened);
        }
    }

    /// As it stands.
    pub fn state(&self, now: Instant) -> BreakGlassState {
        let until = self.until().filter(|until| now < *until);
        BreakGlassState {
            remaining_ms: until.map_or(0, |until| millis(until.saturating_duration_since(now)).max(1)),
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

    fn is_open(&self, now: Instant) -> bool {
        self.until().is_some_and(|until| now < until)
    }

    /// Held for a moment only.
    fn until(&self) -> MutexGuard<'_, Option<Instant>> {
        self.until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self, opened: &mut Option<Opened>) {
        *opened = None;
        *self.until() = None;
    }

    fn expire(
        &self,
        opened: &mut Option<Opened>,
        now: Instant,
        record: &impl Fn(Incident) -> Result<(), NotRecorded>,
    ) -> Result<(), NotRecorded> {
        if let Some(found) = opened.as_ref().filter(|_| !self.is_open(now)) {
            record(Incident::Expired(found.uses.load(Ordering::Relaxed)))?;
            self.end(opened);
        }
        Ok(())
    }

    fn write(&self) -> RwLockWriteGuard<'_, Option<Opened>> {
        // Each change is one assignment.
        self.opened.write().unwrap_or_else(PoisonError::into_inner)
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
