//! The writer: lines go into the file, as many as there are with one write, before anything is done about what they say.
//!
//! After `append` returns, its lines survive the end of the process at any instant; when they also survive the
//! power's, [`Durability`] tells. What cannot be written whole is taken back, and the ledger says so until it can be
//! written again.

mod state;

use crate::batch::Batch;
use crate::chain::Hash;
use crate::checkpoint::CheckpointRequest;
use crate::durable::Durability;
use crate::event::Event;
use crate::options::{Health, Options, Position, Statistics, Sync, Unwritable};
use crate::recovery::{self, OpenError, Opened};
use crate::segment::{self, LedgerId, SegmentFile};
use crate::{LedgerName, Syncer, retention};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use state::State;
pub use state::now_ms;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// While a ledger cannot be written, a write is tried this often, and refused at once in between.
const RETRY_PAUSE: Duration = Duration::from_millis(100);
/// Free bytes without which it is not tried: the word about the gap would fill the last page, and the next line fail.
const ROOM_TO_RECOVER: u64 = 64 << 10;
/// Bytes until the next attempt to begin a segment, after one that failed.
const PAUSE_BYTES: u64 = 1 << 20;

/// A ledger that is open for writing. One process at a time has it.
#[derive(Debug)]
pub struct Ledger {
    pub(crate) directory: PathBuf,
    pub(crate) options: Options,
    pub(crate) durability: Arc<Durability>,
    id: LedgerId,
    state: Mutex<State>,
    /// Holds the lock on the directory.
    _lock: File,
}

impl Ledger {
    /// Opens the ledger of a directory, which must exist, and begins one where there is none. The [`Syncer`] must
    /// be run on a thread of its own.
    ///
    /// # Errors
    /// [`OpenError`]: the directory cannot be used, another process has it, or what it holds does not check.
    pub fn open(directory: &Path, options: Options) -> Result<(Arc<Self>, Syncer, Opened), OpenError> {
        let lock = recovery::lock(directory)?;
        let found = recovery::recover(directory, options.name)?;
        let durability = Arc::new(Durability::new(found.seq));
        let opened = Opened {
            repaired: found.repaired,
            id: found.id,
        };
        let ledger = Self {
            directory: directory.to_owned(),
            durability,
            id: found.id,
            state: Mutex::new(State {
                file: Arc::new(found.file),
                segment: found.segment,
                length: found.length,
                seq: found.seq,
                head: found.head,
                rotate_at: options.segment_bytes,
                buffer: Vec::with_capacity(1024),
                statistics: Statistics::default(),
                low: false,
                failure: None,
                missed: None,
                covered: 0,
                checkpoint_after: Instant::now() + options.checkpoint_interval,
            }),
            options,
            _lock: lock,
        };
        if found.is_new {
            let mut state = ledger.state();
            let header = ledger.header(1, Hash::GENESIS);
            state.write_event(&header).map_err(OpenError::Io)?;
            drop(state);
        }
        if let Some(repair) = found.repaired {
            let event = Event::Repaired {
                dropped: repair.dropped,
            };
            ledger
                .append(&event)
                .map_err(|Unwritable| OpenError::Unwritable)?;
        }
        ledger.sync_now().map_err(OpenError::Io)?;
        let ledger = Arc::new(ledger);
        let syncer = Syncer::new(ledger.clone());
        Ok((ledger, syncer, opened))
    }

    /// The ledger's own id.
    pub const fn id(&self) -> LedgerId {
        self.id
    }

    /// Which of the two it is.
    pub const fn name(&self) -> LedgerName {
        self.options.name
    }

    /// When lines reach the disk.
    pub const fn sync(&self) -> Sync {
        self.options.sync
    }

    /// Where it lies.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Writes a line.
    ///
    /// # Errors
    /// [`Unwritable`]; why is in the log.
    pub fn append(&self, event: &Event<'_>) -> Result<Position, Unwritable> {
        self.append_all(&Batch::of(event), now_ms())
    }

    /// Writes the lines of a batch, which must not be empty, all under this time (Unix milliseconds); returns where the
    /// last of them is.
    ///
    /// # Errors
    /// [`Unwritable`]: none of them is written; why is in the log.
    pub fn append_all(&self, batch: &Batch, time_ms: i64) -> Result<Position, Unwritable> {
        let mut state = self.state();
        let written = self.append_to(&mut state, batch, time_ms);
        if written.is_err() {
            state.statistics.refused += batch.len() as u64;
        }
        drop(state);
        let position = written?;
        self.durability.written();
        Ok(position)
    }

