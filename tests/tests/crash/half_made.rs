//! Death in the middle of making a key: afterwards the key is there whole, or there is nothing of it.

use crate::{is_typed_503, rounds};
use chancel_domain::{Algorithm, KeyVersion};
use chancel_pqc::Purpose;
use chancel_tests::api::{Failure, KEM, Key, Made};
use chancel_tests::{Api, Daemon, Installation, Tenant};
use std::fs;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

/// Kills a daemon while keys are made one after the other.
fn kill_while_keys_are_made(killed: Daemon) {
    let system = Installation::new();
    let (tenant, api_key) = system.tenant_with_api_key("maker");
    let api = system.api(&api_key);
    api.first_key(KEM);
    let mut acknowledged = vec![1];
    for round in 0..rounds() {
        let made = AtomicU64::new(0);
        let stop = AtomicBool::new(false);
        let versions = thread::scope(|scope| {
            let maker = scope.spawn(|| make_keys(&api, &made, &stop));
            system.until("a key to be made", || {
                (made.load(Ordering::Acquire) > 0 || maker.is_finished()).then_some(())
            });
            // Somewhere in the next key: making one takes a few milliseconds.
            thread::sleep(Duration::from_micros(round * 1_337 % 9_000));
            system.kill9(killed);
            // Long enough for the making that was under way to have failed; it may not come back meanwhile.
            thread::sleep(Duration::from_millis(30));
            stop.store(true, Ordering::Release);
            maker
                .join()
                .expect("the maker heard nothing that it may not hear")
        });
        acknowledged.extend(versions);
        system.start(killed);
        acknowledged.push(system.until("keys to be made again", || api.rotate(KEM).ok()));
        // policyd may have met keyd before the gateway does.
        system.until("keys to be used again", || {
            let made = api.encrypt(b"again").ok()?;
            api.decrypt(&made).ok()
        });
        check(&system, &tenant, &api, &acknowledged);
    }
}

/// Makes keys until one is not made; returns what was acknowledged.
fn make_keys(api: &Api, made: &AtomicU64, stop: &AtomicBool) -> Vec<u64> {
    let mut versions = Vec::new();
    while !stop.load(Ordering::Acquire) {
        match api.rotate(KEM) {
            Ok(version) => {
                versions.push(version);
                made.fetch_add(1, Ordering::Release);
            }
            Err(Failure::Refused(answer)) if is_typed_503(&answer) => {}
            Err(other) => panic!("{other:?}"),
        }
    }
    versions
}

/// Every key that is listed is whole, every acknowledged one is listed, and there is nothing else on disk.
fn check(system: &Installation, tenant: &Tenant, api: &Api, acknowledged: &[u64]) {
    // The newest hundred, and how many there are.
    let listed = api.keys(KEM).expect("a list");
    let total = api
        .get(&format!("/api/v1/kms/keys?algorithm={KEM}"))
        .expect("a list")["total"]
        .as_u64()
        .and_then(|total| usize::try_from(total).ok());
    for version in acknowledged {
        let is_there = listed.iter().any(|key| key.version == *version) || api.key(KEM, *version).is_ok();
        assert!(is_there, "acknowledged version {version} is there");
    }
    for key in &listed {
        assert_whole(tenant, api, key);
    }
    assert_eq!(listed.iter().filter(|key| key.status == "active").count(), 1);
    // What was half made is destroyed as soon as policyd and keyd have met.
    system.until("half-made keys to be gone from the disk", || {
        let names = names(system, tenant);
        (Some(names.len()) == total && names.iter().all(|name| name.ends_with(".key"))).then_some(())
    });
    system.until("the comparison to find everything in order", || {
        let found = &system.try_cli(&["status"]).ok()?["reconciliation"];
        let wrong = ["damaged", "missing", "unclaimed"].map(|name| found[name].as_u64());
        (wrong == [Some(0); 3]).then_some(())
    });
}

/// What lies in the tenant's directory of keys.
fn names(system: &Installation, tenant: &Tenant) -> Vec<String> {
    fs::read_dir(system.layout().key_directory().join(tenant.id.to_string()))
        .expect("the tenant's directory")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("text"))
        .collect()
}

/// The private key is there and belongs to the public key that is shown: it opens what that one seals.
fn assert_whole(tenant: &Tenant, api: &Api, key: &Key) {
    let version = u32::try_from(key.version).ok().and_then(KeyVersion::new);
    let bytes = chancel_pqc::seal(
        Purpose::Data,
        Algorithm::MlKem768,
        version.expect("a version"),
        &key.public_key,
        tenant.id,
        b"",
        b"whole",
    )
    .expect("sealed to the listed public key");
    let made = Made {
        bytes,
        version: key.version,
    };
    let opened = api
        .decrypt(&made)
        .unwrap_or_else(|failure| panic!("version {} is listed and not whole: {failure:?}", key.version));
    assert_eq!(opened, b"whole");
}

#[test]
fn a_key_that_keyd_was_making_when_it_was_killed_is_whole_or_not_there() {
    kill_while_keys_are_made(Daemon::Keyd);
}

#[test]
fn a_key_that_policyd_was_making_when_it_was_killed_is_whole_or_not_there() {
    kill_while_keys_are_made(Daemon::Policyd);
}

#[test]
fn a_key_that_keyd_made_and_policyd_did_not_live_to_hear_of_is_destroyed() {
    let system = Installation::new();
    let (tenant, api_key) = system.tenant_with_api_key("maker");
    let api = system.api(&api_key);
    api.first_key(KEM);
    // keyd holds still while policyd reserves a version and asks for a key; then policyd dies, and keyd makes the key for
    // nobody.
    system.sigstop(Daemon::Keyd);
    thread::scope(|scope| {
        let asked = scope.spawn(|| api.rotate(KEM));
        thread::sleep(Duration::from_millis(200));
        system.kill9(Daemon::Policyd);
        match asked.join().expect("no panic") {
            Err(Failure::Refused(answer)) => assert!(is_typed_503(&answer), "{}", answer.text),
            other => panic!("{other:?}"),
        }
    });
    system.sigcont(Daemon::Keyd);
    system.until("keyd to make the key", || {
        (names(&system, &tenant).len() == 2).then_some(())
    });

    system.start(Daemon::Policyd);
    system.until("policyd to say that it destroyed the key", || {
        let status = system.try_cli(&["status"]).ok()?;
        (status["reconciliation"]["rolled_back"] == 1).then_some(())
    });
    assert!(system.log(Daemon::Policyd).contains("half-made key"));
    let listed: Vec<_> = api.keys(KEM).expect("a list");
    assert_eq!(listed.len(), 1, "{listed:?}");
    assert_eq!((listed[0].version, listed[0].status.as_str()), (1, "active"));
    check(&system, &tenant, &api, &[1]);
    let version = system.until("a key to be made again", || api.rotate(KEM).ok());
    check(&system, &tenant, &api, &[1, version]);
}
