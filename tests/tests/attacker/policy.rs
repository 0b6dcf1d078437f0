//! What the attacker gets from policyd: nothing without an API key that policyd accepts, and nothing beyond what that
//! key may do. And what it reads from disk: nothing of the other daemons.

use crate::scene::{connect, scene, sign_input, system, use_of, way_to};
use chancel_domain::{Algorithm, KeyState, Operation};
use chancel_tests::needs_separate_accounts;
use chancel_tests::{ApiKey, Daemon};
use chancel_wire::policyd::{Ask, DenyReason, Outcome, PolicydFailure, PolicydReply, Rule, Verdict};
use std::fs;

const ISSUED: &str = "chancel_policyd_permits_issued_total";

#[test]
fn without_an_api_key_that_policyd_knows_there_is_no_permit() {
    let mut scene = scene();
    let input = sign_input(b"message");
    let genuine = scene.a().api_key.text.clone();
    let mut flipped = genuine.clone().into_bytes();
    let middle = flipped.len() / 2;
    flipped[middle] = if flipped[middle] == b'A' { b'B' } else { b'A' };
    let guesses = [
        String::new(),
        "qph_".to_owned(),
        "qph_a1b2c3d4e5f6g7h8i9j0k1l2m3n4o5p6".to_owned(),
        scene.a().tenant.id.to_string(),
        scene.a().api_key.id.to_string(),
        String::from_utf8(flipped).expect("text"),
        genuine[..genuine.len() - 1].to_owned(),
        format!("{genuine}0"),
        format!("{genuine}\0"),
        "x".repeat(100_000),
    ];
    let before = scene.policyd.policyd_metrics();
    for guess in &guesses {
        for ask in [
            use_of(Operation::Sign, &input),
            Ask::GenerateKey(Algorithm::MlKem768),
            Ask::ListKeys(None, None),
            Ask::ReadTenant,
        ] {
            let reply = scene.policyd.ask_policyd(guess, ask);
            assert!(matches!(reply, PolicydReply::Unauthenticated), "{reply:?}");
        }
    }
    let after = scene.policyd.policyd_metrics();
    assert_eq!(before.sum(ISSUED), after.sum(ISSUED));
    let unauthenticated = [("outcome", "unauthenticated")];
    assert_eq!(
        after.value("chancel_policyd_decisions_total", &unauthenticated)
            - before.value("chancel_policyd_decisions_total", &unauthenticated),
        4 * guesses.len() as u64,
        "each try is counted"
    );
    let api_key = &scene.a().api_key;
    scene.permit(api_key, Operation::Sign, &input);
    assert_eq!(scene.policyd.policyd_metrics().sum(ISSUED), after.sum(ISSUED) + 1);
}

#[test]
fn an_api_key_gets_no_permit_beyond_its_scopes_or_after_its_end() {
    let mut scene = scene();
    let input = sign_input(b"message");
    let denied =
        |scene: &mut crate::scene::Scene, api_key: &ApiKey, operation, wanted: (Rule, DenyReason)| {
            let reply = scene
                .policyd
                .ask_policyd(&api_key.text, use_of(operation, &input));
            match reply {
                PolicydReply::Judged {
                    verdict: Verdict::Denied { rule, reason },
                    ..
                } => assert_eq!((rule, reason), wanted),
                other => panic!("not denied: {other:?}"),
            }
        };
    let (tenant, _) = scene.system.tenant_with_api_key("scopes");
    let verify_only = scene.system.api_key(&tenant, "verify read-key");
    denied(
        &mut scene,
        &verify_only,
        Operation::Sign,
        (Rule::Scope, DenyReason::OutOfScope),
    );

    let (tenant_id, id) = (tenant.id.to_string(), verify_only.id.to_string());
    scene
        .system
        .cli(&["api-key", "revoke", "--tenant", &tenant_id, "--id", &id]);
    denied(
        &mut scene,
        &verify_only,
        Operation::Verify,
        (Rule::ApiKeyStanding, DenyReason::NotAuthenticated),
    );

    let other = scene.system.api_key(&tenant, "*");
    scene.system.cli(&["tenant", "suspend", &tenant_id]);
    denied(
        &mut scene,
        &other,
        Operation::Sign,
        (Rule::TenantStanding, DenyReason::TenantSuspended),
    );
}

