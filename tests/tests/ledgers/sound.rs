//! What an installation writes is sound, and says what happened.

use crate::work::Party;
use chancel_ledger::LedgerName;
use chancel_tests::api::SIGNATURE;
use chancel_tests::{Daemon, Installation, Options};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::Command;
use std::thread;

/// Segments of a few records each, so that ends of segments are met.
fn small_segments() -> Options {
    Options {
        ledger: [LedgerName::Decisions, LedgerName::Uses]
            .map(|name| (name, "segment_bytes = 65536".to_owned()))
            .to_vec(),
        ..Options::default()
    }
}

#[test]
fn both_ledgers_are_sound_and_agree_after_busy_work_and_restarts() {
    let system = Installation::with(small_segments());
    let parties: Vec<_> = (0..3)
        .map(|number| Party::new(&system, &format!("busy {number}")))
        .collect();
    thread::scope(|scope| {
        for party in &parties {
            scope.spawn(|| party.work(&system, 30));
        }
    });
    let key = system.audit_key();
    for daemon in Daemon::ALL {
        system.restart(daemon);
    }
    system.wait_ready();
    assert_eq!(system.audit_key(), key, "the audit key stays");
    let report = system.assert_sound(&key);
    // 30 signatures, decryptions, and decryptions that failed, of three tenants.
    assert!(report.agreed >= 3 * 30 * 3, "{report:?}");
    assert_eq!(report.break_glass, 0);
    let uses = report.uses.clone().expect("both were given");
    for (name, summary) in [
        (LedgerName::Decisions, &report.decisions),
        (LedgerName::Uses, &uses),
    ] {
        assert!(summary.checkpoints > 0, "{name}: a checkpoint at each stop");
        let segments = fs::read_dir(system.layout().ledger(name))
            .expect("a directory")
            .count();
        assert!(segments > 1, "{name}: {segments} segments");
        let records = system.records(name);
        assert_eq!(records.0.len() as u64, summary.records);
        assert!(records.kind("start").count() >= 2, "{name}");
        assert!(records.kind("stop").count() >= 1, "{name}");
        // Whoever reads a start knows how the daemon ran.
        let start = records.kind("start").next().expect("a start").to_string();
        assert!(start.contains("landlock") && start.contains("seccomp"), "{start}");
    }
    let start = system.records(LedgerName::Uses);
    let start = start.kind("start").next().expect("a start").to_string();
    assert!(start.contains("kek"), "{start}");
}

#[test]
fn the_command_line_verifies_copies_offline_with_the_public_key_alone() {
    let system = Installation::new();
    let party = Party::new(&system, "audited");
    party.work(&system, 5);
    let shown = Command::new(system.binaries().join("chancel"))
        .env_clear()
        .arg("--keyd-socket")
        .arg(system.layout().keyd_socket())
        .args(["audit", "public-key"])
        .output()
        .expect("chancel can be started");
    assert!(shown.status.success(), "{shown:?}");
    for daemon in [Daemon::Gateway, Daemon::Policyd, Daemon::Keyd] {
        system.stop(daemon);
    }
    let copies = system.copy_ledgers();
    let key = copies.ledger(LedgerName::Uses).with_file_name("audit.pem");
    fs::write(&key, &shown.stdout).expect("written");
    let verify = || {
        Command::new(system.binaries().join("chancel"))
            .env_clear()
            .args(["audit", "verify", "--json"])
            .arg("--decisions")
            .arg(copies.ledger(LedgerName::Decisions))
            .arg("--uses")
            .arg(copies.ledger(LedgerName::Uses))
            .arg("--public-key")
            .arg(&key)
            .output()
            .expect("chancel can be started")
    };
    let sound = verify();
    assert_eq!(sound.status.code(), Some(0), "{sound:?}");
    // One byte, and it says so by its exit code and where.
    let mut lines = copies.lines(LedgerName::Uses);
    let number = lines
        .iter()
        .position(|(_, line)| line.contains("\"kind\":\"use\""))
        .expect("a use");
    lines[number].1 = lines[number]
        .1
        .replacen("\"result\":\"ok\"", "\"result\":\"no\"", 1);
    copies.write_back(LedgerName::Uses, &lines);
    let found = verify();
    assert_eq!(found.status.code(), Some(1), "{found:?}");
    let said = String::from_utf8_lossy(&found.stdout).into_owned();
    assert!(said.contains(&(number + 1).to_string()), "where: {said}");
}

#[test]
fn what_operators_and_tenants_change_is_in_the_ledger_before_it_is_acknowledged() {
    let system = Installation::new();
    let party = Party::new(&system, "changed");
    let id = party.tenant.id.to_string();
    let changes = |what: &str| {
        let records = system.records(LedgerName::Decisions);
        records
            .changes(what)
            .into_iter()
            .filter(|record| record["tenant"] == id || record["subject"] == id)
            .count()
    };
    for (arguments, what) in [
        (&["tenant", "suspend", &id][..], "tenant-suspended"),
        (&["tenant", "resume", &id], "tenant-resumed"),
        (&["tenant", "set-plan", &id, "pro"], "tenant-plan-set"),
        (&["key-budget", "set", &id, SIGNATURE, "7"], "key-budget-set"),
    ] {
        let before = changes(what);
        system.cli(arguments);
        // At once: it was there before the command returned.
        assert_eq!(changes(what), before + 1, "{what}");
    }
    assert_eq!(changes("tenant-created"), 1);
    assert_eq!(changes("key-generated"), 2);
    let records = system.records(LedgerName::Decisions);
    let suspended = records.changes("tenant-suspended");
    let uid = nix::unistd::geteuid().as_raw();
    assert!(suspended.iter().all(|record| record["uid"] == uid), "by whom");
}

#[test]
fn no_other_account_reads_or_writes_a_ledger() {
    let system = Installation::new();
    chancel_tests::needs_separate_accounts!(system, "ledgers::no_other_account_reads_or_writes_a_ledger");
    Party::new(&system, "private");
    for (name, owner) in [
        (LedgerName::Decisions, Daemon::Policyd),
        (LedgerName::Uses, Daemon::Keyd),
    ] {
        for entry in fs::read_dir(system.layout().ledger(name)).expect("a directory") {
            let path = entry.expect("an entry").path();
            let found = fs::metadata(&path).expect("metadata");
            assert_eq!(found.uid(), system.account(owner).uid);
            assert_eq!(found.mode() & 0o027, 0, "{name}: {:o}", found.mode());
            for other in Daemon::ALL.into_iter().filter(|daemon| *daemon != owner) {
                let error = system
                    .actor(system.account(other))
                    .read(&path)
                    .expect_err("another daemon reads it");
                assert!(error.contains("Permission denied"), "{error}");
            }
        }
    }
}
