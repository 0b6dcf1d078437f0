//! Permits that policyd did not make as they are: edited, made up, in masses.

use crate::scene::{PERMITS_REFUSED, REQUESTS_REFUSED, USES, assert_counted, connect, scene, sign_input};
use chancel_domain::{Algorithm, ApiKeyId, KeyHandle, KeyVersion, Operation, RequestId, TenantId};
use chancel_tests::Daemon;
use chancel_wire::encode;
use chancel_wire::keyd::{KeydError, KeydReply, KeydRequest};
use chancel_wire::permit::{PayloadDigest, PermitClaims, PermitKey, PermitTarget, SignedPermit};
use std::fs;
use std::thread;

#[test]
fn a_permit_edited_in_any_field_is_refused() {
    let mut scene = scene();
    let (permit, input) = scene.permit_to_sign(b"edited");
    let (a, b) = (scene.a(), scene.b());
    let other_input = sign_input(b"another message");
    type Edit<'a> = (&'static str, Box<dyn Fn(&mut PermitClaims) + 'a>);
    let edits: Vec<Edit<'_>> = vec![
        ("epoch", Box::new(|claims| claims.epoch += 1)),
        ("serial", Box::new(|claims| claims.serial += 1_000)),
        ("expires_at_ms", Box::new(|claims| claims.expires_at_ms += 1)),
        ("tenant", Box::new(|claims| claims.tenant = b.tenant.id)),
        ("api_key", Box::new(|claims| claims.api_key = b.api_key.id)),
        ("api_key_version", Box::new(|claims| claims.api_key_version += 1)),
        (
            "request",
            Box::new(|claims| claims.request = RequestId::from_bytes([1; 16])),
        ),
        (
            "operation",
            Box::new(|claims| claims.operation = Operation::Decrypt),
        ),
        (
            "algorithm",
            Box::new(|claims| claims.algorithm = Algorithm::MlKem768),
        ),
        (
            "key_version",
            Box::new(|claims| claims.key_version = KeyVersion::new(2).expect("not 0")),
        ),
        ("key", Box::new(|claims| claims.key = b.signature.handle)),
        (
            "payload",
            Box::new(|claims| claims.payload = PayloadDigest::of(&other_input)),
        ),
        (
            "target",
            Box::new(|claims| {
                claims.target = Some(PermitTarget {
                    algorithm: b.kem.algorithm,
                    version: b.kem.version,
                    key: b.kem.handle,
                });
            }),
        ),
    ];
    let claims = permit.unverified_claims().expect("claims");
    assert_eq!(claims.tenant, a.tenant.id);
    assert_eq!(claims.key, a.signature.handle);
    let (_, mac) = permit.parts();
    for (field, edit) in edits {
        let mut edited = claims.clone();
        edit(&mut edited);
        assert_ne!(edited, claims, "{field} was edited");
        let input = if field == "payload" { &other_input } else { &input };
        scene.refused(
            &SignedPermit::from_parts(encode(&edited), *mac),
            input,
            KeydError::PermitForged,
            "forged",
        );
    }
    scene.works(&permit, &input);
}

#[test]
fn a_permit_edited_in_any_bit_is_refused() {
    let mut scene = scene();
    let (permit, input) = scene.permit_to_sign(b"every bit");
    let (claims, mac) = permit.parts();
    let before = scene.keyd.keyd_metrics();
    let mut tries = 0;
    for bit in 0..claims.len() * 8 {
        let mut edited = claims.to_vec();
        edited[bit / 8] ^= 1 << (bit % 8);
        let edited = SignedPermit::from_parts(edited, *mac);
        let refused = scene.keyd.use_key(&edited, &input);
        assert_eq!(refused, Err(KeydError::PermitForged), "bit {bit} of the claims");
        tries += 1;
    }
    for bit in 0..mac.len() * 8 {
        let mut edited = *mac;
        edited[bit / 8] ^= 1 << (bit % 8);
        let edited = SignedPermit::from_parts(claims.to_vec(), edited);
        let refused = scene.keyd.use_key(&edited, &input);
        assert_eq!(refused, Err(KeydError::PermitForged), "bit {bit} of the MAC");
        tries += 1;
    }
    for length in 0..claims.len() {
        let cut = SignedPermit::from_parts(claims[..length].to_vec(), *mac);
        assert_eq!(scene.keyd.use_key(&cut, &input), Err(KeydError::PermitForged));
        tries += 1;
    }
    let after = scene.keyd.keyd_metrics();
    assert_counted(&before, &after, PERMITS_REFUSED, "forged", tries);
    assert_eq!(before.sum(USES), after.sum(USES));
    scene.works(&permit, &input);
}

