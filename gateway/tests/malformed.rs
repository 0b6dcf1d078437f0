//! What is malformed in requests to the control plane: refused by the field's name, before anybody is asked. And the
//! `Idempotency-Key`, which is taken where it means something.

mod support;

use chancel_wire::policyd::{Outcome, Verdict};
use support::{Scene, Script, TENANT, request};

fn scene(outcome: impl Fn() -> Outcome + Send + Sync + 'static) -> Scene {
    Scene::start(Script {
        judge: Box::new(move |_| Verdict::Done(outcome())),
        ..Script::default()
    })
}

#[test]
fn an_idempotency_key_reaches_policyd_where_it_means_something() {
    let keys = format!("/api/v1/tenants/{TENANT}/api-keys");
    let algorithm = r#"{"algorithm": "Dilithium3"}"#;
    let rotate = format!("{keys}/rotate");
    for (path, body, heard) in [
        ("/api/v1/kms/keys/generate", algorithm, true),
        ("/api/v1/kms/keys/rotate", algorithm, true),
        ("/api/v1/tenants", r#"{"name": "x"}"#, true),
        (&keys, r#"{"name": "x", "scopes": ["*"]}"#, true),
        (&rotate, "{}", true),
        (
            "/api/v1/kms/keys/budget",
            r#"{"algorithm": "Dilithium3", "uses_per_day": 1}"#,
            false,
        ),
        ("/api/v1/policy/rules", r#"{"name": "x"}"#, false),
    ] {
        let scene = scene(|| Outcome::DenyRules(Vec::new()));
        scene.with_headers("POST", path, "idempotency-key: once-1\r\n", body);
        let last = scene.callers.lock().unwrap().last().cloned().unwrap();
        assert_eq!(last.idempotency_key, heard.then(|| "once-1".to_owned()), "{path}");
        let asked = scene.asked.lock().unwrap().len();
        let twice = "idempotency-key: a\r\nidempotency-key: a\r\n";
        let answer = scene.with_headers("POST", path, twice, body);
        if heard {
            assert_eq!(
                (answer.status, answer.code().as_str()),
                (400, "ERR_INVALID_001"),
                "{path}"
            );
            assert_eq!(scene.asked.lock().unwrap().len(), asked);
        }
    }
}

#[test]
fn what_is_malformed_is_refused_by_name_and_nobody_is_asked() {
    let scene = scene(|| Outcome::DenyRules(Vec::new()));
    let api_keys = format!("/api/v1/tenants/{TENANT}/api-keys");
    let rotate = format!("{api_keys}/rotate");
    let (rules, explain) = ("/api/v1/policy/rules", "/api/v1/policy/explain");
    let long = format!(r#"{{"name": "{}", "scopes": ["*"]}}"#, "x".repeat(256));
    let many = format!(
        r#"{{"name": "x", "operations": [{}"sign"]}}"#,
        r#""sign","#.repeat(256)
    );
    for (path, body, field) in [
        (api_keys.as_str(), r#"{"scopes": ["*"]}"#, "name"),
        (&api_keys, r#"{"name": "", "scopes": ["*"]}"#, "name"),
        (&api_keys, r#"{"name": 7, "scopes": ["*"]}"#, "name"),
        (&api_keys, &long, "name"),
        (&api_keys, r#"{"name": "x"}"#, "scopes"),
        (&api_keys, r#"{"name": "x", "scopes": "*"}"#, "scopes"),
        (&api_keys, r#"{"name": "x", "scopes": []}"#, "scopes"),
        (&api_keys, r#"{"name": "x", "scopes": ["fly"]}"#, "scopes"),
        (&api_keys, r#"{"name": "x", "scopes": ["sign verify"]}"#, "scopes"),
        (&api_keys, r#"{"name": "x", "scopes": ["sign", 7]}"#, "scopes"),
        (
            &api_keys,
            r#"{"name": "x", "scopes": ["*"], "networks": ["x"]}"#,
            "networks",
        ),
        (
            &api_keys,
            r#"{"name": "x", "scopes": ["*"], "networks": ["10.0.0.1/8"]}"#,
            "networks",
        ),
        (
            &api_keys,
            r#"{"name": "x", "scopes": ["*"], "expires_at": 7}"#,
            "expires_at",
        ),
        (
            &api_keys,
            r#"{"name": "x", "scopes": ["*"], "expires_at": "soon"}"#,
            "expires_at",
        ),
        (
            &api_keys,
            r#"{"name": "x", "scopes": ["*"], "expires_at": "2001-01-01T00:00:00Z"}"#,
            "expires_at",
        ),
        (&rotate, r#"{"key_id": "me"}"#, "key_id"),
        ("/api/v1/tenants", "{}", "name"),
        ("/api/v1/tenants", r#"{"name": "x", "plan": "gold"}"#, "plan"),
        (
            "/api/v1/kms/keys/budget",
            r#"{"algorithm": "Kyber768"}"#,
            "uses_per_day",
        ),
        (
            "/api/v1/kms/keys/budget",
            r#"{"algorithm": "Kyber768", "uses_per_day": -1}"#,
            "uses_per_day",
        ),
        (
            "/api/v1/kms/keys/budget",
            r#"{"algorithm": "Kyber768", "uses_per_day": 1e3}"#,
            "uses_per_day",
        ),
        (
            "/api/v1/kms/keys/archive",
            r#"{"algorithm": "Kyber768"}"#,
            "key_version",
        ),
        ("/api/v1/kem/rewrap", r#"{"key_version": 1}"#, "ciphertext"),
        ("/api/v1/kem/rewrap", r#"{"ciphertext": "eA=="}"#, "key_version"),
        (
            "/api/v1/kem/rewrap",
            r#"{"ciphertext": "eA==", "key_version": 1, "target_key_version": "2"}"#,
            "target_key_version",
        ),
        (rules, "{}", "name"),
        (rules, r#"{"name": "x", "operations": ["fly"]}"#, "operations"),
        (rules, r#"{"name": "x", "operations": {}}"#, "operations"),
        (rules, &many, "operations"),
        (rules, r#"{"name": "x", "window": []}"#, "window"),
        (rules, r#"{"name": "x", "window": {}}"#, "from"),
        (rules, r#"{"name": "x", "window": {"from": "22:00"}}"#, "until"),
        (
            rules,
            r#"{"name": "x", "window": {"from": "22:00", "until": "22:00"}}"#,
            "window",
        ),
        (
            rules,
            r#"{"name": "x", "window": {"from": "24:00", "until": "06:00"}}"#,
            "from",
        ),
        (
            rules,
            r#"{"name": "x", "window": {"from": "+2:00", "until": "06:00"}}"#,
            "from",
        ),
        (
            rules,
            r#"{"name": "x", "window": {"from": "2:00", "until": "06:00"}}"#,
            "from",
        ),
        (
            rules,
            r#"{"name": "x", "window": {"from": "22:00", "until": "06:00", "days": ["Monday"]}}"#,
            "days",
        ),
        (
            rules,
            r#"{"name": "x", "window": {"from": "22:00", "from": "23:00", "until": "06:00"}}"#,
            "from",
        ),
        (rules, r#"{"name": "x", "sources": {}}"#, "sources"),
        (rules, r#"{"name": "x", "sources": {"within": []}}"#, "sources"),
        (
            rules,
            r#"{"name": "x", "sources": {"within": ["10.0.0.0/8"], "outside": []}}"#,
            "sources",
        ),
        (
            rules,
            r#"{"name": "x", "sources": {"within": ["10.0.0.1/8"]}}"#,
            "within",
        ),
        (explain, "{}", "operation"),
        (explain, r#"{"operation": "fly"}"#, "operation"),
        (
            explain,
            r#"{"operation": "sign", "api_key_id": "me"}"#,
            "api_key_id",
        ),
        (explain, r#"{"operation": "sign", "source": "here"}"#, "source"),
        (explain, r#"{"operation": "sign", "at": 7}"#, "at"),
    ] {
        let answer = scene.raw(&request("POST", path, body));
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (400, "ERR_INVALID_001"),
            "{path} {body}"
        );
        let json = answer.json();
        let message = json["error"]["message"].as_str().unwrap();
        assert!(message.contains(&format!("'{field}'")), "{body}: {message}");
    }
    for (path, body) in [
        (rules, r#"{"name": "x", "algorithms": ["RSA"]}"#),
        (explain, r#"{"operation": "sign", "algorithm": "RSA"}"#),
        (
            "/api/v1/kem/rewrap",
            r#"{"ciphertext": "eA==", "key_version": 1, "target_algorithm": "Dilithium3"}"#,
        ),
    ] {
        assert_eq!(
            scene.raw(&request("POST", path, body)).code(),
            "ERR_KMS_001",
            "{body}"
        );
    }
    let events = "/api/v1/audit/events";
    for (method, path, query) in [
        ("DELETE", "/api/v1/kms/keys/1", "algorithm=Kyber768&days=-7"),
        ("DELETE", "/api/v1/kms/keys/1", "algorithm=Kyber768&days=7.5"),
        ("DELETE", "/api/v1/kms/keys/1", "algorithm=Kyber768&days="),
        ("DELETE", "/api/v1/kms/keys/1", "days=7"),
        ("DELETE", "/api/v1/kms/keys/0", "algorithm=Kyber768"),
        ("GET", &api_keys, "after=7"),
        ("GET", events, "limit=0"),
        ("GET", events, "limit=501"),
        ("GET", events, "before=0x10"),
        ("GET", events, "before=18446744073709551616"),
        ("GET", events, "kind=everything"),
        ("GET", events, "operation=fly"),
        ("GET", events, "request_id=1"),
        ("GET", events, "since=yesterday"),
        (
            "GET",
            events,
            "since=1970-01-01T00:00:01Z&since=1970-01-01T00:00:01Z",
        ),
        ("GET", events, "until=7"),
    ] {
        let answer = scene.raw(&request(method, &format!("{path}?{query}"), ""));
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (400, "ERR_INVALID_001"),
            "{path}?{query}"
        );
    }
    assert_eq!(
        scene
            .raw(&request("GET", &format!("{events}?api_key=me"), ""))
            .code(),
        "ERR_AUTH_002"
    );
    assert!(scene.asked.lock().unwrap().is_empty());
}