    /// Writes a line and waits until it is on the disk.
    ///
    /// # Errors
    /// [`Unwritable`], also when the disk did not take it.
    pub fn append_durable(&self, event: &Event<'_>) -> Result<Position, Unwritable> {
        let position = self.append(event)?;
        self.durable(position)?;
        Ok(position)
    }

    /// Waits until a line, and all before it, are on the disk.
    ///
    /// # Errors
    /// [`Unwritable`] when the disk did not take it.
    pub fn durable(&self, position: Position) -> Result<(), Unwritable> {
        self.durability.wait(position.seq)
    }

    /// Calls `done` when the line of that number is on the disk, or is known not to be.
    pub fn when_durable(&self, seq: u64, done: impl FnOnce(Result<(), Unwritable>) + Send + 'static) {
        self.durability.notify(seq, Box::new(done));
    }

    /// Counts requests that were answered although they could not be recorded; the next line that can be written says how
    /// many there were.
    pub fn note_unrecorded(&self, allowed: u64, denied: u64) {
        if (allowed, denied) == (0, 0) {
            return;
        }
        let mut state = self.state();
        let missed = state.missed(io::ErrorKind::Other);
        missed.allowed += allowed;
        missed.denied += denied;
    }

    /// How the ledger is.
    pub fn health(&self) -> Health {
        let state = self.state();
        match (&state.failure, state.low) {
            (Some(_), _) => Health::Unwritable,
            (None, true) => Health::Low,
            (None, false) => Health::Writable,
        }
    }

    /// Counts.
    pub fn statistics(&self) -> Statistics {
        self.state().statistics
    }

    /// The number of the newest line.
    pub fn newest(&self) -> u64 {
        self.state().seq
    }

    /// What a checkpoint should cover; `None` when none is due. `at_end` asks for whatever is not covered yet.
    pub fn checkpoint_due(&self, at_end: bool) -> Option<CheckpointRequest> {
        let mut state = self.state();
        let uncovered = state.seq.saturating_sub(state.covered);
        let due = uncovered >= self.options.checkpoint_records || Instant::now() >= state.checkpoint_after;
        if uncovered == 0 || state.failure.is_some() || !(due || at_end) {
            return None;
        }
        // Asked again later when no signature comes of it.
        state.checkpoint_after = Instant::now() + self.options.checkpoint_interval;
        Some(CheckpointRequest {
            id: self.id,
            covers: state.seq,
            head: state.head,
        })
    }

    /// Writes a checkpoint that the audit key has signed.
    ///
    /// # Errors
    /// [`Unwritable`].
    pub fn append_checkpoint(
        &self,
        request: &CheckpointRequest,
        signature: &[u8],
    ) -> Result<Position, Unwritable> {
        let signature = STANDARD.encode(signature);
        let position = self.append(&Event::Checkpoint {
            covers: request.covers,
            head: request.head,
            signature: &signature,
        })?;
        let mut state = self.state();
        // A checkpoint alone is nothing new to cover.
        let newest = state.seq == position.seq && request.covers + 1 == position.seq;
        state.covered = if newest { position.seq } else { request.covers };
        Ok(position)
    }

    fn append_to(&self, state: &mut State, batch: &Batch, time_ms: i64) -> Result<Position, Unwritable> {
        if state.failure.is_none() && state.length >= state.rotate_at {
            self.begin_segment(state);
        }
        self.try_to_recover(state, batch.bytes())?;
        let written = state.write(batch, time_ms);
        self.or_fail(state, written)
    }

    fn or_fail(&self, state: &mut State, written: io::Result<Position>) -> Result<Position, Unwritable> {
        written.map_err(|error| {
            state.fail(&error, self.options.name);
            Unwritable
        })
    }

    /// Makes the ledger writable again, with room for so many bytes, and says in it what it missed.
    fn try_to_recover(&self, state: &mut State, wanted: u64) -> Result<(), Unwritable> {
        self.try_to_repair(state, wanted)?;
        let Some(missed) = &state.missed else {
            return Ok(());
        };
        let reason = missed.reason.to_string();
        let gap = Event::Gap {
            since: missed.since_ms,
            allowed: missed.allowed,
            denied: missed.denied,
            reason: &reason,
        };
        let written = state.write_event(&gap);
        self.or_fail(state, written)?;
        state.missed = None;
        if state.failure.take().is_some() {
            tracing::warn!(
                ledger = self.options.name.name(),
                "the ledger can be written again"
            );
        }
        Ok(())
    }

