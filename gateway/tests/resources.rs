//! The resources of the control plane: what each route asks policyd, and what its answer looks like.

mod support;

use chancel_domain::deny_rule::{RawWindow, Sources, Window};
use chancel_domain::plan::{Limits, Rate};
use chancel_domain::tenant::Name;
use chancel_domain::{
    Algorithm, ApiKeyId, DenyRule, DenyRuleId, KeyState, KeyVersion, Operation, Plan, TenantId, TenantStatus,
};
use chancel_wire::admin::{ApiKeyRecord, NewApiKey};
use chancel_wire::policyd::{
    Ask, DenyReason, DenyRuleView, EventFilter, Explanation, Finding, NewApiKeyTerms, Outcome, Question,
    Rule, Step, TenantView, Verdict,
};
use serde_json::{Value, json};
use support::{Scene, Script, TENANT, granted, key, request};

const OTHER: &str = "0b5f8e4a-7a33-4c5b-9d0e-0123456789ab";

fn name(text: &str) -> Name {
    Name::try_from(text.to_owned()).unwrap()
}

fn api_key() -> ApiKeyRecord {
    ApiKeyRecord {
        id: OTHER.parse().unwrap(),
        version: 2,
        name: name("signer"),
        scopes: "sign:Dilithium3 verify".parse().unwrap(),
        created_at_ms: 0,
        expires_at_ms: Some(1_000),
        revoked_at_ms: None,
        networks: "192.0.2.0/24".parse().unwrap(),
    }
}

fn shown_api_key() -> Value {
    json!({"key_id": OTHER, "tenant_id": TENANT.to_string(), "version": 2, "name": "signer",
        "scopes": ["sign:ML-DSA-65", "verify"], "networks": ["192.0.2.0/24"],
        "created_at": "1970-01-01T00:00:00.000Z", "expires_at": "1970-01-01T00:00:01.000Z", "revoked_at": null})
}

fn tenant() -> TenantView {
    TenantView {
        id: TENANT,
        name: "Ärzte".to_owned(),
        plan: Plan::Free,
        status: TenantStatus::Suspended,
        limits: Limits {
            rate: Some(Rate {
                per_second: 10,
                burst: 20,
            }),
            calls_per_month: Some(5_000),
            keys_per_family: Some(1),
            versions_per_key: None,
            api_keys: Some(1),
        },
        calls: 7,
        renews_at_ms: 1_000,
        created_at_ms: 0,
        updated_at_ms: 0,
        kem_keys: 1,
        signature_keys: 0,
        api_keys: 1,
    }
}

fn deny_rule() -> DenyRuleView {
    let raw = RawWindow {
        from: 22 * 60,
        until: 6 * 60,
        days: 0b100_0001,
    };
    DenyRuleView {
        id: DenyRuleId::from_bytes([5; 16]),
        rule: DenyRule {
            name: name("nights"),
            operations: vec![Operation::Sign],
            algorithms: vec![Algorithm::MlDsa65],
            window: Some(Window::try_from(raw).unwrap()),
            sources: Some(Sources::Outside("10.0.0.0/8".parse().unwrap())),
        },
        created_at_ms: 0,
    }
}

fn shown_rule() -> Value {
    json!({"id": "05050505-0505-0505-0505-050505050505", "name": "nights", "operations": ["sign"],
        "algorithms": ["Dilithium3"], "window": {"from": "22:00", "until": "06:00", "days": ["mon", "sun"]},
        "sources": {"outside": ["10.0.0.0/8"]}, "created_at": "1970-01-01T00:00:00.000Z"})
}

fn scene(outcome: impl Fn() -> Outcome + Send + Sync + 'static) -> Scene {
    Scene::start(Script {
        judge: Box::new(move |_| Verdict::Done(outcome())),
        ..Script::default()
    })
}

/// Sends a request; checks status, data, and what policyd was asked.
#[track_caller]
fn check(
    outcome: impl Fn() -> Outcome + Send + Sync + 'static,
    (method, path, body): (&str, &str, &str),
    (status, data): (u16, &Value),
    ask: &Ask,
) {
    let scene = scene(outcome);
    let (found, json) = scene.send(method, path, body);
    assert_eq!(found, status, "{json}");
    assert_eq!(&json["data"], data);
    assert_eq!(scene.asked.lock().unwrap().as_slice(), std::slice::from_ref(ask));
}

