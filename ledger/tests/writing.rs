//! The writer: what a crash, a full disk and a restart leave, and what readers see beside it.

mod support;

use chancel_ledger::verify::verify;
use chancel_ledger::{
    Bounds, Filter, Health, Ledger, LedgerName, OpenError, Options, Records, Sync, newest_first,
};
use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
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

#[test]
fn a_full_disk_refuses_lines_whole_and_is_recovered_from_with_a_word_about_it() {
    let mount = tempfile::tempdir().unwrap();
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=256k", "tmpfs"])
        .arg(mount.path())
        .status();
    if !mounted.is_ok_and(|status| status.success()) {
        println!("SKIPPED: a tmpfs cannot be mounted here");
        return;
    }
    let outcome = std::panic::catch_unwind(|| fill_up(mount.path()));
    Command::new("umount").arg(mount.path()).status().unwrap();
    outcome.unwrap();
}

fn fill_up(directory: &Path) {
    let open = open(directory, DECISIONS);
    open.ledger.append(&allow(1)).unwrap();
    let ballast = directory.join("ballast");
    let mut file = fs::File::create(&ballast).unwrap();
    while file.write_all(&[0; 1024]).is_ok() {}
    let mut accepted = 1;
    let mut serial = 1;
    // Some lines fit into the last page; sooner or later none does.
    while open.ledger.append(&allow(serial + 1)).is_ok() {
        serial += 1;
        accepted += 1;
    }
    assert_eq!(open.ledger.health(), Health::Unwritable);
    open.ledger.note_unrecorded(true);
    open.ledger.note_unrecorded(false);
    let before = lines(directory).len();
    assert_eq!(serials(directory).len(), accepted);
    assert!(open.ledger.append(&allow(1000)).is_err());
    drop(file);
    fs::remove_file(&ballast).unwrap();
    // By itself, without anybody's asking.
    while open.ledger.health() == Health::Unwritable {
        std::thread::sleep(Duration::from_millis(20));
    }
    open.ledger.append(&allow(2000)).unwrap();
    let all = lines(directory);
    assert!(all[before].1.contains("\"kind\":\"gap\""), "{}", all[before].1);
    assert!(all[before].1.contains("\"allowed\":1,\"denied\":1"));
    assert!(is_sound(directory));
    assert_eq!(*serials(directory).last().unwrap(), 2000);
}

/// Not a test of its own: the process that the next one kills.
#[test]
fn child_that_writes_until_it_is_killed() {
    let Some(directory) = std::env::var_os("LEDGER_CHILD_DIRECTORY") else {
        return;
    };
    let mut options = DECISIONS;
    options.segment_bytes = 20_000;
    let open = open(Path::new(&directory), options);
    let first = serials(Path::new(&directory)).last().map_or(1, |last| last + 1);
    for serial in first.. {
        open.ledger.append(&allow(serial)).unwrap();
        println!("\nwritten {serial}");
    }
}

#[test]
fn what_was_acknowledged_before_kill_9_is_there_once() {
    let directory = tempfile::tempdir().unwrap();
    let mut acknowledged = 0;
    for round in 0..20 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child_that_writes_until_it_is_killed", "--nocapture"])
            .env("LEDGER_CHILD_DIRECTORY", directory.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let mut read = 0;
        for line in output.lines() {
            if let Some(serial) = line.unwrap().strip_prefix("written ") {
                acknowledged = serial.parse::<u64>().unwrap();
                read += 1;
                if read == 20 + round * 7 {
                    child.kill().unwrap();
                }
            }
        }
        child.wait().unwrap();
        let found = serials(directory.path());
        let whole = found.len() as u64;
        assert_eq!(found, (1..=whole).collect::<Vec<_>>());
        assert!(
            whole >= acknowledged && whole <= acknowledged + 1,
            "{whole} {acknowledged}"
        );
    }
    drop(open(directory.path(), DECISIONS));
    assert!(is_sound(directory.path()));
}
