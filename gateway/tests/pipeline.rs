//! The stages between a scripted policyd and a scripted keyd: who is asked what, who is not asked at all, and
//! what their answers become.

mod support;

use aws_lc_rs::kem::{DecapsulationKey, ML_KEM_768};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chancel_domain::plan::Rate;
use chancel_domain::{Algorithm, KeyVersion, Operation, TenantId};
use chancel_gateway::pipeline::unknown_sources::BURST;
use chancel_pqc::{Envelope, Purpose, SharedSecret};
use chancel_wire::keyd::KeydError;
use chancel_wire::policyd::{Ask, AskFailure, DenyReason, Outcome, Rule, Verdict};
use support::{Judge, Scene, Script, TENANT, granted, key, request};

const SIGN: &str = "/api/v1/signature/sign";
const FREE: Option<Rate> = Some(Rate {
    per_second: 10,
    burst: 20,
});
const MESSAGE: &str = r#"{"message": "aGk="}"#;

#[test]
fn a_private_key_operation_is_asked_for_with_its_digest_and_done_by_keyd() {
    let scene = Scene::start(Script::default());
    let (status, json) = scene.send(
        "POST",
        SIGN,
        r#"{"message": "aGk=", "algorithm": "ML-DSA-65", "tenant_id": "x"}"#,
    );
    assert_eq!(
        (status, json["data"]["signature"].as_str()),
        (200, Some("b3V0cHV0"))
    );
    assert_eq!(json["data"]["algorithm"], "ML-DSA-65");
    assert_eq!(json["data"]["key_version"], 1);
    let asked = scene.asked.lock().unwrap().clone();
    let [
        Ask::Use {
            operation: Operation::Sign,
            algorithm: Algorithm::MlDsa65,
            version: None,
            payload: Some(_),
            batch: None,
        },
    ] = asked.as_slice()
    else {
        panic!("{asked:?}");
    };
    assert_eq!(scene.uses(), 1);
}

