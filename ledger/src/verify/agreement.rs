//! Both ledgers: every use has the permit of exactly one decision, and was for what that decision allowed.
//!
//! The ledgers are read side by side. A permit lives for seconds, so of all permits only the newest are kept.

use super::chain::ChainCheck;
use super::finding::{Finding, Found, Place};
use super::{Report, Summary};
use crate::LedgerName;
use crate::record::Record;
use std::collections::VecDeque;
use std::collections::hash_map::{Entry, HashMap};
use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::io;

/// Permits that are kept: those of the last minutes at any rate that one host reaches.
const PERMITS_KEPT: usize = 1 << 20;
/// Decisions that are read on in search of a permit, since the last that was found: its decision was written before
/// the use.
const READ_AHEAD: u64 = 1 << 16;
/// Difference of time stamps beyond which no permit is looked for: more than a permit's life.
const READ_AHEAD_MS: i64 = 120_000;

type PermitNumber = (u64, u64);

struct Permit {
    decision: u64,
    /// Of everything a use must have in common with it.
    terms: u64,
    used: bool,
}

pub(super) struct Agreement<'k> {
    decisions: ChainCheck<'k>,
    ended: bool,
    permits: HashMap<PermitNumber, Permit>,
    order: VecDeque<PermitNumber>,
    oldest_ms: Option<i64>,
    newest_ms: i64,
    /// Decisions that were read in vain.
    ahead: u64,
    /// Of this run alone, so that nobody can have chosen terms that look alike.
    hashing: RandomState,
}

impl<'k> Agreement<'k> {
    pub(super) fn new(decisions: ChainCheck<'k>) -> Self {
        Self {
            decisions,
            ended: false,
            permits: HashMap::new(),
            order: VecDeque::new(),
            oldest_ms: None,
            newest_ms: i64::MIN,
            ahead: 0,
            hashing: RandomState::new(),
        }
    }

    /// Compares a record of the use ledger.
    pub(super) fn see(&mut self, record: &Record<'_>, place: &Place, report: &mut Report) -> io::Result<()> {
        if record.kind != "use" {
            return Ok(());
        }
        if record.break_glass {
            report.break_glass += 1;
            return Ok(());
        }
        let found = |finding| Found {
            ledger: LedgerName::Uses,
            place: place.clone(),
            finding,
        };
        let Some(permit) = &record.permit else {
            report.add(found(Finding::UseWithoutPermit(record.seq)));
            return Ok(());
        };
        let number = (permit.epoch, permit.serial);
        self.read_to(number, record.time, report)?;
        // A permit may be used a while after its decision, which may be gone.
        let is_as_old = |oldest: i64| record.time < oldest.saturating_add(READ_AHEAD_MS);
        let is_older_than_kept = self.is_trimmed() && self.oldest_ms.is_some_and(is_as_old);
        match self.permits.get_mut(&number) {
            Some(permit) if permit.terms != terms_of(&self.hashing, record) => {
                report.add(found(Finding::OtherThanPermitted(record.seq, permit.decision)));
            }
            Some(permit) if permit.used => {
                report.add(found(Finding::PermitUsedTwice(record.seq, permit.decision)));
            }
            Some(permit) => {
                permit.used = true;
                self.ahead = 0;
                report.agreed += 1;
            }
            None if is_older_than_kept => report.too_old += 1,
            None => report.add(found(Finding::UseWithoutPermit(record.seq))),
        }
        Ok(())
    }

    /// Reads what is left of the decisions.
    pub(super) fn finish(mut self, report: &mut Report) -> io::Result<Summary> {
        while !self.ended {
            self.read(report)?;
        }
        Ok(self.decisions.finish(report))
    }

    /// Whether older decisions have been removed.
    const fn is_trimmed(&self) -> bool {
        matches!(self.decisions.first(), Some(2..))
    }

    fn read_to(&mut self, number: PermitNumber, time: i64, report: &mut Report) -> io::Result<()> {
        while !self.ended && !self.permits.contains_key(&number) {
            if self.newest_ms > time.saturating_add(READ_AHEAD_MS) {
                if self.ahead == READ_AHEAD {
                    break;
                }
                self.ahead += 1;
            }
            self.read(report)?;
        }
        Ok(())
    }

    fn read(&mut self, report: &mut Report) -> io::Result<()> {
        let Self {
            permits,
            order,
            oldest_ms,
            newest_ms,
            ..
        } = self;
        let is_more = self.decisions.next(report, |record, place, report| {
            oldest_ms.get_or_insert(record.time);
            *newest_ms = record.time;
            let (Some(permit), "allow") = (&record.permit, &*record.kind) else {
                return Ok(());
            };
            let number = (permit.epoch, permit.serial);
            let Entry::Vacant(vacant) = permits.entry(number) else {
                report.add(Found {
                    ledger: LedgerName::Decisions,
                    place: place.clone(),
                    finding: Finding::PermitIssuedTwice(record.seq),
                });
                return Ok(());
            };
            vacant.insert(Permit {
                decision: record.seq,
                terms: terms_of(&self.hashing, record),
                used: false,
            });
            order.push_back(number);
            if order.len() > PERMITS_KEPT
                && let Some(oldest) = order.pop_front()
            {
                permits.remove(&oldest);
            }
            Ok(())
        })?;
        self.ended = !is_more;
        Ok(())
    }
}

/// A digest of what a permit and its use must have in common. Not for keeping: it only compares lines that both
/// chains protect.
fn terms_of(state: &RandomState, record: &Record<'_>) -> u64 {
    let mut hasher = state.build_hasher();
    let payload = record.permit.as_ref().map(|permit| &permit.payload);
    (
        &record.tenant,
        &record.api_key,
        record.api_key_version,
        &record.request,
    )
        .hash(&mut hasher);
    (
        &record.operation,
        &record.algorithm,
        record.key_version,
        &record.key,
        &record.target,
        record.items,
        payload,
    )
        .hash(&mut hasher);
    hasher.finish()
}
