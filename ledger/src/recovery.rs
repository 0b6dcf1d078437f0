//! Opening a ledger that an earlier process wrote: where its chain ends, and what a crash left half written.

use crate::LedgerName;
use crate::chain::{self, Hash};
use crate::record::Record;
use crate::segment::{self, LedgerId, SegmentFile};
use aws_lc_rs::rand;
use std::fs::{self, File, TryLockError};
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

/// Why a ledger cannot be opened. Nothing was changed in it.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The directory or a file cannot be read or written.
    #[error("ledger: {0}")]
    Io(#[source] io::Error),
    /// Another process writes it.
    #[error("ledger {0} is in use by another process")]
    InUse(PathBuf),
    /// The newest segment does not check: somebody changed it, or the disk did.
    #[error("ledger {path}, line {line}: {what}; move the directory aside, start with an empty one, and have both checked", path = .path.display())]
    Damaged {
        /// The segment.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// What is wrong.
        what: &'static str,
    },
    /// It is the other ledger, or another program's file.
    #[error("ledger {0}: this is not the ledger that belongs here")]
    Foreign(PathBuf),
    /// It cannot be written.
    #[error("the ledger cannot be written")]
    Unwritable,
    /// No randomness for the ledger's id.
    #[error("no randomness")]
    NoRandomness,
}

/// What was found at opening.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opened {
    /// What had to be repaired; `None` when it was whole.
    pub repaired: Option<Repair>,
    /// The ledger's own id.
    pub id: LedgerId,
}

/// Half a line that a crash left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Repair {
    /// Bytes that were dropped.
    pub dropped: u64,
}

pub(crate) struct Found {
    pub(crate) file: File,
    pub(crate) segment: u64,
    pub(crate) length: u64,
    pub(crate) seq: u64,
    pub(crate) head: Hash,
    pub(crate) id: LedgerId,
    pub(crate) is_new: bool,
    pub(crate) repaired: Option<Repair>,
}

pub(crate) fn lock(directory: &Path) -> Result<File, OpenError> {
    let lock = File::open(directory).map_err(OpenError::Io)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse(directory.to_owned())),
        Err(TryLockError::Error(error)) => Err(OpenError::Io(error)),
    }
}

pub(crate) fn recover(directory: &Path, name: LedgerName) -> Result<Found, OpenError> {
    let mut segments = segment::list(directory).map_err(OpenError::Io)?;
    let mut dropped = 0;
    while let Some(newest) = segments.pop() {
        let end = end_of(&newest, name)?;
        dropped += end.torn;
        let Some(last) = end.last else {
            // Its first line never was whole, so nobody was told of anything in it.
            fs::remove_file(&newest.path).map_err(OpenError::Io)?;
            continue;
        };
        let file = newest.append().map_err(OpenError::Io)?;
        if end.torn > 0 {
            file.set_len(end.length).map_err(OpenError::Io)?;
        }
        segment::sync_directory(directory).map_err(OpenError::Io)?;
        return Ok(Found {
            file,
            segment: newest.number,
            length: end.length,
            seq: last.seq,
            head: last.head,
            id: last.id,
            is_new: false,
            repaired: (dropped > 0).then_some(Repair { dropped }),
        });
    }
    begin(directory)
}

fn begin(directory: &Path) -> Result<Found, OpenError> {
    let mut id = [0; 16];
    rand::fill(&mut id).map_err(|_| OpenError::NoRandomness)?;
    let first = SegmentFile::of(directory, 1);
    let file = first.create().map_err(OpenError::Io)?;
    segment::sync_directory(directory).map_err(OpenError::Io)?;
    Ok(Found {
        file,
        segment: first.number,
        length: 0,
        seq: 0,
        head: Hash::GENESIS,
        id: LedgerId::from_bytes(id),
        is_new: true,
        repaired: None,
    })
}

struct End {
    last: Option<Last>,
    /// Bytes of whole lines.
    length: u64,
    /// Bytes after them.
    torn: u64,
}

struct Last {
    seq: u64,
    head: Hash,
    id: LedgerId,
}

/// Walks a segment's chain to its end.
fn end_of(segment: &SegmentFile, name: LedgerName) -> Result<End, OpenError> {
    let mut reader = BufReader::with_capacity(1 << 16, File::open(&segment.path).map_err(OpenError::Io)?);
    let mut end = End {
        last: None,
        length: 0,
        torn: 0,
    };
    let mut bytes = Vec::new();
    for line in 1.. {
        bytes.clear();
        let count = reader.read_until(b'\n', &mut bytes).map_err(OpenError::Io)? as u64;
        let Some(text) = bytes.strip_suffix(b"\n") else {
            end.torn = count;
            break;
        };
        let damaged = |what| OpenError::Damaged {
            path: segment.path.clone(),
            line,
            what,
        };
        let (body, hash) = chain::split(text).ok_or_else(|| damaged("not a line of a ledger"))?;
        let record = Record::parse(text).map_err(|_| damaged("not a line of a ledger"))?;
        let (previous, id) = match &end.last {
            Some(last) if record.seq == last.seq + 1 => (last.head, last.id),
            Some(_) => return Err(damaged("a line is missing before this one")),
            None => header(&record, name).ok_or_else(|| OpenError::Foreign(segment.path.clone()))?,
        };
        if previous.of_next(body) != hash {
            return Err(damaged("the line was changed, or another before it removed"));
        }
        end.last = Some(Last {
            seq: record.seq,
            head: hash,
            id,
        });
        end.length += count;
    }
    Ok(end)
}

/// What a segment's first line is chained to, and the ledger's id.
fn header(record: &Record<'_>, name: LedgerName) -> Option<(Hash, LedgerId)> {
    if record.kind != "segment" || record.ledger.as_deref() != Some(name.name()) {
        return None;
    }
    let previous = Hash::parse(record.previous.as_deref()?.as_bytes())?;
    Some((previous, LedgerId::parse(record.id.as_deref()?)?))
}
