//! The table of transitions, walked over the API.

use crate::party::{CONFLICT, NOT_FOUND, Party};
use chancel_domain::key::{KEY_STATES, TRANSITIONS};
use chancel_domain::{KeyState, Operation};
use chancel_ledger::LedgerName;
use chancel_tests::api::{Failure, KEM, SIGNATURE, refused};
use chancel_tests::shared::Common;
use serde_json::json;

static SYSTEM: Common = Common::new();

/// The operations that change a version's state by its number, and the route of each.
const STEPS: [(Operation, &str); 5] = [
    (Operation::RetireKey, "retire"),
    (Operation::ArchiveKey, "archive"),
    (Operation::RestoreKey, "restore"),
    (Operation::ScheduleDestruction, "DELETE"),
    (Operation::CancelDestruction, "cancel-destruction"),
];

impl Party {
    fn take(&self, step: &str, version: u64) -> Result<String, Failure> {
        let key = match step {
            "DELETE" => self.api.destroy(KEM, version, None),
            step => self.api.step(step, KEM, version),
        };
        key.map(|key| key.status)
    }

    /// A new version in a state that can be had at once.
    fn version_in(&self, state: KeyState) -> u64 {
        let version = self.api.rotate(KEM).expect("a version");
        let path: &[&str] = match state {
            KeyState::Active => &[],
            KeyState::Retired => &["retire"],
            KeyState::Archived => &["retire", "archive"],
            KeyState::PendingDestruction => &["retire", "DELETE"],
            KeyState::Destroyed => unreachable!("not at once"),
        };
        for step in path {
            self.take(step, version).expect("a step of the table");
        }
        if state != KeyState::Active {
            // So that the next one can be rotated in.
            self.api.generate(KEM).expect("an active version");
        }
        version
    }
}

#[test]
fn every_transition_of_the_table_works_over_the_api_and_every_other_is_a_conflict() {
    let system = SYSTEM.join();
    let party = Party::new(&system, "walks");
    for (state, name) in KEY_STATES {
        if state == KeyState::Destroyed {
            continue;
        }
        for (operation, step) in STEPS {
            let version = party.version_in(state);
            assert_eq!(party.state(version), name);
            let outcome = party.take(step, version);
            match state.after(operation) {
                Some(next) => assert_eq!(outcome.expect("in the table"), next.name(), "{name} {step}"),
                None => _ = refused(outcome, CONFLICT.0, CONFLICT.1),
            }
            let expected = state.after(operation).unwrap_or(state);
            assert_eq!(party.state(version), expected.name(), "{name} {step}");
            // So that the next one can be rotated in; it is refused where this one is still active.
            let _ = party.api.generate(KEM);
        }
    }
    let changed = system.records(LedgerName::Decisions);
    for what in [
        "key-archived",
        "key-restored",
        "key-destruction-scheduled",
        "key-destruction-cancelled",
    ] {
        assert!(!changed.changes(what).is_empty(), "{what}");
    }
    assert_eq!(TRANSITIONS.len(), 8, "a transition that this test does not know");
}

#[test]
fn an_archived_key_and_one_that_waits_for_destruction_do_nothing_and_come_back_whole() {
    let system = SYSTEM.join();
    let party = Party::new(&system, "comes back");
    let sealed = party.api.encrypt(b"m").expect("encrypted");
    let signature = party.api.sign(b"m").expect("signed");
    for algorithm in [KEM, SIGNATURE] {
        party.api.rotate(algorithm).expect("a version");
        party.api.step("archive", algorithm, 1).expect("archived");
    }
    let does_nothing = || {
        refused(party.api.decrypt(&sealed), 404, "ERR_KEM_005");
        refused(party.api.verify(b"m", &signature), 404, "ERR_SIG_003");
    };
    does_nothing();
    for algorithm in [KEM, SIGNATURE] {
        party.api.destroy(algorithm, 1, Some(7)).expect("scheduled");
    }
    does_nothing();
    for algorithm in [KEM, SIGNATURE] {
        party
            .api
            .step("cancel-destruction", algorithm, 1)
            .expect("cancelled");
    }
    does_nothing();
    for algorithm in [KEM, SIGNATURE] {
        party.api.step("restore", algorithm, 1).expect("restored");
    }
    assert_eq!(party.api.decrypt(&sealed).expect("decrypted"), b"m");
    assert!(party.api.verify(b"m", &signature).expect("an answer"));
}

