//! One ledger: every line's hash, the numbers, the segments' beginnings, the checkpoints.
//!
//! After a fault the check goes on from what the next line claims, so that one fault is found once and what comes
//! after it is still checked.

use super::finding::{Finding, Found, Place};
use super::{Report, Summary};
use crate::LedgerName;
use crate::chain::{self, Hash};
use crate::checkpoint::{AuditKey, CheckpointRequest};
use crate::reader::Records;
use crate::record::Record;
use crate::segment::LedgerId;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::collections::VecDeque;
use std::io;
use std::path::Path;

/// Hashes of lines that a checkpoint may still cover: more than are written between a checkpoint's making and its
/// line.
const HEADS_KEPT: usize = 100_000;

/// Records after which a ledger has a checkpoint, by a wide margin.
const UNSIGNED_AT_MOST: u64 = 30_000;

pub(super) struct ChainCheck<'k> {
    records: Records,
    name: LedgerName,
    key: Option<&'k AuditKey>,
    summary: Summary,
    id: Option<LedgerId>,
    /// Where the present line lies.
    place: Place,
    bytes: Vec<u8>,
    /// The highest number so far, and what the next line may be chained to: the hash that line states and the one
    /// its bytes have, which differ when it was changed.
    newest: Option<u64>,
    previous: [Option<Hash>; 2],
    /// The hashes that lines state, in the order of their numbers, to know them again.
    heads: VecDeque<(u64, Hash)>,
    /// Missing numbers, kept back until it is known whether they come later.
    missing: Vec<(Place, u64, u64)>,
    /// The line before, where its number was not the expected one.
    doubtful: Option<Doubtful>,
    /// The first segment's number, and the last that was removed for its age.
    first_segment: Option<(Place, u64)>,
    removed_through: u64,
}

/// A line whose number was not expected. Whether the number was changed or lines are missing, the next line tells.
struct Doubtful {
    place: Place,
    hash: Hash,
    number: Number,
}

/// How a number can be doubtful.
enum Number {
    /// The first: any may be.
    First,
    /// Higher than the expected one: what is in between counts as missing.
    Ahead,
    /// Lower.
    Behind,
}

impl<'k> ChainCheck<'k> {
    pub(super) fn open(directory: &Path, name: LedgerName, key: Option<&'k AuditKey>) -> io::Result<Self> {
        Ok(Self {
            records: Records::of(directory)?,
            name,
            key,
            summary: Summary::default(),
            id: None,
            place: Place {
                path: directory.to_owned(),
                line: 0,
            },
            bytes: Vec::new(),
            newest: None,
            previous: [None; 2],
            heads: VecDeque::new(),
            missing: Vec::new(),
            doubtful: None,
            first_segment: None,
            removed_through: 0,
        })
    }

