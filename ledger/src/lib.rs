//! The two ledgers: policyd's decisions and keyd's uses of private keys.
//!
//! A ledger is a directory of segments, a segment a file of JSON lines. Each line carries the hash of its own bytes
//! chained to the line before, so that none can be changed, removed or moved unnoticed; checkpoints signed by keyd's
//! audit key say up to where a ledger was whole. Written by [`Ledger`], read by [`Records`] and [`newest_first`],
//! checked by [`verify`]. docs/ledger.md describes the format.

mod batch;
mod chain;
mod checkpoint;
mod config;
mod durable;
mod event;
mod filter;
mod options;
mod reader;
mod record;
mod recovery;
mod retention;
mod segment;
pub mod verify;
mod writer;

pub use batch::Batch;
pub use chain::Hash;
pub use checkpoint::{AuditKey, CheckpointRequest, NotAnAuditKey, checkpoint_message};
pub use config::LedgerConfig;
pub use durable::{Durability, Syncer};
pub use event::{
    BreakGlass, Change, Decision, Details, Event, KeyChange, KeyReference, PermitReference, Refusals, Use,
};
pub use filter::Filter;
pub use options::{Health, Options, Position, Statistics, Sync, Unwritable};
pub use reader::{Bounds, Line, Page, Records, newest_first};
pub use record::{NotARecord, Record, RecordedKey, RecordedPermit};
pub use recovery::{OpenError, Opened, Repair};
pub use segment::LedgerId;
pub use writer::{Ledger, now_ms};

use std::fmt;

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LedgerName {
    /// What policyd decided.
    Decisions,
    /// What keyd did with private keys.
    Uses,
}

impl LedgerName {
    /// As it stands in segments, checkpoints and messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Decisions => "decisions",
            Self::Uses => "uses",
        }
    }
}

impl fmt::Display for LedgerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
