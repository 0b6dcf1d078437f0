//! Offline verification: of one ledger's chain and checkpoints, and of both ledgers' agreement.
//!
//! Works on copies of the files and needs nothing but the audit key's public half. Copy the use ledger first and the
//! decision ledger after it: then every use that was copied has its decision in the copy.

mod agreement;
mod chain;
mod finding;

pub use finding::{Finding, Found, Place};

use crate::LedgerName;
use crate::checkpoint::AuditKey;
use agreement::Agreement;
use chain::ChainCheck;
use std::io;
use std::path::Path;

/// What was found in one ledger.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// Lines.
    pub records: u64,
    /// The first line's number: more than 1 when older segments have been removed.
    pub first: Option<u64>,
    /// The last line's number.
    pub last: Option<u64>,
    /// Checkpoints whose signature was checked.
    pub checkpoints: u64,
    /// The last line that a checked checkpoint covers.
    pub covered: Option<u64>,
}

/// What was found in all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Of the decision ledger.
    pub decisions: Summary,
    /// Of the use ledger, where it was given.
    pub uses: Option<Summary>,
    /// Uses that were found to have their permit.
    pub agreed: u64,
    /// Uses in break-glass, which have none.
    pub break_glass: u64,
    /// Uses older than the decisions that are still kept.
    pub too_old: u64,
    /// What is wrong, in the order in which it was found; at most [`MOST_FINDINGS`].
    pub findings: Vec<Found>,
    /// How many there are.
    pub total_findings: u64,
}

/// Findings that are listed: whoever has a thousand needs no more.
pub const MOST_FINDINGS: usize = 1000;

impl Report {
    /// Whether nothing is wrong.
    pub const fn is_sound(&self) -> bool {
        self.total_findings == 0
    }

    fn add(&mut self, found: Found) {
        self.total_findings += 1;
        if self.findings.len() < MOST_FINDINGS {
            self.findings.push(found);
        }
    }
}

/// Checks the decision ledger and, where it is given, the use ledger and the agreement of both. Without a key,
/// signatures are not checked.
///
/// # Errors
/// When a directory or a file cannot be read.
pub fn verify(decisions: &Path, uses: Option<&Path>, key: Option<&AuditKey>) -> io::Result<Report> {
    let mut report = Report::default();
    let mut check = ChainCheck::open(decisions, LedgerName::Decisions, key)?;
    let Some(uses) = uses else {
        while check.next(&mut report, |_, _, _| Ok(()))? {}
        report.decisions = check.finish(&mut report);
        return Ok(report);
    };
    let mut agreement = Agreement::new(check);
    let mut check = ChainCheck::open(uses, LedgerName::Uses, key)?;
    while check.next(&mut report, |record, place, report| {
        agreement.see(record, place, report)
    })? {}
    report.uses = Some(check.finish(&mut report));
    report.decisions = agreement.finish(&mut report)?;
    Ok(report)
}
