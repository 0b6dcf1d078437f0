//! How a ledger is kept, and what is said of one that is.

use crate::LedgerName;
use std::time::Duration;

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
    /// Lines that were refused.
    pub refused: u64,
}
