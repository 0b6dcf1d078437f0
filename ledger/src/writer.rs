//! The writer: one line, one write to the file, before anything is done about what the line says.
//!
//! After `append` returns, the line survives the end of the process at any instant; when it also survives the
//! power's, [`Durability`] tells. A line that cannot be written whole is taken back, and the ledger says so until
//! it can be written again.

use crate::chain::{self, Hash};
use crate::checkpoint::CheckpointRequest;
use crate::durable::Durability;
use crate::event::Event;
use crate::recovery::{self, OpenError, Opened};
use crate::segment::{self, LedgerId, SegmentFile};
use crate::{LedgerName, Syncer, retention};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

/// While a ledger cannot be written, a write is tried this often, and refused at once in between.
const RETRY_PAUSE: Duration = Duration::from_millis(100);
/// Free bytes without which it is not tried: the word about the gap would fill the last page, and the next line fail.
const ROOM_TO_RECOVER: u64 = 64 << 10;
/// Bytes until the next attempt to begin a segment, after one that failed.
const PAUSE_BYTES: u64 = 1 << 20;

/// When lines are made to outlive a power failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sync {
    /// Before what they say is acknowledged.
    EveryRecord,
    /// At most so long after they were written.
    Within(Duration),
}

/// How a ledger is kept.
#[derive(Debug, Clone)]
pub struct Options {
    /// Which of the two it is.
    pub name: LedgerName,
    /// When lines reach the disk.
    pub sync: Sync,
    /// Bytes after which a new segment is begun.
    pub segment_bytes: u64,
    /// How long segments are kept after they were ended.
    pub retention: Duration,
    /// Free bytes of the file system below which the ledger warns.
    pub reserve_bytes: u64,
    /// Lines between checkpoints.
    pub checkpoint_records: u64,
    /// Time between checkpoints, when there are lines to cover.
    pub checkpoint_interval: Duration,
}

impl Options {
    /// The usual ones.
    pub const fn of(name: LedgerName) -> Self {
        Self {
            name,
            sync: Sync::Within(Duration::from_millis(10)),
            segment_bytes: 64 << 20,
            retention: Duration::from_secs(180 * 24 * 3600),
            reserve_bytes: 64 << 20,
            checkpoint_records: 10_000,
            checkpoint_interval: Duration::from_secs(60),
        }
    }
}

/// Where a line is, and when it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Its number.
    pub seq: u64,
    /// Its time stamp, Unix milliseconds.
    pub time_ms: i64,
}

/// The line could not be written; nothing of it is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the ledger cannot be written")]
pub struct Unwritable;

/// How the ledger is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// It can be written.
    Writable,
    /// It can be written, and the file system is nearly full.
    Low,
    /// It cannot be written.
    Unwritable,
}

impl Health {
    /// As it stands in status and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Writable => "writable",
            Self::Low => "low",
            Self::Unwritable => "unwritable",
        }
    }
}

/// Counts since the ledger was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Lines written.
    pub records: u64,
    /// Bytes written.
    pub bytes: u64,
    /// Appends that were refused.
    pub refused: u64,
}

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

/// What changes with each line.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) file: Arc<File>,
    pub(crate) segment: u64,
    pub(crate) length: u64,
    pub(crate) seq: u64,
    pub(crate) head: Hash,
    /// Bytes of the segment from which a new one is to be begun.
    rotate_at: u64,
    buffer: Vec<u8>,
    statistics: Statistics,
    low: bool,
    failure: Option<Failure>,
    covered: u64,
    checkpoint_after: Instant,
}

