//! When the date has come: the private key is overwritten and gone, in the file, in keyd's memory and for every route;
//! and a crash in the middle leaves it to be done again.

use crate::party::{DESTROYED, Party, is_destroyed};
use chancel_ledger::LedgerName;
use chancel_tests::api::{KEM, encoded, refused};
use chancel_tests::{Daemon, Installation};
use serde_json::json;
use std::fs::{self, File, Permissions};
use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};

#[test]
fn a_destroyed_key_is_gone_from_disk_and_memory_and_answers_with_a_code_of_its_own() {
    let system = Installation::new();
    let party = Party::new(&system, "destroyed");
    let sealed = party.api.encrypt(b"m").expect("encrypted");
    // In keyd's memory, too.
    assert_eq!(party.api.decrypt(&sealed).expect("decrypted"), b"m");
    let before = party.files(&system);
    party.api.rotate(KEM).expect("a version");
    let with_both = party.files(&system);
    let kept_sealed = party.api.encrypt(b"kept").expect("encrypted");
    party.api.destroy(KEM, 1, None).expect("scheduled");
    assert_eq!(
        party.files(&system),
        with_both,
        "until the date nothing is destroyed"
    );

    // Somebody who has the file open reads what it was overwritten with.
    let directory = system.layout().key_directory().join(party.tenant.id.to_string());
    let of_version_1: Vec<_> = before.iter().map(|name| directory.join(name)).collect();
    let mut open: Vec<(File, Vec<u8>)> = of_version_1
        .iter()
        .map(|path| {
            (
                File::open(path).expect("a key file"),
                fs::read(path).expect("a key file"),
            )
        })
        .collect();
    let keyd = system.pid(Daemon::Keyd);
    party.destroy_now(&system, 1);
    assert_eq!(
        system.pid(Daemon::Keyd),
        keyd,
        "the same keyd, whose memory had the key"
    );

    let left = party.files(&system);
    assert_eq!(left.len() + 1, with_both.len(), "{left:?}");
    let mut overwritten = 0;
    for (file, was) in &mut open {
        let unlinked = file.metadata().expect("metadata").nlink() == 0;
        let mut is = Vec::new();
        file.read_to_end(&mut is).expect("read");
        assert_eq!(unlinked, is != *was, "what is unlinked was overwritten first");
        if unlinked {
            overwritten += 1;
            let same = is.iter().zip(&*was).filter(|(is, was)| is == was).count();
            assert!(
                same < was.len() / 8,
                "{same} of {} bytes are as they were",
                was.len()
            );
        }
    }
    assert_eq!(overwritten, 1);

    // Every route: a code of its own, and no way back.
    let version = json!(1);
    for (path, body) in [
        (
            "kem/decrypt",
            json!({"ciphertext": encoded(&sealed.bytes), "key_version": version}),
        ),
        ("kem/encrypt", json!({"plaintext": "", "key_version": version})),
        ("kem/encapsulate", json!({"key_version": version})),
        (
            "kem/rewrap",
            json!({"ciphertext": encoded(&sealed.bytes), "key_version": version}),
        ),
        (
            "kms/keys/retire",
            json!({"algorithm": KEM, "key_version": version}),
        ),
        (
            "kms/keys/archive",
            json!({"algorithm": KEM, "key_version": version}),
        ),
        (
            "kms/keys/restore",
            json!({"algorithm": KEM, "key_version": version}),
        ),
        (
            "kms/keys/cancel-destruction",
            json!({"algorithm": KEM, "key_version": version}),
        ),
    ] {
        let outcome = party.api.post(&format!("/api/v1/{path}"), &body);
        refused(outcome, DESTROYED.0, DESTROYED.1);
    }
    refused(party.api.destroy(KEM, 1, None), DESTROYED.0, DESTROYED.1);
    // Its number is not given again.
    assert_eq!(party.api.rotate(KEM).expect("a version"), 3);
    assert_eq!(party.api.decrypt(&kept_sealed).expect("decrypted"), b"kept");

    // The row: the handle stays taken, the public key is gone.
    let (state, length): (String, i64) = system
        .database()
        .query_row(
            "SELECT state, length(public_key) FROM keys WHERE version = 1 AND state = 'destroyed'",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .expect("a row");
    assert_eq!((state.as_str(), length), ("destroyed", 0));
    let uses = system.records(LedgerName::Uses);
    assert_eq!(
        uses.kind("key")
            .filter(|record| record["what"] == "destroyed")
            .count(),
        1
    );
    assert_eq!(
        system
            .records(LedgerName::Decisions)
            .changes("key-destroyed")
            .len(),
        1
    );
    let key = system.audit_key();
    system.assert_sound(&key);
}

#[test]
fn the_file_of_a_destroyed_key_that_comes_back_from_a_backup_is_destroyed_again() {
    let system = Installation::new();
    let party = Party::new(&system, "restored");
    party.api.rotate(KEM).expect("a version");
    let directory = system.layout().key_directory().join(party.tenant.id.to_string());
    let backup: Vec<_> = party
        .files(&system)
        .iter()
        .map(|name| {
            (
                directory.join(name),
                fs::read(directory.join(name)).expect("a key file"),
            )
        })
        .collect();
    party.api.destroy(KEM, 1, None).expect("scheduled");
    party.destroy_now(&system, 1);
    let left = party.files(&system);
    assert_eq!(left.len() + 1, backup.len());

    system.stop(Daemon::Keyd);
    for (path, bytes) in backup.iter().filter(|(path, _)| !path.exists()) {
        fs::write(path, bytes).expect("written back");
        let owner = fs::metadata(&directory).expect("metadata");
        fs::set_permissions(path, Permissions::from_mode(0o600)).expect("permissions");
        chown(path, Some(owner.uid()), Some(owner.gid())).expect("owner");
    }
    assert_eq!(party.files(&system).len(), backup.len());
    system.start(Daemon::Keyd);
    system.until("the file to be gone again", || {
        (party.files(&system) == left).then_some(())
    });
    system.until("the comparison to say so", || {
        let found = &system.try_cli(&["status"]).ok()?["reconciliation"];
        (found["rolled_back"] == 1 && found["unclaimed"] == 0).then_some(())
    });
    assert!(is_destroyed(party.api.key(KEM, 1).map(|key| key.status)));
    let decisions = system.records(LedgerName::Decisions);
    for what in ["key-destruction-begun", "key-destroyed"] {
        assert_eq!(decisions.changes(what).len(), 2, "{what}");
    }
    let key = system.audit_key();
    system.assert_sound(&key);
}

#[test]
fn a_date_that_has_not_come_destroys_nothing() {
    let system = Installation::new();
    let party = Party::new(&system, "waits");
    for _ in 0..2 {
        party.api.rotate(KEM).expect("a version");
    }
    party.api.destroy(KEM, 1, Some(7)).expect("scheduled");
    party.api.destroy(KEM, 2, Some(7)).expect("scheduled");
    // The other's date comes, so that the sweeper has been there.
    party.destroy_now(&system, 1);
    assert_eq!(party.state(2), "pending_destruction");
    party.api.step("cancel-destruction", KEM, 2).expect("in time");
    party.api.step("restore", KEM, 2).expect("whole");
}

#[test]
fn destruction_that_a_crash_interrupts_is_done_again() {
    let system = Installation::new();
    let party = Party::new(&system, "interrupted");
    party.api.rotate(KEM).expect("a version");
    let files = party.files(&system).len();
    party.api.destroy(KEM, 1, None).expect("scheduled");
    // keyd is away when the date comes: the row says pending until it is there again.
    system.stop(Daemon::Policyd);
    system
        .change_rows("UPDATE keys SET destroy_at_ms = created_at_ms + 1 WHERE state = 'pending_destruction'");
    system.stop(Daemon::Keyd);
    system.start(Daemon::Policyd);
    for _ in 0..3 {
        system.kill9(Daemon::Policyd);
        system.start(Daemon::Policyd);
    }
    let pending: i64 = system
        .database()
        .query_row(
            "SELECT count(*) FROM keys WHERE state = 'pending_destruction'",
            [],
            |row| row.get(0),
        )
        .expect("a count");
    assert_eq!(pending, 1, "what keyd has not done is not said to be done");
    assert_eq!(party.files(&system).len(), files);
    system.start(Daemon::Keyd);
    // Killed again while it may be at it.
    for _ in 0..3 {
        system.kill9(Daemon::Policyd);
        system.start(Daemon::Policyd);
    }
    system.until("the key to be destroyed", || {
        is_destroyed(party.api.key(KEM, 1).map(|key| key.status)).then_some(())
    });
    assert_eq!(party.files(&system).len(), files - 1);
    system.until("the comparison to find everything in order", || {
        let found = &system.try_cli(&["status"]).ok()?["reconciliation"];
        let wrong = ["damaged", "missing", "unclaimed"].map(|name| found[name].as_u64());
        (wrong == [Some(0); 3]).then_some(())
    });
}