#[test]
fn api_keys_are_made_listed_replaced_and_revoked() {
    let path = format!("/api/v1/tenants/{TENANT}/api-keys");
    let id: ApiKeyId = OTHER.parse().unwrap();
    let mut with_secret = shown_api_key();
    with_secret["api_key"] = "qph_secret".into();
    let made = || Outcome::ApiKeySecret(api_key(), NewApiKey("qph_secret".to_owned()));
    check(
        made,
        (
            "POST",
            &path,
            r#"{"name": "signer", "scopes": ["sign:Dilithium3", "verify"], "networks": ["192.0.2.0/24"],
                "expires_at": "2999-01-01T00:00:00Z"}"#,
        ),
        (201, &with_secret),
        &Ask::CreateApiKey(
            TENANT,
            NewApiKeyTerms {
                name: name("signer"),
                scopes: "sign:Dilithium3 verify".parse().unwrap(),
                expires_at_ms: Some(32_472_144_000_000),
                networks: "192.0.2.0/24".parse().unwrap(),
            },
        ),
    );
    let rotate = format!("{path}/rotate");
    for (body, named) in [
        ("{}".to_owned(), None),
        (format!(r#"{{"key_id": "{id}"}}"#), Some(id)),
    ] {
        check(
            made,
            ("POST", &rotate, &body),
            (200, &with_secret),
            &Ask::RotateApiKey(TENANT, named),
        );
    }
    check(
        || Outcome::ApiKey(api_key()),
        ("DELETE", &format!("{path}/{id}"), ""),
        (200, &shown_api_key()),
        &Ask::RevokeApiKey(TENANT, id),
    );
    check(
        || Outcome::ApiKeys {
            api_keys: vec![api_key()],
            more: true,
        },
        ("GET", &format!("{path}?after={id}"), ""),
        (200, &json!({"api_keys": [shown_api_key()], "next": OTHER})),
        &Ask::ListApiKeys(TENANT, Some(id)),
    );
}

#[test]
fn tenants_are_made_and_shown_with_their_true_usage() {
    let shown = json!({"id": TENANT.to_string(), "name": "Ärzte", "tenant_name": "Ärzte", "status": "suspended",
        "plan": {"name": "free"}, "usage": {"api_calls": 7, "kem_keys": 1, "sig_keys": 0, "api_keys": 1},
        "limits": {"api_calls": 5000, "kem_keys": 1, "sig_keys": 1, "api_keys": 1, "requests_per_second": 10,
            "burst": 20},
        "renews_at": "1970-01-01T00:00:01.000Z", "created_at": "1970-01-01T00:00:00.000Z",
        "updated_at": "1970-01-01T00:00:00.000Z"});
    let one = || Outcome::Tenant(tenant());
    for path in ["/api/v1/tenants", "/api/v1/tenants/"] {
        check(
            one,
            ("POST", path, r#"{"name": "Ärzte", "plan": "pro"}"#),
            (201, &shown),
            &Ask::CreateTenant(name("Ärzte"), Plan::Pro),
        );
        check(
            one,
            ("GET", path, ""),
            (200, &json!({"tenants": [shown], "total": 1})),
            &Ask::ReadTenant,
        );
    }
    check(
        one,
        ("GET", &format!("/api/v1/tenants/{TENANT}"), ""),
        (200, &shown),
        &Ask::ReadTenantById(TENANT),
    );
    let operators = Scene::start(Script {
        tenant: TenantId::OPERATORS,
        judge: Box::new(|_| {
            let tenants = vec![tenant(), tenant(), tenant()];
            Verdict::Done(Outcome::Tenants { tenants, more: false })
        }),
        ..Script::default()
    });
    let (status, json) = operators.send("GET", &format!("/api/v1/tenants/?after={OTHER}&limit=2"), "");
    let page = json!({"tenants": [shown, shown], "next": TENANT.to_string()});
    assert_eq!((status, &json["data"]), (200, &page));
    let (_, json) = operators.send("GET", "/api/v1/tenants/", "");
    assert_eq!(json["data"]["next"], Value::Null, "the last page");
    let asked = operators.asked.lock().unwrap().clone();
    assert_eq!(
        asked,
        [
            Ask::ListTenants(Some(OTHER.parse().unwrap())),
            Ask::ListTenants(None)
        ]
    );
}

#[test]
fn keys_are_led_through_their_life() {
    let version = KeyVersion::new(3).unwrap();
    let dated = move || {
        let mut key = key(Algorithm::MlKem768, version);
        key.state = KeyState::PendingDestruction;
        (key.last_used_at_ms, key.destroy_at_ms) = (Some(1_000), Some(2_000));
        Outcome::Key(key)
    };
    let shown = json!({"key_version": 3, "algorithm": "ML-KEM-768", "status": "pending_destruction",
        "public_key": "BwcHBwcHBwcHBwcH", "created_at": "1970-01-01T00:00:00.000Z",
        "last_used_at": "1970-01-01T00:00:01.000Z", "destroy_at": "1970-01-01T00:00:02.000Z"});
    let kem = Algorithm::MlKem768;
    let body = r#"{"algorithm": "ML-KEM-768", "key_version": 3}"#;
    for (step, ask) in [
        ("retire", Ask::RetireKey(kem, version)),
        ("archive", Ask::ArchiveKey(kem, version)),
        ("restore", Ask::RestoreKey(kem, version)),
        ("cancel-destruction", Ask::CancelDestruction(kem, version)),
    ] {
        check(
            dated,
            ("POST", &format!("/api/v1/kms/keys/{step}"), body),
            (200, &shown),
            &ask,
        );
    }
    for (days, asked) in [("", None), ("&days=7", Some(7)), ("&days=65535", Some(65_535))] {
        check(
            dated,
            (
                "DELETE",
                &format!("/api/v1/kms/keys/3?algorithm=ML-KEM-768{days}"),
                "",
            ),
            (200, &shown),
            &Ask::ScheduleDestruction(kem, version, asked),
        );
    }
    for (uses, asked) in [(json!(7), Some(7)), (json!(0), Some(0)), (Value::Null, None)] {
        check(
            move || Outcome::KeyBudget(asked),
            (
                "POST",
                "/api/v1/kms/keys/budget",
                &json!({"algorithm": "Kyber768", "uses_per_day": uses}).to_string(),
            ),
            (200, &json!({"algorithm": "Kyber768", "uses_per_day": uses})),
            &Ask::SetKeyBudget(kem, asked),
        );
    }
}

#[test]
fn a_ciphertext_is_rewrapped_by_keyd_for_the_key_that_policyd_granted() {
    let scene = Scene::start(Script::default());
    let path = "/api/v1/kem/rewrap";
    let (status, json) = scene.send(
        "POST",
        path,
        r#"{"ciphertext": "eA==", "key_version": 1, "target_algorithm": "ML-KEM-768", "aad": "YQ=="}"#,
    );
    let expected = json!({"ciphertext": "b3V0cHV0", "key_version": 2, "algorithm": "ML-KEM-768",
        "source_key_version": 1});
    assert_eq!((status, &json["data"]), (200, &expected));
    let (_, json) = scene.send(
        "POST",
        path,
        r#"{"ciphertext": "eA==", "key_version": 1, "target_key_version": 5}"#,
    );
    assert_eq!(
        (&json["data"]["key_version"], &json["data"]["algorithm"]),
        (&5.into(), &"Kyber768".into())
    );
    let asked = scene.asked.lock().unwrap().clone();
    assert!(matches!(
        asked.as_slice(),
        [
            Ask::Rewrap {
                target_version: None,
                ..
            },
            Ask::Rewrap {
                target_version: Some(_),
                ..
            }
        ]
    ));
    assert_eq!(scene.uses(), 2);
    // A grant that names no target is no grant to rewrap.
    let scene = Scene::start(Script {
        judge: Box::new(|ask| {
            let Verdict::Granted { key, permit, .. } = granted(ask) else {
                panic!("a grant");
            };
            Verdict::Granted {
                key,
                permit,
                target: None,
            }
        }),
        ..Script::default()
    });
    let answer = scene.raw(&request(
        "POST",
        path,
        r#"{"ciphertext": "eA==", "key_version": 1}"#,
    ));
    assert_eq!((answer.code().as_str(), scene.uses()), ("ERR_INTERNAL_001", 0));
}

#[test]
fn deny_rules_are_read_and_shown_in_the_same_form() {
    let mut given = shown_rule();
    given["algorithms"] = json!(["ML-DSA-65", "Dilithium3"]);
    // What only an answer has.
    let members = given.as_object_mut().unwrap();
    members.retain(|name, _| name != "rule_id" && name != "id" && name != "created_at");
    let one = || Outcome::DenyRule(deny_rule());
    check(
        one,
        ("POST", "/api/v1/policy/rules", &given.to_string()),
        (201, &shown_rule()),
        &Ask::AddDenyRule(deny_rule().rule),
    );
    let path = format!("/api/v1/policy/rules/{}", deny_rule().id);
    check(
        one,
        ("DELETE", &path, ""),
        (200, &shown_rule()),
        &Ask::RemoveDenyRule(deny_rule().id),
    );
    check(
        || Outcome::DenyRules(vec![deny_rule()]),
        ("GET", "/api/v1/policy/rules", ""),
        (200, &json!({"rules": [shown_rule()]})),
        &Ask::ListDenyRules,
    );
}

#[test]
fn an_explanation_shows_each_rule_with_what_it_saw() {
    let explained = || {
        let step = |rule, finding, saw: &[(&str, &str)]| Step {
            rule,
            finding,
            saw: saw
                .iter()
                .map(|(name, value)| ((*name).into(), (*value).into()))
                .collect(),
        };
        Outcome::Explained(Explanation {
            steps: vec![
                step(Rule::Scope, Finding::Pass, &[("scopes", "*")]),
                step(Rule::TenantRule, Finding::Deny(DenyReason::TenantRule), &[]),
            ],
        })
    };
    let body = json!({"operation": "sign", "algorithm": "Dilithium3", "api_key_id": OTHER, "source": "192.0.2.1",
        "at": "1970-01-01T00:00:01Z"});
    check(
        explained,
        ("POST", "/api/v1/policy/explain", &body.to_string()),
        (
            200,
            &json!({"allowed": false, "rule": "tenant-rule", "reason": "tenant-rule", "steps": [
                {"rule": "scope", "finding": "pass", "saw": {"scopes": "*"}},
                {"rule": "tenant-rule", "finding": "deny", "reason": "tenant-rule", "saw": {}}]}),
        ),
        &Ask::Explain(Question {
            operation: Operation::Sign,
            target: None,
            batch: None,
            algorithm: Some(Algorithm::MlDsa65),
            api_key: Some(OTHER.parse().unwrap()),
            source: Some("192.0.2.1".parse().unwrap()),
            at_ms: Some(1_000),
        }),
    );
}

#[test]
fn events_are_embedded_as_they_stand_in_the_ledger() {
    let events = || Outcome::Events {
        records: vec![r#"{"seq":9,"kind":"deny"}"#.to_owned(), r#"{"seq":7}"#.to_owned()],
        next: Some(7),
    };
    let query = format!(
        "before=10&limit=2&kind=deny&operation=sign&api_key={OTHER}&request_id={OTHER}&since=1970-01-01T00:00:01Z\
         &until=1970-01-01T00:00:02%2B00:00"
    );
    check(
        events,
        ("GET", &format!("/api/v1/audit/events?{query}"), ""),
        (
            200,
            &json!({"events": [{"seq": 9, "kind": "deny"}, {"seq": 7}], "next": 7}),
        ),
        &Ask::ReadEvents(EventFilter {
            before: Some(10),
            limit: 2,
            kind: Some("deny".to_owned()),
            operation: Some(Operation::Sign),
            api_key: Some(OTHER.parse().unwrap()),
            request: Some(OTHER.parse().unwrap()),
            since_ms: Some(1_000),
            until_ms: Some(2_000),
        }),
    );
    let broken = scene(|| Outcome::Events {
        records: vec!["{}, ".to_owned()],
        next: None,
    });
    let (status, _) = broken.send("GET", "/api/v1/audit/events", "");
    assert_eq!(status, 500, "what is no JSON does not get into an answer");
}
