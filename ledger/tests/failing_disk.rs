//! What a disk that fails leaves: the kernel is told to refuse system calls to one thread, as a failing device would.
//! The writer and its syncer are two threads, so each can be made to meet the failure alone.

mod support;

use chancel_ledger::verify::verify;
use chancel_ledger::{Health, Ledger, LedgerName, Options, Record, Records, Sync, Unwritable};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch,
};
use std::fs;
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;
use support::{Open, allow, open};

const PATIENT: Duration = Duration::from_secs(60);

/// Nothing is synced unless somebody waits for it.
fn unhurried() -> Options {
    let mut options = Options::of(LedgerName::Decisions);
    options.sync = Sync::Within(Duration::from_secs(3600));
    options
}

/// From here on the kernel refuses this call to the calling thread.
fn refuse(call: i64, rules: Vec<SeccompRule>, errno: i32) {
    let filter = SeccompFilter::new(
        [(call, rules)].into(),
        SeccompAction::Allow,
        SeccompAction::Errno(errno as u32),
        TargetArch::x86_64,
    );
    let program: BpfProgram = filter.unwrap().try_into().unwrap();
    seccompiler::apply_filter(&program).unwrap();
}

/// Runs on a thread to which the kernel refuses something.
fn on_a_thread_without<T: Send>(call: i64, errno: i32, work: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| {
        let thread = scope.spawn(move || {
            refuse(call, Vec::new(), errno);
            work()
        });
        thread.join().unwrap()
    })
}

fn durable(ledger: &Ledger, seq: u64) -> Result<(), Unwritable> {
    let (sender, receiver) = mpsc::channel();
    ledger.when_durable(seq, move |outcome| sender.send(outcome).unwrap());
    receiver.recv_timeout(PATIENT).unwrap()
}

fn recovered(open: &Open) {
    while open.ledger.health() == Health::Unwritable {
        thread::sleep(Duration::from_millis(10));
    }
}

fn lines_of_kind(directory: &Path, kind: &str) -> Vec<String> {
    let mut records = Records::of(directory).unwrap();
    let mut found = Vec::new();
    while let Some(line) = records.next_line().unwrap() {
        if Record::parse(line.bytes).unwrap().kind == kind {
            found.push(String::from_utf8(line.bytes.to_vec()).unwrap());
        }
    }
    found
}

fn segments(directory: &Path) -> usize {
    fs::read_dir(directory).unwrap().count()
}

fn is_sound(directory: &Path) -> bool {
    let report = verify(directory, None, None).unwrap();
    report.is_sound() || panic!("{:?}", report.findings)
}

#[test]
fn what_the_disk_refused_is_never_said_to_be_on_it_and_the_ledger_goes_on_in_a_new_segment() {
    let directory = tempfile::tempdir().unwrap();
    let (ledger, syncer, _) = Ledger::open(directory.path(), unhurried()).unwrap();
    let thread = thread::spawn({
        move || {
            refuse(libc::SYS_fdatasync, Vec::new(), libc::EIO);
            syncer.run(|_, _| {});
        }
    });
    let position = ledger.append(&allow(1)).unwrap();
    assert_eq!(durable(&ledger, position.seq), Err(Unwritable));
    assert!(ledger.append_durable(&allow(2)).is_err());
    // This thread's syncs succeed, so sooner or later a segment is begun.
    while ledger.append(&allow(3)).is_err() {
        thread::sleep(Duration::from_millis(10));
    }
    ledger.stop();
    thread.join().unwrap();
    assert_eq!(durable(&ledger, position.seq), Err(Unwritable));
    assert!(segments(directory.path()) >= 2);
    assert!(!lines_of_kind(directory.path(), "gap").is_empty());
    assert!(is_sound(directory.path()));
}

#[test]
fn what_the_disk_refused_when_a_segment_ended_is_never_said_to_be_on_it() {
    let directory = tempfile::tempdir().unwrap();
    let mut options = unhurried();
    options.segment_bytes = 4096;
    let open = open(directory.path(), options);
    let ledger = &open.ledger;
    let newest = on_a_thread_without(libc::SYS_fdatasync, libc::EIO, || {
        let mut newest = 0;
        while let Ok(position) = ledger.append(&allow(1)) {
            newest = position.seq;
        }
        newest
    });
    assert_eq!(durable(ledger, newest), Err(Unwritable));
    recovered(&open);
    let position = ledger.append_durable(&allow(2)).unwrap();
    assert!(position.seq > newest);
    assert!(is_sound(directory.path()));
}

