//! What is in the daemons' memory while keys are in use, read by root through `/proc/PID/mem`.

use crate::needs_tracing;
use crate::secrets::{self, Needles, search, search_but_stacks};
use chancel_domain::Family;
use chancel_domain::algorithm::SPECS;
use chancel_tests::api::{KEM, SIGNATURE, encoded};
use chancel_tests::shared::Common;
use chancel_tests::{Api, Daemon, Installation, Shared};
use serde_json::json;
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

/// Uses the private key of every algorithm, destroys it, and searches keyd's memory for what it was made of: the libraries' own
/// copies on the heap are what could be left.
#[test]
fn nothing_of_a_destroyed_key_is_left_in_keyds_memory() {
    let system = system();
    needs_tracing!(
        system,
        "sandbox::nothing_of_a_destroyed_key_is_left_in_keyds_memory"
    );
    let (tenant, api_key) = system.tenant_with_api_key("destroyed keys");
    let api = system.api(&api_key);
    // One SLH-DSA set stands for all: they share the library's code.
    let algorithms = SPECS
        .iter()
        .filter(|spec| !spec.algorithm.is_slow() || spec.standard_name == "SLH-DSA-SHA2-128f")
        .collect::<Vec<_>>();
    for spec in &algorithms {
        api.first_key(spec.client_name);
        let used = || match spec.family {
            Family::Kem => {
                let made = api.post(
                    "/api/v1/kem/encapsulate",
                    &json!({"algorithm": spec.client_name, "key_version": 1}),
                )?;
                let body = json!({"algorithm": spec.client_name, "key_version": 1,
                    "kem_ciphertext": made["kem_ciphertext"]});
                api.post("/api/v1/kem/decapsulate", &body)
            }
            Family::Signature => {
                let digest = json!({"algorithm": spec.client_name, "hash_algorithm": "SHA-512",
                    "hash": encoded(&[7; 64])});
                api.post("/api/v1/signature/sign-hash", &digest)?;
                let message = json!({"algorithm": spec.client_name, "message": encoded(b"message")});
                api.post("/api/v1/signature/sign", &message)
            }
        };
        system.until("a use of the key", || used().ok());
    }
    let mut needles = Needles::new();
    let of_tenant = tenant.id.to_string();
    let private_keys = secrets::private_keys(&system);
    for (name, secret) in private_keys.iter().filter(|(name, _)| name.ends_with(&of_tenant)) {
        needles.add(name, secret);
    }
    assert!(needles.len() > 500, "{} pieces", needles.len());
    for spec in &algorithms {
        let name = spec.client_name;
        system.until("a rotation", || match api.keys(name) {
            Ok(keys) if keys.len() > 1 => Some(()),
            _ => api.rotate(name).ok().map(drop),
        });
        system.until("an archived key", || api.step("archive", name, 1).ok());
        system.until("a date", || api.destroy(name, 1, None).ok());
    }
    // Their day has come; keyd goes on throughout.
    system.stop(Daemon::Policyd);
    let id = of_tenant.replace('-', "");
    let changed = system.change_rows(&format!(
        "UPDATE keys SET destroy_at_ms = created_at_ms + 1
         WHERE tenant_id = x'{id}' AND state = 'pending_destruction'"
    ));
    assert_eq!(changed, algorithms.len());
    system.start(Daemon::Policyd);
    for spec in &algorithms {
        system.until("the key to be destroyed", || {
            let gone = api.key(spec.client_name, 1);
            gone.is_err_and(|failure| failure.code() == (404, "ERR_KMS_004"))
                .then_some(())
        });
    }
    let mut control = Needles::new();
    control.add(
        "the gateway's service token",
        &token(&system, "keyd/gateway-keyd.token"),
    );
    let pid = system.pid(Daemon::Keyd);
    let (known, secret) = (search(pid, &control), search_but_stacks(pid, &needles));
    assert!(!known.found.is_empty(), "the search finds nothing: {known:?}");
    assert!(secret.bytes > 1 << 20, "{} bytes were searched", secret.bytes);
    assert_eq!(secret.found, Vec::<String>::new());
}