#[derive(Debug)]
struct Failure {
    since_ms: i64,
    reason: io::ErrorKind,
    try_after: Instant,
    /// The file holds more than whole lines: to be cut to its length before anything else.
    torn: bool,
    /// What the kernel says is written may not be: nothing more goes into this file.
    distrusted: bool,
    allowed: u64,
    denied: u64,
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
                covered: 0,
                checkpoint_after: Instant::now() + options.checkpoint_interval,
            }),
            options,
            _lock: lock,
        };
        if found.is_new {
            let mut state = ledger.state();
            let header = ledger.header(1, Hash::GENESIS);
            state.write(&header).map_err(OpenError::Io)?;
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
        let mut state = self.state();
        let written = self.append_to(&mut state, event);
        if written.is_err() {
            state.statistics.refused += 1;
        }
        drop(state);
        let position = written?;
        self.durability.written(position.seq);
        Ok(position)
    }

    /// Writes a line and waits until it is on the disk.
    ///
    /// # Errors
    /// [`Unwritable`], also when the disk did not take it.
    pub fn append_durable(&self, event: &Event<'_>) -> Result<Position, Unwritable> {
        let position = self.append(event)?;
        self.durability.wait(position.seq)?;
        Ok(position)
    }

    /// Calls `done` when the line of that number is on the disk, or is known not to be.
    pub fn when_durable(&self, seq: u64, done: impl FnOnce(Result<(), Unwritable>) + Send + 'static) {
        self.durability.notify(seq, Box::new(done));
    }

    /// Counts a request that was answered although it could not be recorded; the next line that can be written
    /// says how many there were.
    pub fn note_unrecorded(&self, was_allowed: bool) {
        if let Some(failure) = &mut self.state().failure {
            if was_allowed {
                failure.allowed += 1;
            } else {
                failure.denied += 1;
            }
        }
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

    fn append_to(&self, state: &mut State, event: &Event<'_>) -> Result<Position, Unwritable> {
        if state.failure.is_none() && state.length >= state.rotate_at {
            self.begin_segment(state);
        }
        self.try_to_recover(state)?;
        state.write(event).map_err(|error| {
            state.fail(&error, self.options.name);
            Unwritable
        })
    }

    /// Makes the ledger writable again, and says in it what it missed.
    fn try_to_recover(&self, state: &mut State) -> Result<(), Unwritable> {
        let Some(failure) = &state.failure else {
            return Ok(());
        };
        if Instant::now() < failure.try_after {
            return Err(Unwritable);
        }
        let (torn, distrusted) = (failure.torn, failure.distrusted);
        let room = match self.room() {
            Some(room) if room < ROOM_TO_RECOVER => Err(io::ErrorKind::StorageFull.into()),
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
            failure.reason = error.kind();
            failure.try_after = Instant::now() + RETRY_PAUSE;
            return Err(Unwritable);
        }
        failure.torn = false;
        failure.distrusted = false;
        let reason = failure.reason.to_string();
        let gap = Event::Gap {
            since: failure.since_ms,
            allowed: failure.allowed,
            denied: failure.denied,
            reason: &reason,
        };
        match state.write(&gap) {
            Ok(_) => {
                state.failure = None;
                tracing::warn!(
                    ledger = self.options.name.name(),
                    "the ledger can be written again"
                );
                Ok(())
            }
            Err(error) => {
                state.fail(&error, self.options.name);
                Err(Unwritable)
            }
        }
    }

    /// Goes on in a new segment, or in the old one when none can be had.
    fn begin_segment(&self, state: &mut State) {
        if let Err(error) = state.file.sync_data() {
            return state.distrust(&error, self.options.name);
        }
        let before = state.segment;
        if let Err(error) = self.open_next(state) {
            if state.segment != before {
                // It was begun, and is not certain to be on the disk.
                return state.distrust(&error, self.options.name);
            }
            tracing::warn!(ledger = self.options.name.name(), %error, "no new segment can be begun");
            state.rotate_at = state.length.saturating_add(PAUSE_BYTES);
            return;
        }
        if let Some(through) = retention::due(&self.directory, self.options.retention) {
            // Said before it is done; the removal itself is the syncer's.
            if state.write(&Event::Retention { through }).is_ok() {
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
        let before = (state.file.clone(), state.segment, state.length);
        state.file = file;
        state.segment = next.number;
        state.length = 0;
        state.rotate_at = self.options.segment_bytes;
        let header = self.header(next.number, state.head);
        let begun = state
            .write(&header)
            .and_then(|_| state.file.sync_data())
            .and_then(|()| segment::sync_directory(&self.directory));
        if begun.is_err() && state.length == 0 {
            // Nothing was begun.
            (state.file, state.segment, state.length) = before;
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

    /// The disk did not take what the kernel had taken.
    pub(crate) fn distrust(&self, error: &io::Error) {
        self.state().distrust(error, self.options.name);
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
            let _ = self.try_to_recover(&mut state);
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

impl State {
    /// Writes one line in one piece, or nothing.
    fn write(&mut self, event: &Event<'_>) -> io::Result<Position> {
        let seq = self.seq + 1;
        let time_ms = now_ms();
        self.buffer.clear();
        write!(self.buffer, "{{\"seq\":{seq},\"time\":{time_ms},")?;
        let start = self.buffer.len();
        serde_json::to_writer(&mut self.buffer, event)?;
        // The event's own braces: the line has one pair around all.
        self.buffer.remove(start);
        self.buffer.pop();
        let head = chain::seal(&mut self.buffer, 0, &self.head);
        let length = self.buffer.len();
        let written = match (&*self.file).write(&self.buffer) {
            Ok(written) if written == length => Ok(()),
            Ok(_) => Err(io::ErrorKind::StorageFull.into()),
            Err(error) => Err(error),
        };
        if let Err(error) = written {
            self.take_back()?;
            return Err(error);
        }
        self.seq = seq;
        self.head = head;
        self.length += length as u64;
        self.statistics.records += 1;
        self.statistics.bytes += length as u64;
        Ok(Position { seq, time_ms })
    }

    /// Cuts off what a failed write may have left.
    fn take_back(&mut self) -> io::Result<()> {
        self.file.set_len(self.length).inspect_err(|_| {
            if let Some(failure) = &mut self.failure {
                failure.torn = true;
            }
        })
    }

    /// After a failed sync a later one may say that all is well, and pages be lost.
    fn distrust(&mut self, error: &io::Error, name: LedgerName) {
        self.fail(error, name);
        if let Some(failure) = &mut self.failure {
            failure.distrusted = true;
        }
    }

    fn fail(&mut self, error: &io::Error, name: LedgerName) {
        let torn = self
            .file
            .metadata()
            .map_or(true, |found| found.len() != self.length);
        match &mut self.failure {
            Some(failure) => {
                failure.reason = error.kind();
                failure.try_after = Instant::now() + RETRY_PAUSE;
                failure.torn |= torn;
            }
            None => {
                tracing::error!(ledger = name.name(), %error, "the ledger cannot be written");
                self.failure = Some(Failure {
                    since_ms: now_ms(),
                    reason: error.kind(),
                    try_after: Instant::now() + RETRY_PAUSE,
                    torn,
                    distrusted: false,
                    allowed: 0,
                    denied: 0,
                });
            }
        }
    }
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