#[test]
fn nobody_is_asked_to_do_what_makes_no_sense() {
    let scene = Scene::start(Script::default());
    let no_key = format!("POST {SIGN} HTTP/1.1\r\nhost: test\r\ncontent-length: 2\r\n\r\n{{}}");
    for (bytes, code) in [
        (no_key, "ERR_AUTH_001"),
        (
            request("POST", &format!("{SIGN}?api_key=qph_x"), MESSAGE),
            "ERR_AUTH_002",
        ),
        (request("POST", "/api/v2/sign", MESSAGE), "ERR_NOT_FOUND_002"),
        (request("GET", SIGN, ""), "ERR_METHOD_001"),
        (request("POST", SIGN, "{"), "ERR_INVALID_001"),
        (request("POST", SIGN, r#"{"message": "aGk"}"#), "ERR_SIG_001"),
        (
            request("POST", SIGN, r#"{"message": "", "algorithm": "Kyber768"}"#),
            "ERR_KMS_001",
        ),
    ] {
        assert_eq!(scene.raw(&bytes).code(), code, "{bytes}");
    }
    let stranger = request("POST", SIGN, "{").replace("qph_test", "qph_unknown");
    assert_eq!(
        scene.raw(&stranger).code(),
        "ERR_AUTH_001",
        "who asks comes before what is wrong"
    );
    assert_eq!((scene.asked.lock().unwrap().len(), scene.uses()), (0, 0));
}

#[test]
fn keyd_is_not_asked_without_a_grant() {
    let failed = |failure| -> Box<Judge> { Box::new(move |_| Verdict::Failed(failure)) };
    // Allowed, but with nothing that keyd would believe.
    let no_permit: Box<Judge> = Box::new(|_| Verdict::Granted {
        key: key(Algorithm::MlDsa65, KeyVersion::FIRST),
        permit: None,
        target: None,
    });
    let something_else: Box<Judge> = Box::new(|_| {
        let keys = Vec::new();
        Verdict::Done(Outcome::Keys { keys, total: 0 })
    });
    for (judge, status, code) in [
        (denied(DenyReason::NotAuthenticated), 401, "ERR_AUTH_001"),
        (denied(DenyReason::TenantSuspended), 403, "ERR_POLICY_001"),
        (denied(DenyReason::NotInPlan), 403, "ERR_FORBIDDEN_001"),
        (failed(AskFailure::KeyNotFound), 404, "ERR_SIG_003"),
        (failed(AskFailure::KeydUnavailable), 503, "ERR_SERVICE_001"),
        (no_permit, 500, "ERR_INTERNAL_001"),
        (something_else, 500, "ERR_INTERNAL_001"),
    ] {
        let scene = Scene::start(Script {
            judge,
            ..Script::default()
        });
        let answer = scene.raw(&request("POST", SIGN, MESSAGE));
        assert_eq!((answer.status, answer.code().as_str()), (status, code));
        assert_eq!(scene.uses(), 0, "{code}");
    }
}

fn denied(reason: DenyReason) -> Box<Judge> {
    let rule = Rule::Scope;
    Box::new(move |_| Verdict::Denied { rule, reason })
}

#[test]
fn unknown_and_denied_callers_read_the_same() {
    let scene = Scene::start(Script {
        judge: denied(DenyReason::NotAuthenticated),
        ..Script::default()
    });
    let known = request("POST", SIGN, MESSAGE);
    let (known, unknown) = (
        scene.raw(&known),
        scene.raw(&known.replace("qph_test", "qph_unknown")),
    );
    assert_eq!(known.status, unknown.status);
    assert_eq!(known.json()["error"], unknown.json()["error"]);
}

#[test]
fn a_request_over_the_rate_is_not_even_asked_about() {
    let scene = Scene::start(Script {
        rate: FREE,
        ..Script::default()
    });
    let mut limited = 0;
    for _ in 0..25 {
        let answer = scene.raw(&request("POST", SIGN, MESSAGE));
        if answer.status == 429 {
            limited += 1;
            assert_eq!(answer.code(), "ERR_RATE_001");
            for header in [
                "retry-after: 1\r\n",
                "ratelimit-limit: 20\r\n",
                "ratelimit-remaining: 0\r\n",
                "ratelimit-reset: 2\r\n",
            ] {
                assert!(answer.head.contains(header), "{header} in {}", answer.head);
            }
        } else {
            assert!(answer.head.contains("ratelimit-remaining: "), "{}", answer.head);
        }
    }
    assert!((1..=5).contains(&limited), "{limited}");
    assert_eq!(scene.asked.lock().unwrap().len(), 25 - limited);
    assert_eq!(scene.uses(), 25 - limited);
}

#[test]
fn a_change_of_keys_over_the_rate_is_not_made() {
    let scene = Scene::start(Script {
        judge: Box::new(|_| Verdict::Failed(AskFailure::KeyNotFound)),
        rate: FREE,
        ..Script::default()
    });
    let rotate = request("POST", "/api/v1/kms/keys/rotate", r#"{"algorithm":"Dilithium3"}"#);
    let limited = (0..25).filter(|_| scene.raw(&rotate).status == 429).count();
    assert!((1..=5).contains(&limited), "{limited}");
    assert_eq!(scene.asked.lock().unwrap().len(), 25 - limited);
}

#[test]
fn a_key_that_is_no_longer_accepted_does_not_use_up_the_rate() {
    let scene = Scene::start(Script {
        judge: denied(DenyReason::NotAuthenticated),
        rate: FREE,
        ..Script::default()
    });
    for _ in 0..40 {
        let answer = scene.raw(&request("POST", SIGN, MESSAGE));
        assert_eq!(answer.status, 401);
        assert!(!answer.head.contains("ratelimit-"), "{}", answer.head);
    }
}

#[test]
fn what_keyd_refuses_has_the_code_of_its_operation() {
    let decrypt = (
        "/api/v1/kem/decrypt",
        r#"{"ciphertext": "eA==", "key_version": 1}"#,
    );
    let unwrap = (
        "/api/v1/kem/key/unwrap",
        r#"{"wrapped_key": "eA==", "key_version": 1}"#,
    );
    for ((path, body), error, status, code) in [
        (decrypt, KeydError::Undecryptable, 400, "ERR_KEM_003"),
        (unwrap, KeydError::Undecryptable, 400, "ERR_KEM_011"),
        (decrypt, KeydError::KeyNotFound, 500, "ERR_KMS_003"),
        ((SIGN, MESSAGE), KeydError::SelfCheckFailed, 500, "ERR_CRYPTO_001"),
        (
            (SIGN, MESSAGE),
            KeydError::PermitReplayed,
            500,
            "ERR_INTERNAL_001",
        ),
        ((SIGN, MESSAGE), KeydError::Overloaded, 503, "ERR_SERVICE_001"),
    ] {
        let scene = Scene::start(Script {
            work: Box::new(move |_| Err(error)),
            ..Script::default()
        });
        let answer = scene.raw(&request("POST", path, body));
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (status, code),
            "{path} {error:?}"
        );
        assert_eq!(
            answer.head.contains("retry-after: 1\r\n"),
            status == 503,
            "{error:?}"
        );
    }
}

#[test]
fn a_public_key_that_the_library_refuses_is_an_internal_error() {
    let scene = Scene::start(Script::default());
    let (status, json) = scene.send("POST", "/api/v1/kem/encrypt", r#"{"plaintext": "aGk="}"#);
    assert_eq!(
        (status, json["error"]["error_code"].as_str()),
        (500, Some("ERR_INTERNAL_001"))
    );
    assert_eq!(scene.uses(), 0);
}

#[test]
fn keys_are_shown_under_the_name_their_caller_used() {
    let script = Script {
        judge: Box::new(|ask| match ask {
            Ask::RotateKey(algorithm) => Verdict::Done(Outcome::Rotated {
                key: key(*algorithm, KeyVersion::new(2).unwrap()),
                old_version: KeyVersion::FIRST,
            }),
            Ask::ListKeys(None, None) => Verdict::Done(Outcome::Keys {
                keys: vec![
                    key(Algorithm::MlKem768, KeyVersion::FIRST),
                    key(Algorithm::MlDsa65, KeyVersion::FIRST),
                ],
                total: 7,
            }),
            other => panic!("{other:?}"),
        }),
        ..Script::default()
    };
    let scene = Scene::start(script);
    let (status, json) = scene.send(
        "POST",
        "/api/v1/kms/keys/rotate",
        r#"{"algorithm": "ML-KEM-768"}"#,
    );
    let expected = serde_json::json!({"key_version": 2, "algorithm": "ML-KEM-768", "status": "active",
        "public_key": "BwcHBwcHBwcHBwcH", "created_at": "1970-01-01T00:00:00.000Z", "old_key_version": 1});
    assert_eq!((status, &json["data"]), (200, &expected));
    let (_, json) = scene.send("GET", "/api/v1/kms/keys", "");
    let names: Vec<_> = json["data"]["keys"]
        .as_array()
        .unwrap()
        .iter()
        .map(|key| &key["algorithm"])
        .collect();
    assert_eq!(names, ["Kyber768", "Dilithium3"]);
    assert_eq!(json["data"]["total"], 7);
}

#[test]
fn what_is_sealed_opens_for_the_tenant_that_policyd_named_and_for_no_other() {
    let private = DecapsulationKey::generate(&ML_KEM_768).unwrap();
    let public = private
        .encapsulation_key()
        .unwrap()
        .key_bytes()
        .unwrap()
        .as_ref()
        .to_vec();
    let judge: Box<Judge> = Box::new(move |ask| {
        let Verdict::Granted {
            mut key,
            permit,
            target,
        } = granted(ask)
        else {
            panic!("a grant");
        };
        key.public_key.clone_from(&public);
        Verdict::Granted { key, permit, target }
    });
    let scene = Scene::start(Script {
        judge,
        ..Script::default()
    });
    let claimed = TenantId::from_bytes([0x22; 16]);
    let body =
        format!(r#"{{"plaintext": "aGk=", "aad": "YQ==", "key_version": 5, "tenant_id": "{claimed}"}}"#);
    let (status, json) = scene.send("POST", "/api/v1/kem/encrypt", &body);
    assert_eq!(status, 200, "{json}");
    let ciphertext = STANDARD
        .decode(json["data"]["ciphertext"].as_str().unwrap())
        .unwrap();
    let envelope = Envelope::parse(&ciphertext).unwrap();
    assert_eq!(
        (envelope.purpose(), envelope.key_version().number()),
        (Purpose::Data, 5)
    );
    let secret = private.decapsulate(envelope.kem_ciphertext().into()).unwrap();
    let secret = SharedSecret::try_from(secret.as_ref()).unwrap();
    assert_eq!(**envelope.open(&secret, TENANT, b"a").unwrap(), *b"hi");
    assert!(envelope.open(&secret, claimed, b"a").is_err());
    assert!(envelope.open(&secret, TENANT, b"").is_err());
}

#[test]
fn unknown_api_keys_empty_the_bucket_of_their_address_and_known_callers_pass() {
    let scene = Scene::start(Script::default());
    let known = request("POST", SIGN, MESSAGE);
    assert_eq!(scene.raw(&known).status, 200);
    let stranger = known.replace("qph_test", "qph_unknown");
    let mut limited = 0;
    for _ in 0..BURST + 20 {
        let answer = scene.raw(&stranger);
        if answer.status == 429 {
            limited += 1;
            assert!(answer.head.contains("retry-after: 1\r\n"), "{}", answer.head);
        } else {
            assert_eq!(answer.status, 401);
        }
    }
    assert!(limited > 0);
    // An API key that nobody has confirmed is not asked about, good or not.
    let heard = scene.callers.lock().unwrap().len();
    let mut new = scene.raw(&known.replace("qph_test", "qph_other"));
    for _ in 0..50 {
        if new.status == 429 {
            break;
        }
        scene.raw(&stranger);
        new = scene.raw(&stranger);
    }
    assert_eq!(new.code(), "ERR_RATE_001");
    assert!(scene.callers.lock().unwrap().len() >= heard);
    assert_eq!(scene.raw(&known).status, 200);
}

#[test]
fn policyd_hears_the_address_that_a_trusted_proxy_names_and_no_other() {
    for (trusted, expected) in [("", "127.0.0.1"), ("127.0.0.0/8", "192.0.2.7")] {
        let scene = Scene::start(Script {
            trusted_proxies: trusted,
            ..Script::default()
        });
        let header = "x-forwarded-for: 198.51.100.1, 192.0.2.7\r\n";
        assert_eq!(scene.with_headers("POST", SIGN, header, MESSAGE).status, 200);
        let heard = scene.callers.lock().unwrap().clone();
        assert_eq!(heard[0].source.to_string(), expected);
        let nonsense = scene.with_headers("POST", SIGN, "x-forwarded-for: somewhere\r\n", MESSAGE);
        assert_eq!(nonsense.status, if trusted.is_empty() { 200 } else { 400 });
    }
}

#[test]
fn a_ledger_that_cannot_be_written_is_an_error_of_its_own() {
    let scene = Scene::start(Script {
        work: Box::new(|_| Err(KeydError::LedgerUnwritable)),
        ..Script::default()
    });
    let answer = scene.raw(&request("POST", SIGN, MESSAGE));
    assert_eq!((answer.status, answer.code().as_str()), (503, "ERR_AUDIT_001"));
    assert!(answer.head.contains("retry-after: 1\r\n"), "{}", answer.head);
}

#[test]
fn a_change_by_a_known_caller_is_one_question() {
    let scene = Scene::start(Script {
        judge: Box::new(|_| Verdict::Failed(AskFailure::KeyNotFound)),
        ..Script::default()
    });
    let rotate = request("POST", "/api/v1/kms/keys/rotate", r#"{"algorithm":"Dilithium3"}"#);
    for heard in [2, 3, 4] {
        assert_eq!(scene.raw(&rotate).status, 404);
        assert_eq!(
            scene.callers.lock().unwrap().len(),
            heard,
            "the first is identified before"
        );
    }
}
