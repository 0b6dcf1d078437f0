//! Break-glass ends: by itself, by command, by a restart; and nothing that the gateway does puts that off.

use crate::needs_root;
use crate::scene::{Scene, command, open_for};
use chancel_domain::{Algorithm, Content, KeyVersion, RequestId};
use chancel_tests::actor::Held;
use chancel_tests::raw::{Peer, input};
use chancel_tests::{Daemon, Installation};
use chancel_wire::hello::Role;
use chancel_wire::keyd::{
    BreakGlassClaims, BreakGlassCommand, KeyIdentity, KeydError, KeydReply, KeydRequest, UseInput,
};
use std::time::{Duration, Instant};

/// The remaining time as keyd says it, milliseconds.
fn remaining(system: &Installation) -> u64 {
    command(system, BreakGlassCommand::Status)
        .expect("a state")
        .remaining_ms
}

#[test]
fn break_glass_closes_by_itself_on_time_although_it_is_used_without_pause() {
    let scene = Scene::new().without_policyd();
    needs_root!(
        scene.system,
        "break_glass::break_glass_closes_by_itself_on_time_although_it_is_used_without_pause"
    );
    const OPEN: Duration = Duration::from_secs(3);
    let opened = Instant::now();
    scene.open("3s");
    scene.wait_open();
    let mut last_use = Instant::now();
    scene.system.until("break-glass to close by itself", || {
        let asked = Instant::now();
        if scene.api.sign(b"m").is_ok() {
            last_use = asked;
        }
        scene.is_shut().then_some(())
    });
    // `opened` is before keyd's own time began, by what the command took.
    let used_for = last_use - opened;
    assert!(
        used_for < OPEN + Duration::from_secs(2),
        "used until {used_for:?} after"
    );
    assert_eq!(remaining(&scene.system), 0);
    scene.system.until("its end to be recorded", || {
        (scene.events().last()? == "expired").then_some(())
    });
    assert_eq!(scene.events(), ["opened", "expired"]);
    let records = scene.system.records(chancel_ledger::LedgerName::Uses);
    let expired = records.kind("break-glass").last().expect("its end");
    assert_eq!(expired["uses"], scene.uses().len());
    assert!(scene.system.log(Daemon::Keyd).contains("expired"));
}

#[test]
fn a_restart_of_any_daemon_does_not_put_off_the_end_of_break_glass() {
    let scene = Scene::new().without_policyd();
    needs_root!(
        scene.system,
        "break_glass::a_restart_of_any_daemon_does_not_put_off_the_end_of_break_glass"
    );
    let system = &scene.system;
    scene.open("2m");
    scene.wait_open();
    for daemon in [Daemon::Policyd, Daemon::Gateway] {
        let before = remaining(system);
        match daemon {
            Daemon::Policyd => system.start(daemon),
            daemon => {
                system.kill9(daemon);
                system.start(daemon);
            }
        }
        let after = remaining(system);
        assert!(
            (1..=before).contains(&after),
            "{daemon:?}: {before} before, {after} after"
        );
    }
    // A gateway that has just started knows nobody.
    system.kill9(Daemon::Policyd);
    let api = system.api(&scene.api_key);
    assert_eq!(api.sign(b"m").expect_err("nobody is known").code().0, 503);
    // keyd forgets that it was open.
    for kill in [true, false] {
        assert!(remaining(system) > 0);
        if kill {
            system.kill9(Daemon::Keyd);
        } else {
            system.stop(Daemon::Keyd);
        }
        system.start(Daemon::Keyd);
        assert_eq!(remaining(system), 0);
        command(system, open_for(60_000)).expect("opened anew");
    }
}

