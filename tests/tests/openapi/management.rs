//! What manages keys, tenants, API keys and rules, and what tells of it.

use crate::caller::Caller;
use crate::{COMPOSITE, HYBRID};
use chancel_tests::api::{KEM, SIGNATURE};
use chancel_tests::{ApiKey, Installation};
use serde_json::{Value, json};

pub fn keys(own: &Caller<'_>) {
    for algorithm in [KEM, SIGNATURE, HYBRID, COMPOSITE] {
        own.post("/api/v1/kms/keys/generate", &json!({"algorithm": algorithm}));
    }
    own.post("/api/v1/kms/keys/generate", &json!({"algorithm": KEM}));
    own.post("/api/v1/kms/keys/rotate", &json!({"algorithm": "ML-KEM-768"}));
    own.post("/api/v1/kms/keys/rotate", &json!({"algorithm": HYBRID}));
    let step = |step: &str| {
        let body = json!({"algorithm": HYBRID, "key_version": 2});
        own.post(&format!("/api/v1/kms/keys/{step}"), &body)
    };
    step("retire");
    step("archive");
    step("restore");
    own.delete(&format!("/api/v1/kms/keys/2?algorithm={HYBRID}&days=7"));
    own.get(&format!(
        "/api/v1/kms/keys?algorithm={HYBRID}&status=pending_destruction"
    ));
    step("cancel-destruction");
    own.post("/api/v1/kms/keys/generate", &json!({"algorithm": HYBRID}));
    let budget = |uses: Value| {
        let body = json!({"algorithm": COMPOSITE, "uses_per_day": uses});
        own.post("/api/v1/kms/keys/budget", &body)
    };
    budget(1000.into());
    budget(Value::Null);
    own.get(&format!("/api/v1/kms/keys/active?algorithm={KEM}"));
    own.get(&format!("/api/v1/kms/keys/1?algorithm={KEM}"));
    for path in ["active", "1"] {
        for format in ["pem", "jwk", "spki"] {
            own.get(&format!(
                "/api/v1/kms/keys/{path}?algorithm={SIGNATURE}&format={format}"
            ));
        }
    }
    own.get("/api/v1/kms/keys");
}

pub fn api_keys(own: &Caller<'_>, tenant: &str) {
    let path = format!("/api/v1/tenants/{tenant}/api-keys");
    let body = json!({"name": "narrow", "scopes": ["sign", "verify:ML-DSA-65"],
                      "networks": ["192.0.2.0/24"], "expires_at": "2100-01-01T00:00:00Z"});
    let made = own.post(&path, &body);
    let id = made["key_id"].as_str().expect("an id").to_owned();
    own.post(&format!("{path}/rotate"), &json!({"key_id": id}));
    own.delete(&format!("{path}/{id}"));
    for number in 0..64 {
        let body = json!({"name": format!("{number}"), "scopes": ["sign"]});
        own.post(&path, &body);
    }
    let page = own.get(&path);
    let next = page["next"].as_str().expect("more than a page");
    own.get(&format!("{path}?after={next}"));
    own.get("/api/v1/tenants/me");
    own.get(&format!("/api/v1/tenants/{tenant}"));
}

pub fn rules(own: &Caller<'_>, key: &ApiKey) {
    let path = "/api/v1/policy/rules";
    let add = |body: &Value| own.post(path, body)["id"].as_str().expect("an id").to_owned();
    let rule = json!({"name": "elsewhere", "operations": ["rewrap"], "algorithms": ["ML-KEM-1024"],
                      "window": {"from": "22:00", "until": "06:00", "days": ["mon"]},
                      "sources": {"within": ["192.0.2.0/24"]}});
    let first = add(&rule);
    let rule = json!({"name": "nowhere", "operations": ["rewrap"], "sources": {"outside": ["192.0.2.0/24"]}});
    let second = add(&rule);
    own.get(path);
    let body = json!({"ciphertext": "", "key_version": 2});
    own.post("/api/v1/kem/rewrap", &body);
    let question = json!({"operation": "rewrap", "algorithm": KEM, "target_algorithm": KEM, "batch": 2, "api_key_id": key.id.to_string(),
                          "source": "198.51.100.7", "at": "2026-01-15T10:30:00Z"});
    let explained = own.post("/api/v1/policy/explain", &question);
    assert_eq!(explained["allowed"], false, "{explained}");
    for id in [first, second] {
        own.delete(&format!("{path}/{id}"));
    }
}

pub fn tenants<'a>(system: &Installation, caller: &dyn Fn(&str) -> Caller<'a>) {
    let operator = caller(&system.operator_key().text);
    for path in ["/api/v1/tenants", "/api/v1/tenants/"] {
        operator.post(path, &json!({"name": format!("made at {path}"), "plan": "free"}));
        let page = operator.get(&format!("{path}?limit=1"));
        let next = page["next"].as_str().expect("more than one");
        operator.get(&format!("{path}?after={next}"));
    }
    operator.post("/api/v1/tenants", &json!({"name": "made at /api/v1/tenants"}));
    let free = system.tenant("of a free plan", "free");
    let free = caller(&system.api_key(&free, "*").text);
    free.get("/api/v1/tenants/");
    free.get("/api/v1/tenants");
    free.post("/api/v1/kms/keys/rotate", &json!({"algorithm": KEM}));
    // More than a burst of the free plan.
    for _ in 0..40 {
        free.get("/api/v1/tenants/me");
    }
}

pub fn events(own: &Caller<'_>, key: &ApiKey) {
    let page = own.get("/api/v1/audit/events?limit=1");
    let next = page["next"].as_u64().expect("more than one");
    own.get(&format!(
        "/api/v1/audit/events?limit=2&before={next}&operation=sign"
    ));
    let request = "0b5f8e4a-7a33-4c5b-9d0e-0123456789ab";
    let time = "since=2026-01-15T10:30:00Z&until=2100-01-01T00:00:00Z";
    own.get(&format!(
        "/api/v1/audit/events?api_key={}&request_id={request}&{time}",
        key.id
    ));
}
