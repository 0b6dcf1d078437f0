//! Operators over HTTP: they make and see tenants and their API keys, and nothing of what is in them.

use chancel_ledger::LedgerName;
use chancel_tests::api::{SIGNATURE, refused};
use chancel_tests::shared::Common;
use chancel_tests::{Api, ApiKey};
use serde_json::json;
use std::collections::BTreeSet;

static SYSTEM: Common = Common::new();

const POLICY: (u16, &str) = (403, "ERR_POLICY_001");
const NOT_FOUND: (u16, &str) = (404, "ERR_NOT_FOUND_001");

#[test]
fn an_operator_makes_a_tenant_and_its_first_api_key_and_both_work() {
    let system = SYSTEM.join();
    let operator = system.api(&system.operator_key());
    let answer = operator
        .client()
        .post("/api/v1/tenants", &json!({"name": "over HTTP", "plan": "pro"}))
        .expect("an answer");
    assert_eq!(answer.status, 201, "{}", answer.text);
    let made = &answer.json["data"];
    assert_eq!(made["plan"]["name"], "pro");
    assert_eq!(made["status"], "active");
    let id = made["id"].as_str().expect("an id");
    let key = operator
        .post(
            &format!("/api/v1/tenants/{id}/api-keys"),
            &json!({"name": "first", "scopes": ["*"]}),
        )
        .expect("an API key");
    let key = ApiKey {
        id: key["key_id"].as_str().expect("an id").parse().expect("an id"),
        tenant: id.parse().expect("an id"),
        text: key["api_key"].as_str().expect("its text").to_owned(),
    };
    let api = system.api(&key);
    api.first_key(SIGNATURE);
    api.sign(b"m").expect("a signature");
    let seen = operator.get(&format!("/api/v1/tenants/{id}")).expect("seen");
    assert_eq!(seen["name"], "over HTTP");
    let records = system.records(LedgerName::Decisions);
    assert!(records.changes("tenant-created").iter().any(|record| {
        record["request"] == answer.request_id() && (record["tenant"] == id || record["subject"] == id)
    }));
    // The same name a second time.
    let again = operator.post("/api/v1/tenants", &json!({"name": "over HTTP", "plan": "pro"}));
    refused(again, 409, "ERR_CONFLICT_001");
}

#[test]
fn what_is_no_tenant_is_refused() {
    let system = SYSTEM.join();
    let operator = system.api(&system.operator_key());
    for bad in [
        json!({}),
        json!({"name": "x", "plan": "platinum"}),
        json!({"name": "", "plan": "free"}),
        json!({"name": " x", "plan": "free"}),
        json!({"name": "a\u{1b}[2J", "plan": "free"}),
        json!({"name": 7, "plan": "free"}),
    ] {
        let failure = operator.post("/api/v1/tenants", &bad).expect_err("no tenant");
        assert_eq!(failure.code().0, 400, "{bad}: {failure:?}");
    }
}

#[test]
fn an_operator_sees_all_tenants_page_by_page_each_once() {
    let system = SYSTEM.join();
    let operator = system.api(&system.operator_key());
    let made: BTreeSet<String> = (0..7)
        .map(|number| system.tenant(&format!("paged {number}"), "free").id.to_string())
        .collect();
    let mut seen = Vec::new();
    let mut after = String::new();
    loop {
        let page = operator
            .get(&format!("/api/v1/tenants/?limit=3{after}"))
            .expect("a page");
        let tenants = page["tenants"].as_array().expect("a list").clone();
        let Some(last) = tenants.last() else { break };
        after = format!("&after={}", last["id"].as_str().expect("an id"));
        seen.extend(
            tenants
                .iter()
                .map(|tenant| tenant["id"].as_str().expect("an id").to_owned()),
        );
        assert!(seen.len() < 1_000, "it ends");
    }
    let distinct: BTreeSet<String> = seen.iter().cloned().collect();
    assert_eq!(distinct.len(), seen.len(), "each once");
    assert!(made.is_subset(&distinct));
    let operators = chancel_domain::TenantId::OPERATORS.to_string();
    assert!(!distinct.contains(&operators), "operators are no tenant");
}

#[test]
fn an_operator_makes_no_operator_over_http() {
    let system = SYSTEM.join();
    let operator = system.api(&system.operator_key());
    let operators = chancel_domain::TenantId::OPERATORS;
    let outcome = operator.post(
        &format!("/api/v1/tenants/{operators}/api-keys"),
        &json!({"name": "another", "scopes": ["*"]}),
    );
    let status = outcome.expect_err("no operator").code().0;
    assert!([403, 404].contains(&status), "{status}");
    let listed = system.cli(&["operator-key", "list"]);
    assert!(!listed.to_string().contains("another"), "{listed}");
}

#[test]
fn a_narrow_operators_api_key_does_what_its_scopes_say() {
    let system = SYSTEM.join();
    let made = system.cli(&[
        "operator-key",
        "create",
        "--name",
        "reader",
        "--scopes",
        "read-tenant read-tenants",
    ]);
    let reader = Api::new(system.client(made["api_key"].as_str()));
    reader.get("/api/v1/tenants/").expect("in its scopes");
    let tenant = system.tenant("not for readers", "free");
    let outcome = reader.post("/api/v1/tenants", &json!({"name": "x", "plan": "free"}));
    let answer = refused(outcome, POLICY.0, POLICY.1);
    assert_eq!(answer.header("x-chancel-deny-rule"), Some("scope"));
    let path = format!("/api/v1/tenants/{}/api-keys", tenant.id);
    let outcome = reader.post(&path, &json!({"name": "x", "scopes": ["*"]}));
    refused(outcome, POLICY.0, POLICY.1);
    let nobody = "/api/v1/tenants/0190b6c0-0000-4000-8000-000000000000";
    refused(reader.get(nobody), NOT_FOUND.0, NOT_FOUND.1);
}

#[test]
fn an_operators_api_key_can_be_revoked_and_is_dead_on_the_next_request() {
    let system = SYSTEM.join();
    let key = system.operator_key();
    let operator = system.api(&key);
    operator.get("/api/v1/tenants/").expect("all tenants");
    system.cli(&["operator-key", "revoke", "--id", &key.id.to_string()]);
    refused(operator.get("/api/v1/tenants/"), 401, "ERR_AUTH_001");
}