/// A connection to keyd as the gateway's, and claims about a key that is really there.
fn attacker(scene: &Scene) -> (Held<Peer>, BreakGlassClaims) {
    let system = &scene.system;
    let records = system.records(chancel_ledger::LedgerName::Uses);
    let used = records
        .kind("use")
        .find(|record| record["operation"] == "sign")
        .expect("a signature was made");
    let text = |field: &str| used[field].as_str().expect("text");
    let claims = BreakGlassClaims {
        tenant: scene.tenant.id,
        api_key: scene.api_key.id,
        api_key_version: 1,
        request: RequestId::from_bytes([7; 16]),
        key: KeyIdentity {
            tenant: scene.tenant.id,
            algorithm: Algorithm::MlDsa65,
            version: KeyVersion::FIRST,
            handle: text("key").parse().expect("a handle"),
        },
        batch: None,
    };
    let attacker = system.attacker_in_gateway();
    let token = attacker.token(&system.layout().path("gateway/gateway-keyd.token"));
    let peer = attacker
        .peer(&system.layout().keyd_socket(), Role::Gateway, &token)
        .expect("the gateway is welcome");
    (peer, claims)
}

fn sign(peer: &mut Peer, claims: BreakGlassClaims) -> Result<(), KeydError> {
    let input = input(&UseInput::Sign(Content::raw(b"m")));
    let body = peer
        .ask(&KeydRequest::UseInBreakGlass {
            claims,
            input: &input,
        })
        .expect("keyd answers");
    match body.keyd() {
        KeydReply::Output(_) => Ok(()),
        KeydReply::Refused(error) => Err(error),
        other => panic!("not an answer to that: {other:?}"),
    }
}

#[test]
fn a_lying_gateway_neither_opens_break_glass_nor_keeps_it_open() {
    let scene = Scene::new();
    needs_root!(
        scene.system,
        "break_glass::a_lying_gateway_neither_opens_break_glass_nor_keeps_it_open"
    );
    let (mut peer, claims) = attacker(&scene);
    for _ in 0..3 {
        assert_eq!(sign(&mut peer, claims), Err(KeydError::BreakGlassClosed));
    }
    assert!(scene.uses().is_empty());
    let opened = Instant::now();
    command(&scene.system, open_for(2_000)).expect("opened");
    let mut made = 0;
    let mut last = Instant::now();
    loop {
        let asked = Instant::now();
        match sign(&mut peer, claims) {
            Ok(()) => {
                made += 1;
                last = asked;
            }
            Err(KeydError::BreakGlassClosed) => break,
            Err(KeydError::Overloaded) => {}
            Err(other) => panic!("{other:?}"),
        }
        assert!(opened.elapsed() < Duration::from_secs(20), "it does not close");
    }
    assert!(last - opened < Duration::from_secs(4));
    assert_eq!(scene.uses().len(), made, "each of them is recorded");
    assert_eq!(sign(&mut peer, claims), Err(KeydError::BreakGlassClosed));
}

#[test]
fn in_break_glass_too_a_key_is_used_for_its_own_tenant_and_operation_alone() {
    let scene = Scene::new();
    needs_root!(
        scene.system,
        "break_glass::in_break_glass_too_a_key_is_used_for_its_own_tenant_and_operation_alone"
    );
    let (other, other_key) = scene.system.tenant_with_api_key("another");
    scene
        .system
        .api(&other_key)
        .first_key(chancel_tests::api::SIGNATURE);
    let (mut peer, claims) = attacker(&scene);
    command(&scene.system, open_for(60_000)).expect("opened");
    sign(&mut peer, claims).expect("as it is");
    let edits: [fn(&mut BreakGlassClaims, chancel_domain::TenantId); 5] = [
        |claims, other| claims.tenant = other,
        |claims, other| claims.key.tenant = other,
        |claims, other| (claims.tenant, claims.key.tenant) = (other, other),
        |claims, _| claims.key.version = KeyVersion::new(2).expect("not 0"),
        |claims, _| claims.key.algorithm = Algorithm::MlKem768,
    ];
    for (number, edit) in edits.iter().enumerate() {
        let mut edited = claims;
        edit(&mut edited, other.id);
        assert!(sign(&mut peer, edited).is_err(), "edit {number}");
    }
    let mut installation = claims;
    installation.tenant = chancel_domain::TenantId::INSTALLATION;
    installation.key.tenant = chancel_domain::TenantId::INSTALLATION;
    assert!(
        sign(&mut peer, installation).is_err(),
        "the audit key is not to be used"
    );
    sign(&mut peer, claims).expect("as it is");
}
