//! One ledger: every line's hash, the numbers, the segments' beginnings, the checkpoints.
//!
//! After a fault the check goes on from what the next line claims, so that one fault is found once and what comes
//! after it is still checked.

use super::finding::{Finding, Found, Place};
use super::{Report, Summary};
use crate::LedgerName;
use crate::chain::{self, Hash};
use crate::checkpoint::{AuditKey, CheckpointRequest};
use crate::event::Record;
use crate::reader::Records;
use crate::segment::LedgerId;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};

/// Hashes of lines that a checkpoint may still cover: more than are written between a checkpoint's making and its
/// line.
const HEADS_KEPT: usize = 100_000;

pub(super) struct ChainCheck<'k> {
    records: Records,
    name: LedgerName,
    key: Option<&'k AuditKey>,
    summary: Summary,
    id: Option<LedgerId>,
    path: PathBuf,
    line: u64,
    bytes: Vec<u8>,
    is_record: bool,
    /// The highest number so far, and what the next line may be chained to: the hash that line states and the one
    /// its bytes have, which differ when it was changed.
    newest: Option<u64>,
    previous: [Option<Hash>; 2],
    /// The hash a line of the newest number states, to know it again.
    heads: VecDeque<(u64, Hash)>,
    /// Missing numbers, kept back until it is known whether they come later.
    missing: Vec<(Place, u64, u64)>,
}

impl<'k> ChainCheck<'k> {
    pub(super) fn open(directory: &Path, name: LedgerName, key: Option<&'k AuditKey>) -> io::Result<Self> {
        Ok(Self {
            records: Records::of(directory)?,
            name,
            key,
            summary: Summary::default(),
            id: None,
            path: PathBuf::new(),
            line: 0,
            bytes: Vec::new(),
            is_record: false,
            newest: None,
            previous: [None; 2],
            heads: VecDeque::new(),
            missing: Vec::new(),
        })
    }

    /// Checks the next line; `false` after the last.
    pub(super) fn next(&mut self, report: &mut Report) -> io::Result<bool> {
        let begins_segment;
        let is_whole;
        match self.records.next_line()? {
            None => return Ok(false),
            Some(line) => {
                self.bytes.clear();
                self.bytes.extend_from_slice(line.bytes);
                begins_segment = line.number == 1;
                is_whole = line.is_whole;
                self.line = line.number;
                if begins_segment {
                    self.path = line.path.to_owned();
                }
            }
        }
        self.is_record = false;
        if !is_whole {
            self.add(report, Finding::Torn);
            return Ok(true);
        }
        let bytes = std::mem::take(&mut self.bytes);
        match (chain::split(&bytes), Record::parse(&bytes)) {
            (Some((body, hash)), Ok(record)) => {
                self.is_record = true;
                self.check(body, hash, &record, begins_segment, report);
            }
            _ => {
                self.add(report, Finding::NotALine);
                // What it was chained to, and what the next is chained to, is unknown.
                self.previous = [None; 2];
            }
        }
        self.bytes = bytes;
        Ok(true)
    }

