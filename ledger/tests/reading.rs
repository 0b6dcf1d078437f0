//! Readers: beside a writer, from the middle on, and by pages whose work is bounded.

mod support;

use chancel_domain::{ApiKeyId, KeyHandle, Operation, TenantId};
use chancel_ledger::{
    Bounds, Change, Decision, Event, Filter, LedgerName, Options, Record, Records, newest_first,
};
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;
use support::{allow, decision, open};

const DECISIONS: Options = Options::of(LedgerName::Decisions);
const UNBOUNDED: Bounds = Bounds {
    lines: usize::MAX,
    bytes: usize::MAX,
    scanned: u64::MAX,
};

fn numbers(mut records: Records) -> Vec<u64> {
    let mut found = Vec::new();
    while let Some(line) = records.next_line().unwrap() {
        if line.is_whole {
            found.push(Record::parse(line.bytes).unwrap().seq);
        }
    }
    found
}

fn are_consecutive(numbers: &[u64]) -> bool {
    numbers.windows(2).all(|pair| pair[1] == pair[0] + 1)
}

#[test]
fn readers_see_whole_lines_in_order_while_a_writer_writes_and_old_segments_go() {
    let directory = tempfile::tempdir().unwrap();
    let mut options = DECISIONS;
    options.segment_bytes = 4096;
    options.retention = Duration::from_millis(20);
    let open = open(directory.path(), options);
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let _stop = Stop(&stop);
        scope.spawn(|| {
            for serial in 1.. {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                open.ledger.append(&allow(serial)).unwrap();
            }
        });
        let mut highest = 0;
        for _ in 0..100 {
            let newest = open.ledger.newest();
            let found = numbers(Records::of(directory.path()).unwrap());
            let last = found.last().copied().unwrap_or(0);
            assert!(last >= newest.min(highest), "what was once read is read again");
            highest = highest.max(last);
            let page = newest_first(directory.path(), None, &Filter::default(), UNBOUNDED).unwrap();
            let mut found: Vec<u64> = page
                .lines
                .iter()
                .map(|line| Record::parse(line.as_bytes()).unwrap().seq)
                .collect();
            found.reverse();
            assert!(are_consecutive(&found), "{found:?}");
            numbers(Records::after(directory.path(), newest).unwrap());
        }
    });
}

/// Ends the writer, also when an assertion does not hold.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn reading_goes_on_after_any_line() {
    let directory = tempfile::tempdir().unwrap();
    let mut options = DECISIONS;
    options.segment_bytes = 3000;
    let open = open(directory.path(), options);
    for serial in 1..=30 {
        open.ledger.append(&allow(serial)).unwrap();
    }
    let newest = open.ledger.newest();
    for seq in 0..=newest + 1 {
        let found = numbers(Records::after(directory.path(), seq).unwrap());
        assert!(are_consecutive(&found));
        assert_eq!(found.last(), Some(&newest));
        assert!(found[0] <= seq + 1, "none is missed");
        assert!(seq <= found[0] + 8, "no more than a segment is read in vain");
    }
}

/// Bytes that this thread has read.
fn bytes_read() -> u64 {
    let text = fs::read_to_string("/proc/thread-self/io").unwrap();
    let count = text
        .lines()
        .find_map(|line| line.strip_prefix("rchar: "))
        .unwrap();
    count.parse().unwrap()
}

fn page_of(directory: &Path, before: u64, filter: &Filter, bounds: Bounds) -> (Vec<u64>, Option<u64>) {
    let page = newest_first(directory, Some(before), filter, bounds).unwrap();
    let of = |line: &String| Record::parse(line.as_bytes()).unwrap().seq;
    (page.lines.iter().map(of).collect(), page.next)
}

