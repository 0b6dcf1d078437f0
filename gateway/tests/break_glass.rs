//! Requests that policyd does not answer, with break-glass shut and open.

mod support;

use chancel_domain::{Algorithm, KeyVersion, TenantId};
use chancel_wire::keyd::KeyIdentity;
use chancel_wire::policyd::{Ask, DenyReason, Outcome, Rule, Verdict};
use std::sync::atomic::Ordering;
use std::thread::sleep;
use std::time::{Duration, Instant};
use support::{Answer, Scene, Script, TENANT, granted, key, request};

const SIGN: &str = "/api/v1/signature/sign";
const VERIFY: &str = "/api/v1/signature/verify";
const MESSAGE: &str = r#"{"message": "aGk="}"#;
const SIGNED: &str = r#"{"message": "aGk=", "signature": "eA==", "key_version": 1}"#;
/// What callers are promised.
const WITHIN: Duration = Duration::from_secs(1);

fn sign(scene: &Scene) -> Answer {
    scene.raw(&request("POST", SIGN, MESSAGE))
}

/// A scene whose gateway has seen the caller sign, and whose keyd says that break-glass is open.
fn open() -> Scene {
    let scene = Scene::start(Script::default());
    assert_eq!(sign(&scene).status, 200);
    scene.break_glass.store(true, Ordering::SeqCst);
    scene
}

fn is_shut(answer: &Answer) -> bool {
    answer.code() == "ERR_SERVICE_001" && !answer.head.contains("x-chancel-break-glass")
}

#[test]
fn with_policyd_silent_a_known_caller_uses_a_known_key_and_the_answer_says_so() {
    let scene = open();
    for silence in [support::Conduct::fail, support::Conduct::hang] {
        silence(&scene.policyd);
        let began = Instant::now();
        let answer = sign(&scene);
        assert!(began.elapsed() < WITHIN, "{:?}", began.elapsed());
        assert_eq!(answer.status, 200, "{answer:?}");
        assert!(
            answer.head.contains("x-chancel-break-glass: open\r\n"),
            "{}",
            answer.head
        );
    }
    let claims = scene.claims.lock().unwrap().clone();
    assert_eq!(claims.len(), 2);
    let expected = KeyIdentity {
        tenant: TENANT,
        algorithm: Algorithm::MlDsa65,
        version: KeyVersion::FIRST,
        handle: key(Algorithm::MlDsa65, KeyVersion::FIRST).handle,
    };
    assert_eq!((claims[0].tenant, claims[0].key), (TENANT, expected));
    assert_eq!(scene.gateway.break_glass.granted(), 2);
    scene.policyd.answer();
    let answer = sign(&scene);
    assert!(!answer.head.contains("x-chancel-break-glass"), "{}", answer.head);
    assert_eq!(scene.claims.lock().unwrap().len(), 2);
}

#[test]
fn while_it_is_shut_a_silent_policyd_means_no() {
    let scene = Scene::start(Script::default());
    assert_eq!(sign(&scene).status, 200);
    for silence in [support::Conduct::fail, support::Conduct::hang] {
        silence(&scene.policyd);
        let began = Instant::now();
        assert!(is_shut(&sign(&scene)));
        assert!(is_shut(&scene.raw(&request("POST", VERIFY, SIGNED))));
        assert!(began.elapsed() < 2 * WITHIN, "{:?}", began.elapsed());
    }
    assert!(scene.claims.lock().unwrap().is_empty());
}