#[test]
fn attempts_to_go_on_in_a_new_segment_leave_no_litter() {
    let directory = tempfile::tempdir().unwrap();
    let mut options = unhurried();
    options.segment_bytes = 4096;
    let open = open(directory.path(), options);
    let ledger = &open.ledger;
    on_a_thread_without(libc::SYS_fdatasync, libc::EIO, || {
        while ledger.append(&allow(1)).is_ok() {}
        for _ in 0..6 {
            thread::sleep(Duration::from_millis(110));
            let _ = ledger.append(&allow(2));
        }
    });
    // The first, the one that the syncer's thread could begin meanwhile, and one that could not be.
    assert!(segments(directory.path()) <= 3, "{}", segments(directory.path()));
    recovered(&open);
    ledger.append_durable(&allow(3)).unwrap();
    assert!(is_sound(directory.path()));
}

#[test]
fn a_segment_whose_name_may_not_last_is_not_written_on() {
    let directory = tempfile::tempdir().unwrap();
    let mut options = unhurried();
    options.segment_bytes = 4096;
    let open = open(directory.path(), options);
    let ledger = &open.ledger;
    // A directory is synced with fsync, a file with fdatasync.
    on_a_thread_without(libc::SYS_fsync, libc::EIO, || {
        for serial in 1..=40 {
            ledger.append(&allow(serial)).unwrap();
        }
    });
    assert_eq!(segments(directory.path()), 1);
    ledger.append_durable(&allow(41)).unwrap();
    assert!(is_sound(directory.path()));
}

#[test]
fn a_segment_that_cannot_be_begun_stops_nobody() {
    let directory = tempfile::tempdir().unwrap();
    let mut options = unhurried();
    options.segment_bytes = 4096;
    let open = open(directory.path(), options);
    let ledger = &open.ledger;
    thread::scope(|scope| {
        scope.spawn(|| {
            let create = libc::O_CREAT as u64;
            let masked = SeccompCmpOp::MaskedEq(create);
            let condition = SeccompCondition::new(2, SeccompCmpArgLen::Dword, masked, create).unwrap();
            refuse(
                libc::SYS_openat,
                vec![SeccompRule::new(vec![condition]).unwrap()],
                libc::EACCES,
            );
            for serial in 1..=40 {
                ledger.append(&allow(serial)).unwrap();
            }
        });
    });
    assert_eq!(segments(directory.path()), 1);
    assert_eq!(lines_of_kind(directory.path(), "allow").len(), 40);
    ledger.append_durable(&allow(41)).unwrap();
    assert!(is_sound(directory.path()));
}

#[test]
fn writes_that_fail_leave_nothing_and_recovery_needs_nobody_to_ask() {
    let directory = tempfile::tempdir().unwrap();
    let open = open(directory.path(), unhurried());
    let ledger = &open.ledger;
    on_a_thread_without(libc::SYS_write, libc::EIO, || {
        assert_eq!(ledger.append(&allow(1)), Err(Unwritable));
        ledger.note_unrecorded(1, 0);
        ledger.note_unrecorded(1, 0);
        ledger.note_unrecorded(0, 1);
    });
    recovered(&open);
    ledger.append_durable(&allow(2)).unwrap();
    let gaps = lines_of_kind(directory.path(), "gap");
    assert!(
        matches!(&gaps[..], [gap] if gap.contains("\"allowed\":2,\"denied\":1")),
        "{gaps:?}"
    );
    assert_eq!(lines_of_kind(directory.path(), "allow").len(), 1);
    assert!(is_sound(directory.path()));
    assert!(ledger.statistics().refused >= 1);
}

#[test]
fn a_request_that_went_unrecorded_is_counted_though_the_ledger_has_recovered_meanwhile() {
    let directory = tempfile::tempdir().unwrap();
    let open = open(directory.path(), unhurried());
    let ledger = &open.ledger;
    on_a_thread_without(libc::SYS_write, libc::EIO, || {
        assert_eq!(ledger.append(&allow(1)), Err(Unwritable))
    });
    recovered(&open);
    ledger.note_unrecorded(1, 0);
    ledger.append_durable(&allow(2)).unwrap();
    let gaps = lines_of_kind(directory.path(), "gap");
    assert!(gaps.iter().any(|gap| gap.contains("\"allowed\":1")), "{gaps:?}");
    assert!(is_sound(directory.path()));
}
