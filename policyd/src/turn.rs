//! A turn: the requests that came with one read. They are judged at one time, by what is counted and what those before
//! them in the turn will add; their records are written together at its end, before any of their answers leaves.

use crate::clock;
use crate::record::{Recorder, may_go_unrecorded};
use crate::usage::{Counted, Pending, Usage};
use chancel_ledger::{Batch, Event, Unwritable};
use tokio::sync::oneshot;

/// What is left to the end of a turn.
#[derive(Debug, Default)]
pub struct Turn {
    now_ms: Option<i64>,
    records: Batch,
    allowed: Pending,
    denied: u64,
    waiting: Vec<Waiting>,
}

/// An answer that waits until the records are on the disk.
#[derive(Debug)]
struct Waiting {
    is_bound: bool,
    tell: oneshot::Sender<Result<(), Unwritable>>,
}

/// How many answers must not be given that were left to the end of the turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotRecorded(pub usize);

impl Turn {
    /// The time of all requests of the turn, Unix milliseconds.
    pub fn now_ms(&mut self) -> i64 {
        *self.now_ms.get_or_insert_with(clock::now_ms)
    }

    /// What the requests before this one will add to the counts.
    pub const fn allowed(&self) -> &Pending {
        &self.allowed
    }

    /// A request was allowed, for which [`Usage::prepare`] was called.
    pub fn allow(&mut self, record: &Event<'_>, counted: Counted) {
        self.records.add(record);
        self.allowed.add(counted);
    }

    /// A request was denied.
    pub fn deny(&mut self, record: &Event<'_>) {
        self.records.add(record);
        self.denied += 1;
    }

    /// Resolves when the records of the turn are on the disk. When they cannot be written, this is an error for answers
    /// that are bound to them, and none for others.
    pub fn durable(&mut self, is_bound: bool) -> oneshot::Receiver<Result<(), Unwritable>> {
        let (tell, told) = oneshot::channel();
        self.waiting.push(Waiting { is_bound, tell });
        told
    }

    /// Records and counts what was decided.
    ///
    /// # Errors
    /// [`NotRecorded`]: nothing was recorded, and only what [may go unrecorded](may_go_unrecorded) was counted.
    pub fn end(mut self, recorder: &Recorder, usage: &Usage) -> Result<(), NotRecorded> {
        if self.records.is_empty() {
            return Ok(());
        }
        let now_ms = self.now_ms();
        let ledger = recorder.ledger();
        match ledger.append_all(&self.records, now_ms) {
            Ok(newest) => {
                usage.count(self.allowed.iter(), now_ms, Some(newest.seq));
                if !self.waiting.is_empty() {
                    ledger.when_durable(newest.seq, move |outcome| tell(self.waiting, |_| outcome));
                }
                Ok(())
            }
            Err(Unwritable) => {
                let is_free = |counted: &&Counted| may_go_unrecorded(counted.operation, false);
                let (free, bound): (Vec<_>, Vec<_>) = self.allowed.iter().partition(is_free);
                // Who waits is told.
                let refused = if self.waiting.is_empty() { bound.len() } else { 0 };
                let answered = free.len() as u64;
                usage.count(free, now_ms, None);
                ledger.note_unrecorded(answered, self.denied);
                tell(
                    self.waiting,
                    |is_bound| if is_bound { Err(Unwritable) } else { Ok(()) },
                );
                Err(NotRecorded(refused))
            }
        }
    }
}

fn tell(waiting: Vec<Waiting>, outcome: impl Fn(bool) -> Result<(), Unwritable>) {
    for Waiting { is_bound, tell } in waiting {
        // Nobody waiting any more is no reason not to have written it.
        let _ = tell.send(outcome(is_bound));
    }
}
