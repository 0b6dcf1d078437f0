//! kill -9 and the ledgers: half a line is repaired and noted, the chain goes on, nothing that was acknowledged is
//! missing; and a segment that somebody changed is not written on.

use crate::work::Party;
use chancel_ledger::LedgerName::{self, Decisions, Uses};
use chancel_tests::{Daemon, Installation};
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::PathBuf;

const fn writer(name: LedgerName) -> Daemon {
    match name {
        Decisions => Daemon::Policyd,
        Uses => Daemon::Keyd,
    }
}

fn newest_segment(system: &Installation, name: LedgerName) -> PathBuf {
    let segments = fs::read_dir(system.layout().ledger(name)).expect("a directory");
    segments
        .map(|entry| entry.expect("an entry").path())
        .max()
        .expect("a segment")
}

#[test]
fn half_a_line_after_a_crash_is_repaired_noted_and_the_chain_goes_on() {
    let system = Installation::new();
    let party = Party::new(&system, "torn");
    for name in [Decisions, Uses] {
        let daemon = writer(name);
        for torn in [1, 2, 20, 150] {
            party.api.sign(b"m").expect("a signature");
            system.kill9(daemon);
            let before = system.records(name).0.len();
            let segment = newest_segment(&system, name);
            // What a power failure may leave of the next line.
            let text = fs::read(&segment).expect("a segment");
            let start = text[..text.len() - 1]
                .iter()
                .rposition(|byte| *byte == b'\n')
                .map_or(0, |newline| newline + 1);
            let half = &text[start..start + torn];
            OpenOptions::new()
                .append(true)
                .open(&segment)
                .and_then(|mut file| file.write_all(half))
                .expect("half a line");
            system.start(daemon);
            system.until("a signature", || party.api.sign(b"m").ok());
            let records = system.records(name);
            let repaired = records.0[before..]
                .iter()
                .find(|record| record["kind"] == "repaired")
                .expect("the repair is noted");
            assert_eq!(repaired["dropped"], torn);
        }
    }
    let key = system.audit_key();
    system.assert_sound(&key);
}

#[test]
fn nothing_that_was_acknowledged_is_missing_from_either_ledger_after_kill_9() {
    let system = Installation::new();
    let party = Party::new(&system, "killed");
    let mut requests = Vec::new();
    for round in 0..12 {
        for _ in 0..5 {
            let answer = party
                .api
                .client()
                .post("/api/v1/signature/sign", &serde_json::json!({"message": ""}))
                .expect("an answer");
            if answer.status == 200 {
                requests.push(answer.request_id().to_owned());
            }
        }
        // At once after the answer.
        let daemon = [Daemon::Keyd, Daemon::Policyd][round % 2];
        system.kill9(daemon);
        system.start(daemon);
        system.until("a signature", || party.api.sign(b"m").ok());
    }
    assert!(requests.len() >= 12);
    let (decisions, uses) = (system.records(Decisions), system.records(Uses));
    for request in &requests {
        assert_eq!(decisions.of_request("allow", request).len(), 1, "{request}");
        assert_eq!(uses.of_request("use", request).len(), 1, "{request}");
    }
    let key = system.audit_key();
    system.assert_sound(&key);
}

#[test]
fn a_segment_that_was_changed_is_not_written_on_and_says_so() {
    let system = Installation::new();
    let party = Party::new(&system, "changed");
    party.api.sign(b"m").expect("a signature");
    for name in [Decisions, Uses] {
        let daemon = writer(name);
        system.stop(daemon);
        let segment = newest_segment(&system, name);
        let sound = fs::read(&segment).expect("a segment");
        let mut changed = sound.clone();
        let middle = changed.len() / 2;
        changed[middle] ^= 1;
        fs::write(&segment, &changed).expect("changed");
        system.spawn(daemon);
        assert!(!system.wait_end(daemon).success(), "{name}");
        assert_eq!(
            fs::read(&segment).expect("a segment"),
            changed,
            "evidence is left alone"
        );
        let log = system.log(daemon);
        assert!(
            log.contains("line") && log.contains("move the directory aside"),
            "{log}"
        );
        fs::write(&segment, &sound).expect("as it was");
        system.start(daemon);
        system.until("a signature", || party.api.sign(b"m").ok());
    }
}

#[test]
fn two_processes_do_not_write_one_ledger() {
    let system = Installation::new();
    let other = Installation::prepare(chancel_tests::Options::default());
    // The second keyd is told to write into the first one's directory.
    let config = other.layout().path("etc/keyd.toml");
    let text = fs::read_to_string(&config).expect("its configuration");
    let [own, others] = [&other, &system].map(|system| system.layout().ledger(Uses).display().to_string());
    fs::write(&config, text.replace(&own, &others)).expect("written");
    other.spawn(Daemon::Keyd);
    assert!(!other.wait_end(Daemon::Keyd).success());
    assert!(other.log(Daemon::Keyd).contains("ledger"));
    Party::new(&system, "undisturbed")
        .api
        .sign(b"m")
        .expect("a signature");
}