    /// The present line; `None` when it is none.
    pub(super) fn current(&self) -> Option<Record<'_>> {
        if self.is_record {
            Record::parse(&self.bytes).ok()
        } else {
            None
        }
    }

    pub(super) fn place(&self) -> Place {
        Place {
            path: self.path.clone(),
            line: self.line,
        }
    }

    /// The number of the first line.
    pub(super) const fn first(&self) -> Option<u64> {
        self.summary.first
    }

    /// What was found in all; reports what turned out to be missing.
    pub(super) fn finish(mut self, report: &mut Report) -> Summary {
        for (place, from, to) in std::mem::take(&mut self.missing) {
            report.add(Found {
                ledger: self.name,
                place,
                finding: Finding::Missing(from, to),
            });
        }
        self.summary.last = self.newest;
        self.summary
    }

    fn check(&mut self, body: &[u8], hash: Hash, record: &Record<'_>, begins: bool, report: &mut Report) {
        self.summary.records += 1;
        let seq = record.seq;
        if begins {
            self.check_header(record, report);
        }
        let expected = self.newest.map(|newest| newest + 1);
        match expected {
            None => self.summary.first = Some(seq),
            Some(expected) if seq > expected => {
                // The hashes in between are gone, so this line's own cannot be checked.
                self.missing.push((self.place(), expected, seq - 1));
                self.previous = [None; 2];
            }
            Some(expected) if seq < expected => {
                let known = self
                    .heads
                    .iter()
                    .any(|(number, head)| *number == seq && *head == hash);
                if known {
                    self.add(report, Finding::Duplicated(seq));
                } else if self.was_missing(seq) {
                    self.add(report, Finding::Misplaced(seq));
                } else {
                    self.add(report, Finding::Changed(seq));
                }
                return;
            }
            Some(_) => {}
        }
        let own = match self.previous {
            [None, _] => hash,
            [Some(stated), computed] => {
                let own = stated.of_next(body);
                let matches = own == hash || computed.is_some_and(|computed| computed.of_next(body) == hash);
                if !matches {
                    self.add(report, Finding::Changed(seq));
                }
                own
            }
        };
        self.previous = [Some(hash), (own != hash).then_some(own)];
        self.newest = Some(seq);
        if self.heads.len() == HEADS_KEPT {
            self.heads.pop_front();
        }
        self.heads.push_back((seq, hash));
        if record.kind == "checkpoint" {
            self.check_checkpoint(record, report);
        }
    }

    /// Whether the number was reported missing; it is not, then.
    fn was_missing(&mut self, seq: u64) -> bool {
        let Some(index) = self
            .missing
            .iter()
            .position(|(_, from, to)| (*from..=*to).contains(&seq))
        else {
            return false;
        };
        let (place, from, to) = self.missing.remove(index);
        if from < seq {
            self.missing.push((place.clone(), from, seq - 1));
        }
        if seq < to {
            self.missing.push((place, seq + 1, to));
        }
        true
    }

    fn check_header(&mut self, record: &Record<'_>, report: &mut Report) {
        let previous = record
            .previous
            .as_deref()
            .and_then(|text| Hash::parse(text.as_bytes()));
        let id = record.id.as_deref().and_then(LedgerId::parse);
        let (Some(previous), Some(id), "segment") = (previous, id, &*record.kind) else {
            return self.add(report, Finding::NoHeader);
        };
        let same =
            record.ledger.as_deref() == Some(self.name.name()) && self.id.is_none_or(|known| known == id);
        if !same {
            return self.add(report, Finding::Foreign);
        }
        self.id = Some(id);
        if self.newest.is_none() {
            self.previous = [Some(previous), None];
            if record.seq == 1 && previous != Hash::GENESIS {
                self.add(report, Finding::NoHeader);
            }
        }
    }

    fn check_checkpoint(&mut self, record: &Record<'_>, report: &mut Report) {
        let Some((id, covers, head, signature)) = self.id.and_then(|id| {
            let head = Hash::parse(record.head.as_deref()?.as_bytes())?;
            let signature = STANDARD.decode(record.signature.as_deref()?.as_bytes()).ok()?;
            Some((id, record.covers?, head, signature))
        }) else {
            return self.add(report, Finding::BadSignature);
        };
        let request = CheckpointRequest { id, covers, head };
        match self.key {
            None => return,
            Some(key) if key.signed(self.name, &request, &signature) => {}
            Some(_) => return self.add(report, Finding::BadSignature),
        }
        self.summary.checkpoints += 1;
        let found = self.heads.iter().rev().find(|(number, _)| *number == covers);
        match found {
            Some((_, found)) if *found == head => self.summary.covered = Some(covers),
            Some(_) => self.add(report, Finding::OtherHead(covers)),
            // Covers what is no longer kept, or was written long before.
            None => {}
        }
    }

    fn add(&self, report: &mut Report, finding: Finding) {
        report.add(Found {
            ledger: self.name,
            place: self.place(),
            finding,
        });
    }
}