    /// Checks the next line, and shows it to `see` unless it is no record or was there before; `false` after the last.
    pub(super) fn next(
        &mut self,
        report: &mut Report,
        see: impl FnOnce(&Record<'_>, &Place, &mut Report) -> io::Result<()>,
    ) -> io::Result<bool> {
        let begins_segment;
        let is_whole;
        match self.records.next_line()? {
            None => return Ok(false),
            Some(line) => {
                self.bytes.clear();
                self.bytes.extend_from_slice(line.bytes);
                begins_segment = line.number == 1;
                is_whole = line.is_whole;
                self.place.line = line.number;
                if begins_segment {
                    self.place.path = line.path.to_owned();
                }
            }
        }
        if !is_whole {
            self.add(report, Finding::Torn);
            return Ok(true);
        }
        let bytes = std::mem::take(&mut self.bytes);
        match (chain::split(&bytes), Record::parse(&bytes)) {
            (Some((body, hash)), Ok(record)) => {
                if self.check(body, hash, &record, begins_segment, report) {
                    see(&record, &self.place, report)?;
                }
            }
            _ => {
                self.add(report, Finding::NotALine);
                self.doubtful = None;
                // What it was chained to, and what the next is chained to, is unknown.
                self.previous = [None; 2];
            }
        }
        self.bytes = bytes;
        Ok(true)
    }

    /// The number of the first line.
    pub(super) const fn first(&self) -> Option<u64> {
        self.summary.first
    }

    /// What was found in all; reports what turned out to be missing.
    pub(super) fn finish(mut self, report: &mut Report) -> Summary {
        match (&self.first_segment, self.summary.first) {
            (Some((place, number)), Some(first)) if first > 1 && self.removed_through + 1 < *number => {
                self.missing.push((place.clone(), 1, first - 1));
            }
            (_, None) if self.place.line == 0 => self.add(report, Finding::Empty),
            _ => {}
        }
        // A checkpoint is due far more often: without any, somebody has taken them out, or keyd was never there.
        if self.key.is_some() && self.summary.checkpoints == 0 && self.summary.records > UNSIGNED_AT_MOST {
            self.add(report, Finding::Unsigned(self.summary.records));
        }
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

    /// Whether the line is one that was not there before.
    fn check(
        &mut self,
        body: &[u8],
        hash: Hash,
        record: &Record<'_>,
        begins: bool,
        report: &mut Report,
    ) -> bool {
        self.summary.records += 1;
        let seq = record.seq;
        if begins {
            self.check_header(record, report);
        }
        self.resolve(body, hash, seq, report);
        let expected = self.newest.map(|newest| newest + 1);
        match expected {
            None => {
                self.summary.first = Some(seq);
                self.doubt(hash, Number::First);
            }
            Some(expected) if seq > expected => {
                if self.is_next(body, hash) {
                    // Its hash was made to fit, its number does not.
                    self.add(report, Finding::Changed(expected));
                    self.append(expected, hash, hash);
                    return true;
                }
                // The hashes in between are gone, so this line's own cannot be checked.
                self.missing.push((self.place.clone(), expected, seq - 1));
                self.previous = [None; 2];
                self.doubt(hash, Number::Ahead);
            }
            Some(expected) if seq < expected => {
                if self.stated(seq) == Some(hash) {
                    self.add(report, Finding::Duplicated(seq));
                    return false;
                }
                if self.was_missing(seq) {
                    self.add(report, Finding::Misplaced(seq));
                } else {
                    self.add(report, Finding::Changed(seq));
                    self.doubt(hash, Number::Behind);
                }
                return true;
            }
            Some(_) => {}
        }
        let own = match self.previous {
            [None, _] => hash,
            [Some(stated), _] => {
                if !self.is_next(body, hash) {
                    self.add(report, Finding::Changed(seq));
                }
                stated.of_next(body)
            }
        };
        self.append(seq, hash, own);
        match &*record.kind {
            "checkpoint" => self.check_checkpoint(record, report),
            "retention" => self.removed_through = record.through.unwrap_or(0).max(self.removed_through),
            _ => {}
        }
        true
    }

    /// Whether the hash is that of a line after the one before.
    fn is_next(&self, body: &[u8], hash: Hash) -> bool {
        self.previous
            .iter()
            .flatten()
            .any(|previous| previous.of_next(body) == hash)
    }

    /// Takes a line as the newest.
    fn append(&mut self, seq: u64, hash: Hash, own: Hash) {
        self.previous = [Some(hash), (own != hash).then_some(own)];
        self.newest = Some(seq);
        if self.heads.len() == HEADS_KEPT {
            self.heads.pop_front();
        }
        self.heads.push_back((seq, hash));
    }

    /// The hash that the line of a number stated.
    fn stated(&self, seq: u64) -> Option<Hash> {
        let index = self
            .heads
            .binary_search_by_key(&seq, |(number, _)| *number)
            .ok()?;
        self.heads.get(index).map(|(_, hash)| *hash)
    }

    fn doubt(&mut self, hash: Hash, number: Number) {
        self.doubtful = Some(Doubtful {
            place: self.place.clone(),
            hash,
            number,
        });
    }

    /// A line that is chained to a doubtful one says by its number what that one's was.
    fn resolve(&mut self, body: &[u8], hash: Hash, seq: u64, report: &mut Report) {
        let Some(doubtful) = self.doubtful.take() else {
            return;
        };
        let (is_expected, Some(number)) = (
            self.newest.map(|newest| newest + 1) == Some(seq),
            seq.checked_sub(1),
        ) else {
            return;
        };
        if is_expected || doubtful.hash.of_next(body) != hash {
            return;
        }
        match doubtful.number {
            Number::Ahead => {
                self.missing.pop();
                self.heads.pop_back();
                report.add(Found {
                    ledger: self.name,
                    place: doubtful.place,
                    finding: Finding::Changed(number),
                });
            }
            Number::First => {
                self.heads.pop_back();
                self.summary.first = Some(number);
            }
            Number::Behind => {}
        }
        self.append(number, doubtful.hash, doubtful.hash);
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
        if self.first_segment.is_none() {
            self.first_segment = record.number.map(|number| (self.place.clone(), number));
        }
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
        match self.stated(covers) {
            Some(found) if found == head => self.summary.covered = self.summary.covered.max(Some(covers)),
            Some(_) => self.add(report, Finding::OtherHead(covers)),
            // Covers what is no longer kept, or was written long before.
            None => {}
        }
    }

    fn add(&self, report: &mut Report, finding: Finding) {
        report.add(Found {
            ledger: self.name,
            place: self.place.clone(),
            finding,
        });
    }
}