#[test]
fn a_page_costs_what_its_bound_says_wherever_it_begins() {
    let directory = tempfile::tempdir().unwrap();
    let open = open(directory.path(), DECISIONS);
    for serial in 1..=20_000 {
        open.ledger.append(&allow(serial)).unwrap();
    }
    let nobody = Filter {
        tenant: Some(TenantId::from_bytes([9; 16]).to_string()),
        ..Filter::default()
    };
    let bounds = Bounds {
        lines: 10,
        bytes: 100_000,
        scanned: 20_000,
    };
    for before in [1, 2, 3, 500, 10_000, 19_999, 20_001] {
        for filter in [&nobody, &Filter::default()] {
            let start = bytes_read();
            let (found, next) = page_of(directory.path(), before, filter, bounds);
            let cost = bytes_read() - start;
            assert!(
                cost < 1_000_000,
                "before {before}: {cost} bytes of {}",
                20_000 * 500
            );
            let expected: Vec<u64> = (1..before).rev().take(10).collect();
            if filter.tenant.is_none() {
                assert_eq!(found, expected);
            } else {
                assert!(found.is_empty());
                assert!(next.is_none_or(|next| next < before), "paging gets somewhere");
            }
        }
    }
}

#[test]
fn a_line_larger_than_a_page_is_a_page() {
    let directory = tempfile::tempdir().unwrap();
    let open = open(directory.path(), DECISIONS);
    for serial in 1..=3 {
        open.ledger.append(&allow(serial)).unwrap();
    }
    let bounds = Bounds {
        bytes: 10,
        ..UNBOUNDED
    };
    let (found, next) = page_of(directory.path(), 4, &Filter::default(), bounds);
    assert_eq!((found, next), (vec![3], Some(3)));
}

#[test]
fn each_condition_of_a_filter_restricts() {
    let directory = tempfile::tempdir().unwrap();
    let open = open(directory.path(), DECISIONS);
    let plain = decision(None, 1);
    let denied = Decision {
        rule: Some("scope"),
        reason: Some("out-of-scope"),
        ..plain.clone()
    };
    let other = [8; 16];
    let events = [
        Event::Allow(plain.clone()),
        Event::Deny(denied),
        Event::Allow(Decision {
            tenant: TenantId::from_bytes(other),
            ..plain.clone()
        }),
        Event::Allow(Decision {
            api_key: ApiKeyId::from_bytes(other),
            ..plain.clone()
        }),
        Event::Allow(Decision {
            key: Some(KeyHandle::from_bytes(other)),
            ..plain.clone()
        }),
        Event::Allow(Decision {
            operation: Operation::Decrypt,
            ..plain
        }),
        Event::Change(Change {
            what: "key-rotated",
            tenant: Some(TenantId::from_bytes(other)),
            ..Change::default()
        }),
        Event::Allow(decision(None, 77)),
    ];
    let positions: Vec<_> = events
        .iter()
        .map(|event| open.ledger.append(event).unwrap())
        .collect();
    let found = |filter: Filter| page_of(directory.path(), u64::MAX, &filter, UNBOUNDED).0;
    let of = |change: fn(&mut Filter)| {
        let mut filter = Filter::default();
        change(&mut filter);
        found(filter)
    };
    // The segment's first line is number 1.
    assert_eq!(of(|_| {}), [9, 8, 7, 6, 5, 4, 3, 2, 1]);
    assert_eq!(of(|filter| filter.kind = Some("deny".into())), [3]);
    assert_eq!(of(|filter| filter.rule = Some("scope".into())), [3]);
    assert_eq!(
        of(|filter| filter.tenant = Some(TenantId::from_bytes([8; 16]).to_string())),
        [8, 4]
    );
    assert_eq!(
        of(|filter| filter.api_key = Some(ApiKeyId::from_bytes([8; 16]).to_string())),
        [5]
    );
    assert_eq!(
        of(|filter| filter.key = Some(KeyHandle::from_bytes([8; 16]).to_string())),
        [6]
    );
    assert_eq!(
        of(|filter| filter.operation = Some(Operation::Decrypt.to_string())),
        [7]
    );
    assert_eq!(
        of(|filter| filter.request =
            Some(chancel_domain::RequestId::from_bytes(77u128.to_be_bytes()).to_string())),
        [9]
    );
    let (first, last) = (positions[0].time_ms, positions[7].time_ms);
    let within = |since_ms, until_ms| {
        found(Filter {
            since_ms,
            until_ms,
            ..Filter::default()
        })
        .len()
    };
    assert!(within(Some(first), Some(last + 1)) >= 8);
    assert_eq!(within(Some(last + 1), None), 0);
    assert_eq!(within(None, Some(first.min(last) - 60_000)), 0);
}
