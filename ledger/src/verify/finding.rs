//! What can be wrong with a ledger, and where.

use crate::LedgerName;
use std::fmt;
use std::path::PathBuf;

/// Where a line lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The segment's file.
    pub path: PathBuf,
    /// The line in it, from 1.
    pub line: u64,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// In which ledger.
    pub ledger: LedgerName,
    /// Where.
    pub place: Place,
    /// What.
    pub finding: Finding,
}

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Finding {
    /// Not the form of a line.
    #[error("the line is not a ledger's")]
    NotALine,
    /// Nothing at all.
    #[error("there is no record")]
    Empty,
    /// Half a line, at the end of a file.
    #[error("the line is torn off")]
    Torn,
    /// Its hash is not that of its bytes after the line before.
    #[error("record {0} was changed, or the one before it was")]
    Changed(u64),
    /// Numbers that no line has.
    #[error("records {0} to {1} are missing before this line")]
    Missing(u64, u64),
    /// The same line a second time.
    #[error("record {0} stands here a second time")]
    Duplicated(u64),
    /// A line that belongs elsewhere.
    #[error("record {0} is out of its place")]
    Misplaced(u64),
    /// A segment that does not begin as one.
    #[error("the segment does not begin with what a segment begins with")]
    NoHeader,
    /// A segment of another ledger.
    #[error("the segment belongs to another ledger")]
    Foreign,
    /// Its signature is not the audit key's.
    #[error("the checkpoint's signature is not valid")]
    BadSignature,
    /// It states another hash than the line has.
    #[error("the checkpoint covers record {0}, which has another hash")]
    OtherHead(u64),
    /// So many records, and the key says nothing of any.
    #[error("none of {0} records is covered by a checkpoint that the audit key signed")]
    Unsigned(u64),
    /// A use that nobody permitted.
    #[error("record {0} is a use without a permit in the decisions")]
    UseWithoutPermit(u64),
    /// A use of something else than was permitted.
    #[error("record {0} is a use of something else than decision {1} permitted")]
    OtherThanPermitted(u64, u64),
    /// A permit that was used twice.
    #[error("record {0} is a second use of the permit of decision {1}")]
    PermitUsedTwice(u64, u64),
    /// Two decisions with one permit.
    #[error("decision {0} has the permit of another decision")]
    PermitIssuedTwice(u64),
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Place { path, line } = &self.place;
        write!(
            f,
            "{}: {}, line {line}: {}",
            self.ledger,
            path.display(),
            self.finding
        )
    }
}
