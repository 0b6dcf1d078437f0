//! What is in the daemons' memory while keys are in use, read by root through `/proc/PID/mem`.

use crate::needs_tracing;
use crate::secrets::{self, Needles, search};
use chancel_tests::api::{KEM, SIGNATURE};
use chancel_tests::shared::Common;
use chancel_tests::{Api, Daemon, Installation, Shared};
use std::fs;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

static SYSTEM: Common = Common::new();

fn system() -> Shared<'static> {
    SYSTEM.alone()
}

/// Keys of a new tenant.
fn keys(system: &Installation) -> Api {
    let (_, api_key) = system.tenant_with_api_key(&format!("tenant {:?}", thread::current().id()));
    let api = system.api(&api_key);
    for algorithm in [KEM, SIGNATURE] {
        api.first_key(algorithm);
    }
    api
}

/// Does something while keys are used all the time; it begins after the first use and there is one after its end.
fn while_keys_are_used<T>(api: &Api, work: impl FnOnce() -> T) -> T {
    let (uses, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        let user = scope.spawn(|| {
            loop {
                let last = stop.load(Ordering::Acquire);
                // A 503 on a busy machine is tried again, as clients do; what counts is that keys are in use.
                let used = api.encrypt(b"plaintext").and_then(|made| {
                    let opened = api.decrypt(&made)?;
                    api.sign(b"message")?;
                    Ok(opened)
                });
                match used {
                    Ok(opened) => assert_eq!(opened, b"plaintext"),
                    Err(fault) => {
                        assert_eq!(fault.code(), (503, "ERR_SERVICE_001"), "{fault:?}");
                        continue;
                    }
                }
                uses.fetch_add(1, Ordering::Release);
                if last {
                    break;
                }
            }
        });
        while uses.load(Ordering::Acquire) == 0 && !user.is_finished() {
            thread::yield_now();
        }
        let outcome = work();
        stop.store(true, Ordering::Release);
        user.join().expect("keys were used throughout");
        outcome
    })
}

/// The service token that a daemon shows to another, which it must hold: what proves that the search finds things.
fn token(system: &Installation, name: &str) -> Vec<u8> {
    fs::read(system.layout().path(name)).expect("a service token")
}

#[test]
fn the_gateway_and_policyd_hold_neither_the_kek_nor_a_private_key_while_keys_are_used() {
    let system = system();
    needs_tracing!(
        system,
        "sandbox::the_gateway_and_policyd_hold_neither_the_kek_nor_a_private_key_while_keys_are_used"
    );
    let api = keys(&system);
    let mut needles = Needles::new();
    needles.add("key-encryption key", &secrets::kek(&system));
    let private_keys = secrets::private_keys(&system);
    assert!(private_keys.len() >= 6, "two keys, a seed and two parts each");
    for (name, secret) in &private_keys {
        needles.add(name, secret);
    }
    assert!(needles.len() > 150, "{} pieces", needles.len());
    for (daemon, own_token) in [
        (Daemon::Gateway, "gateway/gateway-keyd.token"),
        (Daemon::Policyd, "policyd/policyd-keyd.token"),
    ] {
        let mut control = Needles::new();
        control.add("its own service token", &token(&system, own_token));
        let (known, secret) = while_keys_are_used(&api, || {
            let pid = system.pid(daemon);
            (search(pid, &control), search(pid, &needles))
        });
        assert!(
            !known.found.is_empty(),
            "{daemon:?}: the search finds nothing: {known:?}"
        );
        assert!(
            secret.bytes > 1 << 20,
            "{daemon:?}: {} bytes were searched",
            secret.bytes
        );
        assert_eq!(secret.found, Vec::<String>::new(), "in {daemon:?}");
        // There is nothing that it hides even from root.
        assert_eq!(secret.unreadable, Vec::<String>::new(), "in {daemon:?}");
    }
}

#[test]
fn keyd_holds_the_kek_and_seeds_in_secret_memory_alone() {
    let system = system();
    needs_tracing!(
        system,
        "sandbox::keyd_holds_the_kek_and_seeds_in_secret_memory_alone"
    );
    let api = keys(&system);
    // Loaded from their files, too, and not only made.
    system.restart(Daemon::Keyd);
    system.until("keys to be used again", || api.sign(b"again").ok());
    let mut needles = Needles::new();
    needles.add("key-encryption key", &secrets::kek(&system));
    for (name, secret) in secrets::private_keys(&system) {
        if name.starts_with("seed") {
            needles.add(&name, &secret);
        }
    }
    let mut control = Needles::new();
    control.add(
        "the gateway's service token",
        &token(&system, "keyd/gateway-keyd.token"),
    );
    let (known, secret) = while_keys_are_used(&api, || {
        let pid = system.pid(Daemon::Keyd);
        (search(pid, &control), search(pid, &needles))
    });
    assert!(!known.found.is_empty(), "the search finds nothing: {known:?}");
    if system.cli(&["status"])["keyd"]["secret_memory"] != "memfd_secret" {
        chancel_tests::skipped(
            "sandbox::keyd_holds_the_kek_and_seeds_in_secret_memory_alone",
            "this kernel has no memfd_secret: locked pages are readable for root",
        );
        return;
    }
    assert!(
        secret.unreadable.iter().any(|line| line.contains("secretmem")),
        "secret memory is there and not readable: {:?}",
        secret.unreadable
    );
    assert_eq!(secret.found, Vec::<String>::new());
}
