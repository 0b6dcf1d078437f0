//! What cannot be judged is denied: a database that is locked, damaged or gone. Within a second, with a typed 503, and
//! the reason in policyd's log. (A policyd that hangs or is away: the crash tests.)

use crate::scene::Party;
use chancel_tests::api::{Failure, KEM};
use chancel_tests::http::Answer;
use chancel_tests::{Daemon, Installation};
use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

/// What callers are promised; the quickest of some tries has to keep it, for the machine's own noise only adds.
const PROMISED: Duration = Duration::from_secs(1);
const TRIES: usize = 4;

#[track_caller]
fn unavailable<T: std::fmt::Debug>(what: &str, call: impl Fn() -> Result<T, Failure>) {
    let mut quickest = Duration::MAX;
    for _ in 0..TRIES {
        let asked = Instant::now();
        let outcome = call();
        quickest = quickest.min(asked.elapsed());
        match outcome {
            Err(Failure::Refused(answer)) => assert!(is_typed_503(&answer), "{what}: {}", answer.text),
            other => panic!("{what}: {other:?}"),
        }
    }
    assert!(quickest < PROMISED, "{what}: {quickest:?}");
}

fn is_typed_503(answer: &Answer) -> bool {
    answer.status == 503
        && answer.error_code() == "ERR_SERVICE_001"
        && answer.is_error_envelope()
        && answer.headers.contains_key("retry-after")
}

#[test]
fn with_the_database_locked_changes_hear_503_within_a_second_and_uses_go_on() {
    let system = Installation::new();
    let party = Party::new(&system, "locked", "enterprise");
    let database = system.database();
    database.execute_batch("BEGIN IMMEDIATE").expect("a lock");
    unavailable("rotate", || party.api.rotate(KEM));
    unavailable("budget", || {
        party.api.post(
            "/api/v1/kms/keys/budget",
            &serde_json::json!({"algorithm": KEM, "uses_per_day": 1}),
        )
    });
    // Counting a use takes no write transaction.
    party.api.sign(b"m").expect("uses go on");
    database.execute_batch("ROLLBACK").expect("the lock is let go");
    let version = system.until("keys to be made again", || party.api.rotate(KEM).ok());
    assert!(party.api.encrypt(b"m").is_ok_and(|made| made.version == version));
    assert!(
        system.log(Daemon::Policyd).contains("database"),
        "the log says why"
    );
}

#[test]
fn with_the_database_damaged_nothing_is_allowed_that_cannot_be_read() {
    let system = Installation::new();
    let party = Party::new(&system, "damaged", "enterprise");
    party.api.sign(b"m").expect("a signature");
    let path = system.layout().database();
    system.stop(Daemon::Policyd);
    let sound = fs::read(&path).expect("the database");
    // Every page but the first, so that it still says that it is a database.
    let file = OpenOptions::new().write(true).open(&path).expect("the database");
    for page in sound
        .chunks(4096)
        .enumerate()
        .skip(1)
        .map(|(page, _)| page as u64)
    {
        file.write_all_at(&[0xa5; 4096], page * 4096).expect("damaged");
    }
    drop(file);
    system.spawn(Daemon::Policyd);
    // Whether it starts and denies or does not start: no caller is let through.
    let refused = |outcome: Result<_, Failure>| match outcome {
        Err(Failure::Refused(answer)) => is_typed_503(&answer),
        _ => false,
    };
    for _ in 0..50 {
        assert!(refused(party.api.sign(b"m").map(|_| ())));
        assert!(refused(party.api.encrypt(b"m").map(|_| ())));
        assert!(refused(party.api.keys(KEM).map(|_| ())));
    }
    let log = || system.log_of_this_run(Daemon::Policyd).to_lowercase();
    chancel_tests::wait::until("the reason in the log", || {
        log().contains("database").then_some(())
    });
    system.kill9(Daemon::Policyd);

    // With the file as it was, everything goes on.
    for suffix in ["-wal", "-shm"] {
        let _ = fs::remove_file(format!("{}{suffix}", path.display()));
    }
    fs::write(&path, sound).expect("the sound database");
    system.start(Daemon::Policyd);
    system.until("signatures to be made again", || party.api.sign(b"m").ok());
}

#[test]
fn a_database_that_cannot_be_opened_lets_nobody_through_and_says_why() {
    let system = Installation::new();
    let party = Party::new(&system, "gone", "enterprise");
    system.stop(Daemon::Policyd);
    let path = system.layout().database();
    let aside = path.with_extension("aside");
    fs::rename(&path, &aside).expect("moved aside");
    fs::write(
        &path,
        "this is no database, and long enough to be looked at as one",
    )
    .expect("junk");
    system.account(Daemon::Policyd).own(&path);
    system.spawn(Daemon::Policyd);
    let status = system.wait_end(Daemon::Policyd);
    assert!(!status.success());
    let log = system.log_of_this_run(Daemon::Policyd) + &system.log(Daemon::Policyd);
    assert!(log.contains("database"), "{log}");
    unavailable("sign", || party.api.sign(b"m"));
    unavailable("encrypt", || party.api.encrypt(b"m"));
    fs::rename(&aside, &path).expect("moved back");
    system.start(Daemon::Policyd);
    system.until("signatures to be made again", || party.api.sign(b"m").ok());
}
