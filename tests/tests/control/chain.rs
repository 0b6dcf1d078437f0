//! Each rule of the chain, and their order.

use crate::scene::{ELSEWHERE, Party, denied, rotate};
use chancel_ledger::LedgerName;
use chancel_tests::api::{SIGNATURE, refused};
use chancel_tests::shared::Common;
use chancel_tests::{Installation, Options, Shared, plans};
use serde_json::json;

static SYSTEM: Common = Common::new();

const POLICY: (u16, &str) = (403, "ERR_POLICY_001");
const UNKNOWN: (u16, &str) = (401, "ERR_AUTH_001");
const PLAN: (u16, &str) = (403, "ERR_FORBIDDEN_001");
const QUOTA: (u16, &str) = (403, "ERR_QUOTA_001");
const BUDGET: (u16, &str) = (403, "ERR_QUOTA_002");
/// What a tenant of the smallest plan may do in a month here.
const CALLS: u64 = 12;

fn system() -> Shared<'static> {
    SYSTEM.join_or(|| {
        Installation::with(Options {
            plans: Some(plans::of("free", &[("calls_per_month", CALLS), ("api_keys", 20)])),
            ..Options::default()
        })
    })
}

/// One tenant against which every rule of the chain speaks; then one obstacle after the other is taken away, and each
/// time the next rule of the table is the one that denies.
#[test]
fn the_first_rule_of_the_chain_that_denies_is_the_one_that_is_named() {
    let system = system();
    let party = Party::new(&system, "obstacles", "free");
    let id = party.id();
    let tenant = &party.tenant;
    let foreign = system.api_key_with(tenant, "verify", &["--network", ELSEWHERE]);
    let revoked = system.api_key_with(tenant, "verify", &["--network", ELSEWHERE]);
    let narrow = system.api_key(tenant, "verify");
    party.set_budget(SIGNATURE, Some(0));
    let rule = party.add_rule(&json!({"name": "never", "operations": ["sign", "rotate-key"]}));
    while party.api.get("/api/v1/tenants/").is_ok() {}
    assert_eq!(system.calls(tenant), CALLS, "denied calls do not count");
    system.cli(&[
        "api-key",
        "revoke",
        "--tenant",
        &id,
        "--id",
        &revoked.id.to_string(),
    ]);
    system.cli(&["tenant", "suspend", &id]);
    let [revoked, foreign, narrow] = [&revoked, &foreign, &narrow].map(|api_key| system.api(api_key));

    denied(&system, revoked.sign(b"m"), POLICY, "tenant-standing");
    system.cli(&["tenant", "resume", &id]);
    denied(&system, revoked.sign(b"m"), UNKNOWN, "api-key-standing");
    denied(&system, foreign.sign(b"m"), POLICY, "source-network");
    denied(&system, narrow.sign(b"m"), POLICY, "scope");
    denied(&system, rotate(&party.api), PLAN, "plan-feature");
    denied(&system, party.api.sign(b"m"), QUOTA, "quota");
    system.cli(&["tenant", "set-plan", &id, "enterprise"]);
    denied(&system, party.api.sign(b"m"), BUDGET, "key-budget");
    party.set_budget(SIGNATURE, None);
    denied(&system, party.api.sign(b"m"), POLICY, "tenant-rule");
    party.remove_rule(&rule);
    party.api.sign(b"m").expect("nothing is left that denies");
}

#[test]
fn an_expired_api_key_is_dead_from_its_second_on() {
    let system = system();
    let tenant = system.tenant("expiring", "enterprise");
    // Whole milliseconds, in which times are kept.
    let at = jiff::Timestamp::now().as_millisecond() + 2_000;
    let at = jiff::Timestamp::from_millisecond(at).expect("a time");
    let api_key = system.api_key_with(&tenant, "*", &["--expires", &at.to_string()]);
    let api = system.api(&api_key);
    system.until("the API key to expire", || {
        api.get("/api/v1/tenants/").err().map(|failure| {
            assert_eq!(failure.code(), UNKNOWN);
        })
    });
    assert!(jiff::Timestamp::now() >= at, "it did not die before its time");
    denied(&system, api.get("/api/v1/tenants/"), UNKNOWN, "api-key-standing");
}

#[test]
fn an_operator_hears_which_rule_denied_and_has_no_keys_to_use() {
    let system = system();
    let operator = system.api(&system.operator_key());
    for (path, body) in [
        ("/api/v1/signature/sign", json!({"message": ""})),
        ("/api/v1/kms/keys/generate", json!({"algorithm": SIGNATURE})),
        (
            "/api/v1/policy/rules",
            json!({"name": "x", "operations": ["sign"]}),
        ),
    ] {
        let answer = refused(operator.post(path, &body), POLICY.0, POLICY.1);
        assert_eq!(answer.header("x-chancel-deny-rule"), Some("scope"), "{path}");
        assert_eq!(system.denying_rule(answer.request_id()), "scope");
    }
}

#[test]
fn a_tenants_api_key_for_everything_does_nothing_of_an_operators() {
    let system = system();
    let party = Party::new(&system, "no operator", "enterprise");
    let made = party
        .api
        .post("/api/v1/tenants", &json!({"name": "another", "plan": "free"}));
    denied(&system, made, POLICY, "scope");
    let listed = party.api.get("/api/v1/tenants/").expect("itself");
    assert_eq!(listed["total"], 1);
}

#[test]
fn every_allowed_use_has_one_record_in_each_ledger_under_one_request_and_permit() {
    let system = system();
    let party = Party::new(&system, "recorded", "enterprise");
    let answer = party
        .api
        .client()
        .post("/api/v1/signature/sign", &json!({"message": "bWVzc2FnZQ=="}))
        .expect("an answer");
    assert_eq!(answer.status, 200, "{}", answer.text);
    let request = answer.request_id();
    let decisions = system.records(LedgerName::Decisions);
    let uses = system.records(LedgerName::Uses);
    let (allowed, used) = (
        decisions.of_request("allow", request),
        uses.of_request("use", request),
    );
    let ([allowed], [used]) = (&allowed[..], &used[..]) else {
        panic!("one record each: {allowed:?}, {used:?}");
    };
    for field in [
        "tenant",
        "api_key",
        "api_key_version",
        "operation",
        "algorithm",
        "key_version",
        "key",
        "permit",
    ] {
        assert!(!allowed[field].is_null(), "{field}");
        assert_eq!(allowed[field], used[field], "{field}");
    }
    assert_eq!(allowed["tenant"], party.id());
    assert_eq!(allowed["api_key"], party.api_key.id.to_string());
    assert_eq!(allowed["operation"], "sign");
    assert_eq!(used["result"], "ok");
    for record in [allowed, used] {
        assert!(!record.to_string().contains("bWVzc2FnZQ"), "no payload: {record}");
        assert!(!record.to_string().contains(&party.api_key.text));
    }
}
