//! What a full disk and a kill leave. Apart from the other tests: a process that forks holds, for a moment, the locks
//! of whoever else has a ledger open in it.

mod support;

use chancel_ledger::verify::verify;
use chancel_ledger::{Health, LedgerName, Options, Record, Records};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;
use support::{allow, lines, open};

const DECISIONS: Options = Options::of(LedgerName::Decisions);

/// One test at a time forks.
static FORKING: Mutex<()> = Mutex::new(());

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
        let record = Record::parse(line.bytes).unwrap();
        found.extend(record.permit.map(|permit| permit.serial));
    }
    found
}

#[test]
fn a_full_disk_refuses_lines_whole_and_is_recovered_from_with_a_word_about_it() {
    let _forking = FORKING.lock();
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
    open.ledger.note_unrecorded(1, 0);
    open.ledger.note_unrecorded(0, 1);
    let before = serials(directory).len() + 1;
    assert_eq!(serials(directory).len(), accepted);
    assert!(open.ledger.append(&allow(1000)).is_err());
    drop(file);
    fs::remove_file(&ballast).unwrap();
    // By itself, without anybody's asking.
    while open.ledger.health() == Health::Unwritable {
        std::thread::sleep(Duration::from_millis(20));
    }
    open.ledger.append(&allow(2000)).unwrap();
    let all: Vec<_> = lines(directory);
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
    let _forking = FORKING.lock();
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
