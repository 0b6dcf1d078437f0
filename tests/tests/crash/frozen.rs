//! A daemon that hangs: callers hear a typed 503 within a second, and work again as soon as it does.

use crate::is_typed_503;
use chancel_tests::api::{Failure, KEM, SIGNATURE};
use chancel_tests::http::Client;
use chancel_tests::{Api, Daemon, Installation};
use std::time::{Duration, Instant};

/// What callers are promised.
const PROMISED: Duration = Duration::from_secs(1);
/// What any answer may take on a machine that does something else at this moment.
const BOUND: Duration = Duration::from_secs(4);
const TRIES: usize = 4;

struct Rig {
    system: Installation,
    api: Api,
}

impl Rig {
    fn new() -> Self {
        let system = Installation::new();
        let (_, api_key) = system.tenant_with_api_key("tenant");
        let api = system.api(&api_key);
        for algorithm in [KEM, SIGNATURE] {
            api.first_key(algorithm);
        }
        Self { system, api }
    }

    fn is_ready(&self) -> bool {
        let monitor = self.system.monitor_url().expect("an address");
        let answer = Client::plain(monitor, None)
            .get("/readyz")
            .expect("the gateway lives");
        answer.status == 200
    }

    fn wait_working(&self) {
        self.system
            .until("signatures to be made again", || self.api.sign(b"again").ok());
        self.system
            .until("the gateway to be ready again", || self.is_ready().then_some(()));
    }
}

/// Every try is answered with a typed 503, the quickest of them within the promised second. The machine's own noise only
/// adds to a time, so that one try within the promise shows that the promise is kept by design; and it is no accident of
/// the first one, which alone has to find out that the daemon hangs.
fn assert_unavailable_in_time<T: std::fmt::Debug>(what: &str, call: impl Fn() -> Result<T, Failure>) {
    let mut quickest = Duration::MAX;
    let mut first = None;
    for _ in 0..TRIES {
        let asked = Instant::now();
        let outcome = call();
        let took = asked.elapsed();
        first.get_or_insert(took);
        quickest = quickest.min(took);
        match outcome {
            Err(Failure::Refused(answer)) => {
                assert!(is_typed_503(&answer), "{what}: {} {}", answer.status, answer.text);
            }
            other => panic!("{what}: {other:?}"),
        }
        assert!(took < BOUND, "{what}: {took:?}");
    }
    println!("{what}: the first 503 after {first:?}, the quickest after {quickest:?}");
    assert!(quickest < PROMISED, "{what}: {quickest:?} at best");
    let first = first.expect("there was a first");
    assert!(
        first < PROMISED + PROMISED / 2,
        "{what}: the first after {first:?}"
    );
}

#[test]
fn with_keyd_frozen_callers_hear_503_within_a_second_and_recover() {
    let rig = Rig::new();
    let made = rig.api.encrypt(b"plaintext").expect("encrypted");
    let signature = rig.api.sign(b"message").expect("signed");
    let policyd = rig.system.pid(Daemon::Policyd);
    for _ in 0..2 {
        rig.system.sigstop(Daemon::Keyd);
        assert_unavailable_in_time("sign", || rig.api.sign(b"message"));
        assert_unavailable_in_time("decrypt", || rig.api.decrypt(&made));
        assert_unavailable_in_time("rotate", || rig.api.rotate(SIGNATURE));
        // What needs no private key goes on.
        let other = rig
            .api
            .encrypt(b"in the meantime")
            .expect("encrypted without keyd");
        assert!(
            rig.api
                .verify(b"message", &signature)
                .expect("verified without keyd")
        );
        rig.system.until("the gateway to say that it is not ready", || {
            (!rig.is_ready()).then_some(())
        });
        rig.system.sigcont(Daemon::Keyd);
        rig.wait_working();
        assert_eq!(rig.api.decrypt(&made).expect("decrypted"), b"plaintext");
        assert_eq!(rig.api.decrypt(&other).expect("decrypted"), b"in the meantime");
    }
    assert_eq!(rig.system.pid(Daemon::Policyd), policyd);
}

#[test]
fn with_policyd_frozen_callers_hear_503_within_a_second_and_recover() {
    let rig = Rig::new();
    let made = rig.api.encrypt(b"plaintext").expect("encrypted");
    for _ in 0..2 {
        rig.system.sigstop(Daemon::Policyd);
        assert_unavailable_in_time("sign", || rig.api.sign(b"message"));
        assert_unavailable_in_time("decrypt", || rig.api.decrypt(&made));
        // Nothing is done unasked: even what the gateway could do by itself.
        assert_unavailable_in_time("encrypt", || rig.api.encrypt(b"plaintext"));
        assert_unavailable_in_time("list", || rig.api.keys(KEM));
        assert_unavailable_in_time("rotate", || rig.api.rotate(SIGNATURE));
        rig.system.until("the gateway to say that it is not ready", || {
            (!rig.is_ready()).then_some(())
        });
        rig.system.sigcont(Daemon::Policyd);
        rig.wait_working();
        assert_eq!(rig.api.decrypt(&made).expect("decrypted"), b"plaintext");
    }
}

#[test]
fn with_a_daemon_away_callers_hear_503_at_once_and_recover() {
    let rig = Rig::new();
    let made = rig.api.encrypt(b"plaintext").expect("encrypted");
    for daemon in [Daemon::Keyd, Daemon::Policyd] {
        rig.system.stop(daemon);
        assert_unavailable_in_time("sign", || rig.api.sign(b"message"));
        assert_unavailable_in_time("rotate", || rig.api.rotate(KEM));
        rig.system.start(daemon);
        rig.wait_working();
        assert_eq!(rig.api.decrypt(&made).expect("decrypted"), b"plaintext");
    }
}
