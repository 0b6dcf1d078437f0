//! The writer: what a crash, a full disk and a restart leave, and what readers see beside it.

mod support;

use chancel_ledger::verify::verify;
use chancel_ledger::{Bounds, Filter, Ledger, LedgerName, OpenError, Options, Records, Sync, newest_first};
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::time::Duration;
use support::{allow, lines, open};

const DECISIONS: Options = Options::of(LedgerName::Decisions);

fn fill(open: &support::Open, count: u64) {
    for serial in 1..=count {
        open.ledger.append(&allow(serial)).unwrap();
    }
}

fn is_sound(directory: &Path) -> bool {
    let report = verify(directory, None, None).unwrap();
    report.is_sound() || panic!("{:?}", report.findings)
}

fn serials(directory: &Path) -> Vec<u64> {
    let mut found = Vec::new();
    let mut records = Records::of(directory).unwrap();
    while let Some(line) = records.next_line().unwrap() {
        // A kill between two pages of a write leaves half a line.
        if !line.is_whole {
            break;
        }
        let record = chancel_ledger::Record::parse(line.bytes).unwrap();
        found.extend(record.permit.map(|permit| permit.serial));
    }
    found
}

#[test]
fn a_torn_last_line_is_cut_off_noted_and_the_chain_goes_on() {
    let whole = tempfile::tempdir().unwrap();
    {
        let open = open(whole.path(), DECISIONS);
        fill(&open, 3);
    }
    let file = whole.path().join("0000000001.jsonl");
    let bytes = fs::read(&file).unwrap();
    let last = lines(whole.path()).pop().unwrap().1.len() + 1;
    for cut in 1..last {
        fs::write(&file, &bytes[..bytes.len() - cut]).unwrap();
        let (ledger, syncer, opened) = Ledger::open(whole.path(), DECISIONS).unwrap();
        assert_eq!(opened.repaired.unwrap().dropped as usize, last - cut);
        let open = support::run(ledger, syncer);
        open.ledger.append(&allow(9)).unwrap();
        drop(open);
        assert!(is_sound(whole.path()));
        assert_eq!(serials(whole.path()), [1, 2, 9]);
    }
}

#[test]
fn a_ledger_that_was_changed_is_not_written_on() {
    let directory = tempfile::tempdir().unwrap();
    {
        let open = open(directory.path(), DECISIONS);
        fill(&open, 3);
    }
    let file = directory.path().join("0000000001.jsonl");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replacen("\"serial\":2", "\"serial\":4", 1)).unwrap();
    let error = Ledger::open(directory.path(), DECISIONS).unwrap_err();
    assert!(matches!(error, OpenError::Damaged { line: 3, .. }), "{error}");
    let mut uses = DECISIONS;
    uses.name = LedgerName::Uses;
    fs::write(&file, text).unwrap();
    assert!(matches!(
        Ledger::open(directory.path(), uses),
        Err(OpenError::Foreign(_))
    ));
}

#[test]
fn one_process_at_a_time_writes_a_ledger() {
    let directory = tempfile::tempdir().unwrap();
    let _open = open(directory.path(), DECISIONS);
    assert!(matches!(
        Ledger::open(directory.path(), DECISIONS),
        Err(OpenError::InUse(_))
    ));
}

#[test]
fn segments_follow_each_other_and_old_ones_go_one_at_a_time() {
    let directory = tempfile::tempdir().unwrap();
    let mut options = DECISIONS;
    options.segment_bytes = 2000;
    {
        let open = open(directory.path(), options.clone());
        fill(&open, 30);
    }
    let before = fs::read_dir(directory.path()).unwrap().count();
    assert!(before > 3);
    assert!(is_sound(directory.path()));
    std::thread::sleep(Duration::from_millis(5));
    options.retention = Duration::from_millis(1);
    drop(open(directory.path(), options));
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), before - 1);
    assert!(!directory.path().join("0000000001.jsonl").exists());
    let text = lines(directory.path()).pop().unwrap().1;
    assert!(text.contains("\"kind\":\"retention\",\"through\":1"), "{text}");
    assert!(is_sound(directory.path()));
}

#[test]
fn a_durable_line_is_waited_for_by_threads_and_by_callbacks() {
    for sync in [Sync::EveryRecord, Sync::Within(Duration::from_secs(3600))] {
        let directory = tempfile::tempdir().unwrap();
        let mut options = DECISIONS;
        options.sync = sync;
        let open = open(directory.path(), options);
        std::thread::scope(|scope| {
            for serial in 1..=8 {
                let ledger = &open.ledger;
                scope.spawn(move || ledger.append_durable(&allow(serial)).unwrap());
            }
        });
        let (sender, receiver) = std::sync::mpsc::channel();
        let position = open.ledger.append(&allow(9)).unwrap();
        open.ledger
            .when_durable(position.seq, move |outcome| sender.send(outcome).unwrap());
        assert_eq!(receiver.recv_timeout(Duration::from_secs(60)), Ok(Ok(())));
    }
}

#[test]
fn pages_go_from_the_newest_to_the_oldest_and_miss_none() {
    let directory = tempfile::tempdir().unwrap();
    let mut options = DECISIONS;
    options.segment_bytes = 3000;
    let open = open(directory.path(), options);
    fill(&open, 50);
    let mut torn = OpenOptions::new()
        .append(true)
        .open(lines(directory.path()).pop().unwrap().0)
        .unwrap();
    torn.write_all(b"{\"seq\":").unwrap();
    let filter = Filter {
        tenant: Some(chancel_domain::TenantId::from_bytes([1; 16]).to_string()),
        ..Filter::default()
    };
    for scanned in [1, 5000, u64::MAX] {
        let bounds = Bounds {
            lines: 3,
            bytes: 100_000,
            scanned,
        };
        let (mut before, mut seen) = (None, Vec::new());
        loop {
            let page = newest_first(directory.path(), before, &filter, bounds).unwrap();
            assert!(page.lines.len() <= 3);
            for line in &page.lines {
                let record = chancel_ledger::Record::parse(line.as_bytes()).unwrap();
                seen.push(record.permit.unwrap().serial);
            }
            before = page.next;
            if before.is_none() {
                break;
            }
        }
        let expected: Vec<u64> = (1..=50).rev().filter(|serial| serial % 3 == 1).collect();
        assert_eq!(seen, expected);
    }
}