#[test]
fn a_permit_under_a_made_up_key_is_refused() {
    let mut scene = scene();
    let (permit, input) = scene.permit_to_sign(b"made up");
    let genuine = permit.unverified_claims().expect("claims");
    for key in [[0; 32], [0xff; 32], *b"a key that the attacker made up."] {
        for epoch in [0, genuine.epoch, genuine.epoch + 1, u64::MAX] {
            let claims = PermitClaims {
                epoch,
                serial: genuine.serial + 1,
                ..genuine.clone()
            };
            let forged = PermitKey::from_bytes(key).sign(&claims);
            scene.refused(&forged, &input, KeydError::PermitForged, "forged");
        }
    }
    scene.works(&permit, &input);
}

#[test]
fn a_flood_of_forged_permits_uses_no_key_and_stops_nobody() {
    const FLOODERS: usize = 4;
    const EACH: usize = 5_000;
    let mut scene = scene();
    let pid = scene.system.pid(Daemon::Keyd);
    let resident = || resident_kib(pid.as_raw());
    let before = scene.keyd.keyd_metrics();
    let resident_before = resident();
    let mut served = 0;
    let forged = thread::scope(|scope| {
        let flooders: Vec<_> = (0..FLOODERS)
            .map(|number| {
                let peer = connect(&scene.system, Daemon::Keyd);
                scope.spawn(move || flood(peer, number, EACH))
            })
            .collect();
        // Meanwhile the holder of a genuine permit is served, as often as it comes.
        while flooders.iter().any(|flooder| !flooder.is_finished()) || served == 0 {
            let (permit, input) = scene.permit_to_sign(b"in the middle of it");
            match scene.keyd.use_key(&permit, &input) {
                Ok(_) => served += 1,
                // A full queue is said so, and is no use.
                Err(error) => assert_eq!(error, KeydError::Overloaded),
            }
        }
        flooders
            .into_iter()
            .map(|flooder| flooder.join().expect("no panic"))
            .sum::<u64>()
    });
    let after = scene.keyd.keyd_metrics();
    assert_eq!(
        after.sum(USES) - before.sum(USES),
        served,
        "keys were used for genuine permits only"
    );
    assert!(served > 0);
    let reason = [("reason", "forged")];
    assert_eq!(
        after.value(PERMITS_REFUSED, &reason) - before.value(PERMITS_REFUSED, &reason),
        forged,
        "each try that keyd took on is counted"
    );
    let reason = [("reason", "overloaded")];
    let turned_away = after.value(REQUESTS_REFUSED, &reason) - before.value(REQUESTS_REFUSED, &reason);
    assert!(forged + turned_away >= (FLOODERS * EACH) as u64);
    assert!(forged > 0);
    let grown = resident().saturating_sub(resident_before);
    assert!(grown < 64 << 10, "keyd grew by {grown} KiB");
}

/// Sends many different forged permits, with many under way at once; returns how many were judged as forged.
fn flood(mut peer: chancel_tests::actor::Held<chancel_tests::raw::Peer>, number: usize, count: usize) -> u64 {
    const WINDOW: usize = 256;
    let input = sign_input(b"flood");
    let mut forged = 0;
    let mut under_way = 0;
    let mut collect = |peer: &mut chancel_tests::raw::Peer| {
        let (_, body) = peer.receive().expect("keyd answers");
        match body.keyd() {
            KeydReply::Refused(KeydError::PermitForged) => forged += 1,
            KeydReply::Refused(KeydError::Overloaded) => {}
            other => panic!("{other:?}"),
        }
    };
    for serial in 0..count {
        let claims = PermitClaims {
            epoch: 1 + serial as u64 % 3,
            serial: serial as u64 + 1,
            expires_at_ms: 1_000 * serial as u64,
            tenant: TenantId::from_bytes([number as u8; 16]),
            api_key: ApiKeyId::from_bytes([2; 16]),
            api_key_version: 1,
            request: RequestId::from_bytes([3; 16]),
            operation: Operation::Sign,
            algorithm: Algorithm::MlDsa65,
            key_version: KeyVersion::FIRST,
            key: KeyHandle::from_bytes([4; 16]),
            payload: PayloadDigest::of(&input),
            target: None,
            batch: None,
        };
        let permit = PermitKey::from_bytes([number as u8; 32]).sign(&claims);
        peer.send(&KeydRequest::Use {
            permit,
            input: &input,
        })
        .expect("keyd takes it");
        under_way += 1;
        if under_way == WINDOW {
            collect(&mut peer);
            under_way -= 1;
        }
    }
    for _ in 0..under_way {
        collect(&mut peer);
    }
    forged
}

/// A process's resident memory.
fn resident_kib(pid: i32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("a process's status");
    status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .and_then(|value| value.trim().trim_end_matches("kB").trim().parse().ok())
        .expect("a process has resident memory")
}