#[test]
fn nobody_and_nothing_that_was_not_seen_is_served() {
    let scene = open();
    scene.policyd.fail();
    let stranger = request("POST", SIGN, MESSAGE).replace("qph_test", "qph_other");
    assert!(is_shut(&scene.raw(&stranger)), "another caller");
    let version = r#"{"message": "aGk=", "key_version": 2}"#;
    assert!(
        is_shut(&scene.raw(&request("POST", SIGN, version))),
        "another key"
    );
    for (method, path, body) in [
        (
            "POST",
            "/api/v1/kms/keys/rotate",
            r#"{"algorithm": "Dilithium3"}"#,
        ),
        ("GET", "/api/v1/kms/keys", ""),
        ("GET", "/api/v1/tenants/", ""),
        ("POST", "/api/v1/policy/explain", r#"{"operation": "sign"}"#),
        ("GET", "/api/v1/audit/events", ""),
    ] {
        assert!(is_shut(&scene.raw(&request(method, path, body))), "{path}");
    }
    assert!(scene.claims.lock().unwrap().is_empty());
    assert_eq!(sign(&scene).status, 200, "it was open all the time");
}

#[test]
fn a_denial_is_a_denial() {
    let denied = |reason| Script {
        judge: Box::new(move |ask| match ask {
            Ask::Use { version: None, .. } => granted(ask),
            _ => Verdict::Denied {
                rule: Rule::Scope,
                reason,
            },
        }),
        ..Script::default()
    };
    for reason in [DenyReason::OutOfScope, DenyReason::TenantRule] {
        let scene = Scene::start(denied(reason));
        assert_eq!(sign(&scene).status, 200);
        scene.break_glass.store(true, Ordering::SeqCst);
        let answer = scene.raw(&request("POST", SIGN, r#"{"message": "", "key_version": 1}"#));
        assert_eq!(answer.code(), "ERR_POLICY_001");
        assert!(scene.claims.lock().unwrap().is_empty());
    }
    // A tenant that was suspended, and an API key that was refused, are not served when policyd falls silent later.
    for reason in [DenyReason::TenantSuspended, DenyReason::NotAuthenticated] {
        let scene = Scene::start(denied(reason));
        assert_eq!(sign(&scene).status, 200);
        scene.break_glass.store(true, Ordering::SeqCst);
        let answer = scene.raw(&request("POST", SIGN, r#"{"message": "", "key_version": 1}"#));
        assert!([401, 403].contains(&answer.status));
        scene.policyd.fail();
        assert!(is_shut(&sign(&scene)), "{reason:?}");
    }
}

#[test]
fn a_caller_is_served_from_its_own_networks_only() {
    let scene = Scene::start(Script {
        networks: "192.0.2.0/24",
        trusted_proxies: "127.0.0.0/8",
        ..Script::default()
    });
    let sign_from =
        |address: &str| scene.with_headers("POST", SIGN, &format!("x-forwarded-for: {address}\r\n"), MESSAGE);
    assert_eq!(sign_from("192.0.2.1").status, 200);
    scene.break_glass.store(true, Ordering::SeqCst);
    scene.policyd.fail();
    assert_eq!(sign_from("192.0.2.1").status, 200);
    assert!(is_shut(&sign_from("198.51.100.1")));
}

#[test]
fn public_key_work_goes_on_while_keyd_says_that_it_is_open() {
    let scene = Scene::start(Script::default());
    // The key that policyd grants is no key, which is found out where the work is done: after the grant.
    let verify = || scene.raw(&request("POST", VERIFY, SIGNED)).code();
    assert_eq!(verify(), "ERR_INTERNAL_001");
    scene.policyd.fail();
    assert_eq!(verify(), "ERR_SERVICE_001");
    scene.break_glass.store(true, Ordering::SeqCst);
    // keyd's word is taken for true for a second.
    sleep(Duration::from_millis(1100));
    assert_eq!(verify(), "ERR_INTERNAL_001");
    scene.break_glass.store(false, Ordering::SeqCst);
    sleep(Duration::from_millis(1100));
    assert_eq!(verify(), "ERR_SERVICE_001");
}

#[test]
fn a_key_that_was_rotated_away_does_not_sign_any_more() {
    let scene = Scene::start(Script {
        judge: Box::new(|ask| match ask {
            Ask::RotateKey(algorithm) => Verdict::Done(Outcome::Rotated {
                key: key(*algorithm, KeyVersion::new(2).unwrap()),
                old_version: KeyVersion::FIRST,
            }),
            other => granted(other),
        }),
        ..Script::default()
    });
    assert_eq!(sign(&scene).status, 200);
    let (status, _) = scene.send(
        "POST",
        "/api/v1/kms/keys/rotate",
        r#"{"algorithm": "Dilithium3"}"#,
    );
    assert_eq!(status, 200);
    scene.break_glass.store(true, Ordering::SeqCst);
    scene.policyd.fail();
    let (status, json) = scene.send("POST", SIGN, MESSAGE);
    assert_eq!((status, &json["data"]["key_version"]), (200, &2.into()));
    let old = request("POST", SIGN, r#"{"message": "", "key_version": 1}"#);
    assert!(is_shut(&scene.raw(&old)));
}

#[test]
fn an_operators_caller_has_no_keys_to_use() {
    let scene = Scene::start(Script {
        tenant: TenantId::OPERATORS,
        judge: Box::new(|_| Verdict::Denied {
            rule: Rule::Scope,
            reason: DenyReason::OutOfScope,
        }),
        ..Script::default()
    });
    let answer = sign(&scene);
    assert_eq!(answer.status, 403);
    assert!(
        answer.head.contains("x-chancel-deny-rule: scope\r\n"),
        "{}",
        answer.head
    );
    scene.break_glass.store(true, Ordering::SeqCst);
    scene.policyd.fail();
    assert!(is_shut(&sign(&scene)));
}
