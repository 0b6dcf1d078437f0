//! What changes with each write, and what a failed write leaves.

use super::RETRY_PAUSE;
use crate::LedgerName;
use crate::batch::Batch;
use crate::chain::{self, Hash};
use crate::event::Event;
use crate::options::{Position, Statistics};
use std::fs::File;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::{Instant, SystemTime};

/// What changes with each write.
#[derive(Debug)]
pub(super) struct State {
    pub(super) file: Arc<File>,
    pub(super) segment: u64,
    pub(super) length: u64,
    pub(super) seq: u64,
    pub(super) head: Hash,
    /// Bytes of the segment from which a new one is to be begun.
    pub(super) rotate_at: u64,
    pub(super) buffer: Vec<u8>,
    pub(super) statistics: Statistics,
    pub(super) low: bool,
    pub(super) failure: Option<Failure>,
    pub(super) missed: Option<Missed>,
    pub(super) covered: u64,
    pub(super) checkpoint_after: Instant,
}

/// What the next line has to say of a time in which there were none. Outlives the failure: who was refused a line may
/// answer a request, and say so, when the ledger can already be written again.
#[derive(Debug)]
pub(super) struct Missed {
    pub(super) since_ms: i64,
    pub(super) reason: io::ErrorKind,
    pub(super) allowed: u64,
    pub(super) denied: u64,
}

#[derive(Debug)]
pub(super) struct Failure {
    pub(super) try_after: Instant,
    /// The file holds more than whole lines: to be cut to its length before anything else.
    pub(super) torn: bool,
    /// What the kernel says is written may not be: nothing more goes into this file.
    pub(super) distrusted: bool,
}

impl State {
    /// Writes the lines of a batch, which must not be empty, in one piece, or nothing.
    pub(super) fn write(&mut self, batch: &Batch, time_ms: i64) -> io::Result<Position> {
        let (mut seq, mut head) = (self.seq, self.head);
        self.buffer.clear();
        for members in batch.iter() {
            seq += 1;
            let start = self.buffer.len();
            write!(self.buffer, "{{\"seq\":{seq},\"time\":{time_ms},")?;
            self.buffer.extend_from_slice(members);
            head = chain::seal(&mut self.buffer, start, &head);
        }
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
        self.statistics.records += batch.len() as u64;
        self.statistics.bytes += length as u64;
        Ok(Position { seq, time_ms })
    }

    /// Writes one of the ledger's own lines.
    pub(super) fn write_event(&mut self, event: &Event<'_>) -> io::Result<Position> {
        self.write(&Batch::of(event), now_ms())
    }

    /// Cuts off what a failed write may have left.
    fn take_back(&mut self) -> io::Result<()> {
        self.file.set_len(self.length).inspect_err(|_| {
            if let Some(failure) = &mut self.failure {
                failure.torn = true;
            }
        })
    }

    pub(super) fn missed(&mut self, reason: io::ErrorKind) -> &mut Missed {
        self.missed.get_or_insert_with(|| Missed {
            since_ms: now_ms(),
            reason,
            allowed: 0,
            denied: 0,
        })
    }

    pub(super) fn fail(&mut self, error: &io::Error, name: LedgerName) {
        let torn = self
            .file
            .metadata()
            .map_or(true, |found| found.len() != self.length);
        self.missed(error.kind()).reason = error.kind();
        match &mut self.failure {
            Some(failure) => {
                failure.try_after = Instant::now() + RETRY_PAUSE;
                failure.torn |= torn;
            }
            None => {
                tracing::error!(ledger = name.name(), %error, "the ledger cannot be written");
                self.failure = Some(Failure {
                    try_after: Instant::now() + RETRY_PAUSE,
                    torn,
                    distrusted: false,
                });
            }
        }
    }
}

/// The time of a line that is written now, Unix milliseconds.
pub fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
