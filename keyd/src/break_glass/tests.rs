//! What opens break-glass, what closes it, and that nothing does either unrecorded.

use super::*;
use std::cell::{Cell, RefCell};

const MINUTE: Duration = Duration::from_secs(60);

/// A ledger that can fail.
#[derive(Default)]
struct Book {
    written: RefCell<Vec<Incident>>,
    full: Cell<bool>,
}

impl Book {
    fn record(&self, incident: Incident) -> Result<(), NotRecorded> {
        if self.full.get() {
            return Err(NotRecorded);
        }
        self.written.borrow_mut().push(incident);
        Ok(())
    }
}

fn glass() -> (BreakGlass, Book, Instant) {
    (BreakGlass::new(5 * MINUTE), Book::default(), Instant::now())
}

#[test]
fn it_is_closed_until_it_is_opened_and_again_when_its_time_is_up() {
    let (glass, book, now) = glass();
    assert!(glass.enter(now).is_none());
    glass.open(now, MINUTE, |incident| book.record(incident)).unwrap();
    let last = now + MINUTE - Duration::from_millis(1);
    glass.enter(last).unwrap().count(1);
    assert_eq!(glass.state(last).remaining_ms, 1);
    assert!(glass.enter(now + MINUTE).is_none());
    assert_eq!(glass.state(now + MINUTE).remaining_ms, 0);
    glass.look(now + MINUTE, false, |incident| book.record(incident));
    glass.look(now + MINUTE, false, |incident| book.record(incident));
    assert_eq!(
        *book.written.borrow(),
        [Incident::Opened(MINUTE), Incident::Expired(1)]
    );
    assert!(glass.enter(now).is_none(), "a clock that went back opens nothing");
    assert_eq!(glass.uses_in_all(), 1);
}

#[test]
fn it_opens_for_no_longer_than_configured_and_never_beyond_the_hard_maximum() {
    let (glass, book, now) = glass();
    for span in [
        Duration::ZERO,
        5 * MINUTE + Duration::from_millis(1),
        Duration::MAX,
    ] {
        let refused = glass.open(now, span, |incident| book.record(incident));
        assert_eq!(refused, Err(KeydError::BreakGlassTime), "{span:?}");
    }
    let eager = BreakGlass::new(24 * 60 * MINUTE);
    assert_eq!(eager.state(now).longest_ms, millis(HARD_MAXIMUM));
    let refused = eager.open(now, HARD_MAXIMUM + Duration::from_millis(1), |incident| {
        book.record(incident)
    });
    assert_eq!(refused, Err(KeydError::BreakGlassTime));
    let never = BreakGlass::new(Duration::ZERO);
    let refused = never.open(now, Duration::from_millis(1), |incident| book.record(incident));
    assert_eq!(refused, Err(KeydError::BreakGlassTime));
    assert!(book.written.borrow().is_empty());
}

#[test]
fn opening_it_again_begins_its_time_anew_and_adds_nothing_to_it() {
    let (glass, book, now) = glass();
    for step in 0..10 {
        let then = now + MINUTE * step / 2;
        glass
            .open(then, MINUTE, |incident| book.record(incident))
            .unwrap();
        assert_eq!(glass.state(then).remaining_ms, millis(MINUTE));
    }
    glass
        .open(now, Duration::from_secs(1), |incident| book.record(incident))
        .unwrap();
    assert!(
        glass.enter(now + Duration::from_secs(1)).is_none(),
        "and can shorten it"
    );
}

#[test]
fn what_cannot_be_recorded_does_not_open_it_and_closes_it_all_the_same() {
    let (glass, book, now) = glass();
    book.full.set(true);
    let refused = glass.open(now, MINUTE, |incident| book.record(incident));
    assert_eq!(refused, Err(KeydError::LedgerUnwritable));
    assert!(glass.enter(now).is_none());
    book.full.set(false);
    glass.open(now, MINUTE, |incident| book.record(incident)).unwrap();
    book.full.set(true);
    let unrecorded = glass.close(now, |incident| book.record(incident));
    assert_eq!(unrecorded, Err(KeydError::LedgerUnwritable));
    assert!(glass.enter(now).is_none());
    book.full.set(false);
    glass.look(now, false, |incident| book.record(incident));
    assert_eq!(
        *book.written.borrow(),
        [Incident::Opened(MINUTE), Incident::Expired(0)]
    );
}

#[test]
fn closing_it_says_how_often_it_was_used() {
    let (glass, book, now) = glass();
    glass.close(now, |incident| book.record(incident)).unwrap();
    assert!(book.written.borrow().is_empty(), "it was not open");
    glass.open(now, MINUTE, |incident| book.record(incident)).unwrap();
    for _ in 0..3 {
        glass.enter(now).unwrap().count(1);
    }
    glass.close(now, |incident| book.record(incident)).unwrap();
    assert_eq!(
        *book.written.borrow(),
        [Incident::Opened(MINUTE), Incident::Closed(3)]
    );
    assert_eq!(glass.state(now).remaining_ms, 0);
}

#[test]
fn the_one_that_looks_after_it_never_waits_for_a_use() {
    let (glass, book, now) = glass();
    glass.open(now, MINUTE, |incident| book.record(incident)).unwrap();
    let using = glass.enter(now);
    glass.look(now + MINUTE, false, |incident| book.record(incident));
    assert_eq!(*book.written.borrow(), [Incident::Opened(MINUTE)]);
    drop(using);
    glass.look(now + MINUTE, false, |incident| book.record(incident));
    assert_eq!(book.written.borrow().len(), 2);
}

#[test]
fn the_end_of_the_process_closes_it() {
    let (glass, book, now) = glass();
    glass.open(now, MINUTE, |incident| book.record(incident)).unwrap();
    glass.look(now, true, |incident| book.record(incident));
    assert_eq!(
        *book.written.borrow(),
        [Incident::Opened(MINUTE), Incident::Closed(0)]
    );
    assert!(glass.enter(now).is_none());
}

#[test]
fn closing_it_stops_what_has_not_begun_at_once_though_a_use_takes_long() {
    let glass = BreakGlass::new(5 * MINUTE);
    let now = Instant::now();
    let written = Mutex::new(Vec::new());
    let record = |incident| {
        written.lock().unwrap().push(incident);
        Ok(())
    };
    glass.open(now, MINUTE, record).unwrap();
    let using = glass.enter(now).unwrap();
    std::thread::scope(|scope| {
        let closing = scope.spawn(|| glass.close(now, record));
        while glass.state(now).remaining_ms > 0 {
            std::thread::yield_now();
        }
        // Both would wait for the use, and for whoever closes it, if they asked its lock.
        assert!(glass.enter(now).is_none());
        using.count(1);
        assert_eq!(
            written.lock().unwrap().len(),
            1,
            "the end is recorded after the use"
        );
        drop(using);
        closing.join().unwrap().unwrap();
    });
    let opened_and_closed = [Incident::Opened(MINUTE), Incident::Closed(1)];
    assert_eq!(*written.lock().unwrap(), opened_and_closed);
}