#[test]
fn a_key_that_is_not_there_takes_no_step() {
    let system = SYSTEM.join();
    let party = Party::new(&system, "nothing there");
    for (_, step) in STEPS {
        refused(party.take(step, 77), NOT_FOUND.0, NOT_FOUND.1);
    }
}

#[test]
fn a_key_archived_longer_ago_than_the_window_is_not_restored() {
    let system = chancel_tests::Installation::new();
    let party = Party::new(&system, "too late");
    for version in 2..=3 {
        party.api.rotate(KEM).expect("a version");
        party.api.step("archive", KEM, version - 1).expect("archived");
    }
    const DAY_MS: i64 = 24 * 3_600_000;
    let now = jiff::Timestamp::now().as_millisecond();
    let archived = |version: u64, days: i64| {
        system.change_rows(&format!(
            "UPDATE keys SET archived_at_ms = {} WHERE version = {version} AND state = 'archived'",
            now - days * DAY_MS
        ))
    };
    assert_eq!((archived(1, 29), archived(2, 31)), (1, 1));
    assert_eq!(
        party.api.step("restore", KEM, 1).expect("in time").status,
        "retired"
    );
    refused(party.api.step("restore", KEM, 2), 409, "ERR_CONFLICT_006");
    assert_eq!(party.state(2), "archived");
}

#[test]
fn destruction_is_put_off_by_seven_days_to_a_year() {
    let system = SYSTEM.join();
    let party = Party::new(&system, "patient");
    party.api.rotate(KEM).expect("a version");
    for days in [0, 1, 6, 366, 65_535, 65_536] {
        let failure = party
            .api
            .destroy(KEM, 1, Some(days))
            .expect_err("not in so many days");
        assert_eq!(failure.code().0, 400, "{days}: {failure:?}");
    }
    for days in ["-7", "7.5", "soon", ""] {
        let path = format!("/api/v1/kms/keys/1?algorithm={KEM}&days={days}");
        assert_eq!(
            party.api.delete(&path).expect_err("no number").code().0,
            400,
            "{days}"
        );
    }
    assert_eq!(party.state(1), "retired");
    for (days, asked) in [(7, Some(7)), (30, None), (365, Some(365))] {
        // Times are shown in milliseconds.
        let before = jiff::Timestamp::now() - jiff::SignedDuration::from_millis(1);
        party.api.destroy(KEM, 1, asked).expect("scheduled");
        let path = format!("/api/v1/kms/keys/1?algorithm={KEM}");
        let shown = party.api.get(&path).expect("the key");
        let at: jiff::Timestamp = shown["destroy_at"]
            .as_str()
            .and_then(|at| at.parse().ok())
            .expect("a date");
        let hours = at.duration_since(before).as_hours();
        assert!((days * 24..=days * 24 + 1).contains(&hours), "{hours} hours");
        party.api.step("cancel-destruction", KEM, 1).expect("cancelled");
        assert!(party.api.get(&path).expect("the key")["destroy_at"].is_null());
    }
}

#[test]
fn destroying_keys_is_for_plans_that_include_it() {
    let system = SYSTEM.join();
    let tenant = system.tenant("small plan", "pro");
    let api = system.api(&system.api_key(&tenant, "*"));
    api.first_key(KEM);
    api.rotate(KEM).expect("a version");
    refused(api.destroy(KEM, 1, None), 403, "ERR_FORBIDDEN_001");
    assert_eq!(api.key(KEM, 1).expect("the key").status, "retired");
    // Keys in a body for another operation change nothing either.
    let body = json!({"algorithm": KEM, "key_version": 1, "days": 7});
    assert!(api.post("/api/v1/kms/keys/1", &body).is_err());
}
