//! A ledger that cannot be written, for real: a file system that is full, a directory that may not be written. Uses of
//! private keys and changes fail closed with a code of their own, reading and public-key work go on, and when there is
//! room again everything works without a restart.

use crate::work::Party;
use chancel_ledger::LedgerName::{self, Decisions, Uses};
use chancel_tests::api::{KEM, refused};
use chancel_tests::small_disk::SmallDisk;
use chancel_tests::{Daemon, Installation, Options};
use std::fs;
use std::os::unix::fs::PermissionsExt;

const AUDIT: (u16, &str) = (503, "ERR_AUDIT_001");

const fn writer(name: LedgerName) -> Daemon {
    match name {
        Decisions => Daemon::Policyd,
        Uses => Daemon::Keyd,
    }
}

/// An installation whose ledger of that name is on a small disk; `None` where that cannot be had.
fn on_a_small_disk(name: LedgerName, test: &str, lines: &str) -> Option<(Installation, Party, SmallDisk)> {
    let system = Installation::prepare(Options {
        ledger: vec![(name, lines.to_owned())],
        ..Options::default()
    });
    let disk = SmallDisk::at(&system.layout().ledger(name), system.account(writer(name)), test)?;
    system.start_all();
    let party = Party::new(&system, "on a small disk");
    Some((system, party, disk))
}

/// Everything that needs a record is refused; nothing comes of it.
#[track_caller]
fn fails_closed(system: &Installation, party: &Party, name: LedgerName, before: &Before) {
    let used = || {
        let records = system.records(Uses);
        records
            .kind("use")
            .filter(|record| record["result"] == "ok")
            .count()
    };
    let uses = used();
    refused(party.api.sign(b"m"), AUDIT.0, AUDIT.1);
    refused(party.api.decrypt(&before.sealed), AUDIT.0, AUDIT.1);
    if name == Decisions {
        refused(party.api.rotate(KEM), AUDIT.0, AUDIT.1);
        let api_keys = format!("/api/v1/tenants/{}/api-keys", party.tenant.id);
        let body = serde_json::json!({"name": "x", "scopes": ["*"]});
        refused(party.api.post(&api_keys, &body), AUDIT.0, AUDIT.1);
    }
    // What needs none goes on.
    party.api.encrypt(b"m").expect("public-key work goes on");
    assert!(party.api.verify(b"m", &before.signature).expect("an answer"));
    assert_eq!(party.api.keys(KEM).expect("reading goes on").len(), 1);
    assert_eq!(used(), uses, "no key was used");
    if name == Decisions {
        assert_eq!(system.cli(&["status"])["policyd"]["ledger"], "unwritable");
    }
}

struct Before {
    sealed: chancel_tests::api::Made,
    signature: chancel_tests::api::Made,
}

impl Before {
    fn new(party: &Party) -> Self {
        Self {
            sealed: party.api.encrypt(b"m").expect("encrypted"),
            signature: party.api.sign(b"m").expect("signed"),
        }
    }
}

#[track_caller]
fn works_again(system: &Installation, party: &Party, before: &Before) {
    system.until("uses to be possible again", || party.api.sign(b"m").ok());
    assert_eq!(party.api.decrypt(&before.sealed).expect("decrypted"), b"m");
    system.until("changes to be possible again", || party.api.rotate(KEM).ok());
}

fn full_disk(name: LedgerName, test: &str) {
    // Nothing of what fills it counts as low: the reserve has a test of its own.
    let Some((system, party, disk)) = on_a_small_disk(name, test, "reserve_bytes = 1") else {
        return;
    };
    let before = Before::new(&party);
    let pids = Daemon::ALL.map(|daemon| system.pid(daemon));
    for _ in 0..2 {
        disk.fill();
        // What is left of the last page is used up first.
        system.until("the disk to be full for the ledger as well", || {
            party
                .api
                .sign(b"m")
                .err()
                .map(|failure| assert_eq!(failure.code(), AUDIT))
        });
        fails_closed(&system, &party, name, &before);
        disk.free();
        system.until("uses to be possible again", || party.api.sign(b"m").ok());
        let gap = system.records(name);
        let gap = gap.kind("gap").last().cloned().expect("what was missed is said");
        if name == Decisions {
            assert!(
                gap["allowed"].as_u64() >= Some(3),
                "reads that went unrecorded: {gap}"
            );
        }
    }
    works_again(&system, &party, &before);
    assert_eq!(
        Daemon::ALL.map(|daemon| system.pid(daemon)),
        pids,
        "nothing was restarted"
    );
    let log = system.log(writer(name));
    assert!(log.contains("the ledger cannot be written"), "{log}");
    let key = system.audit_key();
    system.assert_sound(&key);
    for daemon in [Daemon::Gateway, Daemon::Policyd, Daemon::Keyd] {
        system.stop(daemon);
    }
    drop(disk);
}