#[test]
fn policyd_gives_no_permit_without_a_payload_or_for_work_that_needs_none() {
    let mut scene = scene();
    let api_key = scene.a().api_key.text.clone();
    let mut ask = |operation, payload| {
        let Ask::Use {
            algorithm,
            version,
            payload: digest,
            ..
        } = use_of(operation, b"input")
        else {
            panic!("not a use");
        };
        let payload = if payload { digest } else { None };
        scene.policyd.ask_policyd(
            &api_key,
            Ask::Use {
                operation,
                algorithm,
                version,
                payload,
                batch: None,
            },
        )
    };
    let reply = ask(Operation::Decrypt, false);
    assert!(
        matches!(reply, PolicydReply::Failed(PolicydFailure::Malformed)),
        "a permit without a payload would be one for any payload: {reply:?}"
    );
    let reply = ask(Operation::GenerateKey, true);
    assert!(
        matches!(reply, PolicydReply::Failed(PolicydFailure::Malformed)),
        "{reply:?}"
    );
    let reply = ask(Operation::Encrypt, true);
    assert!(
        matches!(
            reply,
            PolicydReply::Judged {
                verdict: Verdict::Granted { permit: None, .. },
                ..
            }
        ),
        "{reply:?}"
    );
}

#[test]
fn tenant_as_api_key_shows_nothing_of_tenant_b() {
    let mut scene = scene();
    let (a, b) = (scene.a(), scene.b());
    let listed = match scene
        .policyd
        .ask_policyd(&a.api_key.text, Ask::ListKeys(None, None))
    {
        PolicydReply::Judged {
            verdict: Verdict::Done(Outcome::Keys { keys, .. }),
            subject,
        } => {
            assert_eq!(subject.tenant, a.tenant.id);
            keys
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(listed.len(), 2);
    assert!(listed.iter().all(|key| key.state == KeyState::Active));
    for key in &listed {
        assert!([a.kem.handle, a.signature.handle].contains(&key.handle));
        assert!(![b.kem.handle, b.signature.handle].contains(&key.handle));
    }
}

#[test]
fn the_gateways_account_reads_no_file_of_the_other_daemons() {
    let system = system();
    needs_separate_accounts!(
        system,
        "attacker::the_gateways_account_reads_no_file_of_the_other_daemons"
    );
    let layout = system.layout();
    // Made before the directory is looked at, so that there is a key file.
    drop(connect(&system, Daemon::Keyd));
    let attacker = system.attacker_in_gateway();
    for daemon in [Daemon::Keyd, Daemon::Policyd] {
        let (_, token) = way_to(&system, daemon);
        assert_eq!(attacker.read(&token).expect("its own token").len(), 32);
    }
    for name in [
        "keyd/kek",
        "keyd/gateway-keyd.token",
        "keyd/policyd-keyd.token",
        "policyd/api-key.secret",
        "policyd/policyd-keyd.token",
        "policyd/chancel.db",
    ] {
        let path = layout.path(name);
        assert!(fs::metadata(&path).is_ok(), "{name} exists");
        let error = attacker.read(&path).expect_err(name);
        assert!(error.contains("Permission denied"), "{name}: {error}");
    }
    for daemon in [Daemon::Keyd, Daemon::Policyd] {
        for file in ["mem", "environ", "maps"] {
            let path = format!("/proc/{}/{file}", system.pid(daemon));
            let error = attacker.read(path.as_ref()).expect_err(&path);
            assert!(error.contains("Permission denied"), "{path}: {error}");
        }
    }
}