    /// Makes the file, or the next, one that can be written on.
    fn try_to_repair(&self, state: &mut State, wanted: u64) -> Result<(), Unwritable> {
        let Some(failure) = &state.failure else {
            return Ok(());
        };
        if Instant::now() < failure.try_after {
            return Err(Unwritable);
        }
        let (torn, distrusted) = (failure.torn, failure.distrusted);
        let room = match self.room() {
            Some(room) if room < ROOM_TO_RECOVER.saturating_add(wanted) => {
                Err(io::ErrorKind::StorageFull.into())
            }
            _ => Ok(()),
        };
        let cut = if torn {
            state.file.set_len(state.length)
        } else {
            Ok(())
        };
        let recovered = room
            .and(cut)
            .and_then(|()| if distrusted { self.open_next(state) } else { Ok(()) });
        let Some(failure) = &mut state.failure else {
            return Ok(());
        };
        if let Err(error) = recovered {
            failure.try_after = Instant::now() + RETRY_PAUSE;
            state.missed(error.kind()).reason = error.kind();
            return Err(Unwritable);
        }
        failure.torn = false;
        failure.distrusted = false;
        Ok(())
    }

    /// Goes on in a new segment, or in the old one when none can be had.
    fn begin_segment(&self, state: &mut State) {
        if let Err(error) = state.file.sync_data() {
            return self.distrust(state, &error);
        }
        let ended = state.segment;
        if let Err(error) = self.open_next(state) {
            tracing::warn!(ledger = self.options.name.name(), %error, "no new segment can be begun");
            if state.segment != ended {
                return self.distrust(state, &error);
            }
            state.rotate_at = state.length.saturating_add(PAUSE_BYTES);
            return;
        }
        if let Some(through) = retention::due(&self.directory, self.options.retention) {
            // Said before it is done; the removal itself is the syncer's.
            if state.write_event(&Event::Retention { through }).is_ok() {
                self.durability.remove_through(through);
            }
        }
    }

    fn open_next(&self, state: &mut State) -> io::Result<()> {
        let next = SegmentFile::of(&self.directory, state.segment + 1);
        // What an earlier attempt left has no line that was ever acknowledged.
        match std::fs::metadata(&next.path) {
            Ok(_) => std::fs::remove_file(&next.path)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let file = Arc::new(next.create()?);
        let place = (state.segment, state.length, state.rotate_at);
        let before = (
            std::mem::replace(&mut state.file, file),
            place,
            state.seq,
            state.head,
        );
        (state.segment, state.length, state.rotate_at) = (next.number, 0, self.options.segment_bytes);
        let header = self.header(next.number, state.head);
        let begun = state
            .write_event(&header)
            .and_then(|_| state.file.sync_data())
            .and_then(|()| segment::sync_directory(&self.directory));
        if begun.is_err() && std::fs::remove_file(&next.path).is_ok() {
            // Nothing was begun.
            let place;
            (state.file, place, state.seq, state.head) = before;
            (state.segment, state.length, state.rotate_at) = place;
        }
        begun
    }

    const fn header(&self, number: u64, previous: Hash) -> Event<'static> {
        Event::Segment {
            ledger: self.options.name,
            id: self.id,
            number,
            previous,
        }
    }

    /// Syncs what has been written; returns the number of the newest line that is then on the disk.
    pub(crate) fn sync_now(&self) -> io::Result<u64> {
        let (file, seq) = {
            let state = self.state();
            (state.file.clone(), state.seq)
        };
        file.sync_data()?;
        Ok(seq)
    }

    /// The disk did not take what the kernel had taken. A later sync may say that all is well, and pages be lost: no
    /// line up to here is called durable any more, and none is written after them.
    fn distrust(&self, state: &mut State, error: &io::Error) {
        state.fail(error, self.options.name);
        if let Some(failure) = &mut state.failure {
            failure.distrusted = true;
        }
        self.durability.lose(state.seq);
    }

    /// A sync failed.
    pub(crate) fn sync_failed(&self, error: &io::Error) {
        self.distrust(&mut self.state(), error);
    }

    /// Looks at the room that is left, and tries to recover when nobody else does.
    pub(crate) fn look_after(&self) {
        let room = self.room();
        let mut state = self.state();
        if let Some(room) = room {
            let low = room < self.options.reserve_bytes;
            if low && !state.low {
                tracing::warn!(
                    ledger = self.options.name.name(),
                    room,
                    "the ledger's file system is nearly full"
                );
            }
            state.low = low;
        }
        if state.failure.is_some() {
            // Without a request that asks for a line: health is to be seen, not found out by callers.
            let _ = self.try_to_recover(&mut state, 0);
        }
    }

    /// Free bytes of the file system; `None` when it does not say.
    fn room(&self) -> Option<u64> {
        let found = nix::sys::statvfs::statvfs(&self.directory).ok()?;
        Some(found.blocks_available().saturating_mul(found.fragment_size()))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change is made after the write it depends on: a panic elsewhere leaves a whole state.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
