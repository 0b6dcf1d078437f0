//! Refused requests, by reason: the first is recorded at once, those that follow within a second are counted and recorded
//! together. So a lone forged permit is seen when it comes, and a million of them are a line a second.

use chancel_ledger::{Event, Refusals as Line};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Between two lines of one reason.
const PAUSE: Duration = Duration::from_secs(1);

/// Counts that are not in the ledger yet.
#[derive(Default)]
pub(super) struct Refusals(Mutex<BTreeMap<&'static str, Pending>>);

struct Pending {
    count: u64,
    /// When the next line may be written.
    next: Instant,
}

impl Refusals {
    /// Counts one; writes it when its reason's pause is over.
    pub(super) fn note(&self, reason: &'static str, now: Instant, write: impl Fn(&Event<'_>) -> bool) {
        let mut reasons = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let pending = reasons.entry(reason).or_insert(Pending { count: 0, next: now });
        pending.count = pending.count.saturating_add(1);
        pending.write(reason, now, &write);
    }

    /// Writes what has waited for its pause to be over.
    pub(super) fn settle(&self, now: Instant, write: impl Fn(&Event<'_>) -> bool) {
        let mut reasons = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (reason, pending) in reasons.iter_mut() {
            pending.write(reason, now, &write);
        }
    }
}

impl Pending {
    /// A line that cannot be written keeps its count for the next.
    fn write(&mut self, reason: &str, now: Instant, write: &impl Fn(&Event<'_>) -> bool) {
        if self.count == 0 || now < self.next {
            return;
        }
        let line = Line {
            reason,
            count: self.count,
        };
        if write(&Event::Refused(line)) {
            self.count = 0;
        }
        self.next = now + PAUSE;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::{Cell, RefCell};

    #[test]
    fn the_first_is_written_at_once_and_a_flood_is_a_line_a_second() {
        let (refusals, lines) = (Refusals::default(), RefCell::new(Vec::new()));
        let write = |event: &Event<'_>| {
            let Event::Refused(line) = event else {
                panic!("{event:?}")
            };
            lines.borrow_mut().push((line.reason.to_owned(), line.count));
            true
        };
        let start = Instant::now();
        for step in 0..1000 {
            refusals.note("forged", start + Duration::from_millis(step), write);
        }
        refusals.note("replayed", start, write);
        assert_eq!(
            *lines.borrow(),
            [("forged".to_owned(), 1), ("replayed".to_owned(), 1)]
        );
        refusals.settle(start + Duration::from_millis(999), write);
        assert_eq!(lines.borrow().len(), 2);
        refusals.settle(start + PAUSE, write);
        assert_eq!(lines.borrow().last(), Some(&("forged".to_owned(), 999)));
        refusals.settle(start + 2 * PAUSE, write);
        assert_eq!(lines.borrow().len(), 3, "nothing is said twice");
    }

    #[test]
    fn what_cannot_be_written_is_counted_until_it_can() {
        let (refusals, counted, full) = (Refusals::default(), Cell::new(0), Cell::new(true));
        let write = |event: &Event<'_>| {
            let Event::Refused(line) = event else {
                panic!("{event:?}")
            };
            if !full.get() {
                counted.set(counted.get() + line.count);
            }
            !full.get()
        };
        let start = Instant::now();
        for second in 0..5 {
            refusals.note("forged", start + second * PAUSE, write);
        }
        full.set(false);
        refusals.settle(start + 5 * PAUSE, write);
        assert_eq!(counted.get(), 5);
    }
}