#[test]
fn with_the_decision_ledgers_disk_full_uses_and_changes_fail_closed_and_recover() {
    full_disk(
        Decisions,
        "ledgers::with_the_decision_ledgers_disk_full_uses_and_changes_fail_closed_and_recover",
    );
}

#[test]
fn with_the_use_ledgers_disk_full_no_result_leaves_keyd_and_it_recovers() {
    full_disk(
        Uses,
        "ledgers::with_the_use_ledgers_disk_full_no_result_leaves_keyd_and_it_recovers",
    );
}

#[test]
fn a_disk_that_is_nearly_full_is_warned_of_before_it_is_full() {
    for name in [Decisions, Uses] {
        let Some((system, party, disk)) = on_a_small_disk(
            name,
            "ledgers::a_disk_that_is_nearly_full_is_warned_of_before_it_is_full",
            "reserve_bytes = 131072",
        ) else {
            return;
        };
        let health = || {
            let status = system.cli(&["status"]);
            match name {
                Decisions => status["policyd"]["ledger"].clone(),
                Uses => status["keyd"]["ledger"].clone(),
            }
        };
        system.until("the ledger to be writable", || {
            (health() == "writable").then_some(())
        });
        disk.leave(65_536);
        system.until("a warning", || {
            let log = system.log(writer(name));
            (health() == "low" && log.contains("nearly full")).then_some(())
        });
        // It is a warning: everything works.
        party.api.sign(b"m").expect("a signature");
        party.api.rotate(KEM).expect("a version");
        disk.free();
        system.until("the warning to be over", || {
            (health() == "writable").then_some(())
        });
        for daemon in [Daemon::Gateway, Daemon::Policyd, Daemon::Keyd] {
            system.stop(daemon);
        }
        drop(disk);
    }
}

#[test]
fn a_directory_that_may_not_be_written_is_said_at_start_and_nothing_is_done_meanwhile() {
    let system = Installation::new();
    let party = Party::new(&system, "no permission");
    let before = Before::new(&party);
    chancel_tests::needs_separate_accounts!(
        system,
        "ledgers::a_directory_that_may_not_be_written_is_said_at_start_and_nothing_is_done_meanwhile"
    );
    for name in [Decisions, Uses] {
        let directory = system.layout().ledger(name);
        let daemon = writer(name);
        system.stop(daemon);
        // Neither the directory nor its segments may be written: root took them for a while.
        let mode = |mode| fs::set_permissions(&directory, fs::Permissions::from_mode(mode)).expect("a mode");
        mode(0o000);
        system.spawn(daemon);
        assert!(!system.wait_end(daemon).success(), "{name}");
        assert!(system.log(daemon).contains("ledger"), "{name}");
        let failure = party.api.sign(b"m").expect_err("nothing is done");
        assert_eq!(failure.code().0, 503);
        mode(0o700);
        system.start(daemon);
        works_again(&system, &party, &before);
    }
}

#[test]
fn uses_are_refused_before_they_are_made_and_each_result_that_left_is_recorded() {
    let Some((system, party, disk)) = on_a_small_disk(
        Uses,
        "ledgers::uses_are_refused_before_they_are_made_and_each_result_that_left_is_recorded",
        "reserve_bytes = 1",
    ) else {
        return;
    };
    let mut signed = Vec::new();
    for round in 0..6u64 {
        disk.leave(2_000 + round * 700);
        // Until it is full, in the middle of records.
        loop {
            let answer = party
                .api
                .client()
                .post("/api/v1/signature/sign", &serde_json::json!({"message": ""}))
                .expect("an answer");
            if answer.status != 200 {
                assert_eq!((answer.status, answer.error_code()), AUDIT, "{}", answer.text);
                break;
            }
            signed.push(answer.request_id().to_owned());
        }
        disk.free();
        system.until("uses to be possible again", || party.api.sign(b"m").ok());
    }
    let uses = system.records(Uses);
    for request in &signed {
        assert_eq!(uses.of_request("use", request).len(), 1, "{request}");
    }
    let key = system.audit_key();
    system.assert_sound(&key);
    for daemon in [Daemon::Gateway, Daemon::Policyd, Daemon::Keyd] {
        system.stop(daemon);
    }
    drop(disk);
}
